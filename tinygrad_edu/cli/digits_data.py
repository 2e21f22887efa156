"""The images the commands train on, as (N, 1, height, width) tensors in [0, 1] with class ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_edu.utils.data import TensorDataset

__all__ = ["NAMES", "Images", "load_images"]

NAMES = ("digits", "mnist", "fashion")


@dataclass(frozen=True)
class Images:
    """A data set split into training and test images."""

    name: str
    title: str
    train: TensorDataset
    test: TensorDataset
    image_size: int
    classes: tuple[str, ...]


def load_images(name: str, root: Path | None = None, download: bool = True) -> Images:
    """Load one of :data:`NAMES`.

    Raises
    ------
    ValueError
        For another name.
    RuntimeError
        When MNIST or Fashion-MNIST is neither on disk nor to be downloaded (E501), or a file is corrupt (E502).
    """
    from tinygrad_edu import datasets

    if name == "digits":
        parts = [datasets.Digits(train=train) for train in (True, False)]
        return _images(name, "1,797 real handwritten digits, 8x8, from scikit-learn", parts)
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}. Fix: one of {', '.join(NAMES)}.")
    kind = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
    parts = [kind(root, train=train, download=download) for train in (True, False)]
    title = (
        "MNIST: 70,000 handwritten digits, 28x28"
        if name == "mnist"
        else "Fashion-MNIST: 70,000 pictures of clothes, 28x28"
    )
    return _images(name, title, parts)


def _images(name: str, title: str, parts: list[Any]) -> Images:
    sets = []
    for part in parts:
        pixels = part.data.float().div(255.0)
        sets.append(TensorDataset(pixels.reshape(pixels.shape[0], 1, *pixels.shape[-2:]), part.targets))
    return Images(name, title, sets[0], sets[1], int(parts[0].data.shape[-1]), tuple(map(str, parts[0].classes)))
