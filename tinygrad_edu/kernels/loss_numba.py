"""Losses in one call: NumPy needs a pass and an array for every step of the same formulas.

Rows are often short (ten classes), shorter than a vector register is wide. So every exponential is taken over many rows
as if they were one long row, a block that stays in the cache; only maxima, sums and logarithms go row by row. float64 is
left to NumPy, whose exponential is the better one there.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from tinygrad_edu.kernels import loss_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import EXACT, REORDER, compiled
from tinygrad_edu.kernels.elementwise_scalars import exp32, exp_of, log1m_of, log1p_of, log32, log_of
from tinygrad_edu.kernels.threads import chunks, run_chunks

f32 = np.float32
BLOCK = 4096  # elements that are worked on at a time
WORK = 70.0  # multiply-adds that take as long as an element of a softmax


def softmax(x) -> np.ndarray:
    if x.dtype != f32 or not x.size:
        return twin.softmax(x)
    return _by_rows(_softmax, x)


def softmax_grad(g, y) -> np.ndarray:
    if g.shape != y.shape or g.dtype != y.dtype or not y.size:
        return twin.softmax_grad(g, y)
    return _by_rows(_softmax_grad, g, y)


def log_softmax_grad(g, y) -> np.ndarray:
    if y.dtype != f32 or g.dtype != f32 or g.shape != y.shape or not y.size:
        return twin.log_softmax_grad(g, y)
    return _by_rows(_log_softmax_grad, g, y)


def log_softmax(x) -> np.ndarray:
    if x.dtype != f32 or not x.size:
        return twin.log_softmax(x)
    return _by_rows(_log_softmax, x)


def cross_entropy_forward(logits, target):
    if not logits.size:
        return twin.cross_entropy_forward(logits, target)
    logits, grad = np.ascontiguousarray(logits), empty(logits.shape, logits.dtype)
    loss = cross_entropy_into(logits, np.ascontiguousarray(target, np.int64), grad)
    if loss < 0:  # a target outside the classes: the twin names it
        return twin.cross_entropy_forward(logits, target)
    return logits.dtype.type(loss), grad


def mse_forward(x, target):
    return _with_gradient(mse_into, x, target) or twin.mse_forward(x, target)


def bce_with_logits_forward(x, target):
    return _with_gradient(bce_with_logits_into, x, target) or twin.bce_with_logits_forward(x, target)


def _with_gradient(loss_into, x, target):
    """Loss and gradient; None for arrays of different kinds, which are NumPy's business."""
    if x.shape != target.shape or x.dtype != target.dtype:
        return None
    x, grad = np.ascontiguousarray(x), empty(x.shape, x.dtype)
    return x.dtype.type(loss_into(x, np.ascontiguousarray(target), grad)), grad


def _by_rows(function, *arrays):
    """Call function(*arrays, result) with the arrays as matrices whose rows are the last dimension, on several threads."""
    shape = arrays[0].shape
    rows = [np.ascontiguousarray(array).reshape(-1, shape[-1]) for array in arrays]
    rows.append(empty(rows[0].shape, rows[0].dtype))
    pieces = chunks(len(rows[0]), WORK * rows[0].size)
    if len(pieces) == 1:
        function(*rows)
    else:
        run_chunks(lambda i, start, stop: function(*(array[start:stop] for array in rows)), pieces)
    return rows[-1].reshape(shape)


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
    if y.shape[1] >= 256 or y.shape[1] % 16 == 0:  # long rows leave next to nothing for after the last whole vector
        for i in range(y.shape[0]):
            slope, row, out, total = g[i], y[i], gx[i], _row_sum(g[i])
            for j in range(row.size):
                out[j] = slope[j] - exp32(row[j]) * total
        return
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
    work, logs = np.empty((min(step, x.shape[0]), x.shape[1]), f32), np.empty(step, f32)
    for start in range(0, x.shape[0], step):
        block = y[start : start + step]
        powers = work[: block.shape[0]]
        _minus_row_maximum(x[start : start + step], block)
        _exp_into(powers, block)
        for i in range(block.shape[0]):
            logs[i] = _row_sum(powers[i])
        for i in range(block.shape[0]):
            logs[i] = log32(logs[i])
        for i in range(block.shape[0]):
            for j in range(block.shape[1]):
                block[i, j] -= logs[i]


