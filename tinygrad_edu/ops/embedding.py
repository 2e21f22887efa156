"""Embedding: rows of a table looked up by number; its adjoint adds gradients up row by row."""

import numpy as np

from tinygrad_edu.errors import DtypeError, IndexOutOfRangeError, ShapeError, message
from tinygrad_edu.memory import note_write
from tinygrad_edu.ops.accumulate import add_rows
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["embedding"]


@primitive(method=False, names=("weight",), node_name="EmbeddingBackward0")
def rows_of(w, /, ids, padding_idx=None):
    """y[..., :] = w[ids[...], :]."""
    return w[ids]


@primitive(method=False, names=("input",))
def add_to_rows(y, /, ids, count, padding_idx=None):
    """w[r, :] = sum of y[..., :] over the places where ids[...] is r; the row `padding_idx` stays zero. The adjoint of `rows_of`."""
    flat = np.ravel(ids)
    w = add_rows(y.reshape(flat.size, y.shape[-1]), flat, count)
    if padding_idx is not None:
        w[padding_idx] = 0
    return w


@primitive(method=False, names=("input",))
def rows_but(w, /, ids, padding_idx=None):
    """`rows_of`, with zeros for the row `padding_idx`: the adjoint of `add_to_rows`."""
    y = w[ids]
    return y if padding_idx is None else np.where((ids == padding_idx)[..., None], w.dtype.type(0), y)


rows_of.derivative(w=lambda g, ids, w_shape, padding_idx: add_to_rows(g, ids, w_shape[0], padding_idx))
add_to_rows.derivative(y=lambda g, ids, padding_idx: rows_but(g, ids, padding_idx))
rows_but.derivative(w=lambda g, ids, w_shape, padding_idx: add_to_rows(g, ids, w_shape[0], padding_idx))


@composite(method=False)
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table by number, out[..., :] = weight[input[...], :].

    Parameters
    ----------
    input : integer Tensor of any shape
    weight : Tensor (count, width)
    padding_idx : int, optional
        This row gets no gradient.
    max_norm : float, optional
        Rows that are looked up and longer than this are shortened to it first, in place.
    norm_type : float
        The p of that norm.
    scale_grad_by_freq : bool
        Divide each row's gradient by how often it was looked up.
    sparse : bool
        Accepted; gradients are dense.

    Returns
    -------
    Tensor (*input.shape, width)

    Raises
    ------
    IndexError
        For a number outside the table.
    RuntimeError
        If the numbers are not integers or the table is not a matrix.
    """
    ids = _checked_ids(input, weight, "embedding")
    count = weight.shape[0]
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise AssertionError(f"embedding: Padding_idx must be within num_embeddings ({count}), got {padding_idx}")
        padding_idx %= count
    if max_norm is not None:
        _shorten(weight, ids, max_norm, norm_type)
    if not scale_grad_by_freq:
        return rows_of(weight, ids, padding_idx)
    often = np.bincount(np.ravel(ids), minlength=count)[ids].astype(weight._data.dtype)[..., None]
    rows = rows_of(weight, ids, padding_idx)
    scaled = rows / wrap(often)
    return scaled + (rows - scaled).detach()  # the value of the rows, with the slope of the scaled ones


def _checked_ids(input: Tensor, weight: Tensor, op: str) -> np.ndarray:
    for name, tensor in (("input", input), ("weight", weight)):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{op}(): argument '{name}' must be Tensor, not {type(tensor).__name__}. Fix: tg.tensor(...) first."
            )
    if weight.ndim != 2:
        raise ShapeError(f"{op}: 'weight' must be 2-D (count, width), got {tuple(weight.shape)}.")
    ids = input._data
    if ids.dtype.kind not in "iu":
        facts = f"expected 'indices' to be integers, but got {input.dtype.name}; they are row numbers of the table."
        raise DtypeError(message("E108", op, facts, "input.long()."))
    if ids.size and not (ids.min() >= 0 and ids.max() < weight.shape[0]):
        facts = f"index out of range in self: the numbers go from {ids.min()} to {ids.max()}, the table has {weight.shape[0]} rows."
        raise IndexOutOfRangeError(message("E107", op, facts, "a larger num_embeddings, or other numbers."))
    return ids


def _shorten(weight: Tensor, ids: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the rows in use that are longer than `max_norm` down to it, in place and outside the graph."""
    used = np.unique(ids)
    table = weight.array()
    lengths = np.linalg.norm(table[used], norm_type, axis=1)
    long = lengths > max_norm
    table[used[long]] *= (max_norm / (lengths[long] + 1e-7))[:, None].astype(table.dtype)
    note_write(table, "embedding(max_norm)")
