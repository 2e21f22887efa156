"""Operations on elements and reductions that ONNX has under another form, or not at all: the nodes that they are made of."""

import math
from typing import Any

import numpy as np

from tinygrad_edu.onnx.graph import Graph, Rules, Varying, element_type
from tinygrad_edu.onnx.trace import Value

__all__ = ["axes_of", "rule"]

rule = Rules()


def axes_of(g: Graph, dim: Any) -> str | None:
    """Return the dimensions to reduce as an input of a node; None means all of them."""
    if dim is None or dim == ():
        return None
    return g.constant(dim if isinstance(dim, tuple | list) else [dim], np.int64)


def as_bool(g: Graph, x: Value) -> Any:
    """Return a tensor as the bools that ONNX's logic wants."""
    if x.array.dtype == np.bool_:
        return x
    if g.step is not None and g.step.name.startswith("bitwise"):
        raise g.refused("calculates with the bits of integers", "bool tensors, x != 0.")
    return g.node("Cast", x, to=element_type(bool))


# ---- arithmetic -------------------------------------------------------------------------------------------------------------
@rule
def linear(g: Graph, x: Value, w: Value, bias: Value | None) -> str:
    if len(x.dims) == 2:
        return g.node("Gemm", x, w, bias, transB=1) if bias is not None else g.node("Gemm", x, w, transB=1)
    y = g.node("MatMul", x, g.node("Transpose", w, perm=[1, 0]))
    return y if bias is None else g.node("Add", y, bias)


@rule
def add(g: Graph, x: Value, y: Value, alpha: float, kind: str = "Add") -> str:
    return g.node(kind, x, y if alpha == 1 else g.node("Mul", y, g.like(y, alpha)))


@rule
def sub(g: Graph, x: Value, y: Value, alpha: float) -> str:
    return add(g, x, y, alpha, "Sub")


@rule
def ne(g: Graph, x: Value, y: Value) -> str:
    return g.node("Not", g.node("Equal", x, y))


@rule
def square(g: Graph, x: Value) -> str:
    return g.node("Mul", x, x)


@rule
def rsqrt(g: Graph, x: Value) -> str:
    return g.node("Reciprocal", g.node("Sqrt", x))


@rule
def power_of(g: Graph, x: Value, exponent: float) -> str:
    return g.node("Pow", x, g.like(x, exponent))


@rule
def addcmul(g: Graph, x: Value, y: Value, z: Value, value: float, kind: str = "Mul") -> str:
    part = g.node(kind, y, z)
    return g.node("Add", x, part if value == 1 else g.node("Mul", part, g.like(x, value)))


@rule
def addcdiv(g: Graph, x: Value, y: Value, z: Value, value: float) -> str:
    return addcmul(g, x, y, z, value, "Div")


@rule
def lerp(g: Graph, x: Value, y: Value, w: Value) -> str:
    return g.node("Add", x, g.node("Mul", w, g.node("Sub", y, x)))


@rule
def floor_divide(g: Graph, x: Value, y: Value) -> str:
    if x.array.dtype.kind != "f":
        raise g.refused("divides integers, which ONNX rounds towards 0", "x.float() // y.")
    return g.node("Floor", g.node("Div", x, y))


@rule
def remainder(g: Graph, x: Value, y: Value) -> str:
    if x.array.dtype.kind != "f":
        return g.node("Mod", x, y)
    return g.node("Sub", x, g.node("Mul", g.node("Floor", g.node("Div", x, y)), y))


@rule
def fmod(g: Graph, x: Value, y: Value) -> str:
    return g.node("Mod", x, y, fmod=1)


@rule
def round_(g: Graph, x: Value, decimals: int) -> str:
    scale = g.like(x, 10.0**decimals)
    return g.node("Round", x) if not decimals else g.node("Div", g.node("Round", g.node("Mul", x, scale)), scale)


