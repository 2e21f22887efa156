"""Single operations in PyTorch's notation, run by tinygrad_edu and PyTorch alike: the shapes of courses, float32.

A case builds a step from a peer that offers ``lib``, ``nn``, ``functional`` and ``optim``; the step returns the tensors
that must agree. Forward cases record nothing; backward cases run one recorded forward pass backward again and again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Step = Callable[[], Sequence[Any]]


@dataclass(frozen=True)
class Kernel:
    """One operation; `target` is the share of PyTorch's time that it shall need at most."""

    name: str
    title: str
    build: Callable[[Any], Step]
    target: float | None = None
    fused_target: float | None = None  # the same against PyTorch's fused optimizers, which only an optimizer step has
    optimizer: bool = False  # PyTorch's fused form takes part too
    random: bool = False  # every library draws its own numbers: only their distribution is compared
    check_steps: int = 2

    def read(self, tensors: Sequence[Any]) -> list[float]:
        arrays = [tensor.detach().numpy().astype(np.float64).ravel() for tensor in tensors]
        return [value for array in arrays for value in (distribution(array) if self.random else fingerprint(array))]


def fingerprint(array: np.ndarray) -> list[float]:
    """Two lengths that change with any value, sign or order: of the array, and of its sum with a fixed random vector."""
    length = float(np.linalg.norm(array))
    direction = np.random.default_rng(0).standard_normal(array.size)
    return [length, float(np.linalg.norm(array + direction * length / math.sqrt(array.size)))]


def distribution(array: np.ndarray) -> list[float]:
    """How many values, the share of zeros to two digits, and the size of the others."""
    return [float(array.size), round(float((array == 0).mean()), 2), float(np.abs(array).max())]


def noise(peer: Any, *shape: int, seed: int = 0, grad: bool = False) -> Any:
    """Gaussian numbers, the same for every library."""
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return peer.lib.from_numpy(array).requires_grad_(grad)


def backward(peer: Any, output: Any, inputs: Sequence[Any]) -> Step:
    """Gradients of the inputs for a fixed gradient of the output."""
    g = noise(peer, *output.shape, seed=9)
    return lambda: peer.lib.autograd.grad(output, inputs, g, retain_graph=True)


def conv(image: tuple, kernels: tuple, stride: int, padding: int, wanted: str | None = None) -> Callable[[Any], Step]:
    """Convolution with bias; `wanted` names the gradients ("wb", or "xwb" for a layer that is not the first)."""

    def build(peer: Any) -> Step:
        tensors = {
            name: noise(peer, *shape, seed=seed, grad=name in (wanted or ""))
            for seed, (name, shape) in enumerate({"x": image, "w": kernels, "b": kernels[:1]}.items())
        }
        function = peer.functional.conv2d
        if wanted is None:
            return lambda: [function(*tensors.values(), stride, padding)]
        return backward(peer, function(*tensors.values(), stride, padding), [tensors[name] for name in wanted])

    return build


def linear(batch: int, inputs: int, outputs: int, gradients: bool = False) -> Callable[[Any], Step]:
    """Linear layer with bias and relu, as nn.Sequential runs it."""

    def build(peer: Any) -> Step:
        model = peer.nn.Sequential(peer.nn.Linear(inputs, outputs), peer.nn.ReLU())
        with peer.lib.no_grad():
            for seed, parameter in enumerate(model.parameters()):
                parameter.copy_(noise(peer, *parameter.shape, seed=seed))
        x = noise(peer, batch, inputs, seed=5, grad=gradients)
        if gradients:
            return backward(peer, model(x), [x, *model.parameters()])

        def step() -> Sequence[Any]:
            with peer.lib.no_grad():
                return [model(x)]

        return step

    return build


def batch_norm(*shape: int, gradients: bool = False) -> Callable[[Any], Step]:
    """Batch normalization in training mode, with scale and shift."""

    def build(peer: Any) -> Step:
        x, weight, bias = (
            noise(peer, *size, seed=seed, grad=gradients) for seed, size in enumerate((shape, shape[1:2], shape[1:2]))
        )

        def forward() -> Any:
            mean, variance = peer.lib.zeros(shape[1]), peer.lib.ones(shape[1])
            return peer.functional.batch_norm(x, mean, variance, weight, bias, training=True)

        return backward(peer, forward(), [x, weight, bias]) if gradients else lambda: [forward()]

    return build


