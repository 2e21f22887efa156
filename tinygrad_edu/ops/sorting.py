"""Order: sort, topk, unique, searchsorted and counting. The order is found outside the graph; gather carries value and gradient."""

from collections import namedtuple
from typing import Any

import numpy as np

from tinygrad_edu.dtypes import from_numpy_dtype
from tinygrad_edu.errors import message
from tinygrad_edu.ops.creation import linspace
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.gathering import take_along
from tinygrad_edu.ops.shape import squeeze
from tinygrad_edu.primitive import composite
from tinygrad_edu.recorders import again, look
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "argsort", "bincount", "bucketize", "histc", "histogram", "kthvalue", "msort", "searchsorted", "sort", "topk", "unique", "unique_consecutive",
]  # fmt: skip

SortResult = namedtuple("SortResult", ["values", "indices"])
TopkResult = namedtuple("TopkResult", ["values", "indices"])
KthvalueResult = namedtuple("KthvalueResult", ["values", "indices"])
HistogramResult = namedtuple("HistogramResult", ["hist", "bin_edges"])


def order_of(data: Any, dim: int, descending: bool) -> np.ndarray:
    """Return the positions that sort `data`, equal elements staying in their order; nan counts as the largest."""
    data = np.asarray(data)
    if not data.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(data, dim, kind="stable")
    backwards = np.argsort(np.flip(data, dim), dim, kind="stable")
    return data.shape[dim] - 1 - np.flip(backwards, dim)


@again  # a recorded step sorts anew
def _order(input: Tensor, dim: int, descending: bool, part: slice = slice(None)) -> Tensor:
    """Return a part of the positions that sort `input` along `dim`."""
    order = order_of(input._data, dim, descending)
    return wrap(np.ascontiguousarray(order[(slice(None),) * dim + (part,)]) if order.ndim else order)


@composite
def sort(input, dim=-1, descending=False, stable=False):
    """Sort along `dim`; returns (values, indices). Equal elements keep their order, nan is the largest.

    The gradient of a value goes to the element it came from.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> values, indices = tg.tensor([3, 1, 2]).sort()
    >>> values.tolist(), indices.tolist()
    ([1, 2, 3], [1, 2, 0])
    """
    dim = normalize_dim(dim, input._data.ndim, "sort")
    index = _order(input, dim, descending)
    return SortResult(take_along(input, index, dim), index)


@composite
def argsort(input, dim=-1, descending=False, stable=False):
    """The positions (int64) that sort `input` along `dim`."""
    return _order(input, normalize_dim(dim, input._data.ndim, "argsort"), descending)


@composite
def msort(input):
    """Sort along the first dimension; the values alone."""
    return sort(input, 0).values


@composite
def topk(input, k, dim=-1, largest=True, sorted=True):
    """The `k` largest (or smallest) elements along `dim`, in order; returns (values, indices).

    Raises
    ------
    RuntimeError
        If there are fewer than `k`.
    """
    dim = normalize_dim(dim, input._data.ndim, "topk")
    size = input._data.shape[dim] if input._data.ndim else 1
    if not 0 <= k <= size:
        facts = f"selected index k out of range: k={k}, dimension {dim} of shape {tuple(input._data.shape)} has length {size}."
        raise RuntimeError(message("", "topk", facts, f"k from 0 to {size}."))
    index = _order(input, dim, largest, slice(k))
    return TopkResult(take_along(input, index, dim), index)


