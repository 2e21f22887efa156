"""HIPS autograd: derivatives of functions written with its wrapped NumPy."""

from collections.abc import Callable

import numpy as np

from benchmarks.peers.base import Feed, Peer, Run, numpy_optimizer, one_hot
from benchmarks.workloads import (
    Activation,
    Chain,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
    Scalar,
    Training,
    initial_weights,
)


class Autograd(Peer):
    name = "autograd"
    title = "HIPS autograd"
    requires = "autograd"
    rank = 50

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import autograd
        import autograd.numpy
        from autograd.scipy.signal import convolve
        from autograd.tracer import getval

        self.lib, self.np, self.convolve, self.getval = autograd, autograd.numpy, convolve, getval
        self.random = np.random.default_rng(0)

    def facts(self) -> dict[str, str]:
        from importlib.metadata import version

        return {"version": version("autograd")}

    def scalar(self, workload: Scalar) -> Run:
        value_and_grad = self.lib.value_and_grad(lambda xy: xy[0] * xy[0] + xy[0] * xy[1] + (xy[0] + xy[1]) ** 2)
        point = (workload.x, workload.y)

        def run(n: int) -> list[float]:
            for _ in range(n):
                z, gradients = value_and_grad(point)
            return [float(z), *map(float, gradients)]

        return run

    def chain(self, workload: Chain) -> Run:
        def f(x):
            y = x
            if workload.doubling:
                for _ in range(workload.length):
                    y = y + y
            else:
                for _ in range(workload.length):
                    y = y * factor
            return y

        factor = np.float32(0.9999)
        value_and_grad = self.lib.value_and_grad(f)

        def run(n: int) -> list[float]:
            with np.errstate(over="ignore"):  # 2^10,000 is infinite in float32, for everybody
                for _ in range(n):
                    y, gradient = value_and_grad(np.float32(workload.start))
            return [float(y), float(gradient)]

        return run

    def activation(self, kind: str) -> Callable:
        if kind == "sigmoid":
            return lambda x: 1 / (1 + self.np.exp(-x))
        if kind == "tanh":
            return self.np.tanh
        return lambda x: self.np.maximum(x, np.float32(0))

    def predict(self, workload: Training, weights: list, x):
        remaining = iter(weights)
        for layer in workload.network:
            match layer:
                case Dense():
                    x = self.np.dot(x, next(remaining)) + next(remaining)
                case Conv(padding=padding):
                    x = self.correlate(x, next(remaining), padding) + next(remaining)[None, :, None, None]
                case Activation(kind):
                    x = self.activation(kind)(x)
                case MaxPool(size):
                    x = self.max_pool(x, size)
                case Flatten():
                    x = self.np.reshape(x, (x.shape[0], -1))
                case Dropout(p):
                    x = x * ((self.random.random(x.shape, dtype=np.float32) >= p) * np.float32(1 / (1 - p)))
        return x

    def max_pool(self, x, size: int):
        """Autograd's max shares the gradient among equal values; the others give it to the first, and so do we here."""
        n, channels, height, width = x.shape
        x = self.np.reshape(x, (n, channels, height // size, size, width // size, size))
        x = self.np.reshape(self.np.transpose(x, (0, 1, 2, 4, 3, 5)), (n, channels, height // size, width // size, -1))
        first = self.getval(x).argmax(-1)
        return self.np.sum(x * (np.arange(size * size) == first[..., None]), axis=-1)

    def correlate(self, x, kernels, padding: int):
        """Autograd's convolution flips the kernel, so it is handed over flipped, input channels first."""
        if padding:
            x = self.np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), "constant")
        flipped = self.np.transpose(kernels, (1, 0, 2, 3))[:, :, ::-1, ::-1]
        return self.convolve(x, flipped, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")

    def loss(self, workload: Training, output, y):
        xp = self.np
        if workload.loss == "mse":
            return xp.mean((output - y) ** 2)
        if workload.loss == "cross_entropy":
            top = xp.max(output, 1, keepdims=True)
            return -xp.mean(xp.sum(y * (output - top - xp.log(xp.sum(xp.exp(output - top), 1, keepdims=True))), 1))
        return xp.mean(xp.logaddexp(np.float32(0), output) - output * y)

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        targets = one_hot(targets) if workload.loss == "cross_entropy" else targets
        weights = initial_weights(workload)
        step = numpy_optimizer(workload, weights)
        feed = Feed(workload, len(inputs)) if workload.batch else None
        value_and_grad = self.lib.value_and_grad(
            lambda weights, x, y: self.loss(workload, self.predict(workload, weights, x), y)
        )

        def run(n: int) -> list[float]:
            x, y = inputs, targets
            for _ in range(n):
                if feed:
                    chosen = feed()
                    x, y = inputs[chosen], targets[chosen]
                loss, gradients = value_and_grad(weights, x, y)
                step(gradients)
            return [float(loss)]

        return run
