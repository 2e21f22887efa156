"""Reading the key of ``x[key]`` as PyTorch does: first the numbers, slices, None and ..., which give a view; then the tensors.

NumPy treats a number beside an index array as an array, PyTorch takes it first. So a key is split in two: a *basic* key that NumPy
applies without copying, and an *advanced* one that has an array or ``:`` for each dimension that is left.
"""

import builtins
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import IndexOutOfRangeError
from tinygrad_edu.recorders import again, look, recorders
from tinygrad_edu.tensor import Tensor

__all__ = ["check_bounds", "is_plain", "positions", "split_key"]

_ALL = slice(None)


def split_key(key: Any, shape: tuple[int, ...]) -> tuple[tuple, tuple | None]:
    """Return (basic key, advanced key or None) for an index expression on a tensor of `shape`.

    The arrays of the advanced key are copies, so that writing over an index tensor later cannot change a recorded graph.

    Raises
    ------
    IndexError
        For too many indices, floating-point indices, or a mask of another shape.
    ValueError
        For a slice with a negative step.
    """
    given = key if isinstance(key, tuple) else (key,)
    parts = _spell_out_ellipsis([_read(part) for part in given], shape)
    basic: list[Any] = []
    advanced: list[Any] = []
    dim = 0
    for part in parts:
        if part is None:
            basic.append(None)
            advanced.append(_ALL)
        elif isinstance(part, builtins.bool):  # a dimension of length 1 that is kept or emptied
            basic.append(None)
            advanced.append(np.zeros(1 if part else 0, np.int64))
        elif isinstance(part, int):
            if not -shape[dim] <= part < shape[dim]:
                raise IndexOutOfRangeError(
                    f"index {part} is out of bounds for dimension {dim} with size {shape[dim]} (shape {tuple(shape)})."
                )
            basic.append(part)
            dim += 1
        elif isinstance(part, slice):
            basic.append(_check_slice(part))
            advanced.append(_ALL)
            dim += 1
        else:
            width = max(part.ndim, 1) if part.dtype == np.bool_ else 1
            basic += [_ALL] * width
            advanced.append(_check_array(part, shape, dim))
            dim += width
    arrays = [part for part in advanced if isinstance(part, np.ndarray)]
    if len(arrays) > 1:
        _check_arrays_fit(arrays)
    return tuple(basic), tuple(advanced) if arrays else None


def _read(part: Any) -> Any:
    """Return a part of a key as None, Ellipsis, bool, int, slice or ndarray."""
    if part is None or part is Ellipsis or isinstance(part, builtins.bool | int | slice):
        return part
    if isinstance(part, np.bool_):
        return builtins.bool(part)
    if isinstance(part, np.integer):
        return int(part)
    if isinstance(part, Tensor):
        if recorders and (part._data.dtype == np.bool_ or not part._data.ndim):
            look(
                "a mask or a single number as an index"
            )  # the shape of the result, or which slice it is, depends on it
        array = positions(part)
    elif isinstance(part, np.ndarray):
        array = part.copy()
    elif isinstance(part, Sequence) and not isinstance(part, str):
        array = _read_sequence(part)
    elif isinstance(part, str):
        raise TypeError(f"a tensor is indexed by positions, got the string {part!r}. Fix: x[0], or a dict for names.")
    else:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            f"(got {type(part).__name__})"
        )
    if array.dtype.kind not in "iub":
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {array.dtype}. Fix: index.long()."
        )
    if array.dtype == np.uint8:
        warnings.warn("indexing with dtype uint8 is deprecated, please use a dtype bool instead.", stacklevel=2)
        array = array.astype(np.bool_)
    if not array.ndim:
        return array.item()
    return array


@again
def positions(index: Tensor) -> np.ndarray:
    """Return a copy of an index tensor's numbers as int64 (masks as they are), which later writes over it do not reach."""
    kind = index._data.dtype
    return np.array(index._data, np.int64 if kind.kind in "iu" and kind != np.uint8 else kind)


