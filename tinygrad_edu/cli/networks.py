"""The networks that ``--model`` names, sized for the images they will see."""

from typing import Any

from tinygrad_edu import nn
from tinygrad_edu.nn.models import MLP, CourseCNN, LeNet5

__all__ = ["NAMES", "build"]

NAMES = ("mlp", "cnn", "lenet")


def build(name: str, image_size: int, classes: int) -> nn.Module:
    """Make a network for square grey images.

    The CNN's filters are 5x5 as in the course, and 3x3 for pictures as small as 8x8.
    """
    if name == "mlp":
        return MLP((image_size * image_size, 30, classes), activation="tanh")
    if name == "cnn":
        return CourseCNN(image_size, classes=classes, kernel_size=5 if image_size >= 16 else 3)
    if name == "lenet":
        if image_size != 28:
            raise ValueError(
                f"lenet is made for 28x28 images, these are {image_size}x{image_size}. Fix: --model cnn, or --data mnist."
            )
        return LeNet5(classes=classes)
    raise ValueError(f"unknown model {name!r}. Fix: one of {', '.join(NAMES)}.")


def optimizer(name: str, model: nn.Module, lr: float | None) -> Any:
    """Make the optimizer that ``--optimizer`` names; each has its own usual rate."""
    from tinygrad_edu import optim

    makers = {
        "sgd": lambda parameters, lr: optim.SGD(parameters, lr=0.01 if lr is None else lr),
        "momentum": lambda parameters, lr: optim.SGD(parameters, lr=0.01 if lr is None else lr, momentum=0.9),
        "adam": lambda parameters, lr: optim.Adam(parameters, lr=0.001 if lr is None else lr),
        "adamw": lambda parameters, lr: optim.AdamW(parameters, lr=0.001 if lr is None else lr),
        "rmsprop": lambda parameters, lr: optim.RMSprop(parameters, lr=0.001 if lr is None else lr),
    }
    return makers[name](model.parameters(), lr)


OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "rmsprop")
