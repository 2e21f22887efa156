"""What a peer is: a class that turns a workload into a function that runs n steps of it."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads import Chain, Scalar, Training, batch_indices

Run = Callable[[int], Sequence[float]]
"""``run(n)`` does n steps and returns the numbers that must agree between peers: the last loss, or the gradients."""


class NotSupported(Exception):
    """The library cannot express this workload; the text says why and stands in the table's notes."""


class Peer:
    """One way of writing the workloads. Subclasses import their library in `__init__`, never at module level."""

    name: ClassVar[str]
    title: ClassVar[str]
    requires: ClassVar[str]
    rank: ClassVar[int] = 50  # place in the tables
    steps_per_call: ClassVar[int] = 1  # n is always a multiple of this
    uses_openblas: ClassVar[bool] = False  # whether its matrix products are NumPy's

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def facts(self) -> dict[str, str]:
        """Version and settings worth reporting."""
        return {}

    def scalar(self, workload: Scalar) -> Run:
        raise NotSupported("no automatic differentiation")

    def chain(self, workload: Chain) -> Run:
        raise NotSupported("no automatic differentiation")

    def training(self, workload: Training, inputs: np.ndarray, targets: np.ndarray) -> Run:
        raise NotSupported("no arrays")

    def kernel(self, workload: Any) -> Run:
        raise NotSupported("single operations are compared in PyTorch's notation")


def repeat(step: Callable[[], Any], read: Callable[[Any], Sequence[float]]) -> Run:
    """The loop that is timed, the same for every peer: n steps, then the last result becomes numbers."""

    def run(n: int) -> Sequence[float]:
        for _ in range(n):
            result = step()
        return read(result)

    return run


def read_loss(loss: Any) -> list[float]:
    return [float(loss)]


class Feed:
    """Endless batches of indices, in the form a peer wants them; the draw itself is made beforehand."""

    def __init__(self, workload: Training, count: int, convert: Callable[[np.ndarray], Any] = lambda i: i) -> None:
        self.batches = [convert(indices) for indices in batch_indices(count, workload.batch or count)]
        self.position = -1

    def __call__(self) -> Any:
        self.position = (self.position + 1) % len(self.batches)
        return self.batches[self.position]


def batches(
    workload: Training, inputs: Any, targets: Any, convert: Callable[[np.ndarray], Any] = lambda i: i
) -> Callable[[], tuple[Any, Any]]:
    """A function that returns the next x and y: the whole data, or a batch gathered by the library's own indexing."""
    if workload.batch is None:
        return lambda: (inputs, targets)
    feed = Feed(workload, len(inputs), convert)

    def draw() -> tuple[Any, Any]:
        chosen = feed()
        return inputs[chosen], targets[chosen]

    return draw


def targets_for(workload: Training, targets: np.ndarray) -> np.ndarray:
    """The targets as libraries want them whose cross-entropy is written with one-hot rows."""
    return np.eye(10, dtype=np.float32)[targets] if workload.loss == "cross_entropy" else targets


def package_version(name: str) -> dict[str, str]:
    """The version of an installed package, as a fact."""
    from importlib.metadata import version

    return {"version": version(name)}


def numpy_optimizer(workload: Training, weights: list[np.ndarray]) -> Callable[[list[np.ndarray]], None]:
    """An in-place update for peers that bring no optimizers of their own."""
    rate = np.float32(workload.rate)
    if workload.optimizer == "sgd":

        def descend(gradients: list[np.ndarray]) -> None:
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= rate * gradient

        return descend
    return _adam(rate, weights)


def _adam(rate: np.float32, weights: list[np.ndarray]) -> Callable[[list[np.ndarray]], None]:
    beta1, beta2 = np.float32(0.9), np.float32(0.999)
    means, squares = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    steps = 0

    def update(gradients: list[np.ndarray]) -> None:
        nonlocal steps
        steps += 1
        size = np.float32(float(rate) / (1 - 0.9**steps))
        correction = np.float32((1 - 0.999**steps) ** -0.5)
        for weight, gradient, mean, square in zip(weights, gradients, means, squares, strict=True):
            mean *= beta1
            mean += (1 - beta1) * gradient
            square *= beta2
            scratch = gradient * gradient
            scratch *= 1 - beta2
            square += scratch
            np.sqrt(square, out=scratch)
            scratch *= correction
            scratch += np.float32(1e-8)
            np.divide(mean, scratch, out=scratch)
            scratch *= size
            weight -= scratch

    return update
