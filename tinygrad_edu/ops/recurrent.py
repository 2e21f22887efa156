"""Recurrent networks: one step of each kind, and all time steps of a layer as one op.

A step is written out once, in elementary ops (:func:`rnn_step`, :func:`lstm_step`, :func:`gru_step`): that is the definition, what a
graph picture of a cell shows, and what is differentiated twice. A layer of T steps takes its steps inside one op, `recurrence`, with
kernels that compute all gates in one pass; going back through time by hand then needs a single product for all the weights'
gradients.

References
----------
.. [1] J. Elman, "Finding structure in time", Cognitive Science 14, 1990.
.. [2] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
.. [3] K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014, arXiv:1406.1078.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import DtypeError, message
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.ops.activation import relu, sigmoid
from tinygrad_edu.ops.comparison import keep
from tinygrad_edu.ops.indexing import basic_index
from tinygrad_edu.ops.joining import join
from tinygrad_edu.ops.linear import linear
from tinygrad_edu.ops.matmul import matmul
from tinygrad_edu.ops.reduction import sum_along
from tinygrad_edu.ops.shape import transpose
from tinygrad_edu.ops.trigonometric import tanh
from tinygrad_edu.primitive import primitive
from tinygrad_edu.tensor import Tensor

__all__: list[str] = []


# ---- one step, in elementary ops --------------------------------------------------------------------------------------------
def rnn_step(x: Tensor, hidden: Tensor, h: Tensor) -> tuple[Tensor]:
    """h = tanh(x + hidden), where x and hidden are what the input and the state before contribute [1]_."""
    return (tanh(x + hidden),)


def relu_step(x: Tensor, hidden: Tensor, h: Tensor) -> tuple[Tensor]:
    """h = max(0, x + hidden)."""
    return (relu(x + hidden),)


def lstm_step(x: Tensor, hidden: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Forget some of the cell c, put something new in, and show some of it as h [2]_.

    With the four parts i, f, g, o of x + hidden: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).
    """
    i, f, g, o = _parts(x + hidden, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_step(x: Tensor, hidden: Tensor, h: Tensor) -> tuple[Tensor]:
    """Move h some of the way to something new [3]_.

    With the parts r, z, n: r = sigmoid(x_r + hidden_r), z = sigmoid(x_z + hidden_z), n = tanh(x_n + r hidden_n), and
    h = (1 - z) n + z h.
    """
    (x_r, x_z, x_n), (hidden_r, hidden_z, hidden_n) = _parts(x, 3), _parts(hidden, 3)
    r, z = sigmoid(x_r + hidden_r), sigmoid(x_z + hidden_z)
    n = tanh(x_n + r * hidden_n)
    return ((h - n) * z + n,)


def _parts(a: Any, count: int) -> list[Any]:
    """Cut the last dimension into equal parts."""
    width = a.shape[-1] // count
    return [basic_index(a, (..., slice(k * width, (k + 1) * width))) for k in range(count)]


# ---- the derivative of a step -----------------------------------------------------------------------------------------------
# Each gets the gradients of the new states, then what the step got; it returns the gradients of x, of hidden, and what reaches the
# states before directly (None: nothing).
def _rnn_step_grad(gh, x, hidden, h):
    y = tanh(x + hidden)
    d = gh * (1 - y * y)
    return d, d, None


def _relu_step_grad(gh, x, hidden, h):
    d = keep(gh, x + hidden > 0)
    return d, d, None


def _lstm_step_grad(gh, gc, x, hidden, h, c):
    i, f, g, o = _parts(x + hidden, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    t = tanh(f * c + i * g)
    gc = gc + gh * o * (1 - t * t)
    parts = [gc * g * i * (1 - i), gc * c * f * (1 - f), gc * i * (1 - g * g), gh * t * o * (1 - o)]
    d = join(parts, dim=1)
    return d, d, None, gc * f


def _gru_step_grad(gh, x, hidden, h):
    (x_r, x_z, x_n), (hidden_r, hidden_z, hidden_n) = _parts(x, 3), _parts(hidden, 3)
    r, z = sigmoid(x_r + hidden_r), sigmoid(x_z + hidden_z)
    n = tanh(x_n + r * hidden_n)
    dn = gh * (1 - z) * (1 - n * n)
    dr, dz = dn * hidden_n * r * (1 - r), gh * (h - n) * z * (1 - z)
    return join([dr, dz, dn], dim=1), join([dr, dz, dn * r], dim=1), gh * z


class Kind(NamedTuple):
    """What differs between the kinds of recurrent networks.

    Attributes
    ----------
    step, step_grad : callable
        One step in elementary ops, and its derivative.
    gates, notes, states : int
        Widths as multiples of the hidden size: of the input's part, and of what the kernels note; the number of states.
    """

    step: Callable
    step_grad: Callable
    gates: int
    notes: int
    states: int


KINDS = {
    "RNN_TANH": Kind(rnn_step, _rnn_step_grad, 1, 1, 1),
    "RNN_RELU": Kind(relu_step, _relu_step_grad, 1, 1, 1),
    "LSTM": Kind(lstm_step, _lstm_step_grad, 4, 5, 2),
    "GRU": Kind(gru_step, _gru_step_grad, 3, 4, 1),
}


# ---- all steps of a layer ---------------------------------------------------------------------------------------------------
class Notes:
    """What going forward through time writes down for the way back: the states before each step, and the gates."""

    __slots__ = ("before", "gates")

    before: np.ndarray
    gates: np.ndarray

    def __repr__(self) -> str:
        return "Notes()"


def time_steps(batch_sizes: Sequence[int], backwards: bool = False) -> tuple[tuple[int, int], ...]:
    """Return (first row, number of rows) of each time step, in the order in which they are taken."""
    steps, start = [], 0
    for count in batch_sizes:
        steps.append((start, count))
        start += count
    return tuple(reversed(steps) if backwards else steps)


def _why_not(error, x, w, b, h0, c0, kind, steps, notes):
    given = {"input": x, "weight": w, "bias": b, "h_0": h0, "c_0": c0}
    kinds = {name: t.dtype.name for name, t in given.items() if t is not None}
    if len(set(kinds.values())) == 1:
        return None
    listed = ", ".join(f"{name} is {dtype}" for name, dtype in kinds.items())
    return DtypeError(message("E109", kind, f"all must have the same dtype, but {listed}.", "x.float() makes float32."))


@primitive(method=False, names=("input", "weight", "bias", "h_0", "c_0"), explain=_why_not)
def recurrence(x, w, b, h0, c0=None, /, kind="RNN_TANH", steps=(), notes=None):
    """All time steps of a recurrent layer, where `hidden` = h w^T + b in each of them.

    Parameters
    ----------
    input : Tensor (rows, gates)
        What the inputs contribute, W_ih x + b_ih, for all time steps. Sequences of different lengths are packed: a step's rows
        belong to the sequences still running, longest first.
    weight, bias : Tensor (gates, H), (gates,)
    h_0, c_0 : Tensor (B, H)
        States at the beginning; c_0 for LSTM.
    kind : str
        A key of `KINDS`.
    steps : tuple of (int, int)
        From :func:`time_steps`.
    notes : Notes
        A new one for every call.

    Returns
    -------
    Tensor (rows + B, H), for LSTM (rows + 2B, H)
        h for every row of the input; after them the last h of each sequence, and the last c.
    """
    cell, rows, width = KINDS[kind], len(x), h0.shape[1]
    arrays = [a for a in (x, w, b, h0, c0) if a is not None]
    if any(a.dtype != x.dtype for a in arrays):
        raise ValueError("dtype")
    state = np.stack([h0] if c0 is None else [h0, c0])
    notes.before = empty((cell.states, rows, width), x.dtype)
    notes.gates = empty((rows, cell.notes * width), x.dtype)
    out = empty((rows + state.shape[0] * state.shape[1], width), x.dtype)
    kernels.recurrent_forward(
        np.ascontiguousarray(x),
        w,
        np.ascontiguousarray(b),
        state,
        np.array(steps),
        kind,
        notes.before,
        notes.gates,
        out[:rows],
    )
    out[rows:] = state.reshape(-1, width)
    return out


def _on_arrays(g, needs, w, kind, steps, notes):
    """Back through time: the running gradient of the states, step by step; then all weights' gradients in one product."""
    cell, rows, width = KINDS[kind], len(notes.gates), w.shape[1]
    running = np.array(g[rows:]).reshape(cell.states, -1, width)
    dx = empty((rows, cell.gates * width), g.dtype)
    da = empty(dx.shape, dx.dtype) if kind == "GRU" else dx
    kernels.recurrent_backward(g[:rows], w, running, np.array(steps), kind, notes.before, notes.gates, dx, da)
    _, dw, db = kernels.linear_backward(da, notes.before[0], w, None, None, (False, *needs[1:3]))
    return dx, dw, db, running[0], running[1] if cell.states == 2 else None


def _through_time(g, x, w, b, h0, c0, kind, steps):
    """The same in elementary ops: all gradients, in the order of the arguments."""
    cell, batch = KINDS[kind], h0.shape[0]
    states, history = [h0] if c0 is None else [h0, c0], []
    for start, count in steps:  # forward once more, to know what each step saw
        inputs, before = _rows(x, start, count), [_rows(s, 0, count) for s in states]
        hidden = matmul(before[0], transpose(w, 0, 1)) + b
        history.append((inputs, hidden, *before))
        states = [_overwritten(s, new) for s, new in zip(states, cell.step(inputs, hidden, *before), strict=True)]
    running = [_rows(g, x.shape[0] + k * batch, batch) for k in range(len(states))]
    dx, dw, db = {}, None, None
    for (start, count), seen in zip(reversed(steps), reversed(history), strict=True):
        grads = [_rows(r, 0, count) for r in running]
        grads[0] = grads[0] + _rows(g, start, count)
        dx[start], da, *direct = cell.step_grad(*grads, *seen)
        more = matmul(da, w)
        direct[0] = more if direct[0] is None else direct[0] + more
        running = [_overwritten(r, d) for r, d in zip(running, direct, strict=True)]
        step_w, step_b = matmul(transpose(da, 0, 1), seen[2]), sum_along(da, 0, False)
        dw, db = (step_w, step_b) if dw is None else (dw + step_w, db + step_b)
    return join([dx[start] for start in sorted(dx)], dim=0), dw, db, *running


def layer(x: Tensor, w: Tensor, b: Tensor, states: Sequence[Tensor], kind: str, steps: tuple) -> list[Tensor]:
    """Take all steps, and return h for every row followed by the last states."""
    out = recurrence(x, w, b, *states, kind=kind, steps=steps, notes=Notes())
    rows, batch = x.shape[0], states[0].shape[0]
    return [_rows(out, 0, rows), *(_rows(out, rows + k * batch, batch) for k in range(len(states)))]


def projected_layer(
    x: Tensor, w: Tensor, b: Tensor, projection: Tensor, states: Sequence[Tensor], steps: tuple
) -> list[Tensor]:
    """Take all steps of an LSTM whose h is projected, h = W_hr (o tanh(c)), in elementary ops; results as from :func:`layer`."""
    h, c = states
    outs = {}
    for start, count in steps:
        before, cell = _rows(h, 0, count), _rows(c, 0, count)
        new, cell = lstm_step(_rows(x, start, count), linear(before, w, b), before, cell)
        outs[start] = linear(new, projection)
        h, c = _overwritten(h, outs[start]), _overwritten(c, cell)
    return [join([outs[start] for start in sorted(outs)], dim=0), h, c]


def _rows(a, start, count):
    return basic_index(a, (slice(start, start + count), ...))


def _overwritten(a, first):
    """`a` with its first rows replaced."""
    count, rows = first.shape[0], a.shape[0]
    return first if count == rows else join([first, _rows(a, count, rows - count)], dim=0)


recurrence.derivative(
    x=lambda g, x, w, b, h0, c0, kind, steps: _through_time(g, x, w, b, h0, c0, kind, steps)[0],
    w=lambda g, x, w, b, h0, c0, kind, steps: _through_time(g, x, w, b, h0, c0, kind, steps)[1],
    b=lambda g, x, w, b, h0, c0, kind, steps: _through_time(g, x, w, b, h0, c0, kind, steps)[2],
    h0=lambda g, x, w, b, h0, c0, kind, steps: _through_time(g, x, w, b, h0, c0, kind, steps)[3],
    c0=lambda g, x, w, b, h0, c0, kind, steps: _through_time(g, x, w, b, h0, c0, kind, steps)[4],
)
recurrence.derivative_on_arrays(_on_arrays)
