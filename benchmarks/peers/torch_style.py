"""The programs in PyTorch's style, written once: only the imported library decides whose engine runs them."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from benchmarks.kernel_cases import Kernel
from benchmarks.peers.base import Peer, Run, batches, read_loss, repeat
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

    optimizer_options: ClassVar[dict[str, Any]] = {}

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

        def step():
            x.grad = None
            y.grad = None
            z = workload.apply(x, y)
            z.backward()
            return z

        return repeat(step, lambda z: [z.item(), x.grad.item(), y.grad.item()])

    def chain(self, workload: Chain) -> Run:
        x = self.lib.tensor(workload.start, requires_grad=True)

        def step():
            x.grad = None
            y = workload.apply(x)
            y.backward()
            return y

        return repeat(step, lambda y: [y.item(), x.grad.item()])

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

    def optimizer(self, workload: Training, parameters: Any):
        make = {"sgd": self.optim.SGD, "adam": self.optim.Adam}[workload.optimizer]
        return make(parameters, lr=workload.rate, **self.optimizer_options)

    def wrap(self, step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """What becomes of the whole step (x, y) -> loss before it is run; here nothing."""
        return step

    def wrap_loss(self, loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """What becomes of the forward pass (x, y) -> loss; here nothing."""
        return loss

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        model = self.model(workload)
        optimizer = self.optimizer(workload, model.parameters())
        loss_function = {
            "mse": self.functional.mse_loss,
            "cross_entropy": self.functional.cross_entropy,
            "bce_with_logits": self.functional.binary_cross_entropy_with_logits,
        }[workload.loss]
        forward = self.wrap_loss(lambda x, y: loss_function(model(x), y))
        draw = batches(workload, self.lib.from_numpy(inputs), self.lib.from_numpy(targets), self.lib.from_numpy)

        def step(x, y):
            optimizer.zero_grad()
            loss = forward(x, y)
            loss.backward()
            optimizer.step()
            return loss

        step = self.wrap(step)
        return repeat(lambda: step(*draw()), read_loss)

    def kernel(self, workload: Kernel) -> Run:
        """Each result is dropped before the next is computed, so that its memory can be used again."""
        step = workload.build(self)

        def run(n: int) -> Sequence[float]:
            for _ in range(n - 1):
                step()
            return workload.read(step())

        return run
