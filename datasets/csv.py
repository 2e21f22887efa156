"""Tables from CSV files: numbers to learn from, and a column to predict."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Table", "load_csv"]


class Table(NamedTuple):
    """What a CSV file holds; it unpacks to four parts.

    Attributes
    ----------
    X : Tensor, float32, shape (rows, columns)
    y : Tensor or None
        int64 where the column holds class names or whole numbers, else float32; shape (rows,).
    columns : list of str
        The names of X's columns.
    classes : list of str or None
        The name of each class, where `y` was given in words.
    """

    X: Tensor
    y: Tensor | None
    columns: list[str]
    classes: list[str] | None


def load_csv(
    path: str | os.PathLike[str],
    target: str | int | None = -1,
    *,
    header: bool | None = None,
    delimiter: str = ",",
    missing: float | None = None,
) -> Table:
    """Read a CSV file of numbers.

    Parameters
    ----------
    path : path
    target : str, int or None
        The column to predict, by name or position (the last by default); None if there is none.
    header : bool, optional
        Whether the first line names the columns; by default it does if none of its values is a number. Without it they are named by
        their positions.
    delimiter : str
    missing : float, optional
        What stands for a value that is left out; without it that is an error.

    Returns
    -------
    Table
        ``X, y, columns, classes``.

    Raises
    ------
    ValueError
        For a file without rows, or a value or row that does not fit, by line and column.
    FileNotFoundError

    Examples
    --------
    >>> import tempfile, os
    >>> from tinygrad_edu.datasets import load_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "flowers.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("length,width,kind\\n5.1,3.5,setosa\\n7,3.2,versicolor\\n")
    ...     X, y, columns, classes = load_csv(path, target="kind")
    >>> X.tolist(), y.tolist(), columns, classes
    ([[5.099999904632568, 3.5], [7.0, 3.200000047683716]], [0, 1], ['length', 'width'], ['setosa', 'versicolor'])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load_csv: there is no file {str(path)!r}.")
    rows = _rows(path, delimiter)
    if header is None:
        header = not any(_is_number(value) for value in rows[0][1])
    names = [name.strip() for name in rows[0][1]] if header else [str(i) for i in range(len(rows[0][1]))]
    rows = rows[1:] if header else rows
    if not rows:
        raise ValueError(f"load_csv: {str(path)!r} has a header and no rows.")
    for line, values in rows:
        if len(values) != len(names):
            raise ValueError(
                f"load_csv: {path.name}, line {line}: {len(values)} values, but there are {len(names)} columns ({', '.join(names)}). "
                f"Fix: correct the line, or delimiter=... (now {delimiter!r})."
            )
    chosen = None if target is None else _position(target, names, path)
    kept = [i for i in range(len(names)) if i != chosen]
    X = np.empty((len(rows), len(kept)), np.float32)
    for at, i in enumerate(kept):
        X[:, at] = [_number(values[i], path, line, names[i], missing) for line, values in rows]
    y, classes = (None, None) if chosen is None else _labels([(n, v[chosen]) for n, v in rows], path, names[chosen])
    return Table(wrap(X), y, [names[i] for i in kept], classes)


def _rows(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the values of every line that is not empty, and its number."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            rows = [(reader.line_num, values) for values in reader if any(value.strip() for value in values)]
    except UnicodeDecodeError as error:
        raise ValueError(f"load_csv: {str(path)!r} is no text in UTF-8: {error}. Fix: save it as UTF-8.") from error
    except csv.Error as error:
        raise ValueError(f"load_csv: {path.name}, line {reader.line_num}: {error}.") from error
    if not rows:
        raise ValueError(f"load_csv: {str(path)!r} is empty.")
    return rows


def _position(target: str | int, names: Sequence[str], path: Path) -> int:
    if isinstance(target, str):
        if target not in names:
            raise ValueError(
                f"load_csv: {path.name} has no column {target!r}. Fix: one of {', '.join(map(repr, names))}."
            )
        return names.index(target)
    if not -len(names) <= target < len(names):
        raise ValueError(f"load_csv: {path.name} has {len(names)} columns; there is no number {target}.")
    return target % len(names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, path: Path, line: int, column: str, missing: float | None) -> float:
    text = text.strip()
    if not text:
        if missing is not None:
            return missing
        raise ValueError(
            f"load_csv: {path.name}, line {line}, column {column!r}: the value is missing. Fix: missing=0.0, or fill it in."
        )
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"load_csv: {path.name}, line {line}, column {column!r}: {text!r} is not a number. "
            "Fix: correct it, leave the column out, or target= if this is the column to predict."
        ) from None


def _labels(values: Sequence[tuple[int, str]], path: Path, column: str) -> tuple[Tensor, list[str] | None]:
    """Return the column to predict: numbers as they are, words by their place in the alphabet."""
    words = [text.strip() for _, text in values]
    for (line, _), word in zip(values, words, strict=True):
        if not word:
            raise ValueError(
                f"load_csv: {path.name}, line {line}, column {column!r}: there is nothing to predict. Fix: fill it in."
            )
    if not all(map(_is_number, words)):
        classes = sorted(set(words))
        return wrap(np.searchsorted(classes, words).astype(np.int64)), classes
    numbers = np.array(words, np.float64)
    whole = np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all()
    return wrap(numbers.astype(np.int64 if whole else np.float32)), None
