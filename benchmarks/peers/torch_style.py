"""The programs in PyTorch's style, written once: only the imported library decides whose engine runs them."""

import importlib

import numpy as np

from benchmarks.peers.base import Feed, Peer, Run
from benchmarks.workloads import (
    Activation,
    Chain,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
    Scalar,
    Training,
    initial_weights,
)


class TorchStyle(Peer):
    """What an ordinary user of PyTorch writes: nn.Sequential, optim, backward(), step()."""

    fused = False

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.lib = importlib.import_module(self.requires)
        self.nn = importlib.import_module(f"{self.requires}.nn")
        self.functional = importlib.import_module(f"{self.requires}.nn.functional")
        self.optim = importlib.import_module(f"{self.requires}.optim")

    def facts(self) -> dict[str, str]:
        return {"version": str(self.lib.__version__)}

    def scalar(self, workload: Scalar) -> Run:
        x = self.lib.tensor(workload.x, requires_grad=True)
        y = self.lib.tensor(workload.y, requires_grad=True)

        def run(n: int) -> list[float]:
            for _ in range(n):
                x.grad = None
                y.grad = None
                z = x * x + x * y + (x + y) ** 2
                z.backward()
            return [z.item(), x.grad.item(), y.grad.item()]

        return run

    def chain(self, workload: Chain) -> Run:
        x = self.lib.tensor(workload.start, requires_grad=True)

        def run(n: int) -> list[float]:
            for _ in range(n):
                x.grad = None
                y = x
                if workload.doubling:
                    for _ in range(workload.length):
                        y = y + y
                else:
                    for _ in range(workload.length):
                        y = y * 0.9999
                y.backward()
            return [y.item(), x.grad.item()]

        return run

    def layer(self, layer: Layer):
        nn = self.nn
        match layer:
            case Dense(inputs, outputs):
                return nn.Linear(inputs, outputs)
            case Conv(inputs, outputs, kernel, padding):
                return nn.Conv2d(inputs, outputs, kernel, padding=padding)
            case Activation(kind):
                return {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[kind]()
            case MaxPool(size):
                return nn.MaxPool2d(size)
            case Flatten():
                return nn.Flatten()
            case Dropout(p):
                return nn.Dropout(p)

    def model(self, workload: Training):
        model = self.nn.Sequential(*[self.layer(layer) for layer in workload.network])
        with self.lib.no_grad():
            for parameter, array in zip(model.parameters(), initial_weights(workload), strict=True):
                parameter.copy_(self.lib.tensor(np.ascontiguousarray(array.T) if array.ndim == 2 else array))
        return model

    def optimizer(self, workload: Training, model):
        make = {"sgd": self.optim.SGD, "adam": self.optim.Adam}[workload.optimizer]
        options = {"fused": True} if self.fused else {}
        return make(model.parameters(), lr=workload.rate, **options)

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        model = self.model(workload)
        optimizer = self.optimizer(workload, model)
        functional = self.functional
        loss_function = {
            "mse": functional.mse_loss,
            "cross_entropy": functional.cross_entropy,
            "bce_with_logits": functional.binary_cross_entropy_with_logits,
        }[workload.loss]
        all_x, all_y = self.lib.from_numpy(inputs), self.lib.from_numpy(targets)
        feed = Feed(workload, len(inputs), self.lib.from_numpy) if workload.batch else None

        def run(n: int) -> list[float]:
            x, y = all_x, all_y
            for _ in range(n):
                if feed:
                    chosen = feed()
                    x, y = all_x[chosen], all_y[chosen]
                optimizer.zero_grad()
                loss = loss_function(model(x), y)
                loss.backward()
                optimizer.step()
            return [loss.item()]

        return run
