"""tinygrad on the CPU, the whole training step under its TinyJit."""

import os
import shutil
from typing import Any

import numpy as np

from benchmarks.peers.base import NotSupported, Run, batches, package_version, repeat
from benchmarks.peers.function_style import FunctionStyle
from benchmarks.workloads import Chain, Scalar, Training, initial_weights


class Tinygrad(FunctionStyle):
    name = "tinygrad"
    title = "tinygrad, TinyJit"
    requires = "tinygrad"
    rank = 45

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        if shutil.which(os.environ.get("CC", "clang")) is None:
            raise NotSupported("tinygrad compiles its CPU kernels with clang, which is not installed")
        os.environ.setdefault("DEV", "CPU")  # read at import; this process holds no other peer
        import tinygrad
        from tinygrad.nn import optim

        self.lib, self.optim, self.Tensor = tinygrad, optim, tinygrad.Tensor

    def facts(self) -> dict[str, str]:
        return package_version("tinygrad") | {"device": self.lib.Device.DEFAULT}

    def scalar(self, workload: Scalar) -> Run:
        @self.lib.TinyJit
        def jitted(x, y):
            z = workload.apply(x, y)
            gx, gy = z.gradient(x, y)
            return z.realize(), gx.realize(), gy.realize()

        x, y = (self.Tensor(value).clone().realize() for value in (workload.x, workload.y))
        return repeat(lambda: jitted(x, y), lambda results: [result.item() for result in results])

    def chain(self, workload: Chain) -> Run:
        raise NotSupported("it folds the whole chain into one product before anything runs")

    def conv(self, x: Any, kernels: Any, bias: Any, padding: int) -> Any:
        return x.conv2d(kernels, bias, padding=padding)

    def max_pool(self, x: Any, size: int) -> Any:
        return x.max_pool2d((size, size))

    def activation(self, kind: str, x: Any) -> Any:
        return getattr(x, kind)()

    def dropout(self, x: Any, p: float) -> Any:
        return x.dropout(p)

    def loss(self, workload: Training, output: Any, y: Any) -> Any:
        if workload.loss == "mse":
            return ((output - y) ** 2).mean()
        if workload.loss == "cross_entropy":
            return output.sparse_categorical_crossentropy(y)
        return output.binary_crossentropy_logits(y)

    def optimizer(self, workload: Training, weights: list):
        if workload.optimizer == "sgd":
            return self.optim.SGD(weights, lr=workload.rate)
        return self.optim.Adam(weights, lr=workload.rate, eps=1e-8)

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        """Batches are gathered by NumPy: tinygrad's own indexing sums over the whole data set and is far slower."""
        weights = [self.Tensor(np.ascontiguousarray(array)).realize() for array in initial_weights(workload)]
        optimizer = self.optimizer(workload, weights)
        draw = batches(workload, inputs, targets)

        @self.lib.TinyJit
        def jitted(x, y):
            loss = self.loss(workload, self.predict(workload, weights, x), y)
            for weight, gradient in zip(weights, loss.gradient(*weights), strict=True):
                weight.grad = gradient
            return loss.realize(*optimizer.schedule_step())

        def step():
            x, y = draw()
            with self.lib.helpers.Context(TRAINING=1):
                return jitted(self.Tensor(x).realize(), self.Tensor(y).realize())

        return repeat(step, lambda loss: [loss.item()])
