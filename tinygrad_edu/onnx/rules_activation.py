"""Activations as ONNX nodes, where ONNX has another form of them or none."""

import math

from tinygrad_edu.onnx.graph import Graph, Rules
from tinygrad_edu.onnx.trace import Value

__all__ = ["rule"]

rule = Rules()


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
