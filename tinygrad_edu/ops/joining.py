"""Putting tensors together and taking them apart: cat, stack, split, chunk, unbind, meshgrid."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import DtypeError, ShapeError, message
from tinygrad_edu.ops import reduction
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.expanding import atleast_1d, atleast_2d, atleast_3d
from tinygrad_edu.ops.indexing import basic_index, getitem
from tinygrad_edu.ops.shape import permute_dims, reshape_to, sizes_of
from tinygrad_edu.primitive import composite, install, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "cartesian_prod", "cat", "chunk", "column_stack", "combinations", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack",
    "meshgrid", "row_stack", "split", "stack", "tensor_split", "unbind", "vsplit", "vstack",
]  # fmt: skip


# ---- together ---------------------------------------------------------------------------------------------------------------
def _explain_cat(error: Exception, *tensors: Tensor, dim: int = 0) -> Exception | None:
    if type(error) is not ValueError:
        return None
    shapes = [tuple(t.shape) for t in tensors]
    if not shapes:
        return ValueError("cat: expected a non-empty list of Tensors.")
    odd = next((i for i, s in enumerate(shapes) if len(s) != len(shapes[0])), None)
    if odd is not None:
        facts = (
            f"tensors must have same number of dimensions: got {len(shapes[0])} (tensor 0, shape {shapes[0]}) and "
            f"{len(shapes[odd])} (tensor {odd}, shape {shapes[odd]})."
        )
        return ShapeError(message("", "cat", facts, "x.unsqueeze(0), or tg.stack for a new dimension."))
    rest = [s[:dim] + s[dim + 1 :] for s in shapes]
    odd = next(i for i, s in enumerate(rest) if s != rest[0])
    facts = f"sizes of tensors must match except in dimension {dim}: tensor 0 has shape {shapes[0]}, tensor {odd} has {shapes[odd]}."
    return ShapeError(message("", "cat", facts, "equal lengths in all other dimensions, or another dim."))


@primitive(method=False, explain=_explain_cat, node_name="CatBackward0")
def join(*tensors, dim):
    """Concatenate along an existing dimension."""
    return np.concatenate(tensors, dim)


def _join_rule(g, tensors_shapes, dim):
    parts, start = [], 0
    for shape in tensors_shapes:
        stop = start + shape[dim]
        parts.append(basic_index(g, (slice(None),) * dim + (slice(start, stop), ...)))
        start = stop
    return parts


join.derivative(tensors=_join_rule)


@composite(method=False)
def cat(tensors, dim=0, *, axis=None):
    """Concatenate tensors along the existing dimension `dim`; the other dimensions must agree.

    Mixed dtypes are promoted. Tensors of shape (0,) are left out, as in PyTorch.

    Raises
    ------
    RuntimeError
        If the other dimensions differ.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.cat([tg.zeros(2, 3), tg.ones(1, 3)]).shape
    tinygrad_edu.Size([3, 3])
    """
    dim = dim if axis is None else axis
    if isinstance(tensors, Tensor):
        return join(tensors, dim=dim)  # which says that a sequence is expected
    tensors = list(tensors)
    if any(isinstance(t, Tensor) and t._data.shape == (0,) for t in tensors):
        tensors = [t for t in tensors if t._data.shape != (0,)] or tensors[:1]
    first = tensors[0] if tensors else None
    if not isinstance(first, Tensor):
        if not tensors:
            raise ValueError("cat: expected a non-empty list of Tensors. Fix: check that something was appended.")
        return join(tensors, dim=dim)
    if not first._data.ndim:
        raise ShapeError(
            message("", "cat", "zero-dimensional tensor (at position 0) cannot be concatenated.", "use tg.stack.")
        )
    return join(tensors, dim=normalize_dim(dim, first._data.ndim, "cat"))


@composite(method=False)
def concat(tensors, dim=0):
    """Another name of :func:`cat`."""
    return cat(tensors, dim)


@composite(method=False)
def concatenate(tensors, dim=0):
    """Another name of :func:`cat`."""
    return cat(tensors, dim)


def _explain_stack(error: Exception, *tensors: Tensor, dim: int = 0) -> Exception | None:
    shapes = [tuple(t.shape) for t in tensors]
    odd = next((i for i, s in enumerate(shapes) if s != shapes[0]), None)
    if type(error) is not ValueError or odd is None:
        return None
    facts = (
        f"stack expects each tensor to be equal size, but got {shapes[0]} at entry 0 and {shapes[odd]} at entry {odd}."
    )
    return ShapeError(
        message("", "stack", facts, "pad or crop to one shape, or tg.cat along a dimension where they may differ.")
    )


@primitive(method=False, explain=_explain_stack, node_name="StackBackward0")
def pile(*tensors, dim):
    """Join along a new dimension."""
    place = (slice(None),) * dim + (None,)
    return np.concatenate([np.asarray(x)[place] for x in tensors], dim)  # as np.stack does, without its checks


def _pile_rule(g, tensors_shapes, dim):
    lead = (slice(None),) * dim
    return [basic_index(g, (*lead, i, ...)) for i in range(len(tensors_shapes))]


pile.derivative(tensors=_pile_rule)


@composite(method=False)
def stack(tensors, dim=0, *, axis=None):
    """Join tensors of equal shape along a new dimension `dim`.

    Raises
    ------
    RuntimeError
        If the shapes differ, or there is no tensor.
    """
    dim = dim if axis is None else axis
    if isinstance(tensors, Tensor):
        return pile(tensors, dim=dim)  # which says that a sequence is expected
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack: expects a non-empty TensorList. Fix: check that something was appended.")
    ndim = tensors[0]._data.ndim if isinstance(tensors[0], Tensor) else 0
    return pile(tensors, dim=normalize_dim(dim, ndim + 1, "stack"))


@composite(method=False)
def hstack(tensors):
    """Concatenate side by side: along dimension 1, or 0 for vectors."""
    tensors = atleast_1d(tuple(tensors))
    return cat(tensors, 0 if tensors and tensors[0]._data.ndim == 1 else 1)


@composite(method=False)
def vstack(tensors):
    """Concatenate below one another; vectors become rows."""
    return cat(atleast_2d(tuple(tensors)), 0)


@composite(method=False)
def row_stack(tensors):
    """Another name of :func:`vstack`."""
    return vstack(tensors)


@composite(method=False)
def dstack(tensors):
    """Concatenate along the third dimension."""
    return cat(atleast_3d(tuple(tensors)), 2)


@composite(method=False)
def column_stack(tensors):
    """Concatenate side by side; vectors become columns."""
    columns = [t if t._data.ndim > 1 else reshape_to(t, (t._data.size, 1)) for t in tensors]
    return cat(columns, 1)


# ---- apart ------------------------------------------------------------------------------------------------------------------
def _pieces(input: Tensor, bounds: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    lead = (slice(None),) * dim
    return tuple(
        basic_index(input, (*lead, slice(start, stop), ...)) for start, stop in itertools.pairwise([0, *bounds])
    )


@composite
def split(input, split_size_or_sections, dim=0):
    """Views of pieces along `dim`: of length `split_size_or_sections` (the last may be shorter), or of the given lengths.

    Raises
    ------
    RuntimeError
        If given lengths do not add up to the length of `dim`.
    """
    dim = normalize_dim(dim, input._data.ndim, "split")
    size, sections = input._data.shape[dim], split_size_or_sections
    if isinstance(sections, int):
        if sections < 0 or (sections == 0 and size):
            raise RuntimeError(f"split: expects split_size be positive, but got split_size={sections}.")
        count = max(1, math.ceil(size / sections)) if sections else 1
        return _pieces(input, [min((i + 1) * sections, size) for i in range(count)], dim)
    if isinstance(sections, str) or not all(hasattr(n, "__index__") for n in sections):
        raise TypeError(f"split(): argument 'split_sizes' must be a tuple of ints, not {sections!r}.")
    sections = [int(n) for n in sections]
    if sum(sections) != size or min(sections, default=0) < 0:
        raise RuntimeError(
            f"split: expects split_sizes to sum exactly to {size} (input tensor's size at dimension {dim}), but got "
            f"split_sizes={sections}, which sum to {sum(sections)}."
        )
    return _pieces(input, list(itertools.accumulate(sections)), dim)


@composite(method=False)
def split_with_sizes(input, split_sizes, dim=0):
    """Split into pieces of the given lengths."""
    return split(input, list(split_sizes), dim)


install(split_with_sizes=split_with_sizes)


@composite
def chunk(input, chunks, dim=0):
    """At most `chunks` views of equal length along `dim`; the last may be shorter, and there may be fewer."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: expects `chunks` to be greater than 0, got: {chunks}.")
    dim = normalize_dim(dim, input._data.ndim, "chunk")
    size = input._data.shape[dim]
    return split(input, math.ceil(size / chunks), dim) if size else _pieces(input, [0] * chunks, dim)


