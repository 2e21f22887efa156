"""Diagonals and triangles: diagonal, diag, diag_embed, tril, triu and the indices of triangles."""

from typing import Any

import numpy as np

from tinygrad_edu.ops.creation import finish
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.shape import movedim, reshape_to
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor

__all__ = ["diag", "diag_embed", "diagflat", "diagonal", "tril", "tril_indices", "triu", "triu_indices"]


@primitive(view=True, names=("input",))
def diagonal(x, /, offset=0, dim1=0, dim2=1):
    """View of the diagonal in the plane of `dim1` and `dim2`, as a new last dimension; `offset` > 0 lies above the main one."""
    first, second = normalize_dim(dim1, x.ndim, "diagonal"), normalize_dim(dim2, x.ndim, "diagonal")
    if first == second:
        raise RuntimeError(f"diagonal: diagonal dimensions cannot be identical {dim1}, {dim2}.")
    whole = np.asarray(x)
    view = whole.diagonal(offset, first, second)
    view.flags.writeable = whole.flags.writeable  # NumPy marks diagonals read-only; here they are ordinary views
    return view


diagonal.derivative(x=lambda g, x_shape, offset, dim1, dim2: on_diagonal(g, x_shape, offset, dim1, dim2))


@primitive(method=False, names=("input",))
def on_diagonal(x, /, shape, offset, dim1, dim2):
    """Zeros of `shape` with `x` on a diagonal: the adjoint of :func:`diagonal`."""
    out = np.zeros(shape, x.dtype)
    place = out.diagonal(offset, dim1 % len(shape), dim2 % len(shape))
    place.flags.writeable = True
    place[...] = x
    return out


on_diagonal.derivative(x=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))


@composite
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the last dimension of `input` on their diagonals and zeros elsewhere."""
    ndim = input._data.ndim + 1
    first, second = normalize_dim(dim1, ndim, "diag_embed"), normalize_dim(dim2, ndim, "diag_embed")
    if first == second:
        raise RuntimeError(f"diag_embed: diagonal dimensions cannot be identical {dim1}, {dim2}.")
    *batch, n = input._data.shape
    side = n + abs(offset)
    embedded = on_diagonal(input, (*batch, side, side), offset, -2, -1)
    if (first, second) == (ndim - 2, ndim - 1):
        return embedded
    return movedim(embedded, (-2, -1), (first, second))


@composite
def diag(input, diagonal=0):
    """The diagonal of a matrix, as a copy; or the matrix that has a vector on its diagonal."""
    if input._data.ndim == 1:
        return diag_embed(input, diagonal)
    if input._data.ndim != 2:
        raise RuntimeError(
            f"diag(): Supports 1D or 2D tensors. Got {input._data.ndim}D. Fix: tg.diagonal(x, dim1=-2, dim2=-1)."
        )
    return _diagonal_of(input, diagonal)


def _diagonal_of(input: Tensor, offset: int) -> Tensor:
    from tinygrad_edu.ops.conversion import clone

    return clone(diagonal(input, offset))


@composite
def diagflat(input, offset=0):
    """Matrix with all elements of `input` on its diagonal."""
    return diag_embed(reshape_to(input, (input._data.size,)), offset)


# ---- triangles --------------------------------------------------------------------------------------------------------------
def _explain_triangle(error: Exception, x: Tensor, diagonal: int = 0) -> Exception | None:
    if x._data.ndim < 2:
        return RuntimeError(
            f"tril/triu: input tensor must have at least 2 dimensions, got shape {tuple(x.shape)}. Fix: x.unsqueeze(0)."
        )
    return None


def _below(x, diagonal):
    """Mask of the places on and below a diagonal."""
    if x.ndim < 2:
        raise ValueError("at least 2 dimensions")
    return np.tri(*x.shape[-2:], k=diagonal, dtype=np.bool_)


@primitive(names=("input",), explain=_explain_triangle)
def tril(x, /, diagonal=0):
    """Lower triangle: zeros above the given diagonal of the last two dimensions; its own adjoint."""
    return np.where(_below(x, diagonal), x, x.dtype.type(0))


tril.derivative(x=lambda g, diagonal: tril(g, diagonal))


@primitive(names=("input",), explain=_explain_triangle)
def triu(x, /, diagonal=0):
    """Upper triangle: zeros below the given diagonal of the last two dimensions; its own adjoint."""
    return np.where(_below(x, diagonal - 1), x.dtype.type(0), x)


triu.derivative(x=lambda g, diagonal: triu(g, diagonal))


def _check_sides(name: str, row: int, col: int) -> None:
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}: row and col must be non-negative, got {row} and {col}.")


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """Return the indices of the lower triangle of a (row, col) matrix: first row rows, second row columns."""
    _check_sides("tril_indices", row, col)
    return finish(np.stack(np.tril_indices(row, offset, col)), dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """Return the indices of the upper triangle of a (row, col) matrix: first row rows, second row columns."""
    _check_sides("triu_indices", row, col)
    return finish(np.stack(np.triu_indices(row, offset, col)), dtype, device)
