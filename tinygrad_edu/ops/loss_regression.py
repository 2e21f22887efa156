"""Losses of regression, and those that are likelihoods of a distribution.

The common case of a mean over matching shapes is fused with its gradient into one kernel; everything else is composed.
"""

import math

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.ops.exponential import exp, log, xlogy
from tinygrad_edu.ops.loss_base import expect_tensors, fits_fused, reduced, reduction_of, warn_if_sizes_differ, weighted
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.reduction import sum_along
from tinygrad_edu.ops.rounding import abs as abs_
from tinygrad_edu.ops.shape import unsqueeze
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


# ---- regression -------------------------------------------------------------------------------------------------------------
@primitive(method=False, names=("input", "target"), node_name="MseLossBackward0")
def mse_mean(x, y, /, work):
    """Mean of (x - y)^2 with its slope in one pass."""
    loss, work.slope = kernels.mse_forward(x, y)
    return loss


mse_mean.derivative(
    x=lambda g, x, y, x_shape: g * (x - y) * (2.0 / max(1, math.prod(x_shape))),
    y=lambda g, x, y, x_shape: g * (y - x) * (2.0 / max(1, math.prod(x_shape))),
)


def _slope_both_ways(g, needs, work):
    slope = g * work.slope
    return (slope if needs[0] else None), (-slope if needs[1] else None)


mse_mean.derivative_on_arrays(_slope_both_ways, fresh=True)


@composite(method=False)
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Squared error, (input - target)^2, averaged over all elements.

    Parameters
    ----------
    input, target : Tensor
        Of one shape; other shapes broadcast, with the warning E103.
    reduction : {"mean", "sum", "none"}
    weight : Tensor, optional
        Weights of the elements; the mean is then a weighted one.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if weight is None and fits_fused(input, target, reduction):
        return mse_mean(input, target, Workspace())
    expect_tensors("mse_loss", input=input, target=target)
    warn_if_sizes_differ("mse_loss", input, target)
    difference = input - target
    return weighted(difference * difference, weight, reduction, "mse_loss")


@composite(method=False)
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Absolute error, |input - target|, averaged over all elements; at 0 its slope is 0."""
    expect_tensors("l1_loss", input=input, target=target)
    warn_if_sizes_differ("l1_loss", input, target)
    return weighted(abs_(input - target), weight, reduction_of(reduction, size_average, reduce), "l1_loss")


@composite(method=False)
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared near zero, absolute beyond: d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, with d = input - target.

    References
    ----------
    R. Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083.
    """
    expect_tensors("smooth_l1_loss", input=input, target=target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss: does not support negative values for beta. Fix: beta of 0 or more.")
    warn_if_sizes_differ("smooth_l1_loss", input, target)
    size = abs_(input - target)
    losses = size if beta == 0 else where(size < beta, size * size * (0.5 / beta), size - 0.5 * beta)
    return reduced(losses, reduction_of(reduction, size_average, reduce), "smooth_l1_loss")


@composite(method=False)
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Squared near zero, absolute beyond: d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = input - target.

    References
    ----------
    P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.
    """
    expect_tensors("huber_loss", input=input, target=target)
    if delta <= 0:
        raise RuntimeError("huber_loss: does not support non-positive values for delta. Fix: delta above 0.")
    warn_if_sizes_differ("huber_loss", input, target)
    size = abs_(input - target)
    losses = where(size <= delta, size * size * 0.5, (size - 0.5 * delta) * delta)
    return weighted(losses, weight, reduction, "huber_loss")


# ---- distributions ----------------------------------------------------------------------------------------------------------
@composite(method=False)
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence of log-probabilities `input` from `target`, target * (log target - input).

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum divided by the batch's size, is the mathematical definition; "mean" divides by all elements.
    log_target : bool
        Whether the target is given as log-probabilities too.
    """
    expect_tensors("kl_div", input=input, target=target)
    reduction = reduction_of(reduction, size_average, reduce)
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return sum_along(losses, None, False) / max(1, input.shape[0] if input.ndim else 1)
    return reduced(losses, reduction, "kl_div")


@composite(method=False)
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of counts under a Poisson distribution, exp(input) - target * input (without log(target!)).

    Parameters
    ----------
    log_input : bool
        Whether the input is the logarithm of the rate; otherwise input - target * log(input + eps).
    full : bool
        Add Stirling's approximation of log(target!) for targets above 1.
    """
    expect_tensors("poisson_nll_loss", input=input, target=target)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * np.pi * target)
        losses = losses + where(target > 1, stirling, 0.0)
    return reduced(losses, reduction_of(reduction, size_average, reduce), "poisson_nll_loss")


@composite(method=False)
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """Negative log-likelihood under normal distributions, (log var + (input - target)^2 / var) / 2.

    Parameters
    ----------
    var : Tensor or float
        Variances, of the input's shape, or with a last dimension of length 1 or missing; raised to at least `eps`.
    full : bool
        Add the constant log(2 pi) / 2.

    References
    ----------
    D. Nix and A. Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994.
    """
    op = "gaussian_nll_loss"
    expect_tensors(op, input=input, target=target)
    spread = var if isinstance(var, Tensor) else input.detach() * 0.0 + float(var)
    if spread.shape != input.shape:
        if spread.shape == input.shape[:-1]:
            spread = unsqueeze(spread, -1)
        elif not (spread.ndim == input.ndim and spread.shape[:-1] == input.shape[:-1] and spread.shape[-1] == 1):
            raise ValueRangeError(
                f"{op}: var is of incorrect size {tuple(spread.shape)} for input {tuple(input.shape)}."
            )
    if (spread._data < 0).any():
        raise ValueRangeError(f"{op}: var has negative entry/entries")
    lift = np.maximum(eps - spread._data, 0).astype(spread._data.dtype)
    safe = spread + wrap(lift)  # max(var, eps) with the slope of var
    losses = 0.5 * (log(safe) + (input - target) * (input - target) / safe)
    if full:
        losses = losses + 0.5 * float(np.log(2 * np.pi))
    return reduced(losses, reduction, op)
