"""Batch normalization and the normalization of rows (layer, group and instance normalization) in NumPy."""

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
    # Down a column NumPy adds one number after the other: in float32 a large batch would lose digits.
    mean, var = (statistic(axes, dtype=np.float64).astype(x.dtype) for statistic in (x.mean, x.var))
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


def row_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every row with its own mean and variance.

    y = (x - mean) / sqrt(var + eps) * weight + bias

    Parameters
    ----------
    x : array (R, S)
        A row is what is normalized together: the features of a sample, or a group of its channels.
    weight, bias : array (G, K) or None
        G divides R and K divides S. Row r has the weights ``weight[r % G]``, each for S / K elements in a row: (1, S) is layer
        normalization, (groups, channels of a group) is group normalization.
    eps : float

    Returns
    -------
    y : array (R, S)
    mean, rstd : array (R,)
        rstd is 1 / sqrt(var + eps), with the biased variance.
    """
    size = x.dtype.type(max(1, x.shape[1]))
    mean = np.add.reduce(x, 1) / size
    y = x - mean[:, None]
    rstd = (1 / np.sqrt(np.vecdot(y, y) / size + eps)).astype(x.dtype)
    y *= rstd[:, None]
    if weight is not None:
        y = _scaled(y, weight)
    if bias is not None:
        y = (_pieces(y, bias) + bias[:, :, None]).reshape(x.shape)
    return y, mean, rstd


def row_norm_backward(
    g: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray, groups: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `row_norm_forward`; a row's mean and variance depend on x too, which gives the two means.

    With xn = (x - mean) * rstd and s = g * weight: gw = sum(g * xn), gb = sum(g), gx = rstd * (s - mean(s) - xn * mean(s * xn))

    Parameters
    ----------
    groups : (G, K)
        The shape of weight and bias, which may both be missing.

    Returns
    -------
    gx : array (R, S)
    gw, gb : array (G, K)
    """
    size, affine = x.dtype.type(max(1, x.shape[1])), np.empty(groups, x.dtype)
    normal = (x - mean[:, None]) * rstd[:, None]
    gw, gb = _pieces(g * normal, affine).sum((0, 3)), _pieces(g, affine).sum((0, 3))
    slope = g if weight is None else _scaled(g, weight)
    normal *= (np.vecdot(slope, normal) / size)[:, None]
    gx = slope - (np.add.reduce(slope, 1) / size)[:, None]
    gx -= normal
    gx *= rstd[:, None]
    return gx, gw, gb


def _pieces(rows: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The rows as (R / G, G, K, S / K), which lines a (G, K) array up with its elements."""
    (g, k), (r, s) = affine.shape, rows.shape
    return rows.reshape(r // max(1, g), g, k, s // max(1, k))


def _scaled(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return (_pieces(rows, weight) * weight[:, :, None]).reshape(rows.shape)
