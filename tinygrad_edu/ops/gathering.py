"""Looking up and adding by index along one dimension: gather and scatter, index_select and index_add, and their relatives.

Two pairs of primitives carry everything, each the derivative of the other: `take_along` / `add_along` (an index for every element)
and `take_rows` / `put_rows` (an index for whole slices).
"""

from typing import Any

import numpy as np

from tinygrad_edu.errors import DtypeError, IndexOutOfRangeError, ShapeError, message
from tinygrad_edu.ops.accumulate import add_rows
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.indexing import basic_index, getitem, index_put
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.ops.masking import fill_masked, masked_fill
from tinygrad_edu.ops.shape import expand, permute_dims, reshape_to
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_select", "put", "repeat_interleave", "scatter", "scatter_add", "scatter_reduce",
    "take_along_dim",
]  # fmt: skip


def check_index(name: str, index: Any, dim: int, size: int) -> None:
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
        raise IndexOutOfRangeError(
            message(
                "",
                name,
                f"index {data[place]} (at position {tuple(map(int, place))} of the index) is out of bounds for dimension {dim} with size "
                f"{size}.",
                f"indices from 0 to {size - 1}; the index holds {data.min()} to {data.max()}.",
            )
        )


# ---- an index for every element ---------------------------------------------------------------------------------------------
def _grid(index, dim):
    """Return the index arrays that name ``[i][j][index[i][j][k]]`` and so on."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[dim] = index
    return tuple(grid)


@primitive(method=False, names=("input", "index"), node_name="GatherBackward0")
def take_along(x, index, /, dim):
    """Elements of `x` at `index` along `dim`; the other positions are those of the index itself."""
    if not x.ndim or not index.ndim:
        return x.reshape(-1)[index] if index.ndim else np.asarray(x).reshape(-1)[index]
    return x[_grid(index, dim)]


take_along.derivative(x=lambda g, index, x_shape, dim: add_along(g, index, dim, x_shape))


@primitive(method=False, names=("input", "index"))
def add_along(x, index, /, dim, shape):
    """Zeros of `shape` with `x` added at `index` along `dim`: the adjoint of :func:`take_along`."""
    out = np.zeros(shape, x.dtype)
    if not out.ndim or not index.ndim:
        np.add.at(out.reshape(-1), index, x)
    elif index.shape[dim] == 1:  # no place can be named twice
        out[_grid(index, dim)] = x
    elif out.size:
        places = np.ravel_multi_index(np.broadcast_arrays(*_grid(index, dim)), shape)
        np.add.at(out.reshape(-1), places.ravel(), x.ravel())
    return out


add_along.derivative(x=lambda g, index, dim: take_along(g, index, dim))


def _check_along(name: str, input: Tensor, dim: int, index: Tensor, src: Any = None) -> int:
    """Return `dim` normalized after checking that `index` fits into `input` (and `src`)."""
    dim = normalize_dim(dim, input._data.ndim, name)
    shape = input._data.shape
    check_index(name, index, dim, shape[dim] if shape else 1)
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
    IndexError
        For an index out of range.
    RuntimeError
        If the shapes do not fit, or `index` is not integer.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> scores = tg.tensor([[0.1, 0.9], [0.8, 0.2]])
    >>> scores.gather(1, tg.tensor([[1], [0]])).tolist() == scores[[0, 1], [1, 0]].reshape(2, 1).tolist()
    True
    """
    return take_along(input, index, _check_along("gather", input, dim, index))


@composite
def take_along_dim(input, indices, dim=None):
    """Like :func:`gather` with broadcasting between `input` and `indices`; without `dim`, of the flattened input."""
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
    input = expand(input, *common)
    common[dim] = given[dim]
    return gather(input, dim, expand(indices, *common))


def _crop(src: Tensor, index: Tensor) -> Tensor:
    """Return the part of `src` that `index` covers."""
    if src._data.shape == index._data.shape:
        return src
    return basic_index(src, (*(slice(n) for n in index._data.shape), ...))


@composite
def scatter_add(input, dim, index, src):
    """Add `src` at `index` along `dim`: ``out[index[i][j]][j] += src[i][j]`` for ``dim=0``; the adjoint of :func:`gather`."""
    dim = _check_along("scatter_add", input, dim, index, src)
    _same_type("scatter_add", input, src)
    return input + add_along(_crop(src, index), index, dim, input._data.shape)


