"""Losses in one call: NumPy needs a pass and an array for every step of the same formulas.

Rows are often short (ten classes), shorter than a vector register is wide. So every exponential is taken over many rows
as if they were one long row, a block that stays in the cache; only maxima, sums and logarithms go row by row. float64 is
left to NumPy, whose exponential is the better one there.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.kernels import loss_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import EXACT, REORDER, compiled
from tinygrad_edu.kernels.elementwise_scalars import exp32

f32 = np.float32
BLOCK = 4096  # elements that are worked on at a time


def softmax(x) -> np.ndarray:
    if x.dtype != f32 or not x.size:
        return twin.softmax(x)
    rows, y = _rows(x)
    _softmax(rows, y)
    return y.reshape(x.shape)


def softmax_grad(g, y) -> np.ndarray:
    if g.shape != y.shape or g.dtype != y.dtype or not y.size:
        return twin.softmax_grad(g, y)
    rows, gx = _rows(y)
    _softmax_grad(np.ascontiguousarray(g).reshape(rows.shape), rows, gx)
    return gx.reshape(y.shape)


def log_softmax_grad(g, y) -> np.ndarray:
    if y.dtype != f32 or g.dtype != f32 or g.shape != y.shape or not y.size:
        return twin.log_softmax_grad(g, y)
    rows, gx = _rows(y)
    _log_softmax_grad(np.ascontiguousarray(g).reshape(rows.shape), rows, gx)
    return gx.reshape(y.shape)


def log_softmax(x) -> np.ndarray:
    if x.dtype != f32 or not x.size:
        return twin.log_softmax(x)
    rows, y = _rows(x)
    _log_softmax(rows, y)
    return y.reshape(x.shape)


def cross_entropy_forward(logits, target):
    if logits.dtype != f32 or not logits.size:
        return twin.cross_entropy_forward(logits, target)
    logits, grad = np.ascontiguousarray(logits), np.empty(logits.shape, f32)
    loss = _cross_entropy(logits, np.ascontiguousarray(target, np.int64), grad)
    if loss < 0:  # a target outside the classes: the twin names it
        return twin.cross_entropy_forward(logits, target)
    return f32(loss), grad


def mse_forward(x, target):
    if x.shape != target.shape or not x.size:
        return twin.mse_forward(x, target)
    x, grad = np.ascontiguousarray(x), empty(x.shape, x.dtype)
    loss = _mse(x.reshape(-1), np.ascontiguousarray(target).reshape(-1), grad.reshape(-1))
    return x.dtype.type(loss), grad


def bce_with_logits_forward(x, target):
    if x.dtype != f32 or x.shape != target.shape or not x.size:
        return twin.bce_with_logits_forward(x, target)
    x, grad = np.ascontiguousarray(x), np.empty(x.shape, f32)
    loss = _bce_with_logits(x.reshape(-1), np.ascontiguousarray(target).reshape(-1), grad.reshape(-1))
    return f32(loss), grad


def _rows(x):
    x = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    return x, empty(x.shape, x.dtype)


@compiled()
def _minus_row_maximum(x, shifted):
    bits = x.view(np.int32)
    for i in range(x.shape[0]):
        top = x[i, 0]
        if x.shape[1] < 16:
            for j in range(1, x.shape[1]):
                top = x[i, j] if x[i, j] > top else top
        else:
            top = _long_row_maximum(bits[i])
        for j in range(x.shape[1]):
            shifted[i, j] = x[i, j] - top


@compiled(inline="always")
def _long_row_maximum(row):
    """The maximum of a row of float32, given as their bits: whole numbers, of which a vector is compared at a time.

    A NaN comes above or below all numbers, by its sign; either way it spoils the row's sum of exponentials later.
    """
    top = np.int32(-(2**31))
    for j in range(row.size):
        place = _place_in_order(row[j])
        top = place if place > top else top
    return _place_in_order(top).view(np.float32)


@compiled(inline="always")
def _place_in_order(bits):
    """The bits of a float32 as a whole number that is larger when the float32 is; its own inverse.

    Positive ones are in order as they are; of negative ones all bits but the sign are turned around. Numba makes int64 of
    every result of two int32, which would halve the vectors; hence the conversions.
    """
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled()
def _exp_all(x):
    flat = x.reshape(x.size)
    for k in range(flat.size):
        flat[k] = exp32(flat[k])


@compiled()
def _exp_into(powers, x):
    flat, source = powers.reshape(powers.size), x.reshape(x.size)
    for k in range(flat.size):
        flat[k] = exp32(source[k])


@compiled(REORDER)
def _row_sum(row):
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j]
    return total


@compiled()
def _block_of_rows(classes):
    return max(1, BLOCK // classes)


@compiled(EXACT)
def _softmax(x, y):
    step = _block_of_rows(x.shape[1])
    for start in range(0, x.shape[0], step):
        block = y[start : start + step]
        _minus_row_maximum(x[start : start + step], block)
        _exp_all(block)
        for i in range(block.shape[0]):
            inverse = f32(1) / _row_sum(block[i])
            for j in range(block.shape[1]):
                block[i, j] *= inverse


@compiled(REORDER)
def _softmax_grad(g, y, gx):
    for i in range(y.shape[0]):
        slope, row, out = g[i], y[i], gx[i]
        mean = y.dtype.type(0)
        for j in range(row.size):
            mean += slope[j] * row[j]
        for j in range(row.size):
            out[j] = row[j] * (slope[j] - mean)


@compiled(EXACT)
def _log_softmax_grad(g, y, gx):
    step = _block_of_rows(y.shape[1])
    for start in range(0, y.shape[0], step):
        block = gx[start : start + step]
        _exp_into(block, y[start : start + step])
        for i in range(block.shape[0]):
            row, total = g[start + i], _row_sum(g[start + i])
            for j in range(block.shape[1]):
                block[i, j] = row[j] - block[i, j] * total


@compiled(EXACT)
def _log_softmax(x, y):
    step = _block_of_rows(x.shape[1])
    work = np.empty((min(step, x.shape[0]), x.shape[1]), f32)
    for start in range(0, x.shape[0], step):
        block = y[start : start + step]
        powers = work[: block.shape[0]]
        _minus_row_maximum(x[start : start + step], block)
        _exp_into(powers, block)
        for i in range(block.shape[0]):
            log = f32(math.log(_row_sum(powers[i])))
            for j in range(block.shape[1]):
                block[i, j] -= log


@compiled(EXACT)
def _cross_entropy(logits, target, grad):
    """The mean loss, or -1 (which no loss can be) when a target is not one of the classes."""
    count, classes = logits.shape
    loss = 0.0
    _minus_row_maximum(logits, grad)
    for i in range(count):
        if target[i] < 0 or target[i] >= classes:
            return -1.0
        loss -= grad[i, target[i]]
    _exp_all(grad)
    share = f32(1) / f32(count)
    for i in range(count):
        total = _row_sum(grad[i])
        loss += math.log(total)
        scale = share / total
        for j in range(classes):
            grad[i, j] *= scale
        grad[i, target[i]] -= share
    return loss / count


@compiled(REORDER)
def _mse(x, target, grad):
    total = x.dtype.type(0)
    scale = x.dtype.type(2.0 / x.size)
    for k in range(x.size):
        difference = x[k] - target[k]
        total += difference * difference
        grad[k] = difference * scale
    return total / x.size


@compiled(inline="always")
def _log1p(s):
    """log(1 + s) for s from 0 to 1: with t = s/(2+s) it is log((1+t)/(1-t)) = 2 (t + t^3/3 + t^5/5 + ...), t <= 1/3."""
    t = s / (f32(2) + s)
    q = t * t
    series = f32(1 / 13) + q * f32(1 / 15)
    series = f32(1 / 11) + q * series
    series = f32(1 / 9) + q * series
    series = f32(1 / 7) + q * series
    series = f32(1 / 5) + q * series
    series = f32(1 / 3) + q * series
    return f32(2) * (t + t * (q * series))


@compiled(REORDER)
def _bce_with_logits(x, target, grad):
    share = f32(1) / f32(x.size)
    loss = 0.0
    for k in range(x.size):
        small = exp32(-abs(x[k]))
        larger = x[k] if x[k] > f32(0) else f32(0)
        loss += larger - x[k] * target[k] + _log1p(small)
        probability = (small if x[k] < f32(0) else f32(1)) / (f32(1) + small)
        grad[k] = (probability - target[k]) * share
    return loss / x.size
