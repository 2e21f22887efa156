"""Batch normalization in NumPy."""

from __future__ import annotations

import numpy as np


def batch_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every channel with the mean and variance of the batch (training mode) [1]_.

    y = (x - mean) / sqrt(var + eps) * weight + bias

    Parameters
    ----------
    x : array (N, C, ...)
        Statistics are taken over everything but dimension 1.
    weight, bias : array (C,) or None
    eps : float

    Returns
    -------
    y : array like x
    mean : array (C,)
    var : array (C,)
        The biased variance (divided by the count), which normalizes; running statistics use count/(count-1) of it.
    rstd : array (C,)
        1 / sqrt(var + eps), for the backward pass.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167.
    """
    axes, column = _layout(x)
    mean, var = x.mean(axes), x.var(axes)
    rstd = (1 / np.sqrt(var + eps)).astype(x.dtype)
    y = (x - mean.reshape(column)) * (rstd if weight is None else rstd * weight).reshape(column)
    return (y if bias is None else y + bias.reshape(column)), mean, var, rstd


def batch_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `batch_norm_forward`; the batch's mean and variance depend on x too, which gives the two means.

    With xn = (x - mean) * rstd: gw = sum(g * xn), gb = sum(g), gx = weight * rstd * (g - mean(g) - xn * mean(g * xn))

    Returns
    -------
    gx : array like x
    gw, gb : array (C,)
    """
    axes, column = _layout(x)
    normal = (x - mean.reshape(column)) * rstd.reshape(column)
    gw, gb = (g * normal).sum(axes), g.sum(axes)
    count = max(1, x.size // max(1, x.shape[1]))
    scale = rstd if weight is None else rstd * weight
    gx = scale.reshape(column) * (g - (gb / count).reshape(column) - normal * (gw / count).reshape(column))
    return gx.astype(x.dtype), gw, gb


def _layout(x: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All axes but the channels, and the shape that lines a per-channel array up with x."""
    return (0, *range(2, x.ndim)), (1, x.shape[1], *[1] * (x.ndim - 2))
