"""Images read at places that need not be pixels: what a spatial transformer turns, shifts and zooms with.

References
----------
.. [1] M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu, "Spatial Transformer Networks", NeurIPS 2015, arXiv:1506.02025.
"""

from collections.abc import Sequence

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.arithmetic import fmod
from tinygrad_edu.ops.gathering import gather
from tinygrad_edu.ops.indexing import select
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.matmul import matmul
from tinygrad_edu.ops.rounding import abs as abs_
from tinygrad_edu.ops.rounding import clamp, floor
from tinygrad_edu.ops.rounding import round as round_
from tinygrad_edu.ops.shape import reshape, transpose
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["affine_grid", "grid_sample"]

MODES = ("bilinear", "nearest")
PADDINGS = ("zeros", "border", "reflection")


@composite(method=False)
def affine_grid(theta, size: Sequence[int], align_corners: bool | None = None):
    """The places (x, y) that affine maps of the output's pixels read from, for :func:`grid_sample`.

    Parameters
    ----------
    theta : Tensor, shape (N, 2, 3)
        The maps: [x, y] = theta @ [x', y', 1] in coordinates where the image reaches from -1 to 1.
    size : sequence of four int
        The output's shape (N, C, H, W).
    align_corners : bool
        Whether -1 and 1 are the middles of the outermost pixels, or their outer edges.

    Returns
    -------
    Tensor, shape (N, H, W, 2)
    """
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (2, 3) or len(size) != 4 or size[0] != theta.shape[0]:
        facts = f"expected theta of shape (N, 2, 3) and size (N, C, H, W), got {tuple(theta.shape)} and {tuple(size)}."
        raise ShapeError(message("E101", "affine_grid", facts, "affine_grid(theta, images.size())."))
    n, _, height, width = size
    base = np.ones((height, width, 3), theta._data.dtype)
    base[..., 0] = _pixels(width, align_corners)
    base[..., 1] = _pixels(height, align_corners)[:, None]
    places = matmul(wrap(base.reshape(1, -1, 3)), transpose(theta, 1, 2))
    return reshape(places, (n, height, width, 2))


def _pixels(length: int, align_corners: bool | None) -> np.ndarray:
    """Return the coordinates of `length` pixels between -1 and 1."""
    if align_corners:
        return np.linspace(-1.0, 1.0, length) if length > 1 else np.zeros(length)
    return (2 * np.arange(length) + 1) / length - 1


@composite(method=False)
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Read an image at given places; the result is differentiable by the image and by the places.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W)
    grid : Tensor, shape (N, H_out, W_out, 2)
        Places (x, y), -1 at the left and the top, 1 at the right and the bottom.
    mode : {"bilinear", "nearest"}
        Mix the four pixels around, or take the nearest.
    padding_mode : {"zeros", "border", "reflection"}
        What is seen outside of the image.
    align_corners : bool
        Whether -1 and 1 are the middles of the outermost pixels, or their outer edges.

    Returns
    -------
    Tensor, shape (N, C, H_out, W_out)
    """
    if mode not in MODES or padding_mode not in PADDINGS:
        raise ValueError(
            f"grid_sample: mode must be one of {MODES} and padding_mode one of {PADDINGS}, got {mode!r} and {padding_mode!r}"
        )
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[-1] != 2 or grid.shape[0] != input.shape[0]:
        facts = f"expected input (N, C, H, W) and grid (N, H_out, W_out, 2), got {tuple(input.shape)} and {tuple(grid.shape)}."
        raise ShapeError(message("E101", "grid_sample", facts, "grid = F.affine_grid(theta, images.size())."))
    n, channels, height, width = input.shape
    pixels = reshape(input, (n, channels, height * width))
    x = _position(select(grid, -1, 0), width, padding_mode, align_corners)
    y = _position(select(grid, -1, 1), height, padding_mode, align_corners)
    if mode == "nearest":
        return _read(pixels, round_(x.detach()), round_(y.detach()), height, width)
    left, top = floor(x.detach()), floor(y.detach())
    right, below = x - left, y - top  # how far the place is from the pixel to the left, and from the one above
    result = _read(pixels, left, top, height, width) * _weight(1 - right, 1 - below)
    result = result + _read(pixels, left + 1, top, height, width) * _weight(right, 1 - below)
    result = result + _read(pixels, left, top + 1, height, width) * _weight(1 - right, below)
    return result + _read(pixels, left + 1, top + 1, height, width) * _weight(right, below)


def _weight(across: Tensor, down: Tensor) -> Tensor:
    return (across * down).unsqueeze(1)


def _position(place: Tensor, length: int, padding_mode: str, align_corners: bool | None) -> Tensor:
    """Turn coordinates between -1 and 1 into pixel numbers."""
    position = (place + 1) * ((length - 1) / 2) if align_corners else ((place + 1) * length - 1) / 2
    if padding_mode == "reflection":
        low, span = (0.0, length - 1.0) if align_corners else (-0.5, float(length))
        if span:
            away = abs_(position - low)
            rest, turns = fmod(away, span), floor(away.detach() / span)
            position = where(turns % 2 == 0, rest + low, span - rest + low)
        else:
            position = position * 0
    return position if padding_mode == "zeros" else clamp(position, 0, length - 1)


def _read(pixels: Tensor, x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Return the pixels with whole numbers (x, y), 0 outside of the image."""
    n, channels = pixels.shape[:2]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    number = where(inside, y * width + x, 0.0).long()
    values = gather(pixels, 2, reshape(number, (n, 1, -1)).expand(n, channels, -1))
    return reshape(values, (n, channels, *x.shape[1:])) * inside.unsqueeze(1)