@composite
def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest element along `dim`, counting from 1; returns (values, indices)."""
    dim = normalize_dim(dim, input._data.ndim, "kthvalue")
    size = input._data.shape[dim] if input._data.ndim else 1
    if not size:
        raise IndexError(
            f"kthvalue(): Expected reduction dim {dim} to have non-zero size, got shape {tuple(input.shape)}."
        )
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}: k={k}, length {size}.")
    index = _order(input, dim, False, slice(k - 1, k))
    values = take_along(input, index, dim)
    if keepdim or not index._data.ndim:
        return KthvalueResult(values, index)
    return KthvalueResult(squeeze(values, dim), squeeze(index, dim))


# ---- distinct elements ------------------------------------------------------------------------------------------------------
def _unique_parts(parts: tuple, return_inverse: bool, return_counts: bool, shape: tuple) -> Any:
    values, inverse, counts = parts
    chosen = [wrap(values)]
    if return_inverse:
        chosen.append(wrap(inverse.reshape(shape).astype(np.int64)))
    if return_counts:
        chosen.append(wrap(counts.astype(np.int64)))
    return chosen[0] if len(chosen) == 1 else tuple(chosen)


def _slices(name: str, shape: tuple[int, ...], dim: int | None) -> int | None:
    """Check the dimension whose slices are compared; slices without elements cannot be."""
    if dim is None:
        return None
    dim = normalize_dim(dim, len(shape), name)
    if shape[dim] and 0 in shape:
        raise RuntimeError(
            f"{name}: There are 0 sized dimensions, and they aren't selected (dim={dim}, shape {shape}), so unique cannot be applied."
        )
    return dim


@composite
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order (or slices along `dim`); not differentiable.

    Returns
    -------
    Tensor, or a tuple
        With `return_inverse` also where each element went, with `return_counts` also how often each occurs.
    """
    look("unique()")
    data, dim = np.asarray(input._data), _slices("unique", input._data.shape, dim)
    values, _, inverse, counts = np.unique(data, True, True, True, axis=dim, equal_nan=False)
    return _unique_parts(
        (values, inverse, counts), return_inverse, return_counts, data.shape if dim is None else (data.shape[dim],)
    )


