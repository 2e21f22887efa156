"""Recurrent networks: through time and back, and the single steps, all gates at once.

Everything is written into arrays of the caller's. A step works on the first B rows of `state`, the running states of all sequences: a
batch of sequences of different lengths is sorted by length, so that those still running come first. What the gradient will want is
written to `notes`.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels.elementwise_numpy import sigmoid


def recurrent_forward(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray, state: np.ndarray, steps: np.ndarray, kind: str, before: np.ndarray,
    notes: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Take all time steps of a layer, where `hidden` = h w^T in each of them.

    Parameters
    ----------
    x : array (rows, gates)
        What the inputs contribute, step after step.
    w : array (gates, H)
    bias : array (gates,)
    state : array (states, N, H)
        h, and c for "LSTM"; overwritten with the last ones.
    steps : array (T, 2) of int
        First row and number of rows of each step, in the order in which they are taken.
    kind : "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"
    before : array (states, rows, H)
        Receives the states before each step.
    notes : array (rows, notes)
        See :func:`rnn_cell`, :func:`lstm_cell` and :func:`gru_cell`.
    out : array (rows, H)
        Receives h after each step.
    """
    cell = {"LSTM": lstm_cell, "GRU": gru_cell}.get(kind, rnn_cell)
    options = (kind == "RNN_RELU",) if cell is rnn_cell else ()
    for start, count in steps.tolist():
        here = slice(start, start + count)
        before[:, here] = state[:, :count]
        cell(x[here], state[0, :count] @ w.T, bias, state, notes[here], *options)
        out[here] = state[0, :count]


def recurrent_backward(
    g: np.ndarray, w: np.ndarray, running: np.ndarray, steps: np.ndarray, kind: str, before: np.ndarray, notes: np.ndarray,
    dx: np.ndarray, da: np.ndarray,
) -> None:  # fmt: skip
    """Go back through time: the gradients of what the inputs and the states contribute to every step.

    Parameters
    ----------
    g : array (rows, H)
        Gradient of `out`.
    w, steps, kind, before, notes
        As in :func:`recurrent_forward`.
    running : array (states, N, H)
        Gradients of the last states; overwritten with those of the first.
    dx : array (rows, gates)
        Receives the gradient of x.
    da : array (rows, gates)
        Receives the gradient of `hidden`; the same array as dx unless for "GRU".
    """
    for start, count in steps[::-1].tolist():
        here = slice(start, start + count)
        running[0, :count] += g[here]
        if kind == "LSTM":
            lstm_cell_grad(running, notes[here], before[1, here], da[here])
        elif kind == "GRU":
            gru_cell_grad(running, notes[here], before[0, here], dx[here], da[here])
        else:
            rnn_cell_grad(running, notes[here], da[here], kind == "RNN_RELU")
        running[0, :count] += da[here] @ w


def rnn_cell(
    x: np.ndarray, hidden: np.ndarray, bias: np.ndarray, state: np.ndarray, notes: np.ndarray, relu: bool
) -> None:
    """A step of a simple recurrent network: h = tanh(x + hidden + bias), or max(0, .) instead of tanh.

    Parameters
    ----------
    x, hidden : array (B, H)
        What the input and the state before contribute.
    bias : array (H,)
    state : array (1, N, H) with N >= B
        h, overwritten.
    notes : array (B, H)
        Receives h.
    """
    a = x + hidden + bias
    notes[...] = np.maximum(a, a.dtype.type(0)) if relu else np.tanh(a)
    state[0, : len(x)] = notes


def rnn_cell_grad(g: np.ndarray, notes: np.ndarray, da: np.ndarray, relu: bool) -> None:
    """Gradient of :func:`rnn_cell`, da = g act'(a); `g` (1, N, H) is overwritten with what reaches the state directly, zero."""
    gh = g[0, : len(da)]
    da[...] = np.where(notes <= 0, notes.dtype.type(0), gh) if relu else gh * (1 - notes * notes)
    gh[...] = 0


