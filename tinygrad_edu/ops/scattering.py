"""Writing by index along one dimension: scatter, scatter_add, scatter_reduce, and for whole slices index_add, index_copy, index_fill."""

from numbers import Number

import numpy as np

from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.gathering import (
    add_along,
    check_along,
    check_rows,
    check_same_type,
    index_grid,
    put_rows,
    take_along,
)
from tinygrad_edu.ops.indexing import basic_index, index_put
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.ops.masking import fill_masked, masked_fill
from tinygrad_edu.ops.shape import permute_dims, reshape_to
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["index_add", "index_copy", "index_fill", "put", "scatter", "scatter_add", "scatter_reduce"]


def _crop(src: Tensor, index: Tensor) -> Tensor:
    """Return the part of `src` that `index` covers."""
    if src._data.shape == index._data.shape:
        return src
    return basic_index(src, (*(slice(n) for n in index._data.shape), ...))


@composite
def scatter_add(input, dim, index, src):
    """Add `src` at `index` along `dim`: ``out[index[i][j]][j] += src[i][j]`` for ``dim=0``; the adjoint of :func:`gather`."""
    dim = check_along("scatter_add", input, dim, index, src)
    check_same_type("scatter_add", input, src)
    return input + add_along(_crop(src, index), index, dim, input._data.shape)


@primitive(method=False, names=("input", "src", "index"), node_name="ScatterBackward0")
def put_along(x, src, index, /, dim):
    """Copy of `x` with `src` written at `index` along `dim`."""
    out = np.array(x)
    if not out.ndim or not index.ndim:
        out.reshape(-1)[index] = src
    else:
        out[index_grid(index, dim)] = src
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
        out[index_grid(index, dim)] = 0
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
    if not isinstance(src, Tensor | Number):
        raise TypeError(f"scatter(): argument 'src' must be a Tensor or a number, not {type(src).__name__}.")
    dim = check_along("scatter", input, dim, index, src)
    if isinstance(src, Tensor):
        check_same_type("scatter", input, src)
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
    dim = check_along("scatter_reduce", input, dim, index, src)
    check_same_type("scatter_reduce", input, src)
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
    grid = index_grid(np.asarray(index._data), dim) if index._data.ndim else (index._data,)
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


# ---- whole slices -----------------------------------------------------------------------------------------------------------
@composite
def index_add(input, dim, index, source, *, alpha=1):
    """Add the slices of `source`, times `alpha`, to those of `input` at `index`; repeated places add up."""
    input, dim, index = check_rows("index_add", input, dim, index, source)
    if not input._data.ndim:
        return input + reshape_to(source, ()) * alpha
    more = put_rows(source, index, dim, input._data.shape[dim])
    return input + (more if alpha == 1 else more * alpha)


@composite
def index_copy(input, dim, index, source):
    """Copy of `input` with the slices at `index` replaced by those of `source`."""
    input, dim, index = check_rows("index_copy", input, dim, index, source)
    if not input._data.ndim:
        return reshape_to(source, ())
    order = (dim, *(d for d in range(input._data.ndim) if d != dim))
    back = tuple(np.argsort(order).tolist())
    front = permute_dims(input, order)
    return permute_dims(index_put(front, (index,), permute_dims(source, order)), back)


@composite
def index_fill(input, dim, index, value):
    """Copy of `input` with the slices at `index` filled with a number (or 0-d tensor)."""
    dim = normalize_dim(dim, input._data.ndim, "index_fill")
    if isinstance(index, Tensor) and index._data.dtype.kind == "i":  # negative indices count from the end
        size = input._data.shape[dim] if input._data.ndim else 1
        index = wrap(np.where(index._data < 0, index._data + size, index._data))
    input, dim, index = check_rows("index_fill", input, dim, index)
    mask = np.zeros(input._data.shape[dim] if input._data.ndim else 1, np.bool_)
    mask[index._data] = True
    shape = (-1,) + (1,) * (input._data.ndim - dim - 1) if input._data.ndim else ()
    return masked_fill(input, wrap(mask.reshape(shape)), value)


@composite
def put(input, index, source, accumulate=False):
    """Copy of `input`, seen as one row, with `source` written (or added) at the positions `index`."""
    check_same_type("put", input, source)
    size = input._data.size
    flat = index_put(reshape_to(input, (size,)), (index,), reshape_to(source, index._data.shape), accumulate)
    return reshape_to(flat, input._data.shape)
