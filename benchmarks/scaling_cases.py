"""How a step's time grows: one quantity is doubled again and again, everything else stays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.kernel_cases import Kernel, Step
from benchmarks.workloads import RELU, Chain, Conv, Dense, Flatten, MaxPool, Training, Workload, mlp


@dataclass(frozen=True)
class Curve:
    """A family of workloads over one quantity; `per_unit` tables the time divided by it, which shall be flat."""

    name: str
    title: str
    sizes: tuple[int, ...]
    make: Callable[[str, int], Workload | Kernel]
    per_unit: bool = False
    memory: bool = False

    def case(self, size: int) -> str:
        return f"{self.name}-{size}"


def training(name: str, network: Sequence[Any], batch: int, **options: Any) -> Training:
    data = f"noise-{max(2 * batch, 256)}"
    return Training(name, name, tuple(network), "cross_entropy", "sgd", 0.01, batch, data, 3, **options)


def of_batch(name: str, size: int) -> Training:
    return training(name, mlp([784, 100, 10], ["relu", None]), size)


def of_width(name: str, size: int) -> Training:
    return training(name, mlp([64, size, size, 10], ["relu", "relu", None]), 64)


def of_depth(name: str, size: int) -> Training:
    return training(name, mlp([64, *[128] * size, 10], ["relu"] * size + [None]), 1024)


def of_image(name: str, size: int) -> Training:
    half = size // 2
    layers = (Conv(1, 16, 5, padding=2), RELU, MaxPool(2), Flatten(16, half, half), Dense(16 * half * half, 10))
    return training(name, layers, 16, image=size)


def of_graph(name: str, size: int) -> Chain:
    return Chain(name, name, start=0.5, doubling=False, length=size, factor=0.999999)


def of_backward(name: str, size: int) -> Kernel:
    return Kernel(name, name, retained_chain(size))


def retained_chain(length: int) -> Callable[[Any], Step]:
    """Only the backward pass, again and again, through one recorded chain."""

    def build(peer: Any) -> Step:
        x = peer.lib.tensor(0.5, requires_grad=True)
        y = of_graph("", length).apply(x)
        return lambda: peer.lib.autograd.grad(y, [x], retain_graph=True)

    return build


LENGTHS = (100, 1000, 10_000, 100_000, 1_000_000)

CURVES = (
    Curve("batch", "784-100-10, batch size", (1, 4, 16, 64, 256, 1024), of_batch),
    Curve("width", "64-w-w-10, batch 64, width", (16, 64, 256, 1024), of_width),
    Curve("depth", "width 128, batch 1024, hidden layers", (1, 4, 16, 64), of_depth, memory=True),
    Curve("image", "conv 1 to 16, 5x5, pool, linear; side of the image", (8, 16, 32, 64, 128), of_image),
    Curve("graph", "forward + backward, operations in a chain", LENGTHS, of_graph, per_unit=True, memory=True),
    Curve("backward", "backward alone, operations in a chain", LENGTHS, of_backward, per_unit=True),
)

SCALING: dict[str, Workload | Kernel] = {
    curve.case(size): curve.make(curve.case(size), size) for curve in CURVES for size in curve.sizes
}
