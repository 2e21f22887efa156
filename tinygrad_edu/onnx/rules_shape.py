"""Reshaping, indexing, joining and padding as ONNX nodes."""

from typing import Any

import numpy as np

from tinygrad_edu.onnx.graph import Graph, Rules, Varying
from tinygrad_edu.onnx.trace import Value

__all__ = ["rule"]

rule = Rules()
FAR = np.iinfo(np.int64).max  # a slice to there goes to the end


# ---- shape ------------------------------------------------------------------------------------------------------------------
@rule
def reshape_to(g: Graph, x: Value, shape: tuple) -> str:
    return g.reshape(x, result_dims(g), x.dims)


@rule
def flatten(g: Graph, x: Value, start_dim: int, end_dim: int) -> str:
    last = len(x.dims) - 1
    if start_dim == 1 <= last and end_dim in (-1, last):
        return g.node("Flatten", x, axis=1)
    return g.reshape(x, result_dims(g), x.dims)


@rule
def squeeze(g: Graph, x: Value, dim: Any, axis: Any = None) -> str:
    chosen = dim if axis is None else axis
    dims = range(len(x.dims)) if chosen is None else chosen if isinstance(chosen, tuple | list) else [chosen]
    gone = [d % max(len(x.dims), 1) for d in dims if x.dims and x.dims[d] == 1]
    return g.node("Squeeze", x, g.constant(gone, np.int64)) if gone else g.name(x)


@rule
def unsqueeze(g: Graph, x: Value, dim: int) -> str:
    return g.node("Unsqueeze", x, g.constant([dim]))


@rule
def permute_dims(g: Graph, x: Value, dims: tuple) -> str:
    return g.node("Transpose", x, perm=[d % len(x.dims) for d in dims])


@rule
def transpose(g: Graph, x: Value, dim0: int, dim1: int) -> str:
    order = list(range(len(x.dims)))
    if not order:
        return g.name(x)
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return g.node("Transpose", x, perm=order)


@rule
def broadcast_to(g: Graph, x: Value, shape: tuple) -> str:
    sizes = list(result_dims(g))
    for d in range(1, len(x.dims) + 1):  # a length of 1 leaves what the tensor has
        sizes[-d] = 1 if sizes[-d] == x.dims[-d] else sizes[-d]
    return g.node("Expand", x, g.shape(sizes))


def result_dims(g: Graph) -> tuple:
    """Return the lengths of the step's result."""
    return () if g.step is None else g.step.results[0].dims


# ---- parts ------------------------------------------------------------------------------------------------------------------
@rule
def basic_index(g: Graph, x: Value, key: tuple) -> str:
    """Slices; then the dimensions taken by a number go, and those of None come."""
    named = len([part for part in key if part is not None and part is not ...])
    position = key.index(...) if ... in key else len(key)
    parts = [*key[:position], *[slice(None)] * (len(x.dims) - named), *key[position + 1 :]]
    cuts: list[tuple] = []
    numbers, fresh, dim, place = [], [], 0, 0
    for part in parts:
        if part is None:
            fresh.append(place)
        elif isinstance(part, slice):
            if part != slice(None):
                cuts.append((dim, part.start or 0, FAR if part.stop is None else part.stop, part.step or 1))
            dim += 1
        else:
            cuts.append((dim, part, FAR if part == -1 else _next(part), 1))
            numbers.append(dim)
            dim += 1
            continue
        place += 1
    y = _slice(g, x, cuts) if cuts else g.name(x)
    y = g.node("Squeeze", y, g.constant(numbers)) if numbers else y
    return g.node("Unsqueeze", y, g.constant(fresh)) if fresh else y


def _next(n: int | Varying) -> int | Varying:
    return Varying(n.first + 1, n.second + 1) if isinstance(n, Varying) else n + 1


def _slice(g: Graph, x: Any, cuts: list[tuple]) -> str:
    """Cut (dimension, start, stop, step)."""
    axes, starts, stops, steps = zip(*cuts, strict=True)
    return g.node("Slice", x, g.shape(starts), g.shape(stops), g.constant(axes), g.constant(steps))


@rule
def advanced_index(g: Graph, x: Value, key: tuple) -> str:
    arrays = [(dim, part) for dim, part in enumerate(key) if isinstance(part, Value)]
    if len(arrays) != 1 or arrays[0][1].array.dtype == np.bool_:
        raise g.refused(
            "indexes with a mask or with several tensors at once", "tg.where for a mask, tg.gather for positions."
        )
    dim, index = arrays[0]
    return g.node("Gather", x, index, axis=dim)


@rule
def take_rows(g: Graph, x: Value, index: Value, dim: int) -> str:
    return g.node("Gather", x, index, axis=dim)


@rule
def rows_of(g: Graph, w: Value, ids: Value, padding_idx: int | None) -> str:
    return g.node("Gather", w, ids, axis=0)


@rule
def take_along(g: Graph, x: Value, index: Value, dim: int) -> str:
    if not x.dims or not index.dims:
        raise g.refused("gathers from or with a 0-d tensor", "x.unsqueeze(0).")
    return g.node("GatherElements", x, index, axis=dim)


@rule
def pick_one(g: Graph, x: Value, index: Value, dim: int, keepdim: bool) -> str:
    if not x.dims:
        return g.name(x)
    if keepdim:
        return take_along(g, x, index, dim)
    axis = g.constant([dim])
    return g.node("Squeeze", g.node("GatherElements", x, g.node("Unsqueeze", index, axis), axis=dim), axis)


@rule
def reverse(g: Graph, x: Value, dims: tuple) -> str:
    return _slice(g, x, [(dim, -1, -FAR, -1) for dim in dims]) if dims else g.name(x)


@rule
def roll(g: Graph, x: Value, shifts: Any, dims: Any) -> str:
    if dims is None:
        raise g.refused("rolls the flattened tensor", "roll(shifts, dims).")
    y: Any = x
    pairs = zip(*([n] if isinstance(n, int) else n for n in (shifts, dims)), strict=True)
    for steps, dim in pairs:  # what leaves at the end comes in at the front
        cut = -steps % g.static(x.dims[dim])
        y = g.node("Concat", _slice(g, y, [(dim, cut, FAR, 1)]), _slice(g, y, [(dim, 0, cut, 1)]), axis=dim)
    return y


@rule
def one_hot(g: Graph, x: Value, num_classes: int) -> str:
    if num_classes == -1:
        raise g.refused("makes as many classes as the largest label says", "num_classes=10, or what it is.")
    return g.node("OneHot", x, g.constant(num_classes), g.constant([0, 1]))


# ---- together ---------------------------------------------------------------------------------------------------------------
@rule
def join(g: Graph, tensors: tuple, dim: int) -> str:
    return g.node("Concat", *tensors, axis=dim)


@rule
def pile(g: Graph, tensors: tuple, dim: int) -> str:
    return g.node("Concat", *(g.node("Unsqueeze", x, g.constant([dim])) for x in tensors), axis=dim)


@rule
def pad_constant(g: Graph, x: Value, widths: Any, value: float) -> str:
    before, after = zip(*widths, strict=True)
    return g.node("Pad", x, g.constant([*before, *after]), g.like(x, value))
