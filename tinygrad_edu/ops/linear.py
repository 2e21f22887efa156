"""The fully connected layer as one op: product and bias in one node of the graph."""

import math

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.kernels.elementwise_numpy import NONE
from tinygrad_edu.ops.matmul import matmul, mixed_dtypes
from tinygrad_edu.ops.reduction import sum_to
from tinygrad_edu.ops.shape import reshape_to, transpose, unsqueeze
from tinygrad_edu.primitive import primitive

__all__: list[str] = []


def _why_not(error, input, weight, bias):
    """Compose E109, E102 (forgot to flatten) or E101 for a layer that does not fit its input."""
    tensors = {"input": input, "weight": weight, "bias": bias}
    shapes = {name: tuple(t.shape) for name, t in tensors.items() if t is not None}
    if str(error) == "dtype":
        return mixed_dtypes("linear", **{name: t for name, t in tensors.items() if t is not None})
    x, w = shapes["input"], shapes["weight"]
    if len(w) != 2 or (bias is not None and shapes["bias"] not in (w[:1], ())):
        facts = f"expected weight (out_features, in_features) and bias (out_features,), got {shapes}."
        return ShapeError(message("E101", "linear", facts, "a bias as long as the weight has rows."))
    wanted, rows = w[1], x[:1] if len(x) > 1 else ()
    features = math.prod(x[1:])
    if len(x) > 2 and features == wanted:
        product = " * ".join(map(str, x[1:]))
        facts = f"mat1 and mat2 shapes cannot be multiplied: the layer wants {wanted} features, got {x}; {product} = {wanted}."
        return ShapeError(
            message("E102", "linear", facts, f"flatten all but the batch first: x.flatten(1) makes {(*rows, wanted)}.")
        )
    last = x[-1] if x else "no"
    facts = (
        f"mat1 and mat2 shapes cannot be multiplied: the input {x} has {last} features in its last dimension, "
        f"the weight {w} wants {wanted}."
    )
    fix = f"make this layer's in_features {last}, or the output before it {wanted} wide."
    if len(x) > 2:
        fix = f"make this layer's in_features {features} and pass x.flatten(1), or {last} to apply it along the last dimension."
    return ShapeError(message("E101", "linear", facts, fix))


@primitive(method=False, names=("input", "weight", "bias"), node_name="AddmmBackward0", explain=_why_not)
def linear(x, w, bias=None, /):
    """Fully connected layer, out = x w^T + bias.

    Parameters
    ----------
    input : Tensor (..., IN)
    weight : Tensor (OUT, IN)
        Or (IN,), for one vector or rows of them and without bias; the output then has no last dimension.
    bias : Tensor (OUT,), optional

    Returns
    -------
    Tensor (..., OUT)

    Raises
    ------
    RuntimeError
        If the sizes differ (E101, E102) or the dtypes do (E109).
    """
    kind = x.dtype
    if w.dtype is not kind or (bias is not None and bias.dtype is not kind):
        raise ValueError("dtype")
    if w.ndim == 2 and (bias is None or bias.shape == w.shape[:1]):
        if x.ndim == 2:
            return kernels.linear_act_forward(x, w, bias, NONE)
        if x.ndim and x.size and x.shape[-1] == w.shape[1]:
            rows = kernels.linear_act_forward(x.reshape(-1, x.shape[-1]), w, bias, NONE)
            return rows.reshape(*x.shape[:-1], len(w))
    return _seldom(x, w, bias)


def _seldom(x, w, bias):
    """A weight of one dimension, a bias of one number, nothing at all; and what does not fit."""
    if w.ndim == 1 and bias is None and 1 <= x.ndim <= 2:
        return np.asarray(x.dot(w))
    if x.ndim == 0 or w.ndim != 2 or (bias is not None and (bias.ndim > 1 or bias.size not in (1, w.shape[0]))):
        raise ValueError("shape")
    y = np.matmul(x, w.T)
    return y if bias is None else y + bias


def _rows(x):
    """All but the last dimension as one, a matrix."""
    return x if len(x.shape) == 2 else reshape_to(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _weight_rule(g, x, w_shape):
    rows = _rows(x)
    columns = transpose(reshape_to(g, (rows.shape[0], math.prod(w_shape[:-1]))), 0, 1)
    return reshape_to(matmul(columns, rows), w_shape)


linear.derivative(
    x=lambda g, w: matmul(g, w) if len(w.shape) == 2 else unsqueeze(g, -1) * w,
    w=_weight_rule,
    bias=lambda g, bias_shape: sum_to(g, bias_shape),
)


class BeforeActivation:
    """A gradient that still has to go through the activation behind the layer: the layer's kernel does it on the way."""

    __slots__ = ("code", "gradient", "out")

    base = None  # asked of a gradient: the array that owns its memory

    def __init__(self, gradient: np.ndarray, out: np.ndarray, code: int):
        self.gradient, self.out, self.code = gradient, out, code


def _backward(g, needs, x, w, bias_shape):
    """The rules above on arrays: two products of matrices and a sum of rows."""
    if g.__class__ is BeforeActivation:
        return kernels.linear_act_backward(g.gradient, x, w, g.out, g.code, *needs)
    if g.ndim != 2:  # a vector, stacks of rows, or a weight (IN,)
        rows, matrix = math.prod(x.shape[:-1]), w.reshape(-1, w.shape[-1])
        gx, gw, gb = _backward(g.reshape(rows, len(matrix)), needs, x.reshape(rows, w.shape[-1]), matrix, bias_shape)
        return (None if gx is None else gx.reshape(x.shape)), (None if gw is None else gw.reshape(w.shape)), gb
    gx, gw, gb = kernels.linear_act_backward(g, x, w, g, NONE, *needs)
    if gb is not None and gb.shape != bias_shape:
        gb = np.add.reduce(gb, keepdims=True).reshape(bias_shape)
    return gx, gw, gb


linear.derivative_on_arrays(_backward, fresh=True)
