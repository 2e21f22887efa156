"""Adding values into rows of zeros in NumPy: the derivative of every lookup (indexing, gather, embedding)."""

from __future__ import annotations

import numpy as np


def add_rows(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``out`` (count, D) of zeros with ``out[rows[k]] += values[k]``, one k after the other.

    NumPy adds at flat positions several times faster than at rows, so the rows are spelt out element by element.

    Parameters
    ----------
    values : array (K, D)
    rows : integer array (K,)
    count : int
        How many rows the result has.

    Raises
    ------
    IndexError
        For a row outside the result.
    """
    width = values.shape[1]
    out = np.zeros(count * width, values.dtype)
    places = rows if width == 1 else (rows[:, None] * width + np.arange(width)).ravel()
    np.add.at(out, places, values.ravel())
    return out.reshape(count, width)