@composite
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Leave out elements equal to the one before (or slices along `dim`); not differentiable."""
    look("unique_consecutive()")
    data, dim = np.asarray(input._data), _slices("unique_consecutive", input._data.shape, dim)
    rows = data.reshape(-1) if dim is None else np.moveaxis(data, dim, 0)
    flat = rows.reshape(len(rows), rows[:1].size if len(rows) else 0)
    new = np.ones(len(rows), np.bool_)
    new[1:] = (flat[1:] != flat[:-1]).any(1)
    starts = np.flatnonzero(new)
    values = rows[starts] if dim is None else np.moveaxis(rows[starts], 0, dim)
    parts = (values, np.cumsum(new) - 1, np.diff(starts, append=len(rows)))
    return _unique_parts(parts, return_inverse, return_counts, data.shape if dim is None else (len(rows),))


# ---- places and counts ------------------------------------------------------------------------------------------------------
@composite(method=False)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where each value belongs in a sorted sequence (along the last dimension), as int64.

    Parameters
    ----------
    right : bool
        Among equal elements, take the last place instead of the first; ``side="right"`` is another way to say so.
    """
    look("searchsorted()")
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted: side can only be 'left' or 'right' but got {side}.")
    from_right = right or side == "right"
    values = np.asarray(input._data if isinstance(input, Tensor) else input)
    keys = np.asarray(sorted_sequence._data)
    if sorter is not None:
        keys = np.take_along_axis(keys, sorter._data, -1)
    where = "right" if from_right else "left"
    if keys.ndim == 1:
        found = np.searchsorted(keys, values, where)
    else:
        if keys.shape[:-1] != values.shape[:-1]:
            raise RuntimeError(
                f"searchsorted: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input "
                f"value tensor must match, but we got boundaries tensor {keys.shape} and input value tensor {values.shape}."
            )
        rows = zip(keys.reshape(-1, keys.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
        found = np.array([np.searchsorted(k, v, where) for k, v in rows]).reshape(values.shape)
    return wrap(np.asarray(found).astype(np.int32 if out_int32 else np.int64))


@composite
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The bucket of each element, between sorted `boundaries`: ``boundaries[i-1] < x <= boundaries[i]`` gives i."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@composite
def bincount(input, weights=None, minlength=0):
    """Count how often each number 0, 1, 2, ... occurs in a vector; with `weights`, add those up instead."""
    look("bincount()")
    data = np.asarray(input._data)
    if data.dtype.kind in "fb":
        raise NotImplementedError(
            f"bincount: not implemented for {input.dtype}, it counts whole numbers. Fix: x.long()."
        )
    if data.ndim != 1 or data.dtype.kind not in "iu" or (data.size and data.min() < 0):
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, got shape {data.shape} of {input.dtype}. Fix: x.flatten().long()."
        )
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0, got {minlength}.")
    if weights is None:
        return wrap(np.bincount(data, minlength=minlength).astype(np.int64, copy=False))
    if weights._data.shape != data.shape:
        raise RuntimeError(
            f"bincount: weights should be of the same length as input, got {tuple(weights._data.shape)} and {data.shape}."
        )
    sums = np.bincount(data, np.asarray(weights._data), minlength)
    return wrap(sums.astype(np.float32, copy=False) if weights._data.dtype == np.float32 else sums)


@composite
def histc(input, bins=100, min=0, max=0):
    """Counts of elements in `bins` equal intervals from `min` to `max` (by default, from the smallest element to the largest)."""
    look("histc()")
    data = np.asarray(input._data).ravel()
    if data.dtype.kind != "f":
        raise NotImplementedError(f"histc: not implemented for {input.dtype}. Fix: x.float().")
    if bins < 1:
        raise RuntimeError(f"histc: bins must be > 0, got {bins}.")
    low, high = (data.min(), data.max()) if min == max and data.size else (min, max)
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite. Fix: min= and max=, or x[x.isfinite()].")
    if low > high:
        raise RuntimeError(f"histc: max must be larger than min, got {min} and {max}.")
    counts = np.histogram(data, bins, (low, high))[0]
    return wrap(counts.astype(data.dtype))


@composite
def histogram(input, bins=100, *, range=None, weight=None, density=False):
    """How many elements lie in each interval; returns (hist, bin_edges), one edge more than counts. Not differentiable.

    Parameters
    ----------
    bins : int or Tensor
        How many equal intervals, or their edges, ascending. The last interval includes its right edge.
    range : (float, float), optional
        The outer edges of equal intervals; by default the smallest and the largest element.
    weight : Tensor, optional
        Of the input's shape: what each element counts.
    density : bool
        Divide by the sum and by the widths, so that the area is 1.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> hist, edges = tg.histogram(tg.tensor([0., 1., 1., 2.]), 2)
    >>> hist.tolist(), edges.tolist()
    ([1.0, 3.0], [0.0, 1.0, 2.0])
    """
    look("histogram()")
    data = np.asarray(input._data).ravel()
    if data.dtype.kind != "f" or (data.size and data.itemsize < 4):
        raise NotImplementedError(f"histogram: not implemented for {input.dtype}. Fix: x.float().")
    edges = _given_edges(input, bins, range) if isinstance(bins, Tensor) else _equal_edges(data, bins, range)
    amounts = None
    if weight is not None:
        if weight._data.shape != input._data.shape or weight._data.dtype != data.dtype:
            raise RuntimeError(
                f"histogram: weight should have the shape and dtype of input, {tuple(input.shape)} of {input.dtype}, "
                f"got {tuple(weight.shape)} of {weight.dtype}."
            )
        amounts = np.asarray(weight._data).ravel()
    place = np.searchsorted(edges, data, "right") - 1
    place[data == edges[-1]] = len(edges) - 2
    inside = (data >= edges[0]) & (data <= edges[-1])
    sums = np.bincount(place[inside], None if amounts is None else amounts[inside], len(edges) - 1)
    counts = sums[: len(edges) - 1].astype(data.dtype)
    return HistogramResult(wrap(counts / counts.sum() / np.diff(edges) if density else counts), wrap(edges))


def _given_edges(input: Tensor, bins: Tensor, limits: Any) -> np.ndarray:
    edges = bins.array()
    if limits is not None:
        raise TypeError("histogram: range is for a number of bins; here bins are the edges. Fix: leave out range.")
    if edges.ndim != 1 or edges.size < 2:
        raise RuntimeError(f"histogram: bins tensor should have one dimension and 2 or more edges, got {edges.shape}.")
    if bins.dtype is not input.dtype:
        raise RuntimeError(f"histogram: input and bins should have the same dtype, got {input.dtype} and {bins.dtype}.")
    if (np.diff(edges) < 0).any():
        raise RuntimeError(f"histogram: bins must be ascending, got {edges.tolist()}. Fix: bins.sort().values.")
    return edges.copy()


def _equal_edges(data: np.ndarray, bins: int, limits: Any) -> np.ndarray:
    if bins < 1:
        raise RuntimeError(f"histogram: bins must be > 0, but got {bins}.")
    low, high = limits if limits is not None else (data.min(), data.max()) if data.size else (0.0, 1.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"histogram: the range [{low}, {high}] is not finite. Fix: range=(low, high).")
    if low > high:
        raise RuntimeError(f"histogram: min should not exceed max, but got min {low} max {high}.")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.asarray(linspace(float(low), float(high), bins + 1, dtype=from_numpy_dtype(data.dtype))._data)