@rule
def trunc(g: Graph, x: Value) -> str:
    return g.node("Mul", g.node("Sign", x), g.node("Floor", g.node("Abs", x)))


@rule
def log1p(g: Graph, x: Value) -> str:
    return g.node("Log", g.node("Add", x, g.like(x, 1)))


@rule
def expm1(g: Graph, x: Value) -> str:
    return g.node("Sub", g.node("Exp", x), g.like(x, 1))


@rule
def exp2(g: Graph, x: Value) -> str:
    return g.node("Pow", g.like(x, 2), x)


@rule
def log2(g: Graph, x: Value, base: float = 2.0) -> str:
    return g.node("Div", g.node("Log", x), g.like(x, math.log(base)))


@rule
def log10(g: Graph, x: Value) -> str:
    return log2(g, x, 10.0)


@rule
def contract(g: Graph, x: Value, y: Value, xs: tuple, ys: tuple, out_labels: tuple) -> str:
    letters = {label: chr(ord("a") + i) for i, label in enumerate(dict.fromkeys((*xs, *ys)))}
    terms = ["".join(letters[label] for label in labels) for labels in (xs, ys, out_labels)]
    return g.node("Einsum", x, y, equation=f"{terms[0]},{terms[1]}->{terms[2]}")


# ---- activations ------------------------------------------------------------------------------------------------------------
@rule
def leaky_relu(g: Graph, x: Value, negative_slope: float) -> str:
    return g.node("LeakyRelu", x, alpha=float(negative_slope))


@rule
def elu(g: Graph, x: Value, alpha: float, scale: float, input_scale: float) -> str:
    if input_scale == 1:
        if scale == 1:
            return g.node("Elu", x, alpha=float(alpha))
        return g.node("Selu", x, alpha=float(alpha), gamma=float(scale))
    below = g.node("Sub", g.node("Exp", g.node("Mul", x, g.like(x, input_scale))), g.like(x, 1))
    low = g.node("Mul", below, g.like(x, alpha * scale))
    return g.node("Where", g.node("Greater", x, g.like(x, 0)), g.node("Mul", x, g.like(x, scale)), low)


@rule
def threshold(g: Graph, x: Value, threshold: float, value: float) -> str:
    return g.node("Where", g.node("LessOrEqual", x, g.like(x, threshold)), g.like(x, value), x)


@rule
def silu(g: Graph, x: Value) -> str:
    return g.node("Mul", x, g.node("Sigmoid", x))


@rule
def logsigmoid(g: Graph, x: Value) -> str:
    return g.node("Neg", g.node("Softplus", g.node("Neg", x)))


@rule
def softplus(g: Graph, x: Value, beta: float, threshold: float) -> str:
    if beta == 1:
        return g.node("Softplus", x)
    return g.node("Div", g.node("Softplus", g.node("Mul", x, g.like(x, beta))), g.like(x, beta))


@rule
def hardtanh(g: Graph, x: Value, min_val: float, max_val: float) -> str:
    return g.node("Clip", x, g.like(x, min_val), g.like(x, max_val))


@rule
def clamp_to(g: Graph, x: Value, low: float | None, high: float | None) -> str:
    return g.node("Clip", x, *(None if bound is None else g.like(x, bound) for bound in (low, high)))


@rule
def clamp_between(g: Graph, x: Value, low: Value, high: Value) -> str:
    return g.node("Min", g.node("Max", x, low), high)


@rule
def hardsigmoid(g: Graph, x: Value) -> str:
    return g.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@rule
def hardshrink(g: Graph, x: Value, lambd: float, bias: float = 0.0) -> str:
    return g.node("Shrink", x, lambd=float(lambd), bias=float(bias))


@rule
def softshrink(g: Graph, x: Value, lambd: float) -> str:
    return hardshrink(g, x, lambd, lambd)


@rule
def tanhshrink(g: Graph, x: Value) -> str:
    return g.node("Sub", x, g.node("Tanh", x))