@composite
def tensor_split(input, indices_or_sections, dim=0):
    """Views of pieces along `dim`: that many of nearly equal length, or cut at the given positions."""
    dim = normalize_dim(dim, input._data.ndim, "tensor_split")
    size, where = input._data.shape[dim], indices_or_sections
    if isinstance(where, Tensor):
        where = where.tolist()
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"tensor_split: number of sections must be larger than 0, got {where}.")
        base, extra = divmod(size, where)
        return _pieces(input, list(itertools.accumulate(base + (i < extra) for i in range(where))), dim)
    lead = (slice(None),) * dim
    edges = itertools.pairwise([0, *where, size])
    return tuple(basic_index(input, (*lead, slice(start, stop), ...)) for start, stop in edges)


@composite
def hsplit(input, indices_or_sections):
    """Split side by side: along dimension 1, or 0 for vectors."""
    return _even_split("hsplit", input, indices_or_sections, 0 if input._data.ndim == 1 else 1)


@composite
def vsplit(input, indices_or_sections):
    """Split along dimension 0."""
    return _even_split("vsplit", input, indices_or_sections, 0)


@composite
def dsplit(input, indices_or_sections):
    """Split along dimension 2."""
    return _even_split("dsplit", input, indices_or_sections, 2)


def _even_split(name: str, input: Tensor, where: Any, dim: int) -> tuple[Tensor, ...]:
    needed = {"hsplit": 1, "vsplit": 2, "dsplit": 3}[name]
    if input._data.ndim < needed:
        raise RuntimeError(
            f"{name} requires a tensor with at least {needed} dimension, but got a tensor with {input._data.ndim} dimensions!"
        )
    if isinstance(where, int) and (where <= 0 or input._data.shape[dim] % where):
        raise RuntimeError(
            f"{name} attempted to split along dimension {dim}, but the size of the dimension {input._data.shape[dim]} is not "
            f"divisible by the split_size {where}! Fix: tg.tensor_split allows unequal pieces."
        )
    return tensor_split(input, where, dim)


