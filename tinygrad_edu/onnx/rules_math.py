"""Arithmetic, masks and types that ONNX has under another form, or not at all: the nodes that they are made of."""

import math
from typing import Any

import numpy as np

from tinygrad_edu.onnx.graph import Graph, Rules, element_type
from tinygrad_edu.onnx.trace import Value

__all__ = ["as_bool", "rule"]

rule = Rules()


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
    if len(w.dims) == 1:
        return g.node("MatMul", x, w)
    if len(x.dims) == 2:
        return g.node("Gemm", x, w, bias, transB=1)
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
def trunc_divide(g: Graph, x: Value, y: Value) -> str:
    return g.node("Div", x, y) if x.array.dtype.kind != "f" else toward_zero(g, g.node("Div", x, y))


@rule
def fmod(g: Graph, x: Value, y: Value) -> str:
    return g.node("Mod", x, y, fmod=1)


def toward_zero(g: Graph, x: Any) -> str:
    return g.node("Mul", g.node("Sign", x), g.node("Floor", g.node("Abs", x)))


@rule
def floor(g: Graph, x: Value, kind: str = "Floor") -> str:
    return g.node(kind, x) if x.array.dtype.kind == "f" else g.name(x)


@rule
def ceil(g: Graph, x: Value) -> str:
    return floor(g, x, "Ceil")


@rule
def trunc(g: Graph, x: Value) -> str:
    return toward_zero(g, x) if x.array.dtype.kind == "f" else g.name(x)


@rule
def frac(g: Graph, x: Value) -> str:
    return g.node("Sub", x, toward_zero(g, x))


@rule
def round_(g: Graph, x: Value, decimals: int) -> str:
    if not decimals:
        return floor(g, x, "Round")
    scale = g.like(x, 10.0**decimals)
    return g.node("Div", g.node("Round", g.node("Mul", x, scale)), scale)


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
def logaddexp(g: Graph, x: Value, y: Value) -> str:
    gap = g.node("Neg", g.node("Abs", g.node("Sub", x, y)))
    return g.node("Add", g.node("Max", x, y), log1p_of_exp(g, gap, x))


def log1p_of_exp(g: Graph, x: str, like: Value) -> str:
    return g.node("Log", g.node("Add", g.node("Exp", x), g.like(like, 1)))


@rule
def erfc(g: Graph, x: Value) -> str:
    return g.node("Sub", g.like(x, 1), g.node("Erf", x))


@rule
def deg2rad(g: Graph, x: Value, factor: float = math.pi / 180) -> str:
    return g.node("Mul", x, g.like(x, factor))


@rule
def rad2deg(g: Graph, x: Value) -> str:
    return deg2rad(g, x, 180 / math.pi)


@rule
def contract(g: Graph, x: Value, y: Value, xs: tuple, ys: tuple, out_labels: tuple) -> str:
    letters = {label: chr(ord("a") + i) for i, label in enumerate(dict.fromkeys((*xs, *ys)))}
    terms = ["".join(letters[label] for label in labels) for labels in (xs, ys, out_labels)]
    return g.node("Einsum", x, y, equation=f"{terms[0]},{terms[1]}->{terms[2]}")


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