def lstm_cell(x: np.ndarray, hidden: np.ndarray, bias: np.ndarray, state: np.ndarray, notes: np.ndarray) -> None:
    """A step of a long short-term memory.

    With the four parts i, f, g, o of x + hidden + bias: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).

    Parameters
    ----------
    x, hidden : array (B, 4H)
        What the input and the state before contribute.
    bias : array (4H,)
    state : array (2, N, H) with N >= B
        h and c, overwritten.
    notes : array (B, 5H)
        Receives sigmoid(i), sigmoid(f), tanh(g), sigmoid(o), tanh(c).
    """
    rows, width = len(x), state.shape[2]
    a = x + hidden + bias
    i, f, g, o, t = _parts(notes, width)
    notes[:, : 4 * width] = sigmoid(a)
    g[...] = np.tanh(a[:, 2 * width : 3 * width])
    c = f * state[1, :rows] + i * g
    t[...] = np.tanh(c)
    state[0, :rows], state[1, :rows] = o * t, c


def lstm_cell_grad(g: np.ndarray, notes: np.ndarray, cells: np.ndarray, da: np.ndarray) -> None:
    """Gradient of :func:`lstm_cell`.

    Parameters
    ----------
    g : array (2, N, H)
        Gradients of h and c; overwritten with what reaches the states before directly: zero for h.
    notes : array (B, 5H)
    cells : array (B, H)
        c before the step.
    da : array (B, 4H)
        Receives the gradient of x, which is also that of `hidden`.
    """
    rows, width = len(da), cells.shape[1]
    gh, gc = g[0, :rows], g[1, :rows]
    i, f, n, o, t = _parts(notes, width)
    di, df, dn, do = _parts(da, width)
    do[...] = gh * t * o * (1 - o)
    dc = gc + gh * o * (1 - t * t)
    di[...] = dc * n * i * (1 - i)
    df[...] = dc * cells * f * (1 - f)
    dn[...] = dc * i * (1 - n * n)
    gh[...], gc[...] = 0, dc * f


def gru_cell(x: np.ndarray, hidden: np.ndarray, bias: np.ndarray, state: np.ndarray, notes: np.ndarray) -> None:
    """A step of a gated recurrent unit.

    With the parts r, z, n of x and of hidden + bias: r = sigmoid(x_r + hidden_r), z = sigmoid(x_z + hidden_z),
    n = tanh(x_n + r hidden_n), h = (1 - z) n + z h.

    Parameters
    ----------
    x, hidden : array (B, 3H)
        What the input and the state before contribute.
    bias : array (3H,)
        Of the hidden part.
    state : array (1, N, H) with N >= B
        h, overwritten.
    notes : array (B, 4H)
        Receives r, z, n and hidden_n.
    """
    rows, width = len(x), state.shape[2]
    r, z, n, q = _parts(notes, width)
    a = hidden + bias
    q[...] = a[:, 2 * width :]
    notes[:, : 2 * width] = sigmoid(x[:, : 2 * width] + a[:, : 2 * width])
    n[...] = np.tanh(x[:, 2 * width :] + r * q)
    h = state[0, :rows]
    h[...] = (h - n) * z + n


def gru_cell_grad(g: np.ndarray, notes: np.ndarray, before: np.ndarray, dx: np.ndarray, da: np.ndarray) -> None:
    """Gradient of :func:`gru_cell`.

    Parameters
    ----------
    g : array (1, N, H)
        Gradient of h; overwritten with what reaches the state before directly, g z.
    notes : array (B, 4H)
    before : array (B, H)
        h before the step.
    dx, da : array (B, 3H)
        Receive the gradients of x and of the hidden part.
    """
    rows, width = len(da), before.shape[1]
    gh = g[0, :rows]
    r, z, n, q = _parts(notes, width)
    dr, dz, dn = _parts(dx, width)
    dn[...] = gh * (1 - z) * (1 - n * n)
    dz[...] = gh * (before - n) * z * (1 - z)
    dr[...] = dn * q * r * (1 - r)
    da[:, : 2 * width] = dx[:, : 2 * width]
    da[:, 2 * width :] = dn * r
    gh *= z


def _parts(rows: np.ndarray, width: int) -> list[np.ndarray]:
    return [rows[:, start : start + width] for start in range(0, rows.shape[1], width)]
