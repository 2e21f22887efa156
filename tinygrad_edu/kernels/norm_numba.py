"""Fast batch normalization: channel by channel, so that what one pass reads is still in the cache for the next."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import norm_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import REORDER, compiled

SHORTEST = 16  # a channel's stretch of memory; below this (as for (N, C) inputs) whole-array operations are better


def batch_norm_forward(x, weight, bias, eps: float):
    planes = _planes(x)
    if planes is None:
        return twin.batch_norm_forward(x, weight, bias, eps)
    channels = x.shape[1]
    weight = np.ones(channels, x.dtype) if weight is None else weight
    bias = np.zeros(channels, x.dtype) if bias is None else bias
    mean, var, rstd = (np.empty(channels, x.dtype) for _ in range(3))
    y = empty(planes.shape, x.dtype)
    _forward(planes, weight, bias, eps, y, mean, var, rstd)
    return y.reshape(x.shape), mean, var, rstd


def batch_norm_backward(g, x, weight, mean, rstd):
    planes = _planes(x)
    if planes is None:
        return twin.batch_norm_backward(g, x, weight, mean, rstd)
    channels = x.shape[1]
    weight = np.ones(channels, x.dtype) if weight is None else weight
    gx, gw, gb = empty(planes.shape, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    _backward(np.ascontiguousarray(g).reshape(planes.shape), planes, weight, mean, rstd, gx, gw, gb)
    return gx.reshape(x.shape), gw, gb


def _planes(x):
    """The array as (N, C, P), or None where another layout is faster."""
    n, channels = x.shape[:2]
    if x.size == 0 or x.size // (n * channels) < SHORTEST:
        return None
    return np.ascontiguousarray(x).reshape(n, channels, -1)


@compiled(REORDER)
def _sum(row):
    total = row.dtype.type(0)
    for i in range(row.size):
        total += row[i]
    return total


@compiled(REORDER)
def _sum_of_squares(row, center):
    total = row.dtype.type(0)
    for i in range(row.size):
        d = row[i] - center
        total += d * d
    return total


@compiled(REORDER)
def _sum_of_products(slope, row, center):
    total = row.dtype.type(0)
    for i in range(row.size):
        total += slope[i] * (row[i] - center)
    return total


@compiled(REORDER)
def _forward(x, weight, bias, eps, y, mean, var, rstd):
    """Sums over a plane are taken in x's own precision, over the planes in float64."""
    n, channels, pixels = x.shape
    for c in range(channels):
        total, squares = 0.0, 0.0
        for i in range(n):
            total += _sum(x[i, c])
        mean[c] = total / (n * pixels)
        for i in range(n):  # a second look at the data: sum(x^2) - mean^2 would lose the digits of a small variance
            squares += _sum_of_squares(x[i, c], mean[c])
        var[c] = squares / (n * pixels)
        rstd[c] = 1 / np.sqrt(squares / (n * pixels) + eps)
        scale = rstd[c] * weight[c]
        for i in range(n):
            row, out = x[i, c], y[i, c]
            for p in range(pixels):
                out[p] = (row[p] - mean[c]) * scale + bias[c]


@compiled(REORDER)
def _backward(g, x, weight, mean, rstd, gx, gw, gb):
    n, channels, pixels = x.shape
    for c in range(channels):
        total, products = 0.0, 0.0
        for i in range(n):
            total += _sum(g[i, c])
            products += _sum_of_products(g[i, c], x[i, c], mean[c])
        gb[c] = total
        gw[c] = products * rstd[c]
        scale = weight[c] * rstd[c]
        shift = x.dtype.type(total / (n * pixels))
        slope = x.dtype.type(products * rstd[c] * rstd[c] / (n * pixels))
        for i in range(n):
            row, up, out = x[i, c], g[i, c], gx[i, c]
            for p in range(pixels):
                out[p] = scale * (up[p] - shift - (row[p] - mean[c]) * slope)
