"""Embedding: rows of a table looked up by number; its adjoint adds gradients up row by row."""

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import DtypeError, IndexOutOfRangeError, ShapeError, message
from tinygrad_edu.memory import note_write
from tinygrad_edu.ops.comparison import keep
from tinygrad_edu.ops.gathering import gather
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["embedding", "embedding_bag"]


@primitive(method=False, names=("weight",), node_name="EmbeddingBackward0")
def rows_of(w, /, ids, padding_idx=None):
    """y[..., :] = w[ids[...], :]."""
    return w.take(ids, 0)


@primitive(method=False, names=("input",))
def add_to_rows(y, /, ids, count, padding_idx=None):
    """w[r, :] = sum of y[..., :] over the places where ids[...] is r; the row `padding_idx` stays zero. The adjoint of `rows_of`."""
    flat = np.ravel(ids)
    w = kernels.add_rows(y.reshape(flat.size, y.shape[-1]), flat, count)
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


@again
def _shorten(weight: Tensor, ids: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the rows in use that are longer than `max_norm` down to it, in place and outside the graph."""
    used = np.unique(ids)
    table = weight.array()
    lengths = np.linalg.norm(table[used], norm_type, axis=1)
    long = lengths > max_norm
    table[used[long]] *= (max_norm / (lengths[long] + 1e-7))[:, None].astype(table.dtype)
    note_write(table, "embedding(max_norm)")


# ---- bags of rows -----------------------------------------------------------------------------------------------------------
@composite(method=False)
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, mean or maximum of the looked-up rows of each bag, a tensor (bags, width).

    Parameters
    ----------
    input : integer Tensor (B, n), B bags of n numbers, or (N,), cut into bags at `offsets`
    weight : Tensor (count, width)
    offsets : integer Tensor (B,)
        Where each bag begins; the first is 0. With `include_last_offset` a last entry tells where the last bag ends.
    mode : {"sum", "mean", "max"}
    per_sample_weights : Tensor of the input's shape, optional
        Factors of the rows, for "sum" only.
    padding_idx : int, optional
        Numbers that count nothing.

    Raises
    ------
    ValueError
        For offsets that do not belong to the input, or another mode.
    """
    op = "embedding_bag"
    ids = _checked_ids(input, weight, op)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{op}: mode has to be one of 'sum', 'mean' or 'max', got {mode!r}.")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"{op}: per_sample_weights was not None, which is only supported for mode='sum'.")
    bags, count = _bag_numbers(ids, offsets, include_last_offset, op)
    flat = wrap(np.ravel(ids))
    rows = embedding(flat, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    if padding_idx is not None:
        kept = np.ravel(ids) != padding_idx % weight.shape[0]
        rows, bags = rows[wrap(kept)], bags[kept]
    if mode == "max":
        return _largest_of_bags(rows, bags, count)
    if per_sample_weights is not None:
        factors = per_sample_weights.reshape(-1)
        rows = rows * (factors if padding_idx is None else factors[wrap(kept)]).unsqueeze(1)
    totals = add_to_rows(rows, bags, count)
    if mode == "sum":
        return totals
    sizes = np.maximum(np.bincount(bags, minlength=count), 1).astype(weight._data.dtype)
    return totals / wrap(sizes[:, None])


def _bag_numbers(ids: np.ndarray, offsets: Tensor | None, include_last: bool, op: str) -> tuple[np.ndarray, int]:
    """Return for every looked-up row the number of its bag, and how many bags there are."""
    if ids.ndim == 2:
        if offsets is not None:
            raise ValueError(
                f"{op}: if input is 2D, then offsets has to be None, as input is treated as bags of equal length."
            )
        return np.repeat(np.arange(ids.shape[0]), ids.shape[1]), ids.shape[0]
    if ids.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ValueError(f"{op}: input has to be 2D, or 1D with 1D offsets; got {ids.ndim}D.")
    starts = np.asarray(offsets._data)
    if len(starts) and (starts[0] != 0 or starts[-1] > len(ids)):
        raise ValueError(
            f"{op}: offsets[0] has to be 0 and offsets[-1] at most {len(ids)}, got {starts[0]} and {starts[-1]}."
        )
    if include_last:
        starts = starts[:-1]
    return np.searchsorted(starts, np.arange(len(ids)), side="right") - 1, len(starts)


def _largest_of_bags(rows: Tensor, bags: np.ndarray, count: int) -> Tensor:
    """Return the maximum of every bag, column by column; an empty bag gives 0."""
    values, width = rows._data, rows.shape[1]
    place = np.zeros((count, width), np.int64)
    filled = np.zeros((count, 1), bool)
    for bag in np.unique(bags):
        members = np.flatnonzero(bags == bag)
        place[bag], filled[bag] = members[values[members].argmax(0)], True
    if not len(values):
        return wrap(np.zeros((count, width), values.dtype))
    return keep(gather(rows, 0, wrap(place)), wrap(filled))
