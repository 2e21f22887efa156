"""Looking up by index along one dimension: gather (an index for every element) and index_select (an index for whole slices).

Each has its adjoint beside it, which adds at the same places: `take_along` / `add_along`, and `take_rows` / `put_rows`, the pair
under embeddings.
"""

from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import DtypeError, IndexOutOfRangeError, ShapeError, message
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.expanding import expand
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.shape import reshape_to
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["gather", "index_select", "repeat_interleave", "take_along_dim"]


def check_index(name: str, index: Any, dim: int, size: int, error: type[Exception] = IndexOutOfRangeError) -> None:
    """Refuse an index tensor that is not integer, or reaches outside ``0 .. size - 1``, naming the value and the place."""
    if not isinstance(index, Tensor):
        raise TypeError(
            f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}. Fix: tg.tensor(index)."
        )
    data = np.asarray(index._data)
    if data.dtype.kind not in "iu":
        raise DtypeError(
            message(
                "",
                name,
                f"expected dtype int64 or int32 for index, got {index.dtype}.",
                "index.long() on whole numbers.",
            )
        )
    if data.size and (data.min() < 0 or data.max() >= size):
        place = np.unravel_index(np.argmax((data < 0) | (data >= size)), data.shape)
        raise error(
            message(
                "",
                name,
                f"index {data[place]} (at position {tuple(map(int, place))} of the index) is out of bounds for dimension {dim} with size "
                f"{size}.",
                f"indices from 0 to {size - 1}; the index holds {data.min()} to {data.max()}.",
            )
        )


def check_same_type(name: str, input: Tensor, src: Tensor) -> None:
    if src._data.dtype != input._data.dtype:
        raise DtypeError(
            f"{name}: expected input.dtype to be equal to src.dtype, got {input.dtype} and {src.dtype}. Fix: src.to(input.dtype)."
        )


# ---- an index for every element ---------------------------------------------------------------------------------------------
def index_grid(index, dim):
    """Return the index arrays that name ``[i][j][index[i][j][k]]`` and so on."""
    ndim = index.ndim
    return tuple(
        index if d == dim else np.arange(n).reshape((1,) * d + (n,) + (1,) * (ndim - d - 1))
        for d, n in enumerate(index.shape)
    )


@primitive(method=False, names=("input", "index"), node_name="GatherBackward0")
def take_along(x, index, /, dim):
    """Elements of `x` at `index` along `dim`; the other positions are those of the index itself."""
    if not x.ndim or not index.ndim:
        return x.reshape(-1)[index] if index.ndim else np.asarray(x).reshape(-1)[index]
    return x[index_grid(index, dim)]


take_along.derivative(x=lambda g, index, x_shape, dim: add_along(g, index, dim, x_shape))


@primitive(method=False, names=("input", "index"))
def add_along(x, index, /, dim, shape):
    """Zeros of `shape` with `x` added at `index` along `dim`: the adjoint of :func:`take_along`."""
    out = np.zeros(shape, x.dtype)
    if not out.ndim or not index.ndim:
        np.add.at(out.reshape(-1), index, x)
    elif index.shape[dim] == 1:  # no place can be named twice
        out[index_grid(index, dim)] = x
    elif out.size:
        places = np.ravel_multi_index(np.broadcast_arrays(*index_grid(index, dim)), shape)
        np.add.at(out.reshape(-1), places.ravel(), x.ravel())
    return out


add_along.derivative(x=lambda g, index, dim: take_along(g, index, dim))


def check_along(name: str, input: Tensor, dim: int, index: Tensor, src: Any = None) -> int:
    """Return `dim` normalized after checking that `index` fits into `input` (and `src`)."""
    dim = normalize_dim(dim, input._data.ndim, name)
    shape = input._data.shape
    check_index(name, index, dim, shape[dim] if shape else 1, RuntimeError)
    given = index._data.shape
    facts = None
    if len(given or (1,)) != len(shape or (1,)):
        facts = (
            f"index tensor must have the same number of dimensions as input tensor: {tuple(given)} and {tuple(shape)}."
        )
    elif any(n > m for d, (n, m) in enumerate(zip(given, shape, strict=False)) if d != dim):
        facts = f"size does not match: expected index {tuple(given)} to be no larger than input {tuple(shape)} apart from dimension {dim}."
    elif isinstance(src, Tensor) and any(n > m for n, m in zip(given, src._data.shape, strict=False)):
        facts = f"expected index {tuple(given)} to be no larger than src {tuple(src._data.shape)}."
    if facts:
        raise ShapeError(
            message(
                "", name, facts, "index.unsqueeze(dim) where a dimension is missing, x.gather(1, index.unsqueeze(1))."
            )
        )
    return dim


@composite
def gather(input, dim, index, *, sparse_grad=False):
    """Pick along `dim`: ``out[i][j] = input[index[i][j]][j]`` for ``dim=0``, ``input[i][index[i][j]]`` for ``dim=1``.

    Shapes: `index` has as many dimensions as `input` and is no longer apart from `dim`; the result has its shape.

    Raises
    ------
    RuntimeError
        For an index out of range, shapes that do not fit, or an `index` that is not integer.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> scores = tg.tensor([[0.1, 0.9], [0.8, 0.2]])
    >>> scores.gather(1, tg.tensor([[1], [0]])).tolist() == scores[[0, 1], [1, 0]].reshape(2, 1).tolist()
    True
    """
    return take_along(input, index, check_along("gather", input, dim, index))


