"""The networks of the course, ready to train: a multilayer perceptron, the course's CNN, and LeNet-5."""

from collections.abc import Sequence
from itertools import pairwise

from tinygrad_edu.nn.activation import ReLU, Sigmoid, Tanh
from tinygrad_edu.nn.container import Sequential
from tinygrad_edu.nn.conv import Conv2d
from tinygrad_edu.nn.flatten import Flatten
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.pooling import AvgPool2d, MaxPool2d

__all__ = ["MLP", "CourseCNN", "LeNet5"]

_ACTIVATIONS = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid}


def _conv_size(size: int, kernel: int, padding: int = 0, stride: int = 1) -> int:
    return (size + 2 * padding - kernel) // stride + 1


class MLP(Sequential):
    """Fully connected layers with an activation between them: the last layer gives logits.

    Parameters
    ----------
    sizes : sequence of int
        Widths from input to output, e.g. ``(784, 30, 10)``.
    activation : {"relu", "tanh", "sigmoid"}

    Shape: input ``(N, ...)`` with ``sizes[0]`` numbers per sample (images are flattened), output ``(N, sizes[-1])``.

    Examples
    --------
    The course's first network has 11,935 parameters:

    >>> import tinygrad_edu as tg
    >>> sum(p.numel() for p in tg.nn.models.MLP((784, 15, 10)).parameters())
    11935
    """

    def __init__(self, sizes: Sequence[int], activation: str = "tanh"):
        if len(sizes) < 2:
            raise ValueError(
                f"MLP: sizes needs an input and an output width, got {tuple(sizes)}. Fix: MLP((784, 30, 10))."
            )
        if activation not in _ACTIVATIONS:
            raise ValueError(f"MLP: unknown activation {activation!r}. Fix: one of {', '.join(_ACTIVATIONS)}.")
        super().__init__(Flatten())
        for number, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            self.add_module(f"fc{number}", Linear(fan_in, fan_out))
            if number < len(sizes) - 1:
                self.add_module(f"{activation}{number}", _ACTIVATIONS[activation]())


class CourseCNN(Sequential):
    """The course's convolutional network: conv 5x5x20, ReLU, max-pool 2x2, flatten, 100 tanh units, 10 classes (logits).

    With 28x28 images it has 289,630 parameters: 520 + 288,100 + 1,010.

    Parameters
    ----------
    image_size : int
        Height and width of the images.
    channels, classes : int
        Input channels and number of classes.
    kernel_size, filters, hidden : int
        Width of the filters, their number, and the width of the dense layer.
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        classes: int = 10,
        kernel_size: int = 5,
        filters: int = 20,
        hidden: int = 100,
    ):
        pooled = _conv_size(image_size, kernel_size) // 2
        if pooled < 1:
            raise ValueError(
                f"CourseCNN: a {kernel_size}x{kernel_size} convolution and a 2x2 pool leave nothing of {image_size}x{image_size} "
                "images. Fix: a smaller kernel_size."
            )
        super().__init__()
        self.add_module("conv", Conv2d(channels, filters, kernel_size))
        self.add_module("relu", ReLU())
        self.add_module("pool", MaxPool2d(2))
        self.add_module("flatten", Flatten())
        self.add_module("fc1", Linear(filters * pooled * pooled, hidden))
        self.add_module("tanh", Tanh())
        self.add_module("fc2", Linear(hidden, classes))


class LeNet5(Sequential):
    """LeNet-5 for 28x28 images: two convolution and average-pooling pairs, then 120, 84 and 10 units, tanh throughout.

    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, Proc. IEEE 86, 1998. As in most later
    descriptions every filter sees all input maps and the last layer is linear (logits).
    """

    def __init__(self, channels: int = 1, classes: int = 10):
        super().__init__()
        self.add_module("conv1", Conv2d(channels, 6, 5, padding=2))
        self.add_module("tanh1", Tanh())
        self.add_module("pool1", AvgPool2d(2))
        self.add_module("conv2", Conv2d(6, 16, 5))
        self.add_module("tanh2", Tanh())
        self.add_module("pool2", AvgPool2d(2))
        self.add_module("flatten", Flatten())
        self.add_module("fc1", Linear(16 * 5 * 5, 120))
        self.add_module("tanh3", Tanh())
        self.add_module("fc2", Linear(120, 84))
        self.add_module("tanh4", Tanh())
        self.add_module("fc3", Linear(84, classes))
