"""Tensors on disk as safetensors: numbers with names, and nothing that could run code when loaded.

A ``state_dict`` is stored under its own names, so any safetensors reader (PyTorch's included) finds the parameters. Nested plain data
(dicts, lists, tuples, numbers, strings, None, with tensors anywhere in them) keep their structure as JSON in the file's header.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.errors import message
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.visualize.files import write_whole

__all__ = ["CheckpointError", "load", "notes_of", "save"]

_STRUCTURE = "tinygrad_edu.structure"


class CheckpointError(ValueError):
    """A file that is not a whole, valid checkpoint."""


def save(obj: Any, f: str | os.PathLike[str], notes: dict[str, str] | None = None) -> Path:
    """Write tensors, or plain data that hold tensors, to a safetensors file, whole or not at all.

    Parameters
    ----------
    obj : dict, list, tuple, Tensor, number, str or None
        For example ``model.state_dict()``, or ``{"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}``.
    f : path
    notes : dict of str to str, optional
        Remarks stored in the file's header; :func:`notes_of` reads them.

    Raises
    ------
    TypeError
        For anything that is not plain data (functions, modules, arbitrary objects): it could not be loaded safely.
    OSError
        If the file cannot be written; what was there before is unchanged.

    Examples
    --------
    >>> import tempfile, os, tinygrad_edu as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = tg.save({"epoch": 3, "w": tg.ones(2)}, os.path.join(folder, "run.safetensors"))
    ...     tg.load(path)["w"].tolist()
    [1.0, 1.0]
    """
    from safetensors.numpy import save as to_bytes

    arrays: dict[str, np.ndarray] = {}
    structure = _flatten(obj, "", arrays)
    header = dict(notes or {})
    for key, value in header.items():
        if not isinstance(value, str):
            raise TypeError(f"save: note {key!r} must be a string, got {type(value).__name__}.")
    if not _is_flat(obj):
        header[_STRUCTURE] = json.dumps(structure)
    return write_whole(f, to_bytes(arrays, header or None))


def _is_flat(obj: Any) -> bool:
    return isinstance(obj, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in obj.items())


def _flatten(obj: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """Put the tensors into `arrays` by their path and return a JSON description of the rest."""
    if isinstance(obj, Tensor):
        name, number = path or "tensor", 0
        while name in arrays:  # {"a": {"b": t}, "a.b": t}
            number += 1
            name = f"{path}#{number}"
        arrays[name] = np.asarray(obj.detach().numpy(), order="C")
        return {"tensor": name}
    if obj is None or isinstance(obj, bool | int | float | str):
        return {"value": obj}
    if isinstance(obj, np.generic):
        return {"value": obj.item()}
    dot = f"{path}." if path else ""
    if isinstance(obj, dict):
        for key in obj:
            if not isinstance(key, str | int):
                raise TypeError(f"save: a dict key must be a string or an integer, got {key!r} at {path or 'the top'}.")
        return {"dict": [[key, _flatten(value, f"{dot}{key}", arrays)] for key, value in obj.items()]}
    if isinstance(obj, list | tuple):
        kind = "list" if isinstance(obj, list) else "tuple"
        return {kind: [_flatten(value, f"{dot}{i}", arrays) for i, value in enumerate(obj)]}
    raise TypeError(
        f"save: {type(obj).__name__} at {path or 'the top'} is not plain data. "
        "Fix: save model.state_dict() and numbers; objects are not stored, because loading them would run code."
    )


def load(f: str | os.PathLike[str], map_location: Any = None, weights_only: bool = True) -> Any:
    """Read what :func:`save` wrote, or any safetensors file (then a dict of its tensors).

    Parameters
    ----------
    f : path
    map_location, weights_only
        Accepted for PyTorch's sake: everything is on the CPU, and nothing but weights and plain data is ever read.

    Notes
    -----
    bfloat16 becomes float32, which holds all its values. Of tensors that share their memory some writers store one and note the
    other names in the header, as ``safetensors.torch.save_model`` does; they are all given back.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is truncated, hostile or no safetensors file at all (E504); nothing in it is executed.
    """
    tensors, header = _read(f)
    text = header.get(_STRUCTURE)
    if text is None:
        return tensors
    try:
        return _rebuild(json.loads(text), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(f, f"its structure does not fit its tensors: {error!r}") from error


def notes_of(f: str | os.PathLike[str]) -> dict[str, str]:
    """Return the notes in the header of a checkpoint."""
    return {key: value for key, value in _read(f)[1].items() if key != _STRUCTURE}


def _read(f: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, deserialize, safe_open

    path = Path(f)
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {str(path)!r}.")
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(str(path), framework="np") as file:
            header = dict(file.metadata() or {})
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - no dict
            whole = dict(deserialize(path.read_bytes())) if "BF16" in kinds.values() else {}
            for name, kind in kinds.items():
                tensors[name] = wrap(_widened(whole[name]) if kind == "BF16" else _array(file, name, kind))
    except (SafetensorError, TypeError, ValueError, OSError) as error:
        raise _broken(path, str(error)) from error
    for name, stored in header.items():
        if name not in tensors and stored in tensors:
            tensors[name] = tensors[stored]
    return tensors, header


def _widened(entry: dict[str, Any]) -> np.ndarray:
    """Return bfloat16 numbers, which NumPy does not know, as float32: they are its upper halves."""
    halves = np.frombuffer(entry["data"], "<u2").astype(np.uint32)
    return (halves << 16).view(np.float32).reshape(entry["shape"])


def _array(file: Any, name: str, kind: str) -> np.ndarray:
    """Read one tensor of an open safetensors file."""
    try:
        array = np.array(file.get_tensor(name))
        dtypes.from_numpy_dtype(array.dtype)
    except (AttributeError, TypeError) as error:
        raise TypeError(f"tensor {name!r} is of type {kind}, which no Tensor here has") from error
    return array


def _rebuild(entry: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = entry.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "value":
        return content
    if kind == "dict":
        return {key: _rebuild(value, tensors) for key, value in content}
    if kind == "list":
        return [_rebuild(value, tensors) for value in content]
    if kind == "tuple":
        return tuple(_rebuild(value, tensors) for value in content)
    raise ValueError(f"unknown kind {kind!r}")


def _broken(f: str | os.PathLike[str], why: str) -> CheckpointError:
    return CheckpointError(
        message(
            "E504",
            "load",
            f"{str(f)!r} is not a valid safetensors checkpoint ({why}).",
            "a file written by tg.save or by safetensors; pickled checkpoints (.pt, .pth) are not read, because reading them runs code.",
        )
    )
