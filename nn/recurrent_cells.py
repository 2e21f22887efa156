"""Cells: one step of a recurrent network, for loops of one's own. Made of elementary ops, which the graph shows."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.linear import empty
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.ops.recurrent import gru_step, lstm_step, relu_step, rnn_step
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


def fill_uniformly(module: Module, hidden_size: int) -> None:
    """Draw all weights uniformly from [-k, k] with k = 1 / sqrt(hidden_size)."""
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


def zeros(*shape: int, like: Tensor) -> Tensor:
    """Return a state to begin with."""
    return wrap(np.zeros(shape, like.array().dtype))


class RNNCellBase(Module):
    """What the cells share: the weights of one step, `num_chunks` gates one below the other."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(gates, input_size, dtype=dtype, device=device))
        self.weight_hh = Parameter(empty(gates, hidden_size, dtype=dtype))
        self.register_parameter("bias_ih", Parameter(empty(gates, dtype=dtype)) if bias else None)
        self.register_parameter("bias_hh", Parameter(empty(gates, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values, uniform in [-k, k] with k = 1 / sqrt(hidden_size)."""
        fill_uniformly(self, self.hidden_size)

    def _step(self, step: Callable, input: Tensor, states: list[Tensor] | None, count: int = 1) -> tuple[Tensor, ...]:
        """Take one step on (B, features), or on a single vector."""
        self._check(input, states)
        batched = input.ndim == 2
        x = input if batched else input.unsqueeze(0)
        if states is None:
            states = [zeros(x.shape[0], self.hidden_size, like=x)] * count
        elif not batched:
            states = [s.unsqueeze(0) for s in states]
        hidden = F.linear(states[0], self.weight_hh, self.bias_hh)
        out = step(F.linear(x, self.weight_ih, self.bias_ih), hidden, *states)
        return out if batched else tuple(s.squeeze(0) for s in out)

    def _check(self, x: Tensor, states: list[Tensor] | None) -> None:
        name = type(self).__name__
        for what, tensor, width in [("input", x, self.input_size)] + [
            ("hidden", s, self.hidden_size) for s in states or []
        ]:
            if tensor.ndim not in (1, 2):
                raise ValueError(
                    f"{name}: Expected {what} to be 1D or 2D, got {tensor.ndim}D instead, of shape {tuple(tensor.shape)}. "
                    f"Fix: (batch, {width}) or ({width},); a cell takes one time step."
                )
            if tensor.shape[-1] != width:
                facts = f"{what} has inconsistent {what}_size: got {tensor.shape[-1]}, expected {width} ({what} {tuple(tensor.shape)})."
                raise ShapeError(message("", name, facts, f"{what}_size={tensor.shape[-1]} in {name}(...)."))
            if tensor.shape[:-1] != x.shape[:-1]:
                facts = f"Input batch size {tuple(x.shape[:-1])} doesn't match hidden batch size {tuple(tensor.shape[:-1])}."
                raise ShapeError(message("", name, facts, "one state for each row of the input."))

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        kind = getattr(self, "nonlinearity", "tanh")
        return text if kind == "tanh" else f"{text}, nonlinearity={kind}"


class RNNCell(RNNCellBase):
    """One step of :class:`RNN`, h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Parameters
    ----------
    nonlinearity : {"tanh", "relu"}

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> cell, h = tg.nn.RNNCell(10, 20), None
    >>> for x in tg.zeros(5, 3, 10):
    ...     h = cell(x, h)
    >>> tuple(h.shape)
    (3, 20)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the state after the step; `hx` is the state before, zeros by default."""
        steps = {"tanh": rnn_step, "relu": relu_step}
        if self.nonlinearity not in steps:
            raise RuntimeError(
                f"RNNCell: Unknown nonlinearity: {self.nonlinearity}. Fix: nonlinearity='tanh' or 'relu'."
            )
        return self._step(steps[self.nonlinearity], input, None if hx is None else [hx])[0]


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: from x and (h, c) to (h', c'). It is made of elementary ops, which its graph shows."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return (h, c) after the step; `hx` is the pair before, zeros by default."""
        if hx is not None and (isinstance(hx, Tensor) or len(hx) != 2):
            raise TypeError(f"LSTMCell: hx must be a pair (h, c) of Tensors, got {type(hx).__name__}.")
        h, c = self._step(lstm_step, input, None if hx is None else list(hx), 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`: from x and h to h'."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the state after the step; `hx` is the state before, zeros by default."""
        return self._step(gru_step, input, None if hx is None else [hx])[0]
