"""Transforms of a picture's frame: cut, padded, resized, flipped."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.datasets.pictures import (
    ImageTransform,
    InterpolationMode,
    RandomImageTransform,
    as_height_width,
    as_mode,
    as_probability,
    draw_number,
    in_type,
    per_channel,
)
from tinygrad_edu.random import integers

__all__ = ["CenterCrop", "Pad", "RandomCrop", "RandomHorizontalFlip", "RandomVerticalFlip", "Resize"]

_PADDING = ("constant", "edge", "reflect", "symmetric")


class Pad(ImageTransform):
    """Add a border.

    Parameters
    ----------
    padding : int, (int, int) or (int, int, int, int)
        On all sides; left-right and top-bottom; or left, top, right, bottom.
    fill : float or sequence of float
        The border's value, for all channels or for each.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
        What the border shows: `fill`; the last pixel; the picture mirrored without or with its last pixel.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.datasets.transforms.Pad(1, fill=9)(tg.zeros(1, 1, 1)).tolist()
    [[[9.0, 9.0, 9.0], [9.0, 0.0, 9.0], [9.0, 9.0, 9.0]]]
    """

    def __init__(self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"):
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode
        self.sides = sides_of("Pad", padding)
        check_padding_mode("Pad", padding_mode)

    def on_array(self, pixels: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W)."""
        return padded(pixels, self.sides, self.fill, self.padding_mode)

    def on_picture(self, picture: Any) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        return padded_picture(picture, self.sides, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class CenterCrop(ImageTransform):
    """Cut out the middle; a picture smaller than that is padded with zeros.

    Parameters
    ----------
    size : int or (int, int)
        Height and width.
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = as_height_width("CenterCrop", size)

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return the padding that is needed, and the upper left corner."""
        tall, wide = self.size
        more = (max(wide - width, 0), max(tall - height, 0))
        sides = (more[0] // 2, more[1] // 2, (more[0] + 1) // 2, (more[1] + 1) // 2)
        return sides, round((height + more[1] - tall) / 2), round((width + more[0] - wide) / 2)

    def on_array(self, pixels: np.ndarray, sides: tuple, top: int, left: int) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W)."""
        return padded(pixels, sides, 0, "constant")[..., top : top + self.size[0], left : left + self.size[1]]

    def on_picture(self, picture: Any, sides: tuple, top: int, left: int) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        return cut(padded_picture(picture, sides, 0, "constant"), top, left, self.size)

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class RandomCrop(RandomImageTransform):
    """Cut out a part at a random place, after padding if wanted.

    Parameters
    ----------
    size : int or (int, int)
        Height and width.
    padding, fill, padding_mode
        As in :class:`Pad`; no padding by default.
    pad_if_needed : bool
        Pad a picture that is smaller than `size` on both sides of what is too short.

    Raises
    ------
    ValueError
        If the picture is smaller than `size`.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ):
        self.size, self.padding, self.pad_if_needed = as_height_width("RandomCrop", size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode
        self.sides = sides_of("RandomCrop", 0 if padding is None else padding)
        check_padding_mode("RandomCrop", padding_mode)

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return the padding and the upper left corner."""
        left, top, right, bottom = self.sides
        height, width = height + top + bottom, width + left + right
        if self.pad_if_needed:
            more = (max(self.size[1] - width, 0), max(self.size[0] - height, 0))
            left, top, right, bottom = left + more[0], top + more[1], right + more[0], bottom + more[1]
            height, width = height + 2 * more[1], width + 2 * more[0]
        if height < self.size[0] or width < self.size[1]:
            raise ValueError(
                f"RandomCrop: Required crop size {self.size} is larger than input image size {(height, width)}. "
                "Fix: pad_if_needed=True."
            )
        down, across = height - self.size[0], width - self.size[1]
        if not (down or across):
            return (left, top, right, bottom), 0, 0
        return (left, top, right, bottom), *(int(integers(0, room + 1, (1,))[0]) for room in (down, across))

    def on_array(self, pixels: np.ndarray, sides: tuple, top: int, left: int) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W)."""
        large = padded(pixels, sides, self.fill, self.padding_mode)
        return large[..., top : top + self.size[0], left : left + self.size[1]]

    def on_picture(self, picture: Any, sides: tuple, top: int, left: int) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        return cut(padded_picture(picture, sides, self.fill, self.padding_mode), top, left, self.size)

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class Resize(ImageTransform):
    """Make a picture larger or smaller, by Pillow's filters: a smaller one averages over what each pixel covers.

    Parameters
    ----------
    size : int or (int, int)
        Height and width; a single number is the shorter side, and the proportions stay.
    interpolation : InterpolationMode or str
        "nearest", "bilinear" or "bicubic".
    max_size : int, optional
        With a single number: the most that the longer side may have.
    antialias : bool
        Accepted for torchvision's sake; Pillow's filters always are.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.datasets.transforms.Resize((4, 4))(tg.ones(1, 8, 8)).shape
    tinygrad_edu.Size([1, 4, 4])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ):
        as_height_width("Resize", size)
        if max_size is not None and not isinstance(size, int):
            raise ValueError("Resize: max_size should only be passed if size is a single int.")
        if max_size is not None and isinstance(size, int) and max_size <= size:
            raise ValueError(f"Resize: max_size = {max_size} must be greater than size = {size}, the shorter side.")
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.interpolation = as_mode("Resize", interpolation)

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return the new height and width."""
        if not isinstance(self.size, int) and len(self.size) == 2:
            return as_height_width("Resize", self.size)
        short, long = sorted((height, width))
        new_short = self.size if isinstance(self.size, int) else self.size[0]
        new_long = int(new_short * long / short)
        if self.max_size is not None and new_long > self.max_size:
            new_short, new_long = int(self.max_size * new_short / new_long), self.max_size
        return (new_short, new_long) if height <= width else (new_long, new_short)

    def on_array(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W), computed in float32."""
        from PIL import Image

        planes = pixels.reshape(-1, *pixels.shape[-2:]).astype(np.float32)
        resized = [Image.fromarray(plane).resize((width, height), self.interpolation.pillow) for plane in planes]
        return in_type(np.stack(resized), pixels.dtype).reshape(*pixels.shape[:-2], height, width)

    def on_picture(self, picture: Any, height: int, width: int) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        return picture.resize((width, height), self.interpolation.pillow)

    def __repr__(self) -> str:
        return f"Resize(size={self.size}, interpolation={self.interpolation.value}, max_size={self.max_size})"


class _RandomFlip(RandomImageTransform):
    axis: int
    pillow_name: str

    def __init__(self, p: float = 0.5):
        self.p = as_probability(type(self).__name__, p)

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return whether to flip."""
        return (draw_number(0.0, 1.0) < self.p,)

    def on_array(self, pixels: np.ndarray, flip: bool) -> np.ndarray:  # type: ignore[override]
        """Transform an array of shape (..., C, H, W)."""
        return np.flip(pixels, self.axis).copy() if flip else pixels.copy()

    def on_picture(self, picture: Any, flip: bool) -> Any:  # type: ignore[override]
        """Transform a Pillow image."""
        from PIL import Image

        return picture.transpose(Image.Transpose[self.pillow_name]) if flip else picture

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_RandomFlip):
    """Exchange left and right with probability `p`."""

    axis, pillow_name = -1, "FLIP_LEFT_RIGHT"


