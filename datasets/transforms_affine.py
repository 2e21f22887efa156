"""Turning, shifting, scaling and shearing pictures at random: more data out of the same images."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.datasets.pictures import (
    InterpolationMode,
    RandomImageTransform,
    as_mode,
    draw_number,
    in_type,
    per_channel,
)

__all__ = ["RandomAffine", "RandomRotation"]

Pair = tuple[float, float]


class RandomRotation(RandomImageTransform):
    """Turn a picture counter-clockwise by an angle drawn from `degrees`.

    Parameters
    ----------
    degrees : float or (float, float)
        The range of the angle; d stands for (-d, d).
    interpolation : InterpolationMode or str
        "nearest", "bilinear" or "bicubic".
    expand : bool
        Make the result so large that all of the turned picture fits.
    center : (float, float), optional
        The point (x, y), in pixels from the upper left corner, that stays; by default the middle.
    fill : float or sequence of float
        The value outside, for all channels or for each.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> quarter = tg.datasets.transforms.RandomRotation((90, 90))
    >>> quarter(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[2.0, 4.0], [1.0, 3.0]]]
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ):
        self.degrees = _range_around_zero("RandomRotation", "degrees", degrees)
        self.interpolation = as_mode("RandomRotation", interpolation)
        self.expand, self.center, self.fill = expand, center, fill

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return the angle."""
        return (draw_number(*self.degrees),)

    def on_array(self, pixels: np.ndarray, angle: float) -> np.ndarray:  # type: ignore[override]
        """Turn an array of shape (..., C, H, W)."""
        backward = np.linalg.inv(affine_matrix(-angle))
        size = expanded_size(pixels.shape[-2:], backward) if self.expand else pixels.shape[-2:]
        center = None if self.expand else self.center
        return resample(pixels, backward, (0.0, 0.0), center, size, self.interpolation.order, self.fill)

    def on_picture(self, picture: Any, angle: float) -> Any:  # type: ignore[override]
        """Turn a Pillow image."""
        fill = _pillow_fill("RandomRotation", self.fill, picture)
        return picture.rotate(angle, self.interpolation.pillow, self.expand, self.center, fillcolor=fill)

    def __repr__(self) -> str:
        return (
            f"RandomRotation(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}, fill={self.fill})"
        )


class RandomAffine(RandomImageTransform):
    """Turn, shift, scale and shear a picture, by numbers drawn anew for each; the middle stays where it is but for the shift.

    Parameters
    ----------
    degrees : float or (float, float)
        The range of the angle, clockwise; d stands for (-d, d), 0 for no turn.
    translate : (float, float), optional
        Largest shift to either side, as shares of width and height; shifts are whole pixels.
    scale : (float, float), optional
        The range of the factor.
    shear : float, (float, float) or four floats, optional
        The range of the angle along x; with four numbers also that along y.
    interpolation, fill, center
        As in :class:`RandomRotation`.

    Notes
    -----
    For one seed the numbers are torchvision's.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> moved = tg.datasets.transforms.RandomAffine(10, translate=(0.1, 0.1))(tg.ones(1, 28, 28))
    >>> moved.shape
    tinygrad_edu.Size([1, 28, 28])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ):
        self.degrees = _range_around_zero("RandomAffine", "degrees", degrees)
        if translate is not None and (len(translate) != 2 or not all(0.0 <= share <= 1.0 for share in translate)):
            raise ValueError(f"RandomAffine: translation values should be two shares between 0 and 1, got {translate}.")
        if scale is not None and (len(scale) != 2 or not all(factor > 0 for factor in scale)):
            raise ValueError(f"RandomAffine: scale values should be two positive numbers, got {scale}.")
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else _range_around_zero("RandomAffine", "shear", shear, lengths=(2, 4))
        self.interpolation = as_mode("RandomAffine", interpolation)
        self.fill, self.center = fill, center

    def draw(self, channels: int, height: int, width: int) -> tuple:
        """Return the backward matrix and the shift (x, y)."""
        angle = draw_number(*self.degrees)
        shift = (0.0, 0.0)
        if self.translate is not None:
            most = (float(self.translate[0] * width), float(self.translate[1] * height))
            shift = (float(round(draw_number(-most[0], most[0]))), float(round(draw_number(-most[1], most[1]))))
        factor = draw_number(*self.scale) if self.scale is not None else 1.0
        shear_x = draw_number(*self.shear[:2]) if self.shear is not None else 0.0
        shear_y = draw_number(*self.shear[2:]) if self.shear is not None and len(self.shear) == 4 else 0.0
        return np.linalg.inv(affine_matrix(angle, factor, shear_x, shear_y)), shift

    def on_array(self, pixels: np.ndarray, backward: np.ndarray, shift: Pair) -> np.ndarray:  # type: ignore[override]
        """Move an array of shape (..., C, H, W)."""
        order = self.interpolation.order
        return resample(pixels, backward, shift, self.center, pixels.shape[-2:], order, self.fill)

    def on_picture(self, picture: Any, backward: np.ndarray, shift: Pair) -> Any:  # type: ignore[override]
        """Move a Pillow image."""
        from PIL import Image

        center = np.array(self.center or (picture.width / 2, picture.height / 2), float)
        offset = center - backward @ (center + np.array(shift))
        coefficients = (*backward[0], offset[0], *backward[1], offset[1])
        fill = _pillow_fill("RandomAffine", self.fill, picture)
        return picture.transform(
            picture.size, Image.Transform.AFFINE, coefficients, self.interpolation.pillow, fillcolor=fill
        )

    def __repr__(self) -> str:
        given = [f"degrees={self.degrees}"]
        given += [f"{n}={v}" for n in ("translate", "scale", "shear") if (v := getattr(self, n)) is not None]
        return f"RandomAffine({', '.join(given)}, interpolation={self.interpolation.value}, fill={self.fill})"


