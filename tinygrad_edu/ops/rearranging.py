"""Copies with the elements in other places: repeat, tile, flip, roll, rot90, and sliding windows (unfold)."""

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.conversion import clone
from tinygrad_edu.ops.dims import normalize_dim, normalize_dims
from tinygrad_edu.ops.expanding import expand
from tinygrad_edu.ops.shape import reshape_to, sizes_of, transpose
from tinygrad_edu.primitive import composite, primitive

__all__ = ["flip", "fliplr", "flipud", "roll", "rot90", "tile"]


@composite
def repeat(input, *repeats):
    """Copies side by side: ``repeat(2, 3)`` of shape (m, n) has shape (2m, 3n); more numbers than dimensions add leading ones.

    Raises
    ------
    RuntimeError
        For fewer numbers than dimensions, or negative ones.
    """
    if not repeats:
        raise TypeError(
            "repeat() missing the argument 'repeats'. Fix: one number for each dimension, e.g. x.repeat(2, 1)."
        )
    times, shape = sizes_of(repeats), tuple(input._data.shape)
    if len(times) < len(shape):
        raise ShapeError(
            f"repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: {tuple(times)} for "
            f"shape {shape}. Fix: one number for each dimension, 1 where nothing is repeated; or x.tile(...)."
        )
    if min(times, default=0) < 0:
        raise RuntimeError(f"repeat: repeats must not be negative, got {tuple(times)}.")
    shape = (1,) * (len(times) - len(shape)) + shape
    if all(k == 1 for k in times):
        return reshape_to(clone(input), shape)  # a copy, as always
    apart = [n for size in shape for n in (1, size)]
    repeated = [n for pair in zip(times, shape, strict=True) for n in pair]
    whole = tuple(k * n for k, n in zip(times, shape, strict=True))
    return reshape_to(expand(reshape_to(input, apart), *repeated), whole)


@composite
def tile(input, *dims):
    """Like :func:`repeat`, but missing numbers count as 1 on the left."""
    if not dims:
        raise TypeError("tile() missing the argument 'dims'. Fix: x.tile(2).")
    times = tuple(sizes_of(dims))
    return repeat(input, (1,) * (input._data.ndim - len(times)) + times)


@primitive(method=False, names=("input",), node_name="FlipBackward0")
def reverse(x, /, dims):
    """Copy with the order along `dims` reversed; its own adjoint."""
    return np.flip(x, dims).copy()


reverse.derivative(x=lambda g, dims: reverse(g, dims))


@composite
def flip(input, *dims):
    """Copy with the order along the dimensions `dims` reversed."""
    if not dims:
        raise TypeError("flip() missing the argument 'dims'. Fix: x.flip(0).")
    return reverse(input, normalize_dims(sizes_of(dims), input._data.ndim, "flip") if sizes_of(dims) else ())


@composite
def fliplr(input):
    """Reverse left and right: the order along dimension 1."""
    if input._data.ndim < 2:
        raise RuntimeError("fliplr: Input must be >= 2-d. Fix: x.flip(0) for a vector.")
    return reverse(input, (1,))


@composite
def flipud(input):
    """Reverse up and down: the order along dimension 0."""
    if input._data.ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d.")
    return reverse(input, (0,))


@primitive(names=("input",))
def roll(x, /, shifts, dims=None):
    """Shift along `dims`, what leaves at the end coming back at the start; without `dims` of the flattened tensor."""
    dims = (dims,) if isinstance(dims, int) else dims
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if not all(isinstance(shift, int) for shift in shifts):
        raise TypeError(f"roll(): argument 'shifts' must be int or a tuple of ints, not {shifts}.")
    if not dims:
        if len(shifts) != 1:
            raise RuntimeError(f"roll: without dims one shift is expected, got {len(shifts)}. Fix: roll(shifts, dims).")
        return np.roll(x, shifts[0])
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: shifts and dimensions must align. shifts: {len(shifts)}, dims: {len(dims)}.")
    return np.roll(x, shifts, tuple(normalize_dim(d, x.ndim, "roll") for d in dims))


def _back(shifts):
    return -shifts if isinstance(shifts, int) else tuple(-s for s in shifts)


roll.derivative(x=lambda g, shifts, dims: roll(g, _back(shifts), dims))


@composite
def rot90(input, k=1, dims=(0, 1)):
    """Turn by 90 degrees `k` times in the plane of `dims`, from the first towards the second."""
    if input._data.ndim < 2 or len(dims) != 2:
        raise RuntimeError(
            f"rot90: expected total dims >= 2 and two rotation dims, but got total dims = {input._data.ndim} and dims {dims}."
        )
    first, second = (normalize_dim(d, input._data.ndim, "rot90") for d in dims)
    if first == second:
        raise RuntimeError(
            f"rot90: expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}."
        )
    if k % 4 == 0:
        return reverse(input, ())
    if k % 4 == 2:
        return reverse(input, (first, second))
    turned = transpose(input, first, second)
    return reverse(turned, (first,) if k % 4 == 1 else (second,))


# ---- sliding windows --------------------------------------------------------------------------------------------------------
@primitive(view=True, names=("input",))
def unfold(x, /, dimension, size, step):
    """View of all windows of `size` positions along `dimension`, `step` apart; the window is a new last dimension."""
    dim = normalize_dim(dimension, x.ndim, "unfold")
    length = x.shape[dim] if x.ndim else 1
    if not 0 <= size <= length or step <= 0:
        raise RuntimeError(
            f"unfold: maximum size for tensor at dimension {dim} is {length} but size is {size}, step {step}. "
            "Fix: 0 <= size <= that length and step > 0."
        )
    x = np.asarray(x) if x.ndim else x.reshape(1)
    shape = (*x.shape[:dim], (length - size) // step + 1, *x.shape[dim + 1 :], size)
    strides = (*x.strides[:dim], x.strides[dim] * step, *x.strides[dim + 1 :], x.strides[dim])
    return np.lib.stride_tricks.as_strided(x, shape, strides)


unfold.derivative(x=lambda g, x_shape, dimension, size, step: add_windows(g, x_shape, dimension, size, step))


@primitive(method=False, names=("input",))
def add_windows(x, /, shape, dimension, size, step):
    """Zeros of `shape` to which every window is added in its place: the adjoint of :func:`unfold`."""
    out = np.zeros(shape or (1,), x.dtype)
    dim = dimension % max(len(shape), 1)
    count = x.shape[dim]
    for offset in range(size):  # one strided addition for each position in the window
        places = (*(slice(None),) * dim, slice(offset, offset + step * (count - 1) + 1, step))
        out[places] += x[..., offset]
    return out.reshape(shape)


add_windows.derivative(x=lambda g, dimension, size, step: unfold(g, dimension, size, step))