# ---- losses for other compiled functions: row-major arrays of one dtype; the gradient is written, the loss returned ----------
@compiled(EXACT)
def cross_entropy_into(scores, labels, gradient):
    count, classes = scores.shape
    for i in range(count):
        if labels[i] < 0 or labels[i] >= classes:
            return scores.dtype.type(-1)
    _less_row_maximum(scores, gradient)
    loss = 0.0
    for i in range(count):
        loss -= gradient[i, labels[i]]
    flat, share = gradient.reshape(gradient.size), scores.dtype.type(1) / scores.dtype.type(count)
    for k in range(flat.size):
        flat[k] = exp_of(flat[k])
    for i in range(count):
        total = _row_sum(gradient[i])
        loss += math.log(total)
        scale = share / total
        for j in range(classes):
            gradient[i, j] *= scale
        gradient[i, labels[i]] -= share
    return scores.dtype.type(loss / count)


def _less_row_maximum(x, shifted):
    """shifted = x - max(x), row by row."""
    raise NotImplementedError("only for compiled functions")


@overload(_less_row_maximum)
def _choose_less_row_maximum(x, shifted):
    return (_minus_row_maximum if x.dtype == types.float32 else _minus_row_maximum64).py_func


@compiled()
def _minus_row_maximum64(x, shifted):
    for i in range(x.shape[0]):
        top = x[i, 0]
        for j in range(1, x.shape[1]):
            top = x[i, j] if x[i, j] > top else top
        for j in range(x.shape[1]):
            shifted[i, j] = x[i, j] - top


@compiled(REORDER)
def mse_into(prediction, target, gradient):
    x, t, g = prediction.reshape(prediction.size), target.reshape(target.size), gradient.reshape(gradient.size)
    kind = prediction.dtype.type
    total, scale = kind(0), kind(2.0 / x.size)
    for k in range(x.size):
        difference = x[k] - t[k]
        total += difference * difference
    for k in range(
        x.size
    ):  # by itself: writing among the sums, the compiler takes them in another order if g lies close to x
        g[k] = (x[k] - t[k]) * scale
    return total / kind(x.size)


@compiled(REORDER)
def bce_with_logits_into(logits, target, gradient):
    x, t, g = logits.reshape(logits.size), target.reshape(target.size), gradient.reshape(gradient.size)
    kind = logits.dtype.type
    zero, one, share, loss = kind(0), kind(1), kind(1.0 / x.size), 0.0
    for k in range(x.size):
        small = exp_of(-abs(x[k]))
        larger = zero if x[k] < zero else x[k]
        loss += larger - x[k] * t[k] + log1p_of(small)
        probability = (small if x[k] < zero else one) / (one + small)
        g[k] = (probability - t[k]) * share
    return kind(loss / x.size)


@compiled(REORDER)
def bce_into(probability, target, gradient):
    p, t, g = probability.reshape(probability.size), target.reshape(target.size), gradient.reshape(gradient.size)
    kind = probability.dtype.type
    one, lowest, steepest, share, loss = kind(1), kind(-100), kind(1e-12), kind(1.0 / p.size), 0.0
    for k in range(p.size):
        yes, no = log_of(p[k]), log1m_of(p[k])
        yes, no = lowest if yes < lowest else yes, lowest if no < lowest else no
        loss -= t[k] * yes + (one - t[k]) * no
        slope = p[k] * (one - p[k])
        g[k] = (p[k] - t[k]) / (steepest if slope < steepest else slope) * share
    return kind(loss / p.size)