def affine_matrix(angle: float, scale: float = 1.0, shear_x: float = 0.0, shear_y: float = 0.0) -> np.ndarray:
    """Return ``scale R(angle) S_y S_x``, angles in degrees: where the point (x, y) goes, y pointing down."""
    turn, along_x, along_y = math.radians(angle), math.radians(shear_x), math.radians(shear_y)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    shear = np.array([[1.0, 0.0], [-math.tan(along_y), 1.0]]) @ np.array([[1.0, -math.tan(along_x)], [0.0, 1.0]])
    return scale * rotation @ shear


def resample(
    pixels: np.ndarray,
    backward: np.ndarray,
    shift: Pair,
    center: Sequence[float] | None,
    size: Any,
    order: int,
    fill: Any,
) -> np.ndarray:
    """Fill pictures of `size` (height, width) by looking up, for each of their points, where it came from.

    The point p came from ``center + backward (p - center - shift)``; values outside are `fill`.
    """
    from scipy.ndimage import affine_transform

    height, width = pixels.shape[-2:]
    # SciPy counts from the middle of the first pixel and names the row first.
    old = np.array([(height - 1) / 2, (width - 1) / 2]) if center is None else np.array(center[::-1], float) - 0.5
    new = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2]) if center is None else old
    matrix = backward[::-1, ::-1]
    offset = old - matrix @ (new + np.array(shift[::-1]))
    planes = pixels.reshape(-1, height, width)
    channels = pixels.shape[-3]
    fills = per_channel("fill", fill, channels)
    computed = planes.dtype if planes.dtype.kind == "f" else np.dtype(np.float32)
    moved = np.empty((len(planes), *size), computed)
    for i, plane in enumerate(planes):
        affine_transform(
            plane.astype(computed, copy=False), matrix, offset, tuple(size), moved[i], order, "grid-constant", fills[i % channels],
        )  # fmt: skip
    return in_type(moved, pixels.dtype).reshape(*pixels.shape[:-2], *size)


def expanded_size(size: Sequence[int], backward: np.ndarray) -> tuple[int, int]:
    """Return the height and width of the smallest upright frame around a turned picture."""
    height, width = size
    corners = np.array([[-width, -height], [-width, height], [width, height], [width, -height]]) / 2
    there = corners @ np.linalg.inv(backward).T + np.array([width, height]) / 2
    # A corner that misses a whole pixel by rounding only must not cost another row.
    low, high = (np.round(limit, 4) for limit in (there.min(0), there.max(0)))
    wide, tall = np.ceil(high) - np.floor(low)
    return int(tall), int(wide)


def _range_around_zero(name: str, what: str, value: Any, lengths: tuple[int, ...] = (2,)) -> tuple[float, ...]:
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"{name}: if {what} is a single number, it must not be negative, got {value}.")
        return (-float(value), float(value))
    numbers = tuple(float(number) for number in value)
    if len(numbers) not in lengths:
        raise ValueError(f"{name}: {what} should be a number or {' or '.join(map(str, lengths))} numbers, got {value}.")
    return numbers


def _pillow_fill(name: str, fill: Any, picture: Any) -> Any:
    values = per_channel(name, fill, len(picture.getbands()))
    numbers = tuple(values if picture.mode == "F" else (int(value) for value in values))
    return numbers[0] if len(numbers) == 1 else numbers