def cross_entropy(batch: int, classes: int) -> Callable[[Any], Step]:
    """The loss and its gradient."""

    def build(peer: Any) -> Step:
        logits = noise(peer, batch, classes, grad=True)
        labels = peer.lib.from_numpy(np.arange(batch) % classes)

        def step() -> Sequence[Any]:
            loss = peer.functional.cross_entropy(logits, labels)
            return [loss, *peer.lib.autograd.grad(loss, [logits])]

        return step

    return build


def function(apply: Callable[[Any, Any], Any], *shape: int) -> Callable[[Any], Step]:
    """A function of one array, (peer, x) -> y."""

    def build(peer: Any) -> Step:
        x = noise(peer, *shape)
        return lambda: [apply(peer, x)]

    return build


def optimizer(name: str, **options: float) -> Callable[[Any], Step]:
    """One update of the weights of a 784-512-10 network, its gradients given."""

    def build(peer: Any) -> Step:
        parameters = [peer.nn.Parameter(noise(peer, *shape)) for shape in ((512, 784), (512,), (10, 512), (10,))]
        for seed, parameter in enumerate(parameters):
            parameter.grad = noise(peer, *parameter.shape, seed=seed + 5)
        update = getattr(peer.optim, name)(parameters, **options, **peer.optimizer_options)

        def step() -> Sequence[Any]:
            update.step()
            return parameters

        return step

    return build


def dropout(*shape: int) -> Callable[[Any], Step]:
    """Dropout of half of an array of ones."""

    def build(peer: Any) -> Step:
        x = peer.lib.ones(*shape)
        return lambda: [peer.functional.dropout(x, 0.5)]

    return build


FIRST, MID, STRIDED = (
    ((50, 1, 28, 28), (32, 1, 5, 5), 1, 2),
    ((50, 32, 14, 14), (64, 32, 5, 5), 1, 2),
    ((32, 32, 28, 28), (64, 32, 3, 3), 2, 1),
)
MAPS = (50, 32, 28, 28)

KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Kernel("conv-first", "first convolution 1 to 32, 5x5", conv(*FIRST), 0.6),
        Kernel("conv-first-backward", "its backward (weights, bias)", conv(*FIRST, "wb"), 0.6),
        Kernel("conv-mid", "second convolution 32 to 64, 5x5", conv(*MID), 1.0),
        Kernel("conv-mid-backward", "its backward (input, weights, bias)", conv(*MID, "xwb"), 1.0),
        Kernel("conv-strided", "convolution 32 to 64, 3x3, stride 2", conv(*STRIDED)),
        Kernel("conv-strided-backward", "its backward (input, weights, bias)", conv(*STRIDED, "xwb")),
        Kernel("linear", "linear 784 to 512 + relu, batch 128", linear(128, 784, 512), 0.5),
        Kernel("linear-backward", "its backward (input, weights, bias)", linear(128, 784, 512, gradients=True), 0.6),
        Kernel(
            "max-pool", "max-pool 2x2 of 50x32x28x28", function(lambda p, x: p.functional.max_pool2d(x, 2), *MAPS), 0.05
        ),
        Kernel("batch-norm", "batch norm of 50x32x28x28, training", batch_norm(*MAPS), 0.1),
        Kernel("batch-norm-backward", "its backward", batch_norm(*MAPS, gradients=True)),
        Kernel("cross-entropy", "cross-entropy with gradient, 128x10", cross_entropy(128, 10), 0.15),
        Kernel("softmax-last", "softmax, last of 1024x512", function(lambda p, x: p.lib.softmax(x, 1), 1024, 512)),
        Kernel(
            "softmax-inner", "softmax, second of 64x32x196", function(lambda p, x: p.lib.softmax(x, 1), 64, 32, 196)
        ),
        Kernel("adam", "Adam step, 407,050 weights", optimizer("Adam", lr=1e-3), 0.13, 0.4, optimizer=True),
        Kernel("sgd", "SGD step, 407,050 weights", optimizer("SGD", lr=1e-3), optimizer=True),
        Kernel("dropout", "dropout of 1024x512", dropout(1024, 512), 0.03, random=True),
        Kernel("exp", "exp of 1024x512", function(lambda p, x: p.lib.exp(x), 1024, 512)),
        Kernel("tanh", "tanh of 1024x512", function(lambda p, x: p.lib.tanh(x), 1024, 512)),
        Kernel("sigmoid", "sigmoid of 1024x512", function(lambda p, x: p.lib.sigmoid(x), 1024, 512)),
    )
}
