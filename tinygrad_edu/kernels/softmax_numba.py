"""Softmax and its logarithm in one or two passes; NumPy needs a pass and an array for every step of the same formulas.

Along the last dimension rows are often short (ten classes), shorter than a vector register is wide. So every exponential
is taken over many rows as if they were one long row, a block that stays in the cache; only maxima, sums and logarithms go
row by row. Along another dimension neighbours in memory belong to different sums, and a vector works on as many of them at
once. float64 is left to NumPy, whose exponential is the better one there.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.kernels import softmax_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import EXACT, REORDER, compiled
from tinygrad_edu.kernels.elementwise_scalars import exp32, log32
from tinygrad_edu.kernels.threads import chunks, run_chunks

f32 = np.float32
BLOCK = 4096  # elements that are worked on at a time
COLUMNS = 256  # sums side by side that are worked on at a time
NARROW = 8  # fewer columns are not worth vectors: then the sum's dimension is moved to the end
WORK = 70.0  # multiply-adds that take as long as an element of a softmax


def softmax(x, axis: int = -1) -> np.ndarray:
    if x.dtype != f32 or not x.size:
        return twin.softmax(x, axis)
    return _along(axis, _softmax, _softmax_columns, x)


def softmax_grad(g, y, axis: int = -1) -> np.ndarray:
    if g.shape != y.shape or g.dtype != y.dtype or not y.size:
        return twin.softmax_grad(g, y, axis)
    return _along(axis, _softmax_grad, _softmax_grad_columns, g, y)


def log_softmax(x, axis: int = -1) -> np.ndarray:
    if x.dtype != f32 or not x.size:
        return twin.log_softmax(x, axis)
    return _along(axis, _log_softmax, _log_softmax_columns, x)


def log_softmax_grad(g, y, axis: int = -1) -> np.ndarray:
    if y.dtype != f32 or g.dtype != f32 or g.shape != y.shape or not y.size:
        return twin.log_softmax_grad(g, y, axis)
    return _along(axis, _log_softmax_grad, _log_softmax_grad_columns, g, y)


def _along(axis: int, by_rows, by_columns, *arrays) -> np.ndarray:
    """Call a kernel with the arrays as (groups, rows) or (groups, terms of a sum, columns), on several threads."""
    shape = arrays[0].shape
    columns = math.prod(shape[axis % len(shape) + 1 :])
    if 1 < columns < NARROW:
        moved = [np.moveaxis(array, axis, -1) for array in arrays]
        return np.moveaxis(_along(-1, by_rows, by_columns, *moved), -1, axis)
    form = (-1, shape[axis]) if columns == 1 else (-1, shape[axis], columns)
    parts = [np.ascontiguousarray(array).reshape(form) for array in arrays]
    parts.append(empty(parts[0].shape, parts[0].dtype))
    function, pieces = by_rows if columns == 1 else by_columns, chunks(len(parts[0]), WORK * parts[0].size)
    if len(pieces) == 1:
        function(*parts)
    else:
        run_chunks(lambda i, start, stop: function(*(part[start:stop] for part in parts)), pieces)
    return parts[-1].reshape(shape)


# ---- along the last dimension ----------------------------------------------------------------------------------------
@compiled()
def minus_row_maximum(x, shifted):
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
def row_sum(row):
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
        minus_row_maximum(x[start : start + step], block)
        _exp_all(block)
        for i in range(block.shape[0]):
            inverse = f32(1) / row_sum(block[i])
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
            slope, row, out, total = g[i], y[i], gx[i], row_sum(g[i])
            for j in range(row.size):
                out[j] = slope[j] - exp32(row[j]) * total
        return
    for start in range(0, y.shape[0], step):
        block = gx[start : start + step]
        _exp_into(block, y[start : start + step])
        for i in range(block.shape[0]):
            row, total = g[start + i], row_sum(g[start + i])
            for j in range(block.shape[1]):
                block[i, j] = row[j] - block[i, j] * total


@compiled(EXACT)
def _log_softmax(x, y):
    step = _block_of_rows(x.shape[1])
    work, logs = np.empty((min(step, x.shape[0]), x.shape[1]), f32), np.empty(step, f32)
    for start in range(0, x.shape[0], step):
        block = y[start : start + step]
        powers = work[: block.shape[0]]
        minus_row_maximum(x[start : start + step], block)
        _exp_into(powers, block)
        for i in range(block.shape[0]):
            logs[i] = row_sum(powers[i])
        for i in range(block.shape[0]):
            logs[i] = log32(logs[i])
        for i in range(block.shape[0]):
            for j in range(block.shape[1]):
                block[i, j] -= logs[i]


# ---- along another dimension: of x (G, C, P) the sums go over C ------------------------------------------------------
@compiled(EXACT)
def _softmax_columns(x, y):
    for group in range(x.shape[0]):
        for start in range(0, x.shape[2], COLUMNS):
            stop = min(start + COLUMNS, x.shape[2])
            top = _column_maxima(x[group], start, stop)
            total = np.zeros_like(top)
            for c in range(x.shape[1]):
                row, out = x[group, c][start:stop], y[group, c][start:stop]
                for j in range(top.size):
                    out[j] = exp32(row[j] - top[j])
                for j in range(top.size):
                    total[j] += out[j]
            for j in range(top.size):
                total[j] = f32(1) / total[j]
            for c in range(x.shape[1]):
                out = y[group, c][start:stop]
                for j in range(top.size):
                    out[j] *= total[j]


@compiled(EXACT)
def _log_softmax_columns(x, y):
    for group in range(x.shape[0]):
        for start in range(0, x.shape[2], COLUMNS):
            stop = min(start + COLUMNS, x.shape[2])
            top = _column_maxima(x[group], start, stop)
            total, power = np.zeros_like(top), np.empty_like(top)
            for c in range(x.shape[1]):
                row = x[group, c][start:stop]
                for j in range(top.size):
                    power[j] = exp32(row[j] - top[j])
                for j in range(top.size):
                    total[j] += power[j]
            for j in range(top.size):
                total[j] = log32(total[j])
            for c in range(x.shape[1]):
                row, out = x[group, c][start:stop], y[group, c][start:stop]
                for j in range(top.size):
                    out[j] = (row[j] - top[j]) - total[j]


@compiled()
def _column_maxima(x, start, stop):
    """The largest number of each column. A NaN may get lost here: it spoils the column's sum of exponentials."""
    top = x[0][start:stop].copy()
    for c in range(1, x.shape[0]):
        row = x[c][start:stop]
        for j in range(top.size):
            top[j] = row[j] if row[j] > top[j] else top[j]
    return top


@compiled(EXACT)
def _softmax_grad_columns(g, y, gx):
    for group in range(y.shape[0]):
        mean = np.zeros(y.shape[2], y.dtype)
        for c in range(y.shape[1]):
            slope, row = g[group, c], y[group, c]
            for j in range(mean.size):
                mean[j] += slope[j] * row[j]
        for c in range(y.shape[1]):
            slope, row, out = g[group, c], y[group, c], gx[group, c]
            for j in range(mean.size):
                out[j] = row[j] * (slope[j] - mean[j])


@compiled(EXACT)
def _log_softmax_grad_columns(g, y, gx):
    for group in range(y.shape[0]):
        total = np.zeros(y.shape[2], f32)
        for c in range(y.shape[1]):
            slope = g[group, c]
            for j in range(total.size):
                total[j] += slope[j]
        for c in range(y.shape[1]):
            slope, row, out = g[group, c], y[group, c], gx[group, c]
            for j in range(total.size):
                out[j] = slope[j] - exp32(row[j]) * total[j]
