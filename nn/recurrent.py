"""Recurrent networks: layers that run over whole sequences. Cells, which take one step, are in `recurrent_cells`.

References
----------
.. [1] J. Elman, "Finding structure in time", Cognitive Science 14, 1990.
.. [2] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
.. [3] K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014, arXiv:1406.1078.
.. [4] H. Sak, A. Senior and F. Beaufays, "Long short-term memory based recurrent neural network architectures for large vocabulary
   speech recognition", 2014, arXiv:1402.1128.
"""

import warnings
from typing import Any

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.linear import empty
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.nn.recurrent_cells import fill_uniformly, zeros
from tinygrad_edu.nn.utils.rnn import PackedSequence
from tinygrad_edu.ops.joining import cat, stack
from tinygrad_edu.ops.recurrent import KINDS, layer, projected_layer, time_steps
from tinygrad_edu.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]


class RNNBase(Module):
    """What :class:`RNN`, :class:`LSTM` and :class:`GRU` share; `mode` is "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional, self.proj_size = bias, batch_first, bidirectional, proj_size
        self._check_options(dropout)
        self.dropout = float(dropout)
        self._names: list[list[str]] = []  # of the weights of every layer and direction
        gates, out = KINDS[mode].gates * hidden_size, proj_size or hidden_size
        for number in range(num_layers):
            for suffix in ("", "_reverse") if bidirectional else ("",):
                width = input_size if number == 0 else out * (1 + bidirectional)
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, width), "weight_hh": (gates, out)}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                self._names.append([f"{name}_l{number}{suffix}" for name in shapes])
                for name, shape in zip(self._names[-1], shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(*shape, dtype=dtype, device=device)))
        self.reset_parameters()

    def _check_options(self, dropout: Any) -> None:
        name = type(self).__name__
        if self.mode not in KINDS:
            raise ValueError(f"Unrecognized RNN mode: {self.mode}. Fix: one of {', '.join(KINDS)}.")
        if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                f"{name}: dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
                f"got {dropout!r}"
            )
        for option in ("bias", "batch_first"):
            if not isinstance(getattr(self, option), bool):
                raise TypeError(f"{name}: {option} should be of type bool, got: {type(getattr(self, option)).__name__}")
        for option in ("input_size", "hidden_size"):
            if not isinstance(getattr(self, option), int):
                raise TypeError(f"{name}: {option} should be of type int, got: {type(getattr(self, option)).__name__}")
        for option in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, option) <= 0:
                raise ValueError(f"{name}: {option} must be greater than zero, got {getattr(self, option)}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise ValueError(
                f"{name}: proj_size has to be smaller than hidden_size ({self.hidden_size}), 0 for none, got {self.proj_size}"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"{name}: dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers=1",
                stacklevel=4,
            )

    def reset_parameters(self) -> None:
        """Draw new starting values, uniform in [-k, k] with k = 1 / sqrt(hidden_size)."""
        fill_uniformly(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Do nothing: on a GPU PyTorch joins the weights' memory here."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of every layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    # ---- running --------------------------------------------------------------------------------------------------------------
    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:
        """Run over the sequences from the states `hx`, zeros by default; return all outputs and the last states."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check_input(input, 3 if input.ndim != 2 else 2)
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        time, batch = x.shape[:2]
        if not time:
            raise RuntimeError(f"{type(self).__name__}: Expected sequence length to be larger than 0 in RNN.")
        states = self._states(hx, batch, x, batched)
        out, last = self._run(x.reshape(time * batch, x.shape[2]), (batch,) * time, states)
        if not batched:
            return out, self._handed_out([s.squeeze(1) for s in last])
        out = out.reshape(time, batch, out.shape[1])
        return out.transpose(0, 1) if self.batch_first else out, self._handed_out(last)

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        self._check_input(packed.data, 2)
        sizes = tuple(packed.batch_sizes.tolist())
        states = self._states(hx, sizes[0], packed.data, True)
        if hx is not None and packed.sorted_indices is not None:
            states = [s[:, packed.sorted_indices] for s in states]
        out, last = self._run(packed.data, sizes, states)
        if packed.unsorted_indices is not None:
            last = [s[:, packed.unsorted_indices] for s in last]
        return packed._replace(data=out), self._handed_out(last)

    def _run(self, rows: Tensor, sizes: tuple[int, ...], states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Run packed rows through all layers; the last states come back stacked as they were given."""
        finals: list[list[Tensor]] = []
        ways = [time_steps(sizes), time_steps(sizes, backwards=True)][: 1 + self.bidirectional]
        for number in range(self.num_layers):
            outs = []
            for steps in ways:
                out, *last = self._direction(len(finals), rows, [s[len(finals)] for s in states], steps)
                outs.append(out)
                finals.append(last)
            rows = cat(outs, 1) if len(outs) > 1 else outs[0]
            if self.dropout and self.training and number < self.num_layers - 1:
                rows = F.dropout(rows, self.dropout)
        return rows, [stack(each) if len(each) > 1 else each[0].unsqueeze(0) for each in zip(*finals, strict=True)]

    def _direction(self, index: int, rows: Tensor, states: list[Tensor], steps: tuple) -> list[Tensor]:
        """Run one layer in one direction: one product for the inputs of all steps, then step by step."""
        w_ih, w_hh, *rest = (getattr(self, name) for name in self._names[index])
        b_ih, b_hh = rest[:2] if self.bias else (None, zeros(w_hh.shape[0], like=w_hh))
        x = F.linear(rows, w_ih, b_ih)
        if self.proj_size:
            return projected_layer(x, w_hh, b_hh, rest[-1], states, steps)
        return layer(x, w_hh, b_hh, states, self.mode, steps)

    # ---- what comes in and goes out -------------------------------------------------------------------------------------------
    def _check_input(self, x: Tensor, dims: int) -> None:
        name = type(self).__name__
        if x.ndim != dims:
            raise ValueError(
                f"{name}: Expected input to be 2D or 3D, got {x.ndim}D tensor instead, of shape {tuple(x.shape)}. "
                f"Fix: {self._layout()}, or (T, {self.input_size}) for a single sequence."
            )
        weight = getattr(self, self._names[0][0])
        if x.dtype != weight.dtype:
            raise ValueError(
                f"{name}: RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Fix: input.to({weight.dtype}), or model.to({x.dtype})."
            )
        if x.shape[-1] != self.input_size:
            facts = (
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]} "
                f"(input {tuple(x.shape)})."
            )
            fix = f"input_size={x.shape[-1]} in {name}(...), or an input of shape {self._layout()}."
            raise ShapeError(message("", name, facts, fix))

    def _layout(self) -> str:
        order = "batch, time" if self.batch_first else "time, batch"
        return f"({order}, {self.input_size}) with batch_first={self.batch_first}"

    def _states(self, hx: Any, batch: int, like: Tensor, batched: bool) -> list[Tensor]:
        """Return the starting states, each (layers * directions, B, width)."""
        lines, widths = len(self._names), [self.proj_size or self.hidden_size]
        if self.mode == "LSTM":
            widths.append(self.hidden_size)
        if hx is None:
            return [zeros(lines, batch, width, like=like) for width in widths]
        given, name = [hx] if len(widths) == 1 else hx, type(self).__name__
        if isinstance(given, Tensor) or len(given) != len(widths) or not all(isinstance(s, Tensor) for s in given):
            wanted = "a Tensor h_0" if len(widths) == 1 else "a pair (h_0, c_0) of Tensors"
            raise TypeError(
                f"{name}: hx must be {wanted}, got {type(hx).__name__}. Fix: leave it out to start from zeros."
            )
        for s, width, which in zip(given, widths, ("h_0", "c_0"), strict=False):
            shape = (lines, batch, width) if batched else (lines, width)
            if tuple(s.shape) != shape:
                facts = f"Expected hidden size {shape} for {which}, got {list(s.shape)}: (layers * directions, batch, width)."
                fix = "leave hx out to start from zeros" + (
                    "; batch_first=True is about the input only." if self.batch_first else "."
                )
                raise ShapeError(message("", name, facts, fix))
        return list(given) if batched else [s.unsqueeze(1) for s in given]

    def _handed_out(self, states: list[Tensor]) -> Any:
        return tuple(states) if len(states) > 1 else states[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        usual: dict[str, Any] = {"proj_size": 0, "num_layers": 1, "bias": True}
        usual |= {"batch_first": False, "dropout": 0.0, "bidirectional": False}
        given = {option: getattr(self, option) for option in usual}
        return ", ".join([text, *(f"{option}={value}" for option, value in given.items() if value != usual[option])])


class RNN(RNNBase):
    """Simple recurrent network, h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) [1]_.

    Parameters
    ----------
    input_size, hidden_size : int
        Numbers of features of the input and of the state.
    num_layers : int
        Layers on top of one another; each reads the outputs of the one below.
    nonlinearity : {"tanh", "relu"}
    bias : bool
        Whether to add b_ih and b_hh.
    batch_first : bool
        Whether input and output are (B, T, features) rather than (T, B, features).
    dropout : float
        Probability of dropping an output of any layer but the last, in training.
    bidirectional : bool
        Whether a second network runs from the end to the beginning; the outputs of both stand side by side.

    Attributes
    ----------
    weight_ih_l[k], weight_hh_l[k], bias_ih_l[k], bias_hh_l[k] : Parameter
        Of layer k, with the suffix ``_reverse`` for the backward direction. Start uniform in [-k, k], k = 1 / sqrt(hidden_size).

    Notes
    -----
    The input is (T, B, input_size), (T, input_size) for a single sequence, or a PackedSequence; the optional second argument is the
    starting state (layers * directions, B, hidden_size). Returned are all outputs (T, B, directions * hidden_size) and the last state.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> out, h = tg.nn.RNN(10, 20, num_layers=2)(tg.zeros(5, 3, 10))
    >>> tuple(out.shape), tuple(h.shape)
    ((5, 3, 20), (2, 3, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        mode = "RNN_TANH" if nonlinearity == "tanh" else "RNN_RELU"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory [2]_: a cell c that gates protect, so that gradients survive many steps.

    i, f, o = sigmoid(...), g = tanh(...) of W_i. x_t + b_i. + W_h. h_{t-1} + b_h.;
    c_t = f c_{t-1} + i g;  h_t = o tanh(c_t)

    Parameters
    ----------
    proj_size : int
        If above 0, h_t is multiplied by a further weight ``weight_hr_l[k]`` and has this length [4]_.
    others
        As for :class:`RNN`.

    Notes
    -----
    The state is a pair (h, c), given and returned as a tuple. The weights hold i, f, g, o one below the other, (4 hidden_size, ...).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> out, (h, c) = tg.nn.LSTM(10, 20, batch_first=True, bidirectional=True)(tg.zeros(3, 5, 10))
    >>> tuple(out.shape), tuple(h.shape), tuple(c.shape)
    ((3, 5, 40), (2, 3, 20), (2, 3, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )  # fmt: skip


class GRU(RNNBase):
    """Gated recurrent unit [3]_: like LSTM with two gates and no separate cell.

    r, z = sigmoid(...);  n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn));  h_t = (1 - z) n + z h_{t-1}

    Parameters
    ----------
    all
        As for :class:`RNN`, without `nonlinearity`. The weights hold r, z, n one below the other, (3 hidden_size, ...).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> out, h = tg.nn.GRU(10, 20)(tg.zeros(5, 10))
    >>> tuple(out.shape), tuple(h.shape)
    ((5, 20), (1, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )  # fmt: skip
