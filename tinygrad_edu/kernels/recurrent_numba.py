"""Time steps of recurrent networks, row by row: what one loop writes is still in the cache for the next."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import recurrent_numpy as twin
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.elementwise_numba import exp32, f32, power_of_two


def rnn_cell(x, hidden, bias, state, notes, relu: bool) -> None:
    (_rnn if x.dtype == f32 else twin.rnn_cell)(x, hidden, bias, state, notes, relu)


def rnn_cell_grad(g, notes, da, relu: bool) -> None:
    _rnn_grad(g, notes, da, relu)


def lstm_cell(x, hidden, bias, state, notes) -> None:
    (_lstm if x.dtype == f32 else twin.lstm_cell)(x, hidden, bias, state, notes)


def lstm_cell_grad(g, notes, cells, da) -> None:
    _lstm_grad(g, notes, cells, da)


def gru_cell(x, hidden, bias, state, notes) -> None:
    (_gru if x.dtype == f32 else twin.gru_cell)(x, hidden, bias, state, notes)


def gru_cell_grad(g, notes, before, dx, da) -> None:
    _gru_grad(g, notes, before, dx, da)


@compiled(inline="always")
def sigmoid32(x):
    return f32(1) / (f32(1) + exp32(-x))


@compiled(inline="always")
def tanh32(x):
    """tanh for float32 as -e / (e + 2) with e = exp(-2|x|) - 1, which is computed without cancellation near 0.

    As in `exp32`, -2|x| = n ln 2 + r; then e = 2^n (exp(r) - 1) + (2^n - 1).
    """
    bounded = max(f32(-2) * abs(x), f32(-24))
    n = np.floor(bounded * f32(1.44269504088896341) + f32(0.5))
    r = (bounded - n * f32(0.693359375)) + n * f32(2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    scale = power_of_two(n)
    e = scale * (p * (r * r) + r) + (scale - f32(1))
    y = -e / (e + f32(2))
    y = -y if x < 0 else y
    return y if x == x else x


@compiled()
def _rnn(x, hidden, bias, state, notes, relu):
    for k in range(x.shape[0]):
        h, a = state[0, k], notes[k]
        for j in range(a.size):
            a[j] = x[k, j] + hidden[k, j] + bias[j]
        if relu:
            for j in range(a.size):
                a[j] = f32(0) if a[j] < 0 else a[j]
        else:
            for j in range(a.size):
                a[j] = tanh32(a[j])
        for j in range(a.size):
            h[j] = a[j]


@compiled()
def _rnn_grad(g, notes, da, relu):
    zero, one = g.dtype.type(0), g.dtype.type(1)
    for k in range(da.shape[0]):
        slope, y, out = g[0, k], notes[k], da[k]
        if relu:
            for j in range(out.size):
                out[j] = zero if y[j] <= 0 else slope[j]
        else:
            for j in range(out.size):
                out[j] = slope[j] * (one - y[j] * y[j])
        for j in range(out.size):
            slope[j] = zero


@compiled()
def _lstm(x, hidden, bias, state, notes):
    width = state.shape[2]
    for k in range(x.shape[0]):
        a, h, c = notes[k], state[0, k], state[1, k]
        for j in range(4 * width):
            a[j] = x[k, j] + hidden[k, j] + bias[j]
        for j in range(2 * width):
            a[j] = sigmoid32(a[j])
        for j in range(2 * width, 3 * width):
            a[j] = tanh32(a[j])
        i, f, g, o, t = a[:width], a[width:], a[2 * width :], a[3 * width :], a[4 * width :]
        for j in range(width):
            o[j] = sigmoid32(o[j])
        for j in range(width):
            c[j] = f[j] * c[j] + i[j] * g[j]
        for j in range(width):
            t[j] = tanh32(c[j])
        for j in range(width):
            h[j] = o[j] * t[j]


@compiled()
def _lstm_grad(g, notes, cells, da):
    zero, one = g.dtype.type(0), g.dtype.type(1)
    width = cells.shape[1]
    for k in range(da.shape[0]):
        gh, gc, before, a, d = g[0, k], g[1, k], cells[k], notes[k], da[k]
        i, f, n, o, t = a[:width], a[width:], a[2 * width :], a[3 * width :], a[4 * width :]
        di, df, dn, do = d[:width], d[width:], d[2 * width :], d[3 * width :]
        for j in range(width):
            do[j] = gh[j] * t[j] * o[j] * (one - o[j])
            gc[j] += gh[j] * o[j] * (one - t[j] * t[j])
            gh[j] = zero
        for j in range(width):
            di[j] = gc[j] * n[j] * i[j] * (one - i[j])
            dn[j] = gc[j] * i[j] * (one - n[j] * n[j])
        for j in range(width):
            df[j] = gc[j] * before[j] * f[j] * (one - f[j])
            gc[j] *= f[j]


@compiled()
def _gru(x, hidden, bias, state, notes):
    width = state.shape[2]
    for k in range(x.shape[0]):
        a, h = notes[k], state[0, k]
        for j in range(2 * width):
            a[j] = sigmoid32(x[k, j] + hidden[k, j] + bias[j])
        r, z, n, q = a[:width], a[width:], a[2 * width :], a[3 * width :]
        for j in range(width):
            q[j] = hidden[k, 2 * width + j] + bias[2 * width + j]
            n[j] = x[k, 2 * width + j] + r[j] * q[j]
        for j in range(width):
            n[j] = tanh32(n[j])
        for j in range(width):
            h[j] = (h[j] - n[j]) * z[j] + n[j]


@compiled()
def _gru_grad(g, notes, before, dx, da):
    one = g.dtype.type(1)
    width = before.shape[1]
    for k in range(da.shape[0]):
        gh, h, a, d, e = g[0, k], before[k], notes[k], dx[k], da[k]
        r, z, n, q = a[:width], a[width:], a[2 * width :], a[3 * width :]
        for j in range(width):
            change = gh[j] * (one - z[j]) * (one - n[j] * n[j])
            d[2 * width + j] = change
            e[2 * width + j] = change * r[j]
        for j in range(width):
            d[width + j] = gh[j] * (h[j] - n[j]) * z[j] * (one - z[j])
            gh[j] *= z[j]
        for j in range(width):
            d[j] = d[2 * width + j] * q[j] * r[j] * (one - r[j])
        for j in range(2 * width):
            e[j] = d[j]
