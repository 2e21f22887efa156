"""Losses of yes and no: cross-entropy of single probabilities, or of the logits that a sigmoid makes them from."""

import math

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import DtypeError, ValueRangeError, message
from tinygrad_edu.ops.activation import logsigmoid, sigmoid
from tinygrad_edu.ops.exponential import log, log1p
from tinygrad_edu.ops.loss_base import expect_tensors, fits_fused, reduced, reduction_of, same_shape_fix
from tinygrad_edu.ops.rounding import clamp_to
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]

_SMALLEST_LOG = -100.0  # a certain answer that is wrong costs 100, not infinity


@primitive(method=False, elementwise=True, names=("input", "target"), node_name="BinaryCrossEntropyBackward0")
@quietly
def binary_entropy(x, y, /):
    """-(y log x + (1 - y) log(1 - x)), logarithms at least -100."""
    floor = x.dtype.type(_SMALLEST_LOG)
    return (y - 1) * np.maximum(np.log1p(-x), floor) - y * np.maximum(np.log(x), floor)


binary_entropy.derivative(
    x=lambda g, x, y: g * (x - y) / clamp_to((1.0 - x) * x, 1e-12, None),
    y=lambda g, x: g * (log1p(-x) - log(x)),
)


@primitive(method=False, names=("input", "target"), node_name="BinaryCrossEntropyBackward0")
def binary_entropy_mean(x, y, /):
    """The mean of :func:`binary_entropy`."""
    losses = binary_entropy.op.forward(x, y)
    return np.add.reduce(losses, None) / x.dtype.type(max(1, losses.size)) if losses.size else x.dtype.type(np.nan)


binary_entropy_mean.derivative(
    x=lambda g, x, y, x_shape: g * (1.0 / max(1, math.prod(x_shape))) * (x - y) / clamp_to((1.0 - x) * x, 1e-12, None),
    y=lambda g, x, x_shape: g * (1.0 / max(1, math.prod(x_shape))) * (log1p(-x) - log(x)),
)


@composite(method=False)
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of probabilities against targets in [0, 1], -(t log p + (1 - t) log(1 - p)); logarithms are cut at -100.

    Parameters
    ----------
    input, target : Tensor
        Of one shape; the input in [0, 1]. With logits use :func:`binary_cross_entropy_with_logits`, which is exact for large ones.
    weight : Tensor, optional
        Broadcasts to the losses.

    Raises
    ------
    ValueError
        If the shapes differ.
    RuntimeError
        If an input lies outside [0, 1] or the dtypes differ.
    """
    op = "binary_cross_entropy"
    expect_tensors(op, input=input, target=target)
    _require_one_shape(op, input, target)
    x = input._data
    if x.size and not (np.minimum.reduce(x, None) >= 0 and np.maximum.reduce(x, None) <= 1):
        raise RuntimeError(
            f"{op}: all elements of input should be between 0 and 1, but they go from {x.min():.6g} to {x.max():.6g}. "
            "Fix: apply a sigmoid, or better use binary_cross_entropy_with_logits on the logits."
        )
    reduction = reduction_of(reduction, size_average, reduce)
    if weight is None and fits_fused(input, target, reduction):
        return binary_entropy_mean(input, target)
    losses = binary_entropy(input, target)
    return reduced(losses if weight is None else losses * weight, reduction, op)


def _require_one_shape(op: str, input: Tensor, target: Tensor) -> None:
    x, y = input._data, target._data
    if x.shape != y.shape:
        facts = f"Target size ({y.shape}) must be the same as input size ({x.shape})."
        raise ValueRangeError(message("E103", op, facts, same_shape_fix(x.shape, y.shape)))
    if y.dtype.kind != "f":
        facts = f"Found dtype {target.dtype.name} for the target but expected {input.dtype.name}."
        raise DtypeError(message("E108", op, facts, "target.float() makes 0. and 1. of the labels."))


@primitive(method=False, names=("input", "target"), node_name="BinaryCrossEntropyWithLogitsBackward0")
def logits_entropy_mean(x, y, /, work):
    """Mean of max(x, 0) - x * y + log(1 + exp(-|x|)) with its slope in one pass."""
    loss, work.slope = kernels.bce_with_logits_forward(x, y)
    return loss


logits_entropy_mean.derivative(
    x=lambda g, x, y, x_shape: g * (sigmoid(x) - y) * (1.0 / max(1, math.prod(x_shape))),
    y=lambda g, x, x_shape: -g * x * (1.0 / max(1, math.prod(x_shape))),
)
logits_entropy_mean.derivative_on_arrays(
    lambda g, needs, x, work: (
        g * work.slope if needs[0] else None,
        g * x * x.dtype.type(-1.0 / max(1, x.size)) if needs[1] else None,
    ),
    fresh=True,
)


@composite(method=False)
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of sigmoid(input) against targets in [0, 1], computed from the logits so that nothing overflows.

    loss = max(x, 0) - x t + log(1 + exp(-|x|))

    Parameters
    ----------
    input, target : Tensor
        Of one shape.
    weight : Tensor, optional
        Broadcasts to the losses.
    pos_weight : Tensor, optional
        Weight of the positive answers, by class; broadcasts to the target.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if weight is None and pos_weight is None and fits_fused(input, target, reduction):
        return logits_entropy_mean(input, target, Workspace())
    op = "binary_cross_entropy_with_logits"
    expect_tensors(op, input=input, target=target)
    _require_one_shape(op, input, target)
    log_yes = logsigmoid(input)
    scale = log_yes if pos_weight is None else log_yes * ((pos_weight - 1.0) * target + 1.0)
    losses = (1.0 - target) * input - scale
    return reduced(losses if weight is None else losses * weight, reduction, op)
