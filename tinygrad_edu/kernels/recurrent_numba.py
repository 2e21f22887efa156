"""All time steps of a recurrent layer in one compiled loop, on several threads: each takes some of the sequences through time."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_edu.kernels import recurrent_numpy as twin
from tinygrad_edu.kernels import threads, vector
from tinygrad_edu.kernels.buffers import scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.elementwise_scalars import f32, sigmoid32, tanh32
from tinygrad_edu.kernels.linear_vector import product

CODES = {"RNN_TANH": 0, "RNN_RELU": 1, "LSTM": 2, "GRU": 3}
FEWEST = 8  # sequences that a thread is worth waking for: a tile of the product has about as many rows

usable = functools.cache(vector.usable)


def recurrent_forward(x, w, bias, state, steps, kind: str, before, notes, out) -> None:
    if x.dtype != f32 or not usable():
        twin.recurrent_forward(x, w, bias, state, steps, kind, before, notes, out)
        return
    turned = np.ascontiguousarray(w.T)

    def task(i: int, start: int, stop: int) -> None:
        hidden = _work(stop - start, turned.shape[1])
        _forward(x, turned, bias, state, steps, CODES[kind], before, notes, out, start, stop, hidden)

    threads.run_chunks(task, _shares(x.shape[0], w, state.shape[1]))


def recurrent_backward(g, w, running, steps, kind: str, before, notes, dx, da) -> None:
    if g.dtype != f32 or not usable():
        twin.recurrent_backward(g, w, running, steps, kind, before, notes, dx, da)
        return
    g, w = np.ascontiguousarray(g), np.ascontiguousarray(w)

    def task(i: int, start: int, stop: int) -> None:
        more = _work(stop - start, w.shape[1])
        _backward(g, w, running, steps, CODES[kind], before, notes, dx, da, start, stop, more)

    threads.run_chunks(task, _shares(g.shape[0], w, running.shape[1]))


def _shares(rows: int, w: np.ndarray, batch: int) -> list[tuple[int, int]]:
    """Cut the batch into equal shares, one for each thread that is worth waking."""
    worth = 2.0 * rows * w.size / threads.PARALLEL_FLOPS
    pieces = int(max(1, min(threads.get_num_threads(), batch // FEWEST, worth)))
    return [(batch * i // pieces, batch * (i + 1) // pieces) for i in range(pieces)]


def _work(rows: int, columns: int):
    """An array for the products of one thread."""
    return scratch("hidden", rows * columns).reshape(rows, columns)


@compiled()
def _forward(x, turned, bias, state, steps, code, before, notes, out, first, last, hidden):
    """Sequences first to last of the batch, through time."""
    for s in range(steps.shape[0]):
        top, stop = steps[s, 0] + first, steps[s, 0] + min(last, steps[s, 1])
        rows = stop - top
        if rows <= 0:
            continue
        for k in range(state.shape[0]):
            for r in range(rows):
                for j in range(state.shape[2]):
                    before[k, top + r, j] = state[k, first + r, j]
        product(before[0, top:stop], False, turned, hidden[:rows])
        if code == 2:
            _lstm(x[top:stop], hidden, bias, state, first, notes[top:stop])
        elif code == 3:
            _gru(x[top:stop], hidden, bias, state, first, notes[top:stop])
        else:
            _rnn(x[top:stop], hidden, bias, state, first, notes[top:stop], code == 1)
        for r in range(rows):
            for j in range(state.shape[2]):
                out[top + r, j] = state[0, first + r, j]


@compiled()
def _backward(g, w, running, steps, code, before, notes, dx, da, first, last, more):
    """The same sequences, back through time."""
    for s in range(steps.shape[0] - 1, -1, -1):
        top, stop = steps[s, 0] + first, steps[s, 0] + min(last, steps[s, 1])
        rows = stop - top
        if rows <= 0:
            continue
        for r in range(rows):
            for j in range(running.shape[2]):
                running[0, first + r, j] += g[top + r, j]
        if code == 2:
            _lstm_grad(running, first, notes[top:stop], before[1, top:stop], da[top:stop])
        elif code == 3:
            _gru_grad(running, first, notes[top:stop], before[0, top:stop], dx[top:stop], da[top:stop])
        else:
            _rnn_grad(running, first, notes[top:stop], da[top:stop], code == 1)
        product(da[top:stop], False, w, more[:rows])
        for r in range(rows):
            for j in range(running.shape[2]):
                running[0, first + r, j] += more[r, j]


@compiled()
def _rnn(x, hidden, bias, state, first, notes, relu):
    for k in range(x.shape[0]):
        h, a = state[0, first + k], notes[k]
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
def _rnn_grad(g, first, notes, da, relu):
    zero, one = g.dtype.type(0), g.dtype.type(1)
    for k in range(da.shape[0]):
        slope, y, out = g[0, first + k], notes[k], da[k]
        if relu:
            for j in range(out.size):
                out[j] = zero if y[j] <= 0 else slope[j]
        else:
            for j in range(out.size):
                out[j] = slope[j] * (one - y[j] * y[j])
        for j in range(out.size):
            slope[j] = zero


@compiled()
def _lstm(x, hidden, bias, state, first, notes):
    width = state.shape[2]
    for k in range(x.shape[0]):
        a, h, c = notes[k], state[0, first + k], state[1, first + k]
        for j in range(4 * width):
            a[j] = x[k, j] + hidden[k, j] + bias[j]
        i, f, g, o, t = a[:width], a[width:], a[2 * width :], a[3 * width :], a[4 * width :]
        for j in range(2 * width):  # loops that begin at 0 become vector loops: no index can be negative
            a[j] = sigmoid32(a[j])
        for j in range(width):
            g[j] = tanh32(g[j])
        for j in range(width):
            o[j] = sigmoid32(o[j])
        for j in range(width):
            c[j] = f[j] * c[j] + i[j] * g[j]
        for j in range(width):
            t[j] = tanh32(c[j])
        for j in range(width):
            h[j] = o[j] * t[j]


@compiled()
def _lstm_grad(g, first, notes, cells, da):
    zero, one = g.dtype.type(0), g.dtype.type(1)
    width = cells.shape[1]
    for k in range(da.shape[0]):
        gh, gc, before, a, d = g[0, first + k], g[1, first + k], cells[k], notes[k], da[k]
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
def _gru(x, hidden, bias, state, first, notes):
    width = state.shape[2]
    for k in range(x.shape[0]):
        a, h = notes[k], state[0, first + k]
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
def _gru_grad(g, first, notes, before, dx, da):
    one = g.dtype.type(1)
    width = before.shape[1]
    for k in range(da.shape[0]):
        gh, h, a, d, e = g[0, first + k], before[k], notes[k], dx[k], da[k]
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
