"""MyGrad, with its memory guarding switched off, which is its fastest mode."""

from typing import Any

import numpy as np

from benchmarks.peers.base import Run, batches, numpy_optimizer, read_loss, repeat
from benchmarks.peers.function_style import FunctionStyle
from benchmarks.workloads import Chain, Scalar, Training, initial_weights


class MyGrad(FunctionStyle):
    name = "mygrad"
    title = "MyGrad"
    requires = "mygrad"
    rank = 40
    uses_openblas = True

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import mygrad
        from mygrad.nnet import activations, layers, losses

        mygrad.turn_memory_guarding_off()
        self.lib, self.activations, self.layers, self.losses = mygrad, activations, layers, losses

    def facts(self) -> dict[str, str]:
        return {"version": self.lib.__version__, "memory guarding": "off"}

    def scalar(self, workload: Scalar) -> Run:
        x = self.lib.tensor(workload.x, dtype=np.float32)
        y = self.lib.tensor(workload.y, dtype=np.float32)

        def step():
            z = workload.apply(x, y)
            z.backward()
            return z

        return repeat(step, lambda z: [float(z), float(x.grad), float(y.grad)])

    def chain(self, workload: Chain) -> Run:
        x = self.lib.tensor(workload.start, dtype=np.float32)

        def step():
            with np.errstate(over="ignore"):  # 2^10,000 is infinite in float32, for everybody
                y = workload.apply(x, np.float32)
                y.backward()
            return y

        return repeat(step, lambda y: [float(y), float(x.grad)])

    def conv(self, x: Any, kernels: Any, bias: Any, padding: int) -> Any:
        return self.layers.conv_nd(x, kernels, stride=1, padding=padding) + bias.reshape(1, -1, 1, 1)

    def max_pool(self, x: Any, size: int) -> Any:
        return self.layers.max_pool(x, (size, size), size)

    def activation(self, kind: str, x: Any) -> Any:
        return getattr(self.activations, kind)(x)

    def loss(self, workload: Training, output: Any, y: Any) -> Any:
        if workload.loss == "mse":
            return ((output - y) ** 2).mean()
        if workload.loss == "cross_entropy":
            return self.losses.softmax_crossentropy(output, y)
        return (self.lib.logaddexp(output, np.float32(0)) - output * y).mean()

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        weights = [self.lib.tensor(array) for array in initial_weights(workload)]
        update = numpy_optimizer(workload, [weight.data for weight in weights])
        draw = batches(workload, inputs, targets)

        def step():
            x, y = draw()
            loss = self.loss(workload, self.predict(workload, weights, x), y)
            loss.backward()
            update([weight.grad for weight in weights])
            return loss

        return repeat(step, read_loss)
