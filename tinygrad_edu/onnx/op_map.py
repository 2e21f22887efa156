"""Which ONNX nodes stand for which operation: the one table, `OPS`.

Most operations have a node of their own in ONNX (`SAME`). For the others a rule of a few lines builds the nodes: it gets the graph and
the step's arguments by their names, tensors as :class:`~tinygrad_edu.onnx.trace.Value`, and returns the name of the result, or a list
of names. The names of the operations are those of the registry, where each has its formula.

To add an operation: one entry in `SAME`, or one function under ``@rule`` that bears its name.
"""

from collections.abc import Callable
from typing import Any

from tinygrad_edu.onnx.graph import Graph
from tinygrad_edu.onnx.rules_activation import rule as activations
from tinygrad_edu.onnx.rules_layers import rule as layers
from tinygrad_edu.onnx.rules_math import as_bool
from tinygrad_edu.onnx.rules_math import rule as mathematics
from tinygrad_edu.onnx.rules_reduction import axes_of
from tinygrad_edu.onnx.rules_reduction import rule as reductions
from tinygrad_edu.onnx.rules_shape import rule as shapes
from tinygrad_edu.onnx.trace import Value

__all__ = ["OPS"]

# ---- operations that ONNX has too: our name, ONNX's name  ------------------------------------------
SAME = {
    "mul": "Mul", "true_divide": "Div", "neg": "Neg", "abs": "Abs", "sign": "Sign", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "reciprocal": "Reciprocal", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh",
    "tanh": "Tanh", "erf": "Erf", "relu": "Relu", "sigmoid": "Sigmoid", "softsign": "Softsign", "mish": "Mish", "hardswish": "HardSwish",
    "maximum": "Max", "minimum": "Min", "clamp_above": "Max", "clamp_below": "Min", "power": "Pow", "matmul": "MatMul",
    "leaky_by": "PRelu", "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual",
    "isnan": "IsNaN", "isinf": "IsInf", "choose": "Where", "determinant": "Det",
}  # fmt: skip
BOOLEAN = {
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not",
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "bitwise_not": "Not",
}  # fmt: skip
REDUCTIONS = {
    "mean_along": "ReduceMean", "amax_along": "ReduceMax", "amin_along": "ReduceMin",
    "prod_along": "ReduceProd", "logsumexp_along": "ReduceLogSumExp",
}  # fmt: skip


def same(kind: str) -> Callable:
    """The node of that kind; all arguments are tensors."""
    return lambda g, **tensors: g.node(kind, *tensors.values())


def boolean(kind: str) -> Callable:
    """The node of that kind, of bools."""

    def build(g: Graph, **tensors: Value) -> str:
        return g.node(kind, *(as_bool(g, t) for t in tensors.values()))

    return build


def reduction(kind: str) -> Callable:
    """The node of that kind, along some dimensions."""
    return lambda g, x, dim, keepdim: g.node(kind, x, axes_of(g, dim), keepdims=int(keepdim))


OPS: dict[str, Callable[..., Any]] = {
    **{name: same(kind) for name, kind in SAME.items()},
    **{name: boolean(kind) for name, kind in BOOLEAN.items()},
    **{name: reduction(kind) for name, kind in REDUCTIONS.items()},
    **mathematics,
    **activations,
    **reductions,
    **shapes,
    **layers,
}
