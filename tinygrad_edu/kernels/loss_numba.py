"""Losses in one call: NumPy needs a pass and an array for every step of the same formulas."""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from tinygrad_edu.kernels import loss_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import EXACT, REORDER, compiled
from tinygrad_edu.kernels.elementwise_scalars import exp_of, log1m_of, log1p_of, log_of
from tinygrad_edu.kernels.softmax_numba import minus_row_maximum, row_sum

FEW = 10_000  # numbers for whose array memory is always at hand


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
    grad = np.empty(x.shape, x.dtype) if x.size < FEW else empty(x.shape, x.dtype)
    if not (x.ndim and x.flags.c_contiguous and target.flags.c_contiguous):
        x, target = np.ascontiguousarray(x), np.ascontiguousarray(target)  # NumPy numbers become arrays
    return x.dtype.type(loss_into(x, target, grad)), grad


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
        total = row_sum(gradient[i])
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
    return (minus_row_maximum if x.dtype == types.float32 else _minus_row_maximum64).py_func


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