def _read_sequence(part: Sequence) -> np.ndarray:
    if any(p is None or p is Ellipsis or isinstance(p, slice | list | tuple) for p in part):
        raise IndexError(
            "a list inside an index must hold integers or bools; nested lists are ambiguous. "
            "Fix: x[tuple(key)] for one entry per dimension, or x[tg.tensor(key)] for one tensor of indices."
        )
    values = [p.item() if isinstance(p, Tensor) and p.numel() == 1 else p for p in part]
    return np.array(values) if values else np.zeros(0, np.int64)


def _spell_out_ellipsis(parts: list, shape: tuple[int, ...]) -> list:
    """Replace the first ``...`` by as many ``:`` as are needed, and append the missing ones."""
    used = 0
    for part in parts:
        if isinstance(part, np.ndarray):
            used += part.ndim if part.dtype == np.bool_ else 1
        elif part is not None and part is not Ellipsis and not isinstance(part, builtins.bool):
            used += 1
    missing = len(shape) - used
    if missing < 0:
        raise IndexError(
            f"too many indices for tensor of dimension {len(shape)}: {used} were given for shape {tuple(shape)}."
        )
    spelt: list = []
    filled = False
    for part in parts:
        if part is not Ellipsis:
            spelt.append(part)
        elif not filled:
            spelt += [_ALL] * missing
            filled = True
    return spelt if filled else spelt + [_ALL] * missing


def _check_slice(part: slice) -> slice:
    step = None if part.step is None else operator.index(part.step)
    if step is not None and step <= 0:
        raise ValueError(f"step must be greater than zero, got {step}. Fix: x.flip(dim) reverses a dimension.")
    if step is None and _plain(part.start) and _plain(part.stop):
        return part
    start, stop = (None if bound is None else operator.index(bound) for bound in (part.start, part.stop))
    return slice(start, stop, step)


def _plain(bound: Any) -> bool:
    return bound is None or bound.__class__ is int


def is_plain(parts: tuple) -> bool:
    """Tell whether a key is so simple (numbers and slices without steps) that NumPy reads it as PyTorch does."""
    for part in parts:
        kind = part.__class__
        if kind is int or (kind is slice and part.step is None and _plain(part.start) and _plain(part.stop)):
            continue
        return False
    return True


def _check_array(part: np.ndarray, shape: tuple[int, ...], dim: int) -> np.ndarray:
    """Return an index array within bounds, or raise IndexError."""
    if part.dtype == np.bool_:
        if part.shape != tuple(shape[dim : dim + part.ndim]):
            raise IndexError(
                f"The shape of the mask {list(part.shape)} at index {dim} does not match the shape of the indexed tensor "
                f"{list(shape)} at index {dim}. Fix: a mask of the shape {list(shape[dim : dim + part.ndim])}."
            )
        return part
    return part.astype(np.int64, copy=False)


def check_bounds(advanced: tuple, shape: tuple[int, ...]) -> None:
    """Raise IndexError for the first index outside its dimension. NumPy finds that there is one; this finds which."""
    dim = 0
    for part in advanced:
        if part.__class__ is not slice and part.dtype != np.bool_ and part.size:
            size = shape[dim]
            if not -size <= part.min() <= part.max() < size:
                wrong = part[(part < -size) | (part >= size)].flat[0]
                raise IndexOutOfRangeError(
                    f"index {wrong} is out of bounds for dimension {dim} with size {size} (shape {tuple(shape)})."
                )
        dim += part.ndim if part.__class__ is not slice and part.dtype == np.bool_ else 1


def _check_arrays_fit(arrays: list[np.ndarray]) -> None:
    """Refuse index arrays that do not broadcast; a mask counts as one index for each place it names."""
    shapes = [(np.count_nonzero(a),) if a.dtype == np.bool_ else a.shape for a in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(str(list(s)) for s in shapes)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}. "
            "Fix: index tensors of equal shapes, or lengths of 1 (index.unsqueeze) for all combinations."
        ) from None