@composite
def unbind(input, dim=0):
    """Views along `dim`, one for each position, without that dimension."""
    dim = normalize_dim(dim, input._data.ndim, "unbind")
    if not input._data.ndim:
        raise IndexError("unbind: dimension specified as 0 but tensor has no dimensions. Fix: x.unsqueeze(0).")
    lead = (slice(None),) * dim
    return tuple(basic_index(input, (*lead, i, ...)) for i in range(input._data.shape[dim]))


# ---- combining --------------------------------------------------------------------------------------------------------------
@composite(method=False)
def meshgrid(*tensors, indexing="ij"):
    """Coordinates of a grid: from n vectors, n tensors of n dimensions, the k-th varying along dimension k.

    Parameters
    ----------
    indexing : {"ij", "xy"}
        "xy" exchanges the first two dimensions, as plots want it.
    """
    tensors = sizes_of(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing!r}')
    if any(t._data.ndim > 1 for t in tensors):
        raise RuntimeError(
            "meshgrid: expected 0D or 1D tensors, but got shape "
            f"{tuple(next(t._data.shape for t in tensors if t._data.ndim > 1))}. Fix: x.flatten()."
        )
    n = len(tensors)
    shape = tuple(t._data.size for t in tensors)
    grids = tuple(
        reduction.broadcast_to(reshape_to(t, (1,) * k + (shape[k],) + (1,) * (n - k - 1)), shape)
        for k, t in enumerate(tensors)
    )
    if indexing == "xy" and n > 1:
        return tuple(permute_dims(grid, (1, 0, *range(2, n))) for grid in grids)
    return grids


@composite(method=False)
def cartesian_prod(*tensors):
    """All combinations of one element of each vector, one a row, in the order of nested loops."""
    tensors = sizes_of(tensors)
    if odd := [tuple(t._data.shape) for t in tensors if t._data.ndim != 1]:
        raise ShapeError(f"cartesian_prod: expects 1-D vectors, but got shape {odd[0]}. Fix: x.flatten().")
    if len({t._data.dtype for t in tensors}) > 1:
        raise DtypeError(f"cartesian_prod: expects vectors of one dtype, got {[t._data.dtype.name for t in tensors]}.")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape_to(grid, (grid._data.size,)) for grid in meshgrid(*tensors)], 1)


@composite(method=False)
def combinations(input, r=2, with_replacement=False):
    """All ways to choose `r` elements of a vector, one a row, in the order of ``itertools.combinations``."""
    if input._data.ndim != 1:
        raise RuntimeError(f"combinations: expects a 1-D tensor, but got shape {tuple(input._data.shape)}.")
    if r < 0:
        raise RuntimeError(f"combinations: expects a non-negative number, but got r={r}.")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = list(choose(range(input._data.size), r))
    if not r:
        return wrap(np.zeros(0, input._data.dtype))
    return getitem(input, wrap(np.array(chosen, np.int64).reshape(len(chosen), r)))