def _same_type(name: str, input: Tensor, src: Tensor) -> None:
    if src._data.dtype != input._data.dtype:
        raise DtypeError(
            f"{name}: expected input.dtype to be equal to src.dtype, got {input.dtype} and {src.dtype}. Fix: src.to(input.dtype)."
        )


@primitive(method=False, names=("input", "src", "index"), node_name="ScatterBackward0")
def put_along(x, src, index, /, dim):
    """Copy of `x` with `src` written at `index` along `dim`."""
    out = np.array(x)
    if not out.ndim or not index.ndim:
        out.reshape(-1)[index] = src
    else:
        out[_grid(index, dim)] = src
    return out


put_along.derivative(
    x=lambda g, index, dim: clear_along(g, index, dim), src=lambda g, index, dim: take_along(g, index, dim)
)


@primitive(method=False, names=("input", "index"))
def clear_along(x, index, /, dim):
    """Copy of `x` with zeros at `index` along `dim`; its own adjoint."""
    out = np.array(x)
    if not out.ndim or not index.ndim:
        out.reshape(-1)[index] = 0
    else:
        out[_grid(index, dim)] = 0
    return out


clear_along.derivative(x=lambda g, index, dim: clear_along(g, index, dim))


@composite
def scatter(input, dim, index, src=None, value=None, *, reduce=None):
    """Write `src` (a tensor or a number) at `index` along `dim`: ``out[index[i][j]][j] = src[i][j]`` for ``dim=0``.

    Where an index appears twice, one of the values is written. ``reduce="add"`` or ``"multiply"`` combines with what is there.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.zeros(2, 3).scatter(1, tg.tensor([[2], [0]]), 1.0).tolist()         # one-hot rows
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    src = value if src is None else src
    dim = _check_along("scatter", input, dim, index, src)
    if isinstance(src, Tensor):
        _same_type("scatter", input, src)
        part = _crop(src, index)
    else:
        part = wrap(np.full(index._data.shape, src, input._data.dtype))
    if reduce is None:
        return put_along(input, part, index, dim)
    if reduce == "add":
        return input + add_along(part, index, dim, input._data.shape)
    if reduce == "multiply":
        return scatter_reduce(input, dim, index, part, "prod")
    raise RuntimeError(f"scatter: reduce argument must be either add or multiply, got {reduce!r}.")


@composite
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """Combine the values of `src` that go to the same place: ``reduce`` is "sum", "prod", "mean", "amax" or "amin".

    Parameters
    ----------
    include_self : bool
        Whether the value of `input` at the place takes part.
    """
    dim = _check_along("scatter_reduce", input, dim, index, src)
    _same_type("scatter_reduce", input, src)
    src = _crop(src, index)
    kind = input._data.dtype
    ones = np.ones(index._data.shape, kind)
    count = add_along(wrap(ones), index, dim, input._data.shape)._data
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"scatter_reduce: reduce argument must be either sum, prod, mean, amax or amin, got {reduce!r}."
        )
    if reduce in ("sum", "mean"):
        start = input if include_self else fill_masked(input, wrap(count > 0), 0.0 if kind.kind == "f" else 0)
        total = start + add_along(src, index, dim, input._data.shape)
        if reduce == "sum":
            return total
        number = np.maximum(count + include_self, 1).astype(kind)
        return total / wrap(number) if kind.kind == "f" else total // wrap(number)
    return _reduce_groups(input, dim, index, src, reduce, include_self)


def _reduce_groups(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    """Products and extremes of groups, by sorting the contributions into a table with one row per place."""
    shape = input._data.shape
    neutral = {"prod": 1, "amax": -np.inf, "amin": np.inf}[reduce]
    if input._data.dtype.kind != "f" and reduce != "prod":
        limits = np.iinfo(input._data.dtype)
        neutral = limits.min if reduce == "amax" else limits.max
    grid = _grid(np.asarray(index._data), dim) if index._data.ndim else (index._data,)
    places = np.ravel_multi_index(np.broadcast_arrays(*grid), shape or (1,)).ravel()
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], places[order])
    slot = np.empty_like(places)
    slot[order] = np.arange(places.size) - starts  # the how-manieth contribution to its place
    depth = int(slot.max(initial=-1)) + 1
    own = reshape_to(input, (input._data.size, 1))
    if not include_self:
        touched = np.zeros((input._data.size, 1), np.bool_)
        touched[places] = True
        own = fill_masked(own, wrap(touched), neutral)
    table = wrap(np.full((input._data.size, depth), neutral, input._data.dtype))
    table = index_put(table, (wrap(places), wrap(slot)), reshape_to(src, (src._data.size,)))
    whole = cat([own, table], 1)
    return reshape_to(getattr(whole, reduce)(1), shape)


# ---- an index for whole slices ----------------------------------------------------------------------------------------------
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
    out = add_rows(front.reshape(len(front), int(np.prod(rest))), index, length)
    return np.moveaxis(out.reshape(length, *rest), 0, dim)


put_rows.derivative(x=lambda g, index, dim: take_rows(g, index, dim))


def _check_rows(name: str, input: Tensor, dim: int, index: Tensor, source: Any = None) -> tuple[Tensor, int, Tensor]:
    """Return (input with at least one dimension, dim, index as a vector) after checking them."""
    dim = normalize_dim(dim, input._data.ndim, name)
    check_index(name, index, dim, input._data.shape[dim] if input._data.ndim else 1)
    if index._data.ndim > 1:
        raise IndexError(
            f"{name}: Index is supposed to be a vector, got shape {tuple(index._data.shape)}. Fix: index.flatten()."
        )
    if isinstance(source, Tensor):
        _same_type(name, input, source)
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
    input, dim, index = _check_rows("index_select", input, dim, index)
    if not input._data.ndim:
        return reshape_to(take_rows(reshape_to(input, (1,)), index, 0), ())
    return take_rows(input, index, dim)


@composite
def index_add(input, dim, index, source, *, alpha=1):
    """Add the slices of `source`, times `alpha`, to those of `input` at `index`; repeated places add up."""
    input, dim, index = _check_rows("index_add", input, dim, index, source)
    if not input._data.ndim:
        return input + reshape_to(source, ()) * alpha
    more = put_rows(source, index, dim, input._data.shape[dim])
    return input + (more if alpha == 1 else more * alpha)


@composite
def index_copy(input, dim, index, source):
    """Copy of `input` with the slices at `index` replaced by those of `source`."""
    input, dim, index = _check_rows("index_copy", input, dim, index, source)
    if not input._data.ndim:
        return reshape_to(source, ())
    order = (dim, *(d for d in range(input._data.ndim) if d != dim))
    back = tuple(np.argsort(order).tolist())
    front = permute_dims(input, order)
    return permute_dims(index_put(front, (index,), permute_dims(source, order)), back)


@composite
def index_fill(input, dim, index, value):
    """Copy of `input` with the slices at `index` filled with a number (or 0-d tensor)."""
    input, dim, index = _check_rows("index_fill", input, dim, index)
    mask = np.zeros(input._data.shape[dim] if input._data.ndim else 1, np.bool_)
    mask[index._data] = True
    shape = (-1,) + (1,) * (input._data.ndim - dim - 1) if input._data.ndim else ()
    return masked_fill(input, wrap(mask.reshape(shape)), value)


@composite
def put(input, index, source, accumulate=False):
    """Copy of `input`, seen as one row, with `source` written (or added) at the positions `index`."""
    size = input._data.size
    flat = index_put(reshape_to(input, (size,)), (index,), reshape_to(source, index._data.shape), accumulate)
    return reshape_to(flat, input._data.shape)


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
        return wrap(np.repeat(np.arange(input._data.size), input._data))
    if dim is None:
        input, dim = reshape_to(input, (input._data.size,)), 0
    dim = normalize_dim(dim, input._data.ndim, "repeat_interleave")
    counts = repeats._data if isinstance(repeats, Tensor) else np.asarray(repeats)
    size = input._data.shape[dim]
    if counts.ndim > 1 or (counts.ndim == 1 and counts.size not in (1, size)):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({dim}) = {size}."
        )
    if np.any(counts < 0):
        raise RuntimeError("repeat_interleave: repeats can not be negative.")
    return take_rows(input, wrap(np.repeat(np.arange(size), counts)), dim)
