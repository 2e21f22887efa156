"""The workloads, each defined once; every peer builds its program from the same definition.

A training workload is a tuple of layers with a loss, an optimizer and a source of data. Initial weights and the order
of the batches come from here as NumPy arrays, so that all peers do the same arithmetic and losses can be compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.data import load_digits


@dataclass(frozen=True)
class Dense:
    """Fully connected layer, y = x W + b with W of shape (inputs, outputs)."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class Conv:
    """Convolution with square kernels and bias; weights of shape (outputs, inputs, kernel, kernel), images NCHW."""

    inputs: int
    outputs: int
    kernel: int
    padding: int = 0


@dataclass(frozen=True)
class Activation:
    """An elementwise function: "sigmoid", "tanh" or "relu"."""

    kind: str


@dataclass(frozen=True)
class MaxPool:
    """The maximum of non-overlapping size x size windows."""

    size: int


@dataclass(frozen=True)
class Flatten:
    """(N, channels, height, width) to (N, channels * height * width). Peers that keep channels last need the shape."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Dropout:
    """Zero each value with probability p and scale the rest by 1 / (1 - p)."""

    p: float


Layer = Dense | Conv | Activation | MaxPool | Flatten | Dropout


@dataclass(frozen=True)
class Scalar:
    """One forward and backward pass of f(x, y) = x^2 + xy + (x + y)^2 on scalars."""

    name: str
    title: str
    x: float = 1.5
    y: float = -0.5
    check_steps: int = 1

    @staticmethod
    def apply(x: Any, y: Any) -> Any:
        """f(x, y) on the numbers of any library."""
        return x * x + x * y + (x + y) ** 2


@dataclass(frozen=True)
class Chain:
    """Forward and backward pass through a chain of `length` scalar operations, y = y * factor or y = y + y."""

    name: str
    title: str
    start: float
    doubling: bool
    length: int = 10_000
    factor: float = 0.9999
    check_steps: int = 1

    def apply(self, x: Any, number: Callable[[float], Any] = float) -> Any:
        """The end of the chain that starts at x; `number` converts the factor where a Python float would promote."""
        y, factor = x, number(self.factor)
        if self.doubling:
            for _ in range(self.length):
                y = y + y
        else:
            for _ in range(self.length):
                y = y * factor
        return y


@dataclass(frozen=True)
class Training:
    """Optimization steps of a network: draw a batch, forward, loss, backward, update."""

    name: str
    title: str
    network: tuple[Layer, ...]
    loss: str  # "mse", "cross_entropy" or "bce_with_logits"
    optimizer: str  # "sgd" or "adam", both with PyTorch's defaults apart from the rate
    rate: float
    batch: int | None  # None: the full data set is the batch
    data: str
    check_steps: int = 20
    check_rate: float | None = None  # the rate while losses are compared, where training at full rate is chaotic
    image: int = 28  # side of the images, where there is a convolution
    compared: bool = False  # whether this run serves the comparison of losses: its last loss is wanted, not its time

    @property
    def has_dropout(self) -> bool:
        return any(isinstance(layer, Dropout) for layer in self.network)

    @property
    def on_images(self) -> bool:
        return any(isinstance(layer, Conv) for layer in self.network)

    def for_check(self) -> "Training":
        """The same workload without chance and chaos, for the comparison of losses.

        Every library draws its own dropout masks, so the comparison leaves dropout out. With Adam at rate 1e-3 the
        first steps of W7 amplify rounding: after 20 of them PyTorch in float32 is 2e-3 away from PyTorch in float64.
        At rate 1e-4 the loss still falls by a third, and all libraries stay within 4e-6 of the float64 result.
        """
        network = tuple(layer for layer in self.network if not isinstance(layer, Dropout))
        return replace(self, network=network, rate=self.check_rate or self.rate, compared=True)


Workload = Scalar | Chain | Training


def mlp(sizes: Sequence[int], activations: Sequence[str | None]) -> tuple[Layer, ...]:
    """Dense layers of these sizes, each followed by its activation if it has one."""
    layers: list[Layer] = []
    for inputs, outputs, kind in zip(sizes, sizes[1:], activations, strict=False):
        layers.append(Dense(inputs, outputs))
        if kind:
            layers.append(Activation(kind))
    return tuple(layers)


RELU, TANH = Activation("relu"), Activation("tanh")
NEURON = mlp([2, 1], ["sigmoid"])
TWO_LAYERS = mlp([2, 10, 2], ["sigmoid", "sigmoid"])
SIGMOID_MLP = mlp([784, 30, 10], ["sigmoid", "sigmoid"])
TANH_MLP = mlp([784, 30, 10], ["tanh", None])
WIDE_MLP = mlp([784, 512, 10], ["relu", None])
DEEP_MLP = mlp([10, 100, 100, 100, 100, 100, 1], ["tanh", "tanh", "tanh", "tanh", "tanh", None])
COURSE_CNN = (Conv(1, 20, 5), RELU, MaxPool(2), Flatten(20, 12, 12), Dense(2880, 100), TANH, Dense(100, 10))
FIRST_PAIR = (Conv(1, 32, 5, padding=2), RELU, MaxPool(2))
SECOND_PAIR = (Conv(32, 64, 5, padding=2), RELU, MaxPool(2), Flatten(64, 7, 7))
TWO_CONV_CNN = (*FIRST_PAIR, *SECOND_PAIR, Dense(3136, 1024), RELU, Dropout(0.5), Dense(1024, 10))
CE, BCE = "cross_entropy", "bce_with_logits"

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Scalar("W0", "f(x, y) on scalars, forward + backward"),
        Training("W1", "one sigmoid neuron, 400x2", NEURON, "mse", "sgd", 0.5, None, "blobs"),
        Training("W2", "2-10-2 sigmoid, 400 points", TWO_LAYERS, "mse", "sgd", 0.5, None, "quadrants"),
        Training("W3", "784-30-10, 500 images", SIGMOID_MLP, "mse", "sgd", 0.5, None, "digits-500"),
        Training("W4", "784-30-10 tanh, batch 20", TANH_MLP, CE, "sgd", 0.1, 20, "digits-50000"),
        Training("W5", "784-512-10 relu, Adam, batch 128", WIDE_MLP, CE, "adam", 1e-3, 128, "digits-60000"),
        Training("W6", "course CNN, batch 20", COURSE_CNN, CE, "sgd", 0.05, 20, "digits-50000"),
        Training(
            "W7", "2-conv CNN, Adam, batch 50", TWO_CONV_CNN, CE, "adam", 1e-3, 50, "digits-50000", check_rate=1e-4
        ),
        Training("W8", "10-100x5-1 tanh, batch 32", DEEP_MLP, BCE, "sgd", 0.05, 32, "ball"),
        Chain("W9a", "chain of 10,000 products", start=0.5, doubling=False),
        Chain("W9b", "x = x + x, 10,000 times", start=0.0, doubling=True),
    )
}


def initial_weights(workload: Training) -> list[np.ndarray]:
    """Weights and biases in the network's order, float32: Gaussian with variance 1 / fan_in, and zeros."""
    generator = np.random.default_rng(2)
    arrays: list[np.ndarray] = []
    shape: tuple[int, ...]
    for layer in workload.network:
        match layer:
            case Dense(inputs, outputs):
                shape, fan_in = (inputs, outputs), inputs
            case Conv(inputs, outputs, kernel):
                shape, fan_in = (outputs, inputs, kernel, kernel), inputs * kernel * kernel
            case _:
                continue
        arrays.append((generator.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32))
        arrays.append(np.zeros(layer.outputs, np.float32))
    return arrays