@rule
def gelu(g: Graph, x: Value, approximate: str) -> str:
    if approximate == "tanh":
        cube = g.node("Mul", g.node("Mul", x, g.node("Mul", x, x)), g.like(x, 0.044715))
        bend = g.node("Tanh", g.node("Mul", g.node("Add", x, cube), g.like(x, math.sqrt(2 / math.pi))))
    else:
        bend = g.node("Erf", g.node("Mul", x, g.like(x, math.sqrt(0.5))))
    return g.node("Mul", g.node("Mul", x, g.like(x, 0.5)), g.node("Add", bend, g.like(x, 1)))


@rule
def softmax_along(g: Graph, x: Value, dim: int, kind: str = "Softmax") -> str:
    return g.node(kind, x, axis=dim)


@rule
def log_softmax_along(g: Graph, x: Value, dim: int) -> str:
    return softmax_along(g, x, dim, "LogSoftmax")


# ---- masks and types --------------------------------------------------------------------------------------------------------
@rule
def fill_masked(g: Graph, x: Value, mask: Value, value: float) -> str:
    return g.node("Where", mask, g.like(x, value), x)


@rule
def keep(g: Graph, x: Value, mask: Value) -> str:
    return g.node("Where", as_bool(g, mask), x, g.like(x, 0))


@rule
def tril(g: Graph, x: Value, diagonal: int, upper: int = 0) -> str:
    return g.node("Trilu", x, g.constant(diagonal), upper=upper)


@rule
def triu(g: Graph, x: Value, diagonal: int) -> str:
    return tril(g, x, diagonal, 1)


@rule
def cast(g: Graph, x: Value, kind: Any) -> str:
    return g.node("Cast", x, to=element_type(getattr(kind, "numpy", kind)))


@rule
def cast_away(g: Graph, x: Value, kind: Any) -> str:
    return cast(g, x, kind)


@rule
def clone(g: Graph, x: Value, memory_format: Any = None) -> str:
    return g.name(x)  # nothing is ever written over


@rule
def positive(g: Graph, x: Value) -> str:
    return g.name(x)


# ---- reductions -------------------------------------------------------------------------------------------------------------
@rule
def sum_to(g: Graph, x: Value, shape: tuple) -> str:
    lead = len(x.dims) - len(shape)
    axes = [lead + i for i, n in enumerate(shape) if n == 1 and x.dims[lead + i] != 1]
    y = g.node("ReduceSum", x, g.constant(axes, np.int64), keepdims=1) if axes else x
    return g.node("ReduceSum", y, g.constant(range(lead), np.int64), keepdims=0) if lead else g.name(y)


@rule
def max_of_all(g: Graph, x: Value, kind: str = "ReduceMax") -> str:
    return g.node(kind, x, keepdims=0)


@rule
def min_of_all(g: Graph, x: Value) -> str:
    return max_of_all(g, x, "ReduceMin")


@rule
def norm_along(g: Graph, x: Value, p: float, dim: Any, keepdim: bool) -> str:
    kind = {1: "ReduceL1", 2: "ReduceL2"}.get(p)
    if kind is None:
        raise g.refused(f"is the {p}-norm", "p=1 or p=2, or the sum of powers written out.")
    return g.node(kind, x, axes_of(g, dim), keepdims=int(keepdim))


@rule
def var_along(g: Graph, x: Value, dim: Any, correction: float, keepdim: bool) -> str:
    dims = range(len(x.dims)) if dim is None or dim == () else (dim if isinstance(dim, tuple | list) else [dim])
    lengths = [x.dims[d] for d in dims]
    if any(isinstance(n, Varying) for n in lengths):
        raise g.refused("is taken over a dynamic axis", "make that axis static, or write the variance out with mean().")
    axes, count = g.constant(list(dims), np.int64), math.prod(lengths)
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
