"""Convolution, pooling, normalization and recurrent layers as ONNX nodes."""

import math
from typing import Any

import numpy as np

from tinygrad_edu.onnx.graph import Graph, Rules, Varying
from tinygrad_edu.onnx.trace import Value
from tinygrad_edu.ops.windows import as_sizes

__all__ = ["rule"]

rule = Rules()


def _each(value: Any, spatial: int) -> list[int]:
    """One number per spatial dimension."""
    return list(as_sizes(value, spatial, "onnx.export", "size"))


def _batched(g: Graph, x: Value, spatial: int, build: Any) -> str:
    """Build nodes for (N, C, ...); a single sample (C, ...) gets a batch of one around it."""
    if len(x.dims) == spatial + 2:
        return build(x)
    axis = g.constant([0])
    return g.node("Squeeze", build(g.node("Unsqueeze", x, axis)), axis)


# ---- convolution ------------------------------------------------------------------------------------------------------------
def _convolution(g: Graph, input: Value, weight: Value, bias: Value | None, stride, padding, dilation, groups) -> str:
    kernel = list(weight.dims[2:])
    spatial = len(kernel)
    dilations = _each(dilation, spatial)
    if padding == "same":  # an odd row or column more goes to the end
        total = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        pads = [n // 2 for n in total] + [n - n // 2 for n in total]
    else:
        pads = _each(0 if padding == "valid" else padding, spatial) * 2
    windows: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": _each(stride, spatial),
        "pads": pads,
        "dilations": dilations,
    }
    return _batched(g, input, spatial, lambda x: g.node("Conv", x, weight, bias, group=groups, **windows))


def _transposed(
    g: Graph, input: Value, weight: Value, bias: Value | None, stride, padding, output_padding, groups, dilation
) -> str:
    kernel = list(weight.dims[2:])
    spatial = len(kernel)
    strides, more = _each(stride, spatial), _each(output_padding, spatial)
    if any(n >= s for n, s in zip(more, strides, strict=True)):
        raise g.refused(
            "has an output_padding not below its stride, which few programs run", "a smaller output_padding."
        )
    windows: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": strides,
        "pads": _each(padding, spatial) * 2,
        "output_padding": more,
    }
    windows["dilations"] = _each(dilation, spatial)
    return _batched(g, input, spatial, lambda x: g.node("ConvTranspose", x, weight, bias, group=groups, **windows))


# ---- pooling ----------------------------------------------------------------------------------------------------------------
def _windows(spatial: int, kernel_size, stride, padding, ceil_mode: bool) -> dict[str, Any]:
    kernel = _each(kernel_size, spatial)
    strides, pads = _each(stride, spatial) if stride else kernel, _each(padding, spatial) * 2
    return {"kernel_shape": kernel, "strides": strides, "pads": pads, "ceil_mode": int(ceil_mode)}


def _max_pool(spatial: int) -> Any:
    def build(
        g: Graph, input: Value, kernel_size, stride, padding, dilation, ceil_mode: bool, return_indices: bool
    ) -> str:
        if return_indices:
            raise g.refused("also returns the indices of the maxima", "return_indices=False.")
        windows = _windows(spatial, kernel_size, stride, padding, ceil_mode)
        return _batched(
            g, input, spatial, lambda x: g.node("MaxPool", x, dilations=_each(dilation, spatial), **windows)
        )

    return build


def _avg_pool(spatial: int) -> Any:
    def build(
        g: Graph, input: Value, kernel_size, stride, padding, ceil_mode: bool, count_include_pad: bool, divisor_override=None
    ) -> str:  # fmt: skip
        windows = _windows(spatial, kernel_size, stride, padding, ceil_mode)
        count = int(count_include_pad or divisor_override is not None)
        y = _batched(g, input, spatial, lambda x: g.node("AveragePool", x, count_include_pad=count, **windows))
        if divisor_override is None:
            return y
        if ceil_mode:
            raise g.refused("has a divisor_override with windows over the edge", "ceil_mode=False.")
        return g.node("Mul", y, g.like(input, math.prod(windows["kernel_shape"]) / divisor_override))

    return build