class RandomVerticalFlip(_RandomFlip):
    """Exchange top and bottom with probability `p`."""

    axis, pillow_name = -2, "FLIP_TOP_BOTTOM"


def sides_of(name: str, padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom."""
    numbers = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(numbers) not in (1, 2, 4) or any(number < 0 for number in numbers):
        raise ValueError(f"{name}: padding must be 1, 2, or 4 numbers that are not negative, got {padding}.")
    left, top, right, bottom = numbers * (4 // len(numbers))
    return left, top, right, bottom


def check_padding_mode(name: str, mode: str) -> None:
    """Refuse an unknown mode."""
    if mode not in _PADDING:
        raise ValueError(f"{name}: padding_mode should be one of {', '.join(map(repr, _PADDING))}, got {mode!r}.")


def padded(pixels: np.ndarray, sides: tuple[int, int, int, int], fill: Any, mode: str) -> np.ndarray:
    """Return an array (..., C, H, W) with a border."""
    left, top, right, bottom = sides
    if not any(sides):
        return pixels.copy()
    widths = [(0, 0)] * (pixels.ndim - 2) + [(top, bottom), (left, right)]
    if mode != "constant":
        return np.pad(pixels, widths, mode)  # type: ignore[call-overload]
    out = np.pad(pixels, widths)
    border = np.ones(out.shape[-2:], bool)
    border[top : top + pixels.shape[-2], left : left + pixels.shape[-1]] = False
    for channel, value in enumerate(per_channel("Pad", fill, pixels.shape[-3])):
        out[..., channel, border] = value
    return out


def padded_picture(picture: Any, sides: tuple[int, int, int, int], fill: Any, mode: str) -> Any:
    """Return a Pillow image with a border."""
    from PIL import Image, ImageOps

    if not any(sides):
        return picture
    if mode == "constant":
        values = per_channel("Pad", fill, len(picture.getbands()))
        return ImageOps.expand(picture, sides, values[0] if len(values) == 1 else tuple(values))
    pixels = np.asarray(picture)
    left, top, right, bottom = sides
    widths = [(top, bottom), (left, right), (0, 0)][: pixels.ndim]
    return Image.fromarray(np.pad(pixels, widths, mode))  # type: ignore[call-overload]


def cut(picture: Any, top: int, left: int, size: tuple[int, int]) -> Any:
    """Return a part of a Pillow image."""
    return picture.crop((left, top, left + size[1], top + size[0]))
