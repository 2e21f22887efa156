"""Fast normalization: what one pass reads is still in the cache for the next.

Batch normalization goes channel by channel where a channel is a long stretch of memory (images), and column by column
where it is not (features, tiny images). Layer, group and instance normalization go row by row.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import norm_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import REORDER, compiled

SHORTEST = 16  # a channel's stretch of memory that is worth a loop of its own; shorter ones become columns


def batch_norm_forward(x, weight, bias, eps: float):
    if not x.size:
        return twin.batch_norm_forward(x, weight, bias, eps)
    n, channels = x.shape[:2]
    weight, bias = _affine(weight, bias, channels, x.dtype)
    mean, var, rstd = stats = np.empty((3, channels), x.dtype)
    y = empty(x.shape, x.dtype)
    pixels = x.size // (n * channels)
    forward = _forward_by_channel if pixels >= SHORTEST else _forward_by_column
    shape = (n, channels, pixels) if pixels >= SHORTEST else (n, channels * pixels)
    forward(np.ascontiguousarray(x).reshape(shape), weight, bias, eps, y.reshape(shape), stats)
    return y, mean, var, rstd


def batch_norm_backward(g, x, weight, mean, rstd):
    if not x.size:
        return twin.batch_norm_backward(g, x, weight, mean, rstd)
    n, channels = x.shape[:2]
    weight, _ = _affine(weight, mean, channels, x.dtype)
    gx, gw, gb = empty(x.shape, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    pixels = x.size // (n * channels)
    backward = _backward_by_channel if pixels >= SHORTEST else _backward_by_column
    shape = (n, channels, pixels) if pixels >= SHORTEST else (n, channels * pixels)
    g, rows = np.ascontiguousarray(g).reshape(shape), np.ascontiguousarray(x).reshape(shape)
    backward(g, rows, weight, mean, rstd, gx.reshape(shape), gw, gb)
    return gx, gw, gb


def row_norm_forward(x, weight, bias, eps: float):
    if not x.size:
        return twin.row_norm_forward(x, weight, bias, eps)
    groups = (1, 1) if weight is bias is None else bias.shape if weight is None else weight.shape
    weight, bias = _affine(weight, bias, groups, x.dtype)
    y, (mean, rstd) = empty(x.shape, x.dtype), np.empty((2, len(x)), x.dtype)
    forward = _forward_by_element if groups[1] == x.shape[1] else _forward_by_piece
    shape = _pieces(x, groups)
    forward(np.ascontiguousarray(x).reshape(shape), weight, bias, eps, y.reshape(shape), mean, rstd)
    return y, mean, rstd


def row_norm_backward(g, x, weight, mean, rstd, groups):
    if not x.size:
        return twin.row_norm_backward(g, x, weight, mean, rstd, groups)
    weight, _ = _affine(weight, mean, groups, x.dtype)
    gx, (gw, gb) = empty(x.shape, x.dtype), np.zeros((2, *groups), x.dtype)
    backward = _backward_by_element if groups[1] == x.shape[1] else _backward_by_piece
    shape = _pieces(x, groups)
    g, rows = np.ascontiguousarray(g).reshape(shape), np.ascontiguousarray(x).reshape(shape)
    backward(g, rows, weight, mean, rstd, gx.reshape(shape), gw, gb)
    return gx, gw, gb


def _pieces(x, groups):
    """The shape of x that has one weight for each of its stretches of memory."""
    pieces = groups[1]
    return x.shape if pieces == x.shape[1] else (x.shape[0], pieces, x.shape[1] // pieces)


def _affine(weight, bias, shape, dtype):
    """Weight and bias as the loops want them: in row-major order, and numbers that change nothing where there are none."""
    weight = np.ones(shape, dtype) if weight is None else np.ascontiguousarray(weight, dtype)
    return weight, np.zeros(shape, dtype) if bias is None else np.ascontiguousarray(bias, dtype)


# ---- sums over a stretch of memory, taken in its own precision -------------------------------------------------------
@compiled(REORDER, inline="always")
def _sum(row):
    total = row.dtype.type(0)
    for i in range(row.size):
        total += row[i]
    return total


@compiled(REORDER, inline="always")
def _sums_around(row, center):
    """The sums of row - center and of its squares."""
    total, squares = row.dtype.type(0), row.dtype.type(0)
    for i in range(row.size):
        d = row[i] - center
        total += d
        squares += d * d
    return total, squares


@compiled(inline="always")
def _statistics(center, total, squares, size):
    """Mean and variance of `size` numbers, from an estimate of the mean and the sums around it.

    A sum of large numbers is rounded so coarsely that its mean may be far off, as seen from a small spread; the differences
    from it are small numbers, whose sums are exact enough to put it right. Infinity stays what it is.
    """
    shift = total / size
    variance = squares / size - shift * shift
    return center + shift if abs(center) < np.inf else center, 0.0 if variance < 0.0 else variance


@compiled(REORDER, inline="always")
def _sum_of_products(slope, row, center):
    total = row.dtype.type(0)
    for i in range(row.size):
        total += slope[i] * (row[i] - center)
    return total


# ---- the batch, channels being long stretches of memory --------------------------------------------------------------
@compiled(REORDER)
def _forward_by_channel(x, weight, bias, eps, y, stats):
    """The mean of the first picture is near enough to that of all to begin with, which saves looking at all twice."""
    n, channels, pixels = x.shape
    mean, var, rstd = stats[0], stats[1], stats[2]
    for c in range(channels):
        estimate = _sum(x[0, c]) / x.dtype.type(pixels)
        if not abs(estimate) < np.inf:
            estimate = x.dtype.type(0)
        center, variance = _channel_statistics(x, c, estimate)
        if not (center - estimate) ** 2 <= 4.0 * variance:  # the first picture is unlike the others: digits were lost
            center, variance = _channel_statistics(x, c, x.dtype.type(center))
        mean[c], var[c] = center, variance
        rstd[c] = 1 / np.sqrt(variance + eps)
        scale = rstd[c] * weight[c]
        for i in range(n):
            row, out = x[i, c], y[i, c]
            for p in range(pixels):
                out[p] = (row[p] - mean[c]) * scale + bias[c]


@compiled(REORDER)
def _channel_statistics(x, c, estimate):
    """Mean and variance of a channel; sums over a plane are taken in x's own precision, over the planes in float64."""
    total, squares = 0.0, 0.0
    for i in range(x.shape[0]):
        part, square = _sums_around(x[i, c], estimate)
        total += part
        squares += square
    return _statistics(estimate, total, squares, float(x.shape[0] * x.shape[2]))


