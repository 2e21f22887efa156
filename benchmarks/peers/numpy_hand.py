"""NumPy with backpropagation written by hand: what is left when there is no graph at all."""

import numpy as np

from benchmarks.peers.base import Peer, Run, batches, numpy_optimizer, read_loss, repeat, targets_for
from benchmarks.workloads import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
    Training,
    initial_weights,
)


class NumpyHand(Peer):
    name = "numpy"
    title = "NumPy, written by hand"
    requires = "numpy"
    rank = 30
    uses_openblas = True

    def facts(self) -> dict[str, str]:
        return {"version": np.__version__}

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        weights = initial_weights(workload)
        remaining = iter(weights)
        layers = [make(layer, remaining) for layer in workload.network]
        update = numpy_optimizer(workload, weights)
        loss_and_gradient = LOSSES[workload.loss]
        draw = batches(workload, inputs, targets_for(workload, targets))

        def step():
            h, y = draw()
            for layer in layers:
                h = layer.forward(h)
            loss, g = loss_and_gradient(h, y)
            gradients = []
            for layer in reversed(layers):
                g, own = layer.backward(g, layer is not layers[0])
                gradients[:0] = own
            update(gradients)
            return loss

        return repeat(step, read_loss)


def mse(output: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    difference = output - y
    return (difference * difference).mean(), difference * np.float32(2 / difference.size)


def cross_entropy(output: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    shifted = output - output.max(1, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(1, keepdims=True)
    loss = -(y * (shifted - np.log(total))).sum() / len(y)
    exponentials /= total
    exponentials -= y
    exponentials *= np.float32(1 / len(y))
    return loss, exponentials


def bce_with_logits(output: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    loss = (np.logaddexp(np.float32(0), output) - output * y).mean()
    return loss, (1 / (1 + np.exp(-output)) - y) * np.float32(1 / output.size)


LOSSES = {"mse": mse, "cross_entropy": cross_entropy, "bce_with_logits": bce_with_logits}


def make(layer: Layer, weights):
    """The hand-written counterpart of a layer; it takes its weights from the common list."""
    match layer:
        case Dense():
            return HandDense(next(weights), next(weights))
        case Conv(padding=padding):
            return HandConv(next(weights), next(weights), padding)
        case Activation(kind):
            return {"sigmoid": HandSigmoid, "tanh": HandTanh, "relu": HandRelu}[kind]()
        case MaxPool():
            return HandMaxPool2()
        case Flatten():
            return HandFlatten()
        case Dropout(p):
            return HandDropout(p)


class HandDense:
    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, x):
        self.x = x
        y = x @ self.weight
        y += self.bias
        return y

    def backward(self, g, wanted):
        return g @ self.weight.T if wanted else None, [self.x.T @ g, g.sum(0)]


class HandSigmoid:
    def forward(self, x):
        np.negative(x, out=x)
        np.exp(x, out=x)
        x += 1
        self.y = np.reciprocal(x, out=x)
        return self.y

    def backward(self, g, wanted):
        g *= self.y
        g *= 1 - self.y
        return g, []


class HandTanh:
    def forward(self, x):
        self.y = np.tanh(x, out=x)
        return self.y

    def backward(self, g, wanted):
        g *= 1 - self.y * self.y
        return g, []


class HandRelu:
    def forward(self, x):
        self.y = np.maximum(x, 0, out=x)
        return self.y

    def backward(self, g, wanted):
        return g * (self.y > 0), []


class HandDropout:
    def __init__(self, p: float) -> None:
        self.p, self.random = p, np.random.default_rng(0)

    def forward(self, x):
        self.mask = (self.random.random(x.shape, dtype=np.float32) >= self.p) * np.float32(1 / (1 - self.p))
        return x * self.mask

    def backward(self, g, wanted):
        return g * self.mask, []


class HandFlatten:
    def forward(self, x):
        self.shape = x.shape
        return np.ascontiguousarray(x).reshape(len(x), -1)

    def backward(self, g, wanted):
        return g.reshape(self.shape), []


class HandConv:
    """Patches side by side in one matrix, then one product; images channels-last inside, NCHW outside."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray, padding: int) -> None:
        self.weight, self.bias, self.padding, self.size = weight, bias, padding, weight.shape[-1]

    def forward(self, x):
        p = self.padding
        if p:
            x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (self.size, self.size), axis=(2, 3))
        n, channels, self.height, self.width = windows.shape[:4]
        self.padded_shape = x.shape
        self.patches = np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(-1, channels * self.size**2)
        y = self.patches @ self.weight.reshape(len(self.weight), -1).T
        y += self.bias
        return y.reshape(n, self.height, self.width, -1).transpose(0, 3, 1, 2)

    def backward(self, g, wanted):
        rows = np.ascontiguousarray(g.transpose(0, 2, 3, 1)).reshape(-1, len(self.weight))
        own = [(rows.T @ self.patches).reshape(self.weight.shape), rows.sum(0)]
        if not wanted:
            return None, own
        n, channels, height, width = self.padded_shape
        patches = (rows @ self.weight.reshape(len(self.weight), -1)).reshape(
            n, self.height, self.width, channels, self.size, self.size
        )
        image = np.zeros((n, height, width, channels), np.float32)
        for u in range(self.size):
            for v in range(self.size):
                image[:, u : u + self.height, v : v + self.width] += patches[..., u, v]
        p = self.padding
        return image[:, p : height - p, p : width - p].transpose(0, 3, 1, 2), own


class HandMaxPool2:
    """2 x 2 windows; among equal values the first one receives the gradient (the digits' background ties often)."""

    def forward(self, x):
        x = x.transpose(0, 2, 3, 1)  # the memory order that the convolution leaves
        n, height, width, channels = x.shape
        self.windows = x.reshape(n, height // 2, 2, width // 2, 2, channels)
        self.corners = [self.windows[:, :, u, :, v] for u in (0, 1) for v in (0, 1)]
        a, b, c, d = self.corners
        self.top = np.maximum(np.maximum(a, b), np.maximum(c, d))
        return self.top.transpose(0, 3, 1, 2)

    def backward(self, g, wanted):
        g = g.transpose(0, 2, 3, 1)
        result = np.zeros_like(self.windows)
        free = np.ones(self.top.shape, bool)
        for (u, v), corner in zip(((0, 0), (0, 1), (1, 0), (1, 1)), self.corners, strict=True):
            hit = (corner == self.top) & free
            free &= ~hit
            result[:, :, u, :, v] = hit * g
        n, rows, _, columns, _, channels = self.windows.shape
        return result.reshape(n, 2 * rows, 2 * columns, channels).transpose(0, 3, 1, 2), []
