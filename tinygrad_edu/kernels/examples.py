"""One or more calls of every public kernel, of any size: what is compiled beforehand, and what the tests hold against the twins.

A kernel is entered in `EXAMPLES` by its name, with functions ``(draw, n) -> arguments``: `draw` makes arrays, and all sizes
follow from n; with n = 0 the batch is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.kernels import (
    conv_numpy,
    elementwise_numpy,
    linear_numpy,
    norm_numpy,
    pool_numpy,
    recurrent_numpy,
    softmax_numpy,
)

Pair = tuple[int, int]
Example = Callable[["Draw", int], tuple]


class Draw:
    """Makes arrays of standard normal numbers of one dtype, always the same ones in the same order."""

    def __init__(self, dtype: Any, seed: int = 0):
        self.dtype, self._rng = np.dtype(dtype), np.random.default_rng(seed)

    def __call__(self, *shape: int) -> np.ndarray:
        numbers = self._rng.standard_normal(shape)
        return np.asarray(numbers if self.dtype.kind == "f" else np.round(3 * numbers)).astype(self.dtype)

    def positive(self, *shape: int) -> np.ndarray:
        return np.abs(self(*shape)) + self.dtype.type(0.5)

    def whole(self, high: int, *shape: int) -> np.ndarray:
        return self._rng.integers(0, high, shape)


def calls(name: str, dtype: Any, n: int) -> Iterator[tuple]:
    """Yield the arguments of every example of a kernel, freshly made."""
    for i, example in enumerate(EXAMPLES[name]):
        yield example(Draw(dtype, seed=i), n)


def images(draw: Draw, n: int, channels: int) -> np.ndarray:
    """A few images whose sizes are odd when n is even, and the reverse."""
    return draw(min(n, 3), channels, n + 7, n + 8)


# ---- convolution and pooling ------------------------------------------------------------------------------------------------
Settings = tuple[Pair, Pair, Pair, int]
SETTINGS: list[Settings] = [  # stride, padding, dilation, groups
    ((1, 1), (0, 0), (1, 1), 1), ((1, 1), (1, 1), (1, 1), 1), ((2, 2), (1, 1), (1, 1), 1), ((2, 1), (0, 2), (1, 2), 1),
    ((1, 1), (1, 0), (2, 1), 2), ((1, 1), (3, 3), (1, 1), 1),
]  # fmt: skip


def _filters(draw: Draw, n: int, groups: int) -> np.ndarray:
    return draw(groups * max(1, n), 2, 3, 3)


def _conv_forward(settings: tuple, bias: bool) -> Example:
    groups = settings[3]
    return lambda draw, n: (
        images(draw, n, 2 * groups),
        w := _filters(draw, n, groups),
        draw(len(w)) if bias else None,
        *settings,
    )


def _conv_slopes(draw: Draw, x: np.ndarray, filters: int, settings: tuple) -> np.ndarray:
    return draw(len(x), filters, *conv_numpy.conv_output_hw(x.shape[2:], (3, 3), *settings[:3]))


def _conv_input_grad(settings: tuple) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x, w = images(draw, n, 2 * settings[3]), _filters(draw, n, settings[3])
        return _conv_slopes(draw, x, len(w), settings), w, x.shape[2:], *settings

    return example


def _conv_weight_grad(settings: tuple) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x = images(draw, n, 2 * settings[3])
        return x, _conv_slopes(draw, x, settings[3] * max(1, n), settings), (3, 3), *settings

    return example


WINDOWS = [  # kernel, stride, padding, dilation, ceil_mode
    ((2, 2), (2, 2), (0, 0), (1, 1), False), ((3, 3), (2, 2), (1, 1), (1, 1), True), ((2, 3), (1, 2), (1, 0), (2, 1), False),
]  # fmt: skip


def _pooled(settings: tuple) -> Example:
    return lambda draw, n: (images(draw, n, 2), *settings)


def _max_pool_backward(windows: tuple, tile: tuple | None) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x = images(draw, n, 2)
        y, index = pool_numpy.max_pool2d_forward(x, *windows)
        return draw(*y.shape), index, x.shape[2:], *([tile] if tile else [])

    return example


def _max_pool_gather(windows: tuple) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x = images(draw, n, 2)
        return x, pool_numpy.max_pool2d_forward(x, *windows)[1]

    return example


AVERAGES = [  # kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    ((2, 2), (2, 2), (0, 0), False, True, None), ((3, 2), (2, 1), (1, 1), True, False, None), ((2, 2), (1, 1), (0, 0), False, True, 3),
]  # fmt: skip


def _avg_pool_backward(settings: tuple) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x = images(draw, n, 2)
        return draw(*pool_numpy.avg_pool2d_forward(x, *settings).shape), x.shape[2:], *settings

    return example


def _conv_pool(settings: Settings, pool: int) -> Example:
    return lambda draw, n: (*_conv_forward(settings, True)(draw, n), pool)


def _conv_pool_backward(settings: Settings, pool: int, *needs: tuple[bool, bool, bool]) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x, w, bias, *_ = _conv_pool(settings, pool)(draw, n)
        y, index = conv_numpy.conv_relu_pool_forward(x, w, bias, *settings, pool)
        return draw(*y.shape), x, w, y, index, *settings, pool, *needs

    return example


def _conv_pool_slopes(settings: Settings, pool: int) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        g, x, w, y, index, *_ = _conv_pool_backward(settings, pool)(draw, n)
        return g, y, index, conv_numpy.conv_output_hw(x.shape[2:], w.shape[2:], *settings[:3]), pool

    return example


# ---- layers and losses ------------------------------------------------------------------------------------------------------
def _linear(activation: Any, bias: bool, width: int) -> Example:
    """A layer with 2 n + 1 inputs and at most `width` outputs."""
    return lambda draw, n: (
        draw(n, 2 * n + 1),
        w := draw(min(n + 1, width), 2 * n + 1),
        draw(len(w)) if bias else None,
        activation,
    )


def _linear_backward(activation: Any, needs: tuple[bool, bool, bool], width: int, by_name: bool) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x, w, bias, _ = _linear(activation, True, width)(draw, n)
        home = linear_numpy.linear_forward if by_name else linear_numpy.linear_act_forward
        y = home(x, w, bias, activation)
        return draw(*y.shape), x, w, y, activation, *((needs,) if by_name else needs)

    return example


ACTS = (elementwise_numpy.NONE, elementwise_numpy.RELU, elementwise_numpy.SIGMOID, elementwise_numpy.TANH)
EVERY = (True, True, True)


def _rows(draw: Draw, n: int) -> np.ndarray:
    return draw(n + 1, 2 * n + 1)


def _slope_of(activation: Callable, make: Example) -> Example:
    """Arguments (g, y) of the gradient of an activation, from its output y."""

    def example(draw: Draw, n: int) -> tuple:
        y = np.asarray(activation(*make(draw, n)))
        return draw(*y.shape), y

    return example


def _flat(draw: Draw, n: int) -> tuple:
    return (draw(n, 3),)


def _scores(draw: Draw, n: int) -> tuple:
    return draw(n, n + 2), draw.whole(n + 2, n)


# ---- normalization, lookups, recurrent layers ---------------------------------------------------------------------------------
def _batch(draw: Draw, n: int, affine: bool) -> tuple:
    x, c = draw(n + 2, 3, n + 1, 2), 3
    return x, draw(c) if affine else None, draw(c) if affine else None, 1e-5


def _batch_back(draw: Draw, n: int, affine: bool) -> tuple:
    x, weight, bias, eps = _batch(draw, n, affine)
    _, mean, _, rstd = norm_numpy.batch_norm_forward(x, weight, bias, eps)
    return draw(*x.shape), x, weight, mean, rstd


def _norm_rows(draw: Draw, n: int, groups: tuple[int, int], affine: bool) -> tuple:
    x = draw(n * groups[0], (n + 1) * groups[1])
    return x, draw(*groups) if affine else None, draw(*groups) if affine else None, 1e-5


def _norm_rows_back(draw: Draw, n: int, groups: tuple[int, int], affine: bool) -> tuple:
    x, weight, bias, eps = _norm_rows(draw, n, groups, affine)
    _, mean, rstd = norm_numpy.row_norm_forward(x, weight, bias, eps)
    return draw(*x.shape), x, weight, mean, rstd, groups


def _lookup(width: int) -> Example:
    return lambda draw, n: (draw(2 * n, width), draw.whole(n + 1, 2 * n), n + 1)


GATES = {"RNN_TANH": (1, 1, 1), "RNN_RELU": (1, 1, 1), "LSTM": (4, 2, 5), "GRU": (3, 1, 4)}  # gates, states, notes


def _recurrent(kind: str) -> Example:
    gates, states, notes = GATES[kind]

    def example(draw: Draw, n: int) -> tuple:
        batch, width, steps = min(n, 3), n + 1, np.array([(t * min(n, 3), min(n, 3)) for t in range(3)])
        rows, small = 3 * batch, draw.dtype.type((n + 1) ** -0.5)
        return (
            draw(rows, gates * width), draw(gates * width, width) * small, draw(gates * width), draw(states, batch, width), steps,
            kind, np.zeros((states, rows, width), draw.dtype), np.zeros((rows, notes * width), draw.dtype),
            np.zeros((rows, width), draw.dtype),
        )  # fmt: skip

    return example


def _recurrent_back(kind: str) -> Example:
    def example(draw: Draw, n: int) -> tuple:
        x, w, bias, state, steps, _, before, notes, out = _recurrent(kind)(draw, n)
        recurrent_numpy.recurrent_forward(x, w, bias, state, steps, kind, before, notes, out)
        dx = np.zeros_like(x)
        da = np.zeros_like(x) if kind == "GRU" else dx
        return draw(*out.shape), w, draw(*state.shape), steps[::-1].copy(), kind, before, notes, dx, da

    return example


# ---- optimizers -------------------------------------------------------------------------------------------------------------
def _sgd(momentum: bool, *settings: Any) -> Example:
    return lambda draw, n: (draw(n), draw(n), draw(n) if momentum else None, 0.1, *settings)


def _adam(largest: bool, *settings: Any) -> Example:
    return lambda draw, n: (
        draw(n), draw(n), draw(n), draw.positive(n), draw.positive(n) if largest else None, 3, 0.1, 0.9, 0.99, 1e-8, *settings,
    )  # fmt: skip


def _rmsprop(centered: bool, momentum: bool, *settings: Any) -> Example:
    return lambda draw, n: (
        draw(n), draw(n), 9 * draw.positive(n), draw(n) / 9 if centered else None, draw(n) if momentum else None, 0.1, 0.9, 1e-8,
        *settings,
    )  # fmt: skip


EXAMPLES: dict[str, list[Example]] = {
    "conv2d_forward": [_conv_forward(settings, i % 2 == 0) for i, settings in enumerate(SETTINGS)],
    "conv2d_bias_grad": [lambda draw, n: (images(draw, n, 3),)],
    "conv2d_input_grad": [_conv_input_grad(settings) for settings in SETTINGS],
    "conv2d_weight_grad": [_conv_weight_grad(settings) for settings in SETTINGS],
    "conv_relu_pool_forward": [_conv_pool(SETTINGS[0], 2), _conv_pool(SETTINGS[1], 1), _conv_pool(SETTINGS[2], 3)],
    "conv_relu_pool_backward": [
        _conv_pool_backward(SETTINGS[0], 2), _conv_pool_backward(SETTINGS[1], 1), _conv_pool_backward(SETTINGS[2], 3),
        _conv_pool_backward(SETTINGS[0], 2, (False, True, True)),
    ],
    "conv_relu_pool_slopes": [_conv_pool_slopes(SETTINGS[i], pool) for i, pool in enumerate((2, 1, 3))],
    "max_pool2d_forward": [_pooled(windows) for windows in WINDOWS],
    "max_pool2d_backward": [_max_pool_backward(w, (2, 2) if i == 0 else None) for i, w in enumerate(WINDOWS)],
    "max_pool2d_gather": [_max_pool_gather(windows) for windows in WINDOWS],
    "avg_pool2d_forward": [_pooled(settings) for settings in AVERAGES],
    "avg_pool2d_backward": [_avg_pool_backward(settings) for settings in AVERAGES],
    "matmul": [
        lambda draw, n: (draw(n, 2 * n + 1), draw(2 * n + 1, n + 3)),
        lambda draw, n: (draw(2, n, 3), draw(3, n + 1)),
        lambda draw, n: (draw(n + 1), draw(n + 1)),
        lambda draw, n: (draw(n, 4 * n + 9), draw(9, 4 * n + 9).T),
        lambda draw, n: (draw(n + 40, 70), draw(70, 64)),  # large enough for blocks, of columns
        lambda draw, n: (draw(n + 60, 70), draw(70, 33)),  # and of rows
    ],
    "linear_forward": [_linear(name, name != "tanh", 40) for name in linear_numpy.ACTIVATIONS],
    "linear_backward": [_linear_backward(name, EVERY, 40, True) for name in linear_numpy.ACTIVATIONS],
    "linear_act_forward": [
        *(_linear(act, True, width) for act in ACTS for width in (1, 40)), _linear(ACTS[1], False, 40), _linear(ACTS[0], False, 3),
        lambda draw, n: (draw(10_000, 32), draw(16, 32), draw(16), ACTS[0]),  # large, of rows times rows
    ],
    "linear_act_backward": [
        *(_linear_backward(act, EVERY, width, False) for act in ACTS for width in (1, 40)),
        _linear_backward(ACTS[1], (False, True, False), 40, False), _linear_backward(ACTS[0], (True, False, True), 40, False),
    ],
    "relu": [lambda draw, n: (_rows(draw, n),), lambda draw, n: (draw(n),)],
    "relu_grad": [_slope_of(elementwise_numpy.relu, _flat)],
    "exp": [lambda draw, n: (_rows(draw, n),), lambda draw, n: (draw(n),)],
    "tanh": [lambda draw, n: (_rows(draw, n),), lambda draw, n: (draw(n),)],
    "sigmoid": [lambda draw, n: (_rows(draw, n),), lambda draw, n: (draw(n),)],
    "sigmoid_grad": [_slope_of(elementwise_numpy.sigmoid, _flat)],
    "tanh_grad": [_slope_of(np.tanh, _flat)],
    "softmax": [lambda draw, n: (_rows(draw, n),), lambda draw, n: (draw(2, 5, n), 1)],
    "softmax_grad": [
        _slope_of(softmax_numpy.softmax, lambda draw, n: (_rows(draw, n),)),
        lambda draw, n: (*_slope_of(lambda x: softmax_numpy.softmax(x, 1), lambda draw, n: (draw(2, 5, n),))(draw, n), 1),
    ],
    "log_softmax": [lambda draw, n: (_rows(draw, n),), lambda draw, n: (draw(2, 5, n), 1)],
    "log_softmax_grad": [
        _slope_of(softmax_numpy.log_softmax, lambda draw, n: (_rows(draw, n),)),
        lambda draw, n: (*_slope_of(lambda x: softmax_numpy.log_softmax(x, 1), lambda draw, n: (draw(2, 5, n),))(draw, n), 1),
    ],
    "cross_entropy_forward": [_scores],
    "mse_forward": [lambda draw, n: (draw(n, 3), draw(n, 3))],
    "bce_with_logits_forward": [lambda draw, n: (draw(n, 3), elementwise_numpy.sigmoid(draw(n, 3)))],
    "batch_norm_forward": [lambda draw, n: _batch(draw, n, True), lambda draw, n: _batch(draw, n, False)],
    "batch_norm_backward": [lambda draw, n: _batch_back(draw, n, True), lambda draw, n: _batch_back(draw, n, False)],
    "row_norm_forward": [
        lambda draw, n: _norm_rows(draw, n, (1, n + 1), True), lambda draw, n: _norm_rows(draw, n, (2, 3), True),
        lambda draw, n: _norm_rows(draw, n, (1, 1), False),
    ],
    "row_norm_backward": [
        lambda draw, n: _norm_rows_back(draw, n, (1, n + 1), True), lambda draw, n: _norm_rows_back(draw, n, (2, 3), True),
        lambda draw, n: _norm_rows_back(draw, n, (1, 1), False),
    ],
    "bernoulli_into": [
        lambda draw, n: (draw(n, 3), np.random.MT19937(n), 0.5, 2.0),
        lambda draw, n: (draw(n, 100), np.random.MT19937(n), 0.3, 1.0),
    ],
    "add_rows": [_lookup(1), _lookup(5)],
    "recurrent_forward": [_recurrent(kind) for kind in GATES],
    "recurrent_backward": [_recurrent_back(kind) for kind in GATES],
    "sgd_step": [_sgd(False), _sgd(True, 0.9, 0.1, 0.01, False, False, False), _sgd(True, 0.9, 0.0, 0.0, True, True, True)],
    "adam_step": [_adam(False), _adam(True, 0.01, True, False), _adam(False, 0.01, False, True)],
    "rmsprop_step": [_rmsprop(False, False), _rmsprop(True, True, 0.01, 0.9, True), _rmsprop(False, True, 0.0, 0.9, False)],
}  # fmt: skip
