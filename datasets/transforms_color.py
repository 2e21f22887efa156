"""Transforms of what a picture shows rather than where: grey, and parts erased."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.datasets.pictures import (
    ImageTransform,
    RandomImageTransform,
    as_probability,
    draw_number,
    in_type,
    per_channel,
)
from tinygrad_edu.random import integers, normal
from tinygrad_edu.tensor import Tensor

__all__ = ["Grayscale", "RandomErasing", "RandomGrayscale"]

_LUMA = (0.2989, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)
_ATTEMPTS = 10


class Grayscale(ImageTransform):
    """Turn colours into grey: ``0.2989 red + 0.587 green + 0.114 blue``.

    Parameters
    ----------
    num_output_channels : {1, 3}
        Three gives the grey value three times.

    Raises
    ------
    ValueError
        For another number, or a picture of neither one nor three channels.
    """

    def __init__(self, num_output_channels: int = 1):
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: num_output_channels should be either 1 or 3, got {num_output_channels}.")
        self.num_output_channels = num_output_channels

    def on_array(self, pixels: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W)."""
        return grey(pixels, self.num_output_channels)

    def on_picture(self, picture: Any) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        return grey_picture(picture, self.num_output_channels)

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class RandomGrayscale(RandomImageTransform):
    """Turn colours into grey with probability `p`; the number of channels stays."""

    def __init__(self, p: float = 0.1):
        self.p = as_probability("RandomGrayscale", p)

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return whether to change the picture."""
        return (draw_number(0.0, 1.0) < self.p,)

    def on_array(self, pixels: np.ndarray, change: bool) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W)."""
        return grey(pixels, pixels.shape[-3]) if change else pixels.copy()

    def on_picture(self, picture: Any, change: bool) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        return grey_picture(picture, len(picture.getbands())) if change else picture

    def __repr__(self) -> str:
        return f"RandomGrayscale(p={self.p})"


class RandomErasing(RandomImageTransform):
    """Overwrite a random rectangle of a Tensor, so that no single part of a picture decides alone.

    Parameters
    ----------
    p : float
        Probability that a rectangle is erased.
    scale : (float, float)
        Range of its share of the area.
    ratio : (float, float)
        Range of its height over its width, drawn on a logarithmic scale.
    value : float, sequence of float, or "random"
        What is written: a number, one per channel, or standard normal numbers.
    inplace : bool
        Overwrite the Tensor itself.

    Raises
    ------
    TypeError
        For a Pillow image: it comes after ``ToTensor()``.

    References
    ----------
    .. [1] Z. Zhong, L. Zheng, G. Kang, S. Li and Y. Yang, "Random Erasing Data Augmentation", 2017, arXiv:1708.04896.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0,
        inplace: bool = False,
    ):
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: if value is a string, it should be 'random', got {value!r}.")
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"RandomErasing: scale should be two shares between 0 and 1, got {scale}.")
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"RandomErasing: ratio should be two positive numbers, the smaller first, got {ratio}.")
        self.p = as_probability("RandomErasing", p)
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    def __call__(self, img: Any) -> Any:
        """Erase in one Tensor."""
        if not self.inplace or not isinstance(img, Tensor):
            return super().__call__(img)
        return img.copy_(super().__call__(img))  # type: ignore[attr-defined]

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return the rectangle (top, left, height, width) and its values, or None twice."""
        if not draw_number(0.0, 1.0) < self.p:
            return None, None
        for _ in range(_ATTEMPTS):  # a rectangle that does not fit is drawn again
            area = height * width * draw_number(self.scale[0], self.scale[1])
            ratio = math.exp(draw_number(math.log(self.ratio[0]), math.log(self.ratio[1])))
            tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if tall < height and wide < width:
                values = self._values(channels, tall, wide)
                top, left = (int(integers(0, n + 1, (1,))[0]) for n in (height - tall, width - wide))
                return (top, left, tall, wide), values
        return None, None

    def _values(self, channels: int, tall: int, wide: int) -> np.ndarray:
        if self.value == "random":
            return normal((channels, tall, wide))
        return np.array(per_channel("RandomErasing", self.value, channels), np.float32)[:, None, None]  # type: ignore[arg-type]

    def on_array(self, pixels: np.ndarray, rectangle: Any, values: Any) -> np.ndarray:  # type: ignore[override]
        """Erase in an array of shape (..., C, H, W)."""
        erased = pixels.copy()
        if rectangle is not None:
            top, left, tall, wide = rectangle
            erased[..., top : top + tall, left : left + wide] = values
        return erased

    def on_picture(self, picture: Any, *values: Any) -> Any:
        """Refuse a Pillow image."""
        raise TypeError(
            f"RandomErasing: img should be Tensor Image. Got {type(picture)}. Fix: put ToTensor() before it."
        )

    def __repr__(self) -> str:
        return f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, inplace={self.inplace})"


def grey(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Return the grey values of an array (..., C, H, W), repeated for each of `channels`."""
    if pixels.shape[-3] == 3:
        luma = np.array(_LUMA, pixels.dtype if pixels.dtype.kind == "f" else np.float32)
        value = in_type(np.einsum("...chw,c->...hw", pixels, luma)[..., None, :, :], pixels.dtype)
    elif pixels.shape[-3] == 1:
        value = pixels
    else:
        raise ValueError(f"Grayscale: a picture should have 1 or 3 channels, got shape {pixels.shape}.")
    return np.repeat(value, channels, axis=-3)


def grey_picture(picture: Any, channels: int) -> Any:
    """Return a Pillow image in grey, with one or three channels."""
    single = picture.convert("L")
    return single if channels == 1 else single.convert("RGB")
