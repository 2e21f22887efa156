"""MyGrad, with its memory guarding switched off, which is its fastest mode."""

import numpy as np

from benchmarks.peers.base import Feed, Peer, Run, numpy_optimizer
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


class MyGrad(Peer):
    name = "mygrad"
    title = "MyGrad"
    requires = "mygrad"
    rank = 40

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import mygrad
        from mygrad.nnet import activations, layers, losses

        mygrad.turn_memory_guarding_off()
        self.lib, self.activations, self.layers, self.losses = mygrad, activations, layers, losses
        self.random = np.random.default_rng(0)

    def facts(self) -> dict[str, str]:
        return {"version": self.lib.__version__, "memory guarding": "off"}

    def scalar(self, workload: Scalar) -> Run:
        x = self.lib.tensor(workload.x, dtype=np.float32)
        y = self.lib.tensor(workload.y, dtype=np.float32)

        def run(n: int) -> list[float]:
            for _ in range(n):
                z = x * x + x * y + (x + y) ** 2
                z.backward()
            return [float(z), float(x.grad), float(y.grad)]

        return run

    def chain(self, workload: Chain) -> Run:
        x = self.lib.tensor(workload.start, dtype=np.float32)
        factor = np.float32(0.9999)  # a Python float would make the chain float64

        def run(n: int) -> list[float]:
            with np.errstate(over="ignore"):  # 2^10,000 is infinite in float32, for everybody
                for _ in range(n):
                    y = x
                    if workload.doubling:
                        for _ in range(workload.length):
                            y = y + y
                    else:
                        for _ in range(workload.length):
                            y = y * factor
                    y.backward()
            return [float(y), float(x.grad)]

        return run

    def predict(self, workload: Training, weights: list, x):
        functions = {name: getattr(self.activations, name) for name in ("sigmoid", "tanh", "relu")}
        remaining = iter(weights)
        for layer in workload.network:
            match layer:
                case Dense():
                    x = self.lib.matmul(x, next(remaining)) + next(remaining)
                case Conv(padding=padding):
                    x = self.layers.conv_nd(x, next(remaining), stride=1, padding=padding)
                    x = x + next(remaining).reshape(1, -1, 1, 1)
                case Activation(kind):
                    x = functions[kind](x)
                case MaxPool(size):
                    x = self.layers.max_pool(x, (size, size), size)
                case Flatten():
                    x = x.reshape(x.shape[0], -1)
                case Dropout(p):
                    x = x * ((self.random.random(x.shape, dtype=np.float32) >= p) * np.float32(1 / (1 - p)))
        return x

    def loss(self, workload: Training, output, y):
        if workload.loss == "mse":
            return ((output - y) ** 2).mean()
        if workload.loss == "cross_entropy":
            return self.losses.softmax_crossentropy(output, y)
        return (self.lib.logaddexp(output, np.float32(0)) - output * y).mean()

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        weights = [self.lib.tensor(array) for array in initial_weights(workload)]
        step = numpy_optimizer(workload, [weight.data for weight in weights])
        feed = Feed(workload, len(inputs)) if workload.batch else None

        def run(n: int) -> list[float]:
            x, y = inputs, targets
            for _ in range(n):
                if feed:
                    chosen = feed()
                    x, y = inputs[chosen], targets[chosen]
                loss = self.loss(workload, self.predict(workload, weights, x), y)
                loss.backward()
                step([weight.grad for weight in weights])
            return [float(loss)]

        return run