@compiled(REORDER)
def _backward_by_channel(g, x, weight, mean, rstd, gx, gw, gb):
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


# ---- the batch, column by column: x is (N, C * pixels) and a channel is `pixels` columns -----------------------------
@compiled(REORDER)
def _forward_by_column(x, weight, bias, eps, y, stats):
    n, columns = x.shape
    channels = weight.size
    pixels = columns // channels
    mean, var, rstd = stats[0], stats[1], stats[2]
    sums = np.zeros(columns)
    for i in range(n):
        for j in range(columns):
            sums[j] += x[i, j]
    for c in range(channels):
        mean[c] = sums[c * pixels : (c + 1) * pixels].sum() / (n * pixels)
    center = _widened(mean, pixels)
    sums[:] = 0
    for i in range(n):
        for j in range(columns):
            d = x[i, j] - center[j]
            sums[j] += d * d
    for c in range(channels):
        variance = sums[c * pixels : (c + 1) * pixels].sum() / (n * pixels)
        var[c] = variance
        rstd[c] = 1 / np.sqrt(variance + eps)
    scale, shift = _widened(rstd * weight, pixels), _widened(bias, pixels)
    for i in range(n):
        for j in range(columns):
            y[i, j] = (x[i, j] - center[j]) * scale[j] + shift[j]


@compiled(REORDER)
def _backward_by_column(g, x, weight, mean, rstd, gx, gw, gb):
    n, columns = x.shape
    channels = weight.size
    pixels = columns // channels
    center, totals, products = _widened(mean, pixels), np.zeros(columns), np.zeros(columns)
    for i in range(n):
        for j in range(columns):
            totals[j] += g[i, j]
        for j in range(columns):
            products[j] += g[i, j] * (x[i, j] - center[j])
    shift, slope = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    for c in range(channels):
        total = totals[c * pixels : (c + 1) * pixels].sum()
        product = products[c * pixels : (c + 1) * pixels].sum()
        gb[c] = total
        gw[c] = product * rstd[c]
        shift[c] = total / (n * pixels)
        slope[c] = product * rstd[c] * rstd[c] / (n * pixels)
    scale, shift, slope = _widened(rstd * weight, pixels), _widened(shift, pixels), _widened(slope, pixels)
    for i in range(n):
        for j in range(columns):
            gx[i, j] = scale[j] * (g[i, j] - shift[j] - (x[i, j] - center[j]) * slope[j])