def load_data(workload: Training, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (float32; NCHW where there is a convolution) and targets (float32, or int64 labels for cross-entropy)."""
    kind, _, count = workload.data.partition("-")
    generator = np.random.default_rng(1)
    if kind == "digits":
        inputs, labels = load_digits(folder, int(count))
        targets = labels if workload.loss == "cross_entropy" else np.eye(10, dtype=np.float32)[labels]
        return (inputs.reshape(-1, 1, 28, 28) if workload.on_images else inputs), targets
    if kind == "noise":
        first, side = workload.network[0], workload.image
        shape = (first.inputs, side, side) if workload.on_images else (first.inputs,)
        inputs = generator.standard_normal((int(count), *shape)).astype(np.float32)
        return inputs, generator.integers(0, 10, int(count))
    if kind == "ball":
        inputs = generator.standard_normal((1000, 10)).astype(np.float32)
        return inputs, ((inputs**2).sum(1, keepdims=True) > 9.3).astype(np.float32)
    inputs = generator.standard_normal((400, 2)).astype(np.float32)
    if kind == "quadrants":
        return inputs, np.eye(2, dtype=np.float32)[(inputs[:, 0] * inputs[:, 1] > 0).astype(int)]
    targets = (np.arange(400) % 2).astype(np.float32)[:, None]
    return inputs + 2 * targets - 1, targets


def batch_indices(count: int, batch: int) -> list[np.ndarray]:
    """One epoch of shuffled index arrays. The incomplete last batch is left out: compiled peers want one shape."""
    order = np.random.default_rng(4).permutation(count)
    return [order[start : start + batch] for start in range(0, count - batch + 1, batch)]