@again  # a recorded step looks anew which indices count from the end
def _from_the_start(indices: Tensor, size: int) -> Tensor:
    return wrap(np.where(indices._data < 0, indices._data + size, indices._data))


@composite
def take_along_dim(input, indices, dim=None):
    """Like :func:`gather`, with broadcasting, and negative indices counted from the end; without `dim`, of the flattened input."""
    if dim is None:
        return getitem(reshape_to(input, (input._data.size,)), reshape_to(indices, (indices._data.size,)))
    dim = normalize_dim(dim, input._data.ndim, "take_along_dim")
    if input._data.ndim != indices._data.ndim:
        raise ShapeError(
            f"take_along_dim: input and indices should have the same number of dimensions, but got {input._data.ndim} and "
            f"{indices._data.ndim} dimensions. Fix: indices.unsqueeze({dim})."
        )
    own, given = list(input._data.shape), list(indices._data.shape)
    common = list(np.broadcast_shapes((*own[:dim], 1, *own[dim + 1 :]), (*given[:dim], 1, *given[dim + 1 :])))
    common[dim] = own[dim]
    input, indices = expand(input, *common), _from_the_start(indices, own[dim])
    common[dim] = given[dim]
    return gather(input, dim, expand(indices, *common))


# ---- an index for whole slices -----------------------------------------------------------------------------------------------
@primitive(method=False, names=("input", "index"), node_name="IndexSelectBackward0")
def take_rows(x, index, /, dim):
    """Slices of `x` at the positions `index` of dimension `dim`."""
    return np.take(x, index, dim)


take_rows.derivative(x=lambda g, index, x_shape, dim: put_rows(g, index, dim, x_shape[dim]))


@primitive(method=False, names=("input", "index"))
def put_rows(x, index, /, dim, length):
    """Zeros with `length` positions along `dim`, the slices of `x` added at `index`: the adjoint of :func:`take_rows`."""
    front = np.moveaxis(x, dim, 0)
    rest = front.shape[1:]
    out = kernels.add_rows(front.reshape(len(front), int(np.prod(rest))), index, length)
    return np.moveaxis(out.reshape(length, *rest), 0, dim)


put_rows.derivative(x=lambda g, index, dim: take_rows(g, index, dim))


def check_rows(name: str, input: Tensor, dim: int, index: Tensor, source: Any = None) -> tuple[Tensor, int, Tensor]:
    """Return (input with at least one dimension, dim, index as a vector) after checking them."""
    dim = normalize_dim(dim, input._data.ndim, name)
    check_index(name, index, dim, input._data.shape[dim] if input._data.ndim else 1)
    if index._data.ndim > 1:
        raise IndexError(
            f"{name}: Index is supposed to be a vector, got shape {tuple(index._data.shape)}. Fix: index.flatten()."
        )
    if isinstance(source, Tensor):
        check_same_type(name, input, source)
        wanted = list(input._data.shape)
        if wanted:
            wanted[dim] = index._data.size
        if list(source._data.shape) != wanted:
            raise ShapeError(
                message(
                    "",
                    name,
                    f"source has shape {tuple(source._data.shape)}, but {index._data.size} indices along dimension {dim} of "
                    f"{tuple(input._data.shape)} need {tuple(wanted)}.",
                    "a source of that shape.",
                )
            )
    return input, dim, reshape_to(index, (index._data.size,))


@composite
def index_select(input, dim, index):
    """Slices of `input` at the positions `index` (a vector) of dimension `dim`, as a copy.

    Raises
    ------
    IndexError
        For an index out of range or not a vector.
    """
    input, dim, index = check_rows("index_select", input, dim, index)
    if not input._data.ndim:
        return reshape_to(take_rows(reshape_to(input, (1,)), index, 0), ())
    return take_rows(input, index, dim)


@composite
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Repeat each element (or slice along `dim`) in its place: [1, 2] twice gives [1, 1, 2, 2].

    Parameters
    ----------
    repeats : int or Tensor of int
        How often, for all or for each. Called with one tensor of counts alone, returns the index of each repetition.
    dim : int, optional
        Without it the input is flattened first.
    """
    if repeats is None:
        if dim is not None:
            raise TypeError("repeat_interleave() missing the argument 'repeats'. Fix: x.repeat_interleave(2, dim).")
        if input._data.dtype.kind not in "i" or input._data.dtype.itemsize < 4:
            raise NotImplementedError(f"repeat_interleave: not implemented for counts of {input.dtype}. Fix: x.long().")
        if input._data.ndim != 1:
            raise RuntimeError(
                f"repeat_interleave: only accepts a 1D vector as repeats, got shape {tuple(input.shape)}."
            )
        return wrap(np.repeat(np.arange(input._data.size, dtype=input._data.dtype), input._data))
    if dim is None:
        input, dim = reshape_to(input, (input._data.size,)), 0
    dim = normalize_dim(dim, input._data.ndim, "repeat_interleave")
    counts = repeats._data if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.dtype.kind != "i":
        kind = TypeError if np.isscalar(repeats) else NotImplementedError
        raise kind(f"repeat_interleave: repeats must be integers, got {counts.dtype}. Fix: repeats.long().")
    size = input._data.shape[dim]
    if counts.ndim > 1 or (counts.ndim == 1 and counts.size not in (1, size)):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({dim}) = {size}."
        )
    if np.any(counts < 0):
        raise RuntimeError("repeat_interleave: repeats can not be negative.")
    return take_rows(input, wrap(np.repeat(np.arange(size), counts)), dim)
