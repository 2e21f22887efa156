"""Sums, maxima, norms and their like as ONNX nodes."""

import math
from typing import Any

import numpy as np

from tinygrad_edu.onnx.graph import Graph, Rules, element_type
from tinygrad_edu.onnx.rules_math import as_bool
from tinygrad_edu.onnx.trace import Value

__all__ = ["axes_of", "rule"]

rule = Rules()


def axes_of(g: Graph, dim: Any) -> str | None:
    """Return the dimensions to reduce as an input of a node; None means all of them."""
    if dim is None or dim == ():
        return None
    return g.constant(dim if isinstance(dim, tuple | list) else [dim], np.int64)


@rule
def sum_to(g: Graph, x: Value, shape: tuple) -> str:
    lead = len(x.dims) - len(shape)
    axes = [lead + i for i, n in enumerate(shape) if n == 1 and x.dims[lead + i] != 1]
    y = g.node("ReduceSum", x, g.constant(axes, np.int64), keepdims=1) if axes else x
    return g.node("ReduceSum", y, g.constant(range(lead), np.int64), keepdims=0) if lead else g.name(y)


@rule
def sum_along(g: Graph, x: Value, dim: Any, keepdim: bool) -> str:
    whole = x if x.array.dtype.kind == "f" else g.node("Cast", x, to=element_type(np.int64))
    return g.node("ReduceSum", whole, axes_of(g, dim), keepdims=int(keepdim))


@rule
def any_along(g: Graph, x: Value, dim: Any, keepdim: bool, kind: str = "ReduceMax") -> str:
    ones = g.node("Cast", as_bool(g, x), to=element_type(np.int32))
    kept = np.uint8 if x.array.dtype == np.uint8 else bool
    return g.node("Cast", g.node(kind, ones, axes_of(g, dim), keepdims=int(keepdim)), to=element_type(kept))


@rule
def all_along(g: Graph, x: Value, dim: Any, keepdim: bool) -> str:
    return any_along(g, x, dim, keepdim, "ReduceMin")


@rule
def max_of_all(g: Graph, x: Value, kind: str = "ReduceMax") -> str:
    return g.node(kind, x, keepdims=0)


@rule
def min_of_all(g: Graph, x: Value) -> str:
    return max_of_all(g, x, "ReduceMin")


@rule
def norm_along(g: Graph, x: Value, p: float, dim: Any, keepdim: bool) -> str:
    axes, keepdims = axes_of(g, dim), int(keepdim)
    if p in (1, 2):
        return g.node(f"ReduceL{int(p)}", x, axes, keepdims=keepdims)
    if p in (math.inf, -math.inf):
        return g.node("ReduceMax" if p > 0 else "ReduceMin", g.node("Abs", x), axes, keepdims=keepdims)
    if p == 0:
        raise g.refused("counts the elements that are not 0", "(x != 0).float().sum().")
    total = g.node("ReduceSum", g.node("Pow", g.node("Abs", x), g.like(x, p)), axes, keepdims=keepdims)
    return g.node("Pow", total, g.like(x, 1 / p))


@rule
def var_along(g: Graph, x: Value, dim: Any, correction: float, keepdim: bool) -> str:
    dims = range(len(x.dims)) if dim is None or dim == () else (dim if isinstance(dim, tuple | list) else [dim])
    axes, count = g.constant(list(dims), np.int64), math.prod(g.static(x.dims[d]) for d in dims)
    centred = g.node("Sub", x, g.node("ReduceMean", x, axes, keepdims=1))
    total = g.node("ReduceSumSquare", centred, axes, keepdims=int(keepdim))
    return g.node("Div", total, g.like(x, max(count - correction, 0)))


@rule
def std_along(g: Graph, x: Value, dim: Any, correction: float, keepdim: bool) -> str:
    return g.node("Sqrt", var_along(g, x, dim, correction, keepdim))


@rule
def argmax_along(g: Graph, x: Value, dim: int | None, keepdim: bool, kind: str = "ArgMax") -> str:
    if dim is not None:
        return g.node(kind, x, axis=dim, keepdims=int(keepdim))
    best = g.node(kind, g.node("Reshape", x, g.constant([-1])), axis=0, keepdims=0)
    return g.node("Reshape", best, g.constant([1] * len(x.dims), np.int64)) if keepdim else best


@rule
def argmin_along(g: Graph, x: Value, dim: int | None, keepdim: bool) -> str:
    return argmax_along(g, x, dim, keepdim, "ArgMin")


@rule
def cumsum_along(g: Graph, x: Value, dim: int, backwards: bool) -> str:
    whole = x if x.array.dtype.kind == "f" else g.node("Cast", x, to=element_type(np.int64))
    return g.node("CumSum", whole, g.constant(dim), reverse=int(backwards))
