"""Matrix products, and fully connected layers: bias, activation and their gradients in one more pass over memory."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import elementwise_numpy, matmul_vector
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import REORDER, compiled
from tinygrad_edu.kernels.elementwise_numba import exp32
from tinygrad_edu.kernels.linear_numpy import check_linear

CODES = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}


def matmul(a, b) -> np.ndarray:
    return _product(a, b, False, False) if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0] else np.matmul(a, b)


def _product(a: np.ndarray, b: np.ndarray, a_turned: bool, b_turned: bool) -> np.ndarray:
    """A B where one of them may be given transposed: by our micro-kernels where they are faster, else by BLAS."""
    if matmul_vector.suits(a, b, a.size * b.shape[not b_turned]):
        return matmul_vector.product(a, b, a_turned, b_turned)
    return (a.T if a_turned else a).dot(b.T if b_turned else b)


def linear_forward(x, w, bias, activation: str | None) -> np.ndarray:
    check_linear(x, w, bias, activation)
    y = _product(x, w, False, True)
    if bias is None:
        bias = np.zeros(y.shape[1], y.dtype)
    code = CODES[activation]
    if code == 2 and y.dtype == np.float32:
        _finish_sigmoid(y, bias)
        return y
    _finish(y, bias, code == 1)
    if code == 2:
        return elementwise_numpy.sigmoid(y)
    return np.tanh(y, out=y) if code == 3 else y


def linear_backward(g, x, w, y, activation: str | None, needs: tuple[bool, bool, bool] = (True, True, True)):
    if activation is not None:
        g, gb = _before_activation(g, y, CODES[activation])
    elif needs[2]:
        gb = np.empty(g.shape[1], g.dtype)
        _column_sums(np.ascontiguousarray(g), gb)
    gx = _product(g, w, False, False) if needs[0] else None
    gw = _product(g, x, True, False) if needs[1] else None
    return gx, gw, gb if needs[2] else None


def _before_activation(g, y, code: int):
    g, y = np.ascontiguousarray(g), np.ascontiguousarray(y)
    d, gb = empty(g.shape, g.dtype), np.empty(g.shape[1], g.dtype)
    _slopes(g, y, code, d, gb)
    return d, gb


@compiled()
def _finish(y, bias, relu):
    """y = y + bias, then max(y, 0) if asked; written so that NaN fails the comparison and stays."""
    zero = y.dtype.type(0)
    for i in range(y.shape[0]):
        row = y[i]
        if relu:
            for j in range(row.size):
                value = row[j] + bias[j]
                row[j] = zero if value < zero else value
        else:
            for j in range(row.size):
                row[j] += bias[j]


@compiled()
def _finish_sigmoid(y, bias):
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] += bias[j]
    flat = y.reshape(y.size)  # rows may be shorter than a vector register: go through the whole array at once
    for k in range(flat.size):
        flat[k] = np.float32(1) / (np.float32(1) + exp32(-flat[k]))


@compiled(REORDER)
def _column_sums(g, gb):
    gb[:] = 0
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            gb[j] += g[i, j]


@compiled(REORDER)
def _slopes(g, y, code, d, gb):
    """d = g times the derivative of the activation, from its output y; gb = the column sums of d."""
    zero, one = g.dtype.type(0), g.dtype.type(1)
    slope, out, result = g.reshape(g.size), y.reshape(y.size), d.reshape(d.size)
    if code == 1:
        for k in range(slope.size):
            result[k] = zero if out[k] <= zero else slope[k]
    elif code == 2:
        for k in range(slope.size):
            result[k] = slope[k] * out[k] * (one - out[k])
    else:
        for k in range(slope.size):
            result[k] = slope[k] * (one - out[k] * out[k])
    _column_sums(d, gb)
