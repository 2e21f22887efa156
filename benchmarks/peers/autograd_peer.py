"""HIPS autograd: derivatives of functions written with its wrapped NumPy."""

from typing import Any

import numpy as np

from benchmarks.peers.base import Run, batches, numpy_optimizer, package_version, read_loss, repeat, targets_for
from benchmarks.peers.function_style import FunctionStyle
from benchmarks.workloads import Chain, Scalar, Training, initial_weights


class Autograd(FunctionStyle):
    name = "autograd"
    title = "HIPS autograd"
    requires = "autograd"
    rank = 50
    uses_openblas = True

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import autograd
        import autograd.numpy
        from autograd.scipy.signal import convolve
        from autograd.tracer import getval

        self.lib, self.np, self.convolve, self.getval = autograd, autograd.numpy, convolve, getval

    def facts(self) -> dict[str, str]:
        return package_version("autograd")

    def scalar(self, workload: Scalar) -> Run:
        value_and_grad = self.lib.value_and_grad(lambda point: workload.apply(*point))
        point = (workload.x, workload.y)
        return repeat(lambda: value_and_grad(point), lambda result: [float(result[0]), *map(float, result[1])])

    def chain(self, workload: Chain) -> Run:
        value_and_grad = self.lib.value_and_grad(lambda x: workload.apply(x, np.float32))

        def step():
            with np.errstate(over="ignore"):  # 2^10,000 is infinite in float32, for everybody
                return value_and_grad(np.float32(workload.start))

        return repeat(step, lambda result: [float(value) for value in result])

    def dense(self, x: Any, weight: Any, bias: Any) -> Any:
        return self.np.dot(x, weight) + bias

    def conv(self, x: Any, kernels: Any, bias: Any, padding: int) -> Any:
        """Autograd's convolution flips the kernel, so it is handed over flipped, input channels first."""
        if padding:
            x = self.np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), "constant")
        flipped = self.np.transpose(kernels, (1, 0, 2, 3))[:, :, ::-1, ::-1]
        y = self.convolve(x, flipped, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")
        return y + bias[None, :, None, None]

    def max_pool(self, x: Any, size: int) -> Any:
        """Autograd's max shares the gradient among equal values; the others give it to the first, and so do we here."""
        n, channels, height, width = x.shape
        x = self.np.reshape(x, (n, channels, height // size, size, width // size, size))
        x = self.np.reshape(self.np.transpose(x, (0, 1, 2, 4, 3, 5)), (n, channels, height // size, width // size, -1))
        first = self.getval(x).argmax(-1)
        return self.np.sum(x * (np.arange(size * size) == first[..., None]), axis=-1)

    def activation(self, kind: str, x: Any) -> Any:
        if kind == "sigmoid":
            return 1 / (1 + self.np.exp(-x))
        if kind == "tanh":
            return self.np.tanh(x)
        return self.np.maximum(x, np.float32(0))

    def loss(self, workload: Training, output: Any, y: Any) -> Any:
        xp = self.np
        if workload.loss == "mse":
            return xp.mean((output - y) ** 2)
        if workload.loss == "cross_entropy":
            top = xp.max(output, 1, keepdims=True)
            return -xp.mean(xp.sum(y * (output - top - xp.log(xp.sum(xp.exp(output - top), 1, keepdims=True))), 1))
        return xp.mean(xp.logaddexp(np.float32(0), output) - output * y)

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        weights = initial_weights(workload)
        update = numpy_optimizer(workload, weights)
        draw = batches(workload, inputs, targets_for(workload, targets))
        value_and_grad = self.lib.value_and_grad(
            lambda weights, x, y: self.loss(workload, self.predict(workload, weights, x), y)
        )

        def step():
            loss, gradients = value_and_grad(weights, *draw())
            update(gradients)
            return loss

        return repeat(step, read_loss)
