"""What the image transforms share: one base for Pillow images and for Tensors of shape (..., C, H, W)."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from tinygrad_edu.random import uniform
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["ImageTransform", "InterpolationMode", "RandomImageTransform"]


class InterpolationMode(Enum):
    """How a value between pixels is found; everywhere the plain string serves as well."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"

    @property
    def order(self) -> int:
        """The degree of the spline."""
        return {"nearest": 0, "bilinear": 1, "bicubic": 3}[self.value]

    @property
    def pillow(self) -> Any:
        """Pillow's name for it."""
        from PIL import Image

        return Image.Resampling[self.name]


class ImageTransform:
    """Base of transforms of pictures: the same for a Pillow image and for a Tensor of shape (..., C, H, W).

    A subclass defines `on_picture` and `on_array`. Where it decides something by chance or by the picture's size, it defines `draw`,
    whose result both get as their further arguments.
    """

    def __call__(self, img: Any) -> Any:
        values = self.draw(*dimensions(type(self).__name__, img))
        if isinstance(img, Tensor):
            return wrap(np.ascontiguousarray(self.on_array(img.detach().numpy(), *values)))
        return self.on_picture(img, *values)

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return what is to be decided for one picture of this size."""
        return ()

    def on_array(self, pixels: np.ndarray, *values: Any) -> np.ndarray:
        """Transform an array of shape (..., C, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} must define on_array(pixels, *values)")

    def on_picture(self, picture: Any, *values: Any) -> Any:
        """Transform a Pillow image."""
        raise NotImplementedError(f"{type(self).__name__} must define on_picture(picture, *values)")

    def on_batch(self, images: np.ndarray) -> np.ndarray:
        """Transform pictures (N, C, H, W), each by numbers of its own, drawn in the order of the pictures."""
        return np.stack([self.on_array(image, *self.draw(*image.shape)) for image in images])


class RandomImageTransform(ImageTransform):
    """Base of those that decide by chance, from the project's generator: `manual_seed` decides them."""


def is_pillow(image: Any) -> bool:
    """Tell whether this is a Pillow image, without importing Pillow."""
    return any(cls.__module__.startswith("PIL.") for cls in type(image).__mro__)


def dimensions(name: str, image: Any) -> tuple[int, int, int]:
    """Return (channels, height, width).

    Raises
    ------
    TypeError
        For anything but a Pillow image or a Tensor with at least three dimensions.
    """
    if isinstance(image, Tensor) and image.ndim >= 3:
        channels, height, width = image.shape[-3:]
        return channels, height, width
    if is_pillow(image):
        return len(image.getbands()), image.height, image.width
    got = f"a Tensor of shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image)
    fix = "x.unsqueeze(0)" if isinstance(image, Tensor) else "put ToTensor() before it"
    raise TypeError(f"{name}: expects a PIL Image or a Tensor of shape (..., C, H, W). Got {got}. Fix: {fix}.")


def draw_number(low: float, high: float) -> float:
    """Draw one number between low and high, as PyTorch's ``torch.empty(1).uniform_(low, high)``."""
    return float(uniform((1,), low=low, high=high)[0])


def as_mode(name: str, interpolation: Any) -> InterpolationMode:
    """Return the mode that a mode or its name stands for."""
    try:
        return InterpolationMode(interpolation)
    except ValueError:
        names = ", ".join(repr(mode.value) for mode in InterpolationMode)
        raise ValueError(f"{name}: interpolation must be one of {names}, got {interpolation!r}.") from None


def as_height_width(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of a number, or of one or two numbers in a sequence."""
    numbers = [size, size] if isinstance(size, int) else list(size) * (2 if len(size) == 1 else 1)
    if len(numbers) != 2 or not all(isinstance(n, int) and n > 0 for n in numbers):
        raise ValueError(f"{name}: size must be a positive int or (height, width), got {size!r}. Fix: size=(28, 28).")
    return numbers[0], numbers[1]


def as_probability(name: str, p: float) -> float:
    """Return `p` if it lies between 0 and 1."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p must be between 0 and 1, got {p}. Fix: p=0.5.")
    return p


def per_channel(name: str, fill: float | Sequence[float], channels: int) -> list[float]:
    """Return one filling value for each channel."""
    values = list(fill) if isinstance(fill, Sequence) else [fill]
    if len(values) not in (1, channels):
        raise ValueError(f"{name}: fill must be one number or {channels}, one per channel, got {fill!r}.")
    return values * channels if len(values) == 1 else values


def in_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values as this type; integers are rounded and kept in their range."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