@compiled()
def _widened(channel, pixels):
    """A number per channel, repeated for each of its columns."""
    return channel if pixels == 1 else np.repeat(channel, pixels)


# ---- rows; the loops are written out because a call per row would cost as much as a short row itself -----------------
@compiled(REORDER)
def _forward_by_element(x, weight, bias, eps, y, mean, rstd):
    """A weight for every element: x is (R, S)."""
    number = x.dtype.type
    for r in range(x.shape[0]):
        group = r % weight.shape[0]
        row, out, w, b = x[r], y[r], weight[group], bias[group]
        center = _sum(row) / number(row.size)
        rest, squares = _sums_around(row, center)
        exact, variance = _statistics(center, float(rest), float(squares), float(row.size))
        center, scale = number(exact), number(1 / np.sqrt(variance + eps))
        mean[r], rstd[r] = center, scale
        for j in range(row.size):
            out[j] = (row[j] - center) * scale * w[j] + b[j]


@compiled(REORDER)
def _forward_by_piece(x, weight, bias, eps, y, mean, rstd):
    """A weight for every stretch of elements: x is (R, K, S / K)."""
    rows, pieces, length = x.shape
    number, size = x.dtype.type, pieces * length
    for r in range(rows):
        total, rest, squares, group = 0.0, 0.0, 0.0, r % weight.shape[0]
        for k in range(pieces):
            total += _sum(x[r, k])
        center = number(total / size)
        for k in range(pieces):
            part, square = _sums_around(x[r, k], center)
            rest += part
            squares += square
        exact, variance = _statistics(center, rest, squares, float(size))
        center, scale = number(exact), number(1 / np.sqrt(variance + eps))
        mean[r], rstd[r] = center, scale
        for k in range(pieces):
            row, out, slope, shift = x[r, k], y[r, k], scale * weight[group, k], bias[group, k]
            for j in range(length):
                out[j] = (row[j] - center) * slope + shift


@compiled(REORDER)
def _backward_by_element(g, x, weight, mean, rstd, gx, gw, gb):
    number, size = x.dtype.type, x.dtype.type(x.shape[1])
    for r in range(x.shape[0]):
        group = r % weight.shape[0]
        up, row, out, w, center, scale = g[r], x[r], gx[r], weight[group], mean[r], rstd[r]
        total, products = number(0), number(0)
        for j in range(row.size):
            slope = up[j] * w[j]
            total += slope
            products += slope * (row[j] - center)
        shift, tilt = total / size, products * scale * scale / size
        for j in range(row.size):
            out[j] = scale * (up[j] * w[j] - shift - (row[j] - center) * tilt)
    _add_by_element(g, x, mean, rstd, gw, gb)


@compiled(REORDER)
def _add_by_element(g, x, mean, rstd, gw, gb):
    """gw = sum of g * xn and gb = sum of g; a pass of its own because loops over fewer arrays are vectorized better."""
    for r in range(x.shape[0]):
        group = r % gw.shape[0]
        up, row, center, scale, weights, biases = g[r], x[r], mean[r], rstd[r], gw[group], gb[group]
        for j in range(row.size):
            biases[j] += up[j]
        for j in range(row.size):
            weights[j] += up[j] * ((row[j] - center) * scale)


@compiled(REORDER)
def _backward_by_piece(g, x, weight, mean, rstd, gx, gw, gb):
    rows, pieces, length = x.shape
    number, size = x.dtype.type, pieces * length
    for r in range(rows):
        total, products, group, center, scale = 0.0, 0.0, r % weight.shape[0], mean[r], rstd[r]
        for k in range(pieces):
            part, product = _sum(g[r, k]), _sum_of_products(g[r, k], x[r, k], center)
            total += part * weight[group, k]
            products += product * weight[group, k]
            gb[group, k] += part
            gw[group, k] += product * scale
        shift, tilt = number(total / size), number(products * scale * scale / size)
        for k in range(pieces):
            row, up, out, w = x[r, k], g[r, k], gx[r, k], weight[group, k]
            for j in range(length):
                out[j] = scale * (up[j] * w - shift - (row[j] - center) * tilt)
