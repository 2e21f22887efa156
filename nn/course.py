"""Activations and losses that courses teach and PyTorch leaves out; most are known from Keras.

They stand apart, as ``nn.course``, so that what is in ``nn`` itself is what PyTorch has. In every loss `input` is the prediction,
`target` what it should be, and `reduction` is "mean", "sum" or "none".
"""

import math
from collections.abc import Callable

from tinygrad_edu.nn.functional import cosine_similarity, softplus
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.loss_base import expect_tensors, reduced, warn_if_sizes_differ
from tinygrad_edu.ops.rounding import sign
from tinygrad_edu.ops.trigonometric import atan
from tinygrad_edu.tensor import Tensor

__all__ = [
    "Arctan", "BinaryStep", "CategoricalHingeLoss", "CosineProximityLoss", "HingeLoss", "LogCoshLoss", "MAPELoss", "MSLELoss",
    "SquaredHingeLoss", "arctan", "binary_step", "categorical_hinge", "cosine_proximity", "hinge", "log_cosh",
    "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "squared_hinge",
]  # fmt: skip

SMALL = 1e-7  # keeps denominators and logarithms away from zero


# ---- activations ------------------------------------------------------------------------------------------------------------
def binary_step(input: Tensor) -> Tensor:
    """1 where x >= 0, else 0: the perceptron's activation. Its derivative is 0 everywhere, so nothing can be learnt through it.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.nn.course.binary_step(tg.tensor([-0.5, 0., 2.])).tolist()
    [0.0, 1.0, 1.0]
    """
    expect_tensors("binary_step", input=input)
    return (sign(sign(input) + 0.5) + 1) / 2  # the inner sign makes 0 count as positive


def arctan(input: Tensor) -> Tensor:
    """arctan(x), between -pi/2 and pi/2; the derivative is 1 / (1 + x^2)."""
    expect_tensors("arctan", input=input)
    return atan(input)


class BinaryStep(Module):
    """:func:`binary_step` as a layer."""

    def forward(self, input: Tensor) -> Tensor:
        """Return 1 where the input is not negative, else 0."""
        return binary_step(input)


class Arctan(Module):
    """:func:`arctan` as a layer."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the arctangent."""
        return arctan(input)


# ---- losses of regression ---------------------------------------------------------------------------------------------------
def mean_absolute_percentage_error(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """100 |target - input| / |target|: an error of 5 counts more at 10 than at 1000. Targets below 1e-7 count as 1e-7."""
    _check("mean_absolute_percentage_error", input, target)
    return reduced(
        100 * abs(target - input) / abs(target).clamp(min=SMALL), reduction, "mean_absolute_percentage_error"
    )


def mean_squared_logarithmic_error(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(log(1 + target) - log(1 + input))^2, for quantities over several powers of ten. Negative values count as 1e-7."""
    _check("mean_squared_logarithmic_error", input, target)
    difference = log(target.clamp(min=SMALL) + 1) - log(input.clamp(min=SMALL) + 1)
    return reduced(difference * difference, reduction, "mean_squared_logarithmic_error")


def log_cosh(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(cosh(d)) of d = input - target: about d^2 / 2 near zero and |d| - log 2 far away; the derivative is tanh(d).

    It is computed as d + log(1 + exp(-2 d)) - log 2, where cosh would overflow.
    """
    _check("log_cosh", input, target)
    d = input - target
    return reduced(d + softplus(-2 * d) - math.log(2), reduction, "log_cosh")


# ---- losses of classification -----------------------------------------------------------------------------------------------
def hinge(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 - target * input) for targets -1 and 1; targets that are all 0 or 1 are understood as -1 and 1."""
    _check("hinge", input, target)
    return reduced((1 - _signs("hinge", target) * input).clamp(min=0), reduction, "hinge")


def squared_hinge(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 - target * input)^2; targets as for :func:`hinge`."""
    _check("squared_hinge", input, target)
    margin = (1 - _signs("squared_hinge", target) * input).clamp(min=0)
    return reduced(margin * margin, reduction, "squared_hinge")


def categorical_hinge(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """max(0, 1 + best wrong score - right score), for one-hot targets (..., C); one number for each row.

    The best wrong score is max((1 - target) * input) and the right one is sum(target * input).
    """
    _check("categorical_hinge", input, target)
    right, wrong = (target * input).sum(-1), ((1 - target) * input).amax(-1)
    return reduced((wrong - right + 1).clamp(min=0), reduction, "categorical_hinge")


def cosine_proximity(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """-cos of the angle between the rows of input and target: -1 where they point the same way, 1 where opposite."""
    _check("cosine_proximity", input, target)
    return reduced(-cosine_similarity(input, target, -1), reduction, "cosine_proximity")


def _check(name: str, input: Tensor, target: Tensor) -> None:
    expect_tensors(name, input=input, target=target)
    warn_if_sizes_differ(name, input, target)


def _signs(name: str, target: Tensor) -> Tensor:
    """Return targets as -1 and 1."""
    values = {float(v) for v in target.unique().tolist()}
    if values <= {-1.0, 1.0}:
        return target
    if values <= {0.0, 1.0}:
        return 2 * target - 1
    raise ValueError(
        f"{name}: targets must be -1 or 1 (or 0 or 1), got {sorted(values)[:5]}. Fix: tg.where(y > 0, 1.0, -1.0)."
    )


# ---- the same as layers -----------------------------------------------------------------------------------------------------
class _CourseLoss(Module):
    """Holds the reduction and calls a function."""

    function: Callable[..., Tensor]

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return type(self).function(input, target, self.reduction)


class MAPELoss(_CourseLoss):
    """:func:`mean_absolute_percentage_error` as a layer."""

    function = mean_absolute_percentage_error


class MSLELoss(_CourseLoss):
    """:func:`mean_squared_logarithmic_error` as a layer."""

    function = mean_squared_logarithmic_error


class LogCoshLoss(_CourseLoss):
    """:func:`log_cosh` as a layer.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> round(tg.nn.course.LogCoshLoss()(tg.tensor([1.]), tg.tensor([3.])).item(), 4)
    1.325
    """

    function = log_cosh


class HingeLoss(_CourseLoss):
    """:func:`hinge` as a layer."""

    function = hinge


class SquaredHingeLoss(_CourseLoss):
    """:func:`squared_hinge` as a layer."""

    function = squared_hinge


class CategoricalHingeLoss(_CourseLoss):
    """:func:`categorical_hinge` as a layer."""

    function = categorical_hinge


class CosineProximityLoss(_CourseLoss):
    """:func:`cosine_proximity` as a layer."""

    function = cosine_proximity