def _adaptive_max_pool(spatial: int) -> Any:
    def build(g: Graph, input: Value, output_size, return_indices: bool) -> str:
        lengths = input.dims[-spatial:]
        wanted = [output_size] * spatial if output_size is None or isinstance(output_size, int) else output_size
        sizes = [n if w is None else w for w, n in zip(wanted, lengths, strict=True)]
        uneven = any(isinstance(n, Varying) or n % w for n, w in zip(lengths, sizes, strict=True))
        if return_indices or uneven:
            facts = f"makes {tuple(sizes)} windows of different sizes of an image {tuple(lengths)}, or returns indices"
            raise g.refused(facts, "an output size that divides the image's, and no indices.")
        return _max_pool(spatial)(
            g, input, [n // w for n, w in zip(lengths, sizes, strict=True)], None, 0, 1, False, False
        )

    return build


for _spatial in (1, 2, 3):
    rule[f"conv{_spatial}d"], rule[f"conv_transpose{_spatial}d"] = _convolution, _transposed
    rule[f"max_pool{_spatial}d"], rule[f"avg_pool{_spatial}d"] = _max_pool(_spatial), _avg_pool(_spatial)
    rule[f"adaptive_max_pool{_spatial}d"] = _adaptive_max_pool(_spatial)


@rule
def adaptive_mean(g: Graph, x: Value, dim: int, count: int) -> str:
    """The means of windows along one dimension, each cut out."""
    size = g.static(x.dims[dim])
    axis, means = g.constant([dim]), []
    for i in range(count):
        start, stop = i * size // count, -((i + 1) * size // -count)
        window = g.node("Slice", x, g.constant([start]), g.constant([stop]), axis)
        means.append(g.node("ReduceMean", window, axis, keepdims=1))
    return g.node("Concat", *means, axis=dim)


# ---- normalization ----------------------------------------------------------------------------------------------------------
def _standardize(g: Graph, x: Any, axes: list[int], eps: str) -> str:
    """(x - mean) / sqrt(var + eps) over some dimensions."""
    dims = g.constant(axes, np.int64)
    centred = g.node("Sub", x, g.node("ReduceMean", x, dims, keepdims=1))
    variance = g.node("ReduceMean", g.node("Mul", centred, centred), dims, keepdims=1)
    return g.node("Div", centred, g.node("Sqrt", g.node("Add", variance, eps)))


def _per_channel(g: Graph, y: str, w: Value | None, b: Value | None, ndim: int) -> str:
    """y * w + b with a number for each channel."""
    column = g.constant([1, -1] + [1] * (ndim - 2))
    y = y if w is None else g.node("Mul", y, g.node("Reshape", w, column))
    return y if b is None else g.node("Add", y, g.node("Reshape", b, column))


@rule
def batch_norm(
    g: Graph, input: Value, running_mean: Value, running_var: Value, weight: Value | None, bias: Value | None,
    training: bool, momentum: float, eps: float,
) -> str:  # fmt: skip
    if training:  # a layer without running statistics uses the batch's in evaluation too
        ndim = len(input.dims)
        normal = _standardize(g, input, [0, *range(2, ndim)], g.like(input, eps))
        return _per_channel(g, normal, weight, bias, ndim)
    scale = weight if weight is not None else np.ones_like(running_mean.array)
    shift = bias if bias is not None else np.zeros_like(running_mean.array)
    return g.node("BatchNormalization", input, scale, shift, running_mean, running_var, epsilon=float(eps))


@rule
def row_standardize(g: Graph, x: Value, w: Value | None, b: Value | None, count: int, eps: float, work: Any) -> str:
    scale = w if w is not None else np.ones(x.array.shape[x.array.ndim - count :], x.array.dtype)
    return g.node("LayerNormalization", x, scale, b, axis=-count, epsilon=float(eps))


@rule
def group_standardize(g: Graph, x: Value, w: Value | None, b: Value | None, groups: int, eps: float, work: Any) -> str:
    rows = g.node("Reshape", x, g.constant([0, groups, -1]))
    normal = g.reshape(_standardize(g, rows, [2], g.like(x, eps)), x.dims, x.dims[:2])
    return _per_channel(g, normal, w, b, len(x.dims))


@rule
def local_response_norm(g: Graph, input: Value, size: int, alpha: float, beta: float, k: float) -> str:
    if size % 2 == 0:
        raise g.refused("has windows of even size, which ONNX centres differently", "an odd size.")
    if len(input.dims) != 4:
        raise g.refused(f"normalizes a tensor of shape {input.array.shape}", "images (N, C, H, W).")
    return g.node("LRN", input, size=size, alpha=float(alpha), beta=float(beta), bias=float(k))


# ---- recurrent layers -------------------------------------------------------------------------------------------------------
# Where each of ONNX's gates stands among ours: i, o, f, c of i, f, g, o; z, r, h of r, z, n.
GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN_TANH": [0], "RNN_RELU": [0]}


@rule
def RNNBase(g: Graph, self: Any, input: Any, hx: Any, weights: list) -> list[str]:
    """All layers of an RNN, LSTM or GRU, one node each; the results are the outputs and the last states."""
    if not isinstance(input, Value) or len(input.dims) != 3:
        raise g.refused("runs on a packed or a single sequence", "a batch of sequences of one length.")
    x = g.node("Transpose", input, perm=[1, 0, 2]) if self.batch_first else g.name(input)
    states = [] if hx is None else list(hx) if isinstance(hx, tuple | list) else [hx]
    ways, finals = 1 + self.bidirectional, []
    for number in range(self.num_layers):
        lines = range(number * ways, (number + 1) * ways)
        begin = [
            g.node("Slice", s, g.constant([lines[0]]), g.constant([lines[-1] + 1]), g.constant([0])) for s in states
        ]
        x, *last = _recurrent_layer(g, self, x, [weights[line] for line in lines], begin)
        finals.append(last)
    joined = [each[0] if len(each) == 1 else g.node("Concat", *each, axis=0) for each in zip(*finals, strict=True)]
    return [g.node("Transpose", x, perm=[1, 0, 2]) if self.batch_first else x, *joined]


def _recurrent_layer(g: Graph, layer: Any, x: str, weights: list[list[Value]], begin: list[str]) -> list[str]:
    """One layer in one or both directions: (T, B, features) to (T, B, directions * H), and the last states."""
    hidden, gates = layer.hidden_size, GATES[layer.mode]
    order = np.concatenate([np.arange(n * hidden, (n + 1) * hidden) for n in gates])
    kind = "RNN" if layer.mode.startswith("RNN") else layer.mode
    activation = {"RNN_TANH": "Tanh", "RNN_RELU": "Relu"}.get(layer.mode)
    w, r, *b = (
        _side_by_side(g, [_reordered(g, line[part], order) for line in weights])
        for part in range(4 if layer.bias else 2)
    )
    outs = g.node(
        kind, x, w, r, g.node("Concat", *b, axis=1) if b else None, None, *begin, outputs=3 if kind == "LSTM" else 2,
        hidden_size=hidden, direction="bidirectional" if len(weights) == 2 else "forward",
        activations=[activation] * len(weights) if activation else None, linear_before_reset=1 if kind == "GRU" else None,
    )  # fmt: skip
    flat = g.node("Reshape", g.node("Transpose", outs[0], perm=[0, 2, 1, 3]), g.constant([0, 0, len(weights) * hidden]))
    return [flat, *outs[1:]]


def _reordered(g: Graph, weight: Value, order: np.ndarray) -> Any:
    """The rows of a weight in the order of ONNX's gates."""
    return weight if np.array_equal(order, np.arange(len(order))) else g.node("Gather", weight, order, axis=0)


def _side_by_side(g: Graph, parts: list[Any]) -> str:
    """The weights of all directions, stacked along a new first dimension."""
    lifted = [g.node("Unsqueeze", part, g.constant([0])) for part in parts]
    return lifted[0] if len(lifted) == 1 else g.node("Concat", *lifted, axis=0)
