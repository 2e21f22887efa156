"""Images at another resolution: interpolation, and moving between channels and pixels. Compositions of lookups along one dimension."""

import math
from collections.abc import Sequence

import numpy as np

from tinygrad_edu.errors import ShapeError, ValueRangeError, message
from tinygrad_edu.ops.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tinygrad_edu.ops.gathering import index_select
from tinygrad_edu.ops.shape import permute_dims, reshape_to
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]

_SPATIAL = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
_MODES = ("nearest", "nearest-exact", *_SPATIAL, "area")


@composite(method=False)
def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images (N, C, ...) to `size`, or by `scale_factor`, one dimension after the other.

    Parameters
    ----------
    size : int or one per spatial dimension
    scale_factor : number or one per spatial dimension
        Exactly one of `size` and `scale_factor` is given.
    mode : {"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"}
    align_corners : bool, optional
        Whether the corner pixels' centres keep their values ("linear" to "bicubic"); by default the image's edges are aligned.
    recompute_scale_factor : bool, optional
        Work the scale out again from the rounded size.

    Raises
    ------
    NotImplementedError
        For an unknown mode, or one for another number of dimensions.
    ValueError
        For contradicting arguments.
    RuntimeError
        If nothing would be left.
    """
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not supported. Fix: blur first with avg_pool2d.")
    spatial = input.ndim - 2
    sizes, scales = _target(input, size, scale_factor, bool(recompute_scale_factor), spatial)
    if mode not in _MODES:
        raise NotImplementedError(f"interpolate: unknown mode {mode!r}. Fix: one of {', '.join(map(repr, _MODES))}.")
    if mode in _SPATIAL:
        if _SPATIAL[mode] != spatial:
            facts = (
                f"mode {mode!r} is for {_SPATIAL[mode] + 2}D input, got {input.ndim}D of shape {tuple(input.shape)}."
            )
            raise NotImplementedError(message("E113", "interpolate", facts, "another mode, or (N, C, ...) images."))
    elif align_corners is not None:
        raise ValueRangeError(
            f"interpolate: align_corners can only be set with {', '.join(_SPATIAL)}; the mode is {mode!r}."
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[spatial - 1](input, sizes)
    if min(*sizes, *input.shape[2:]) < 1:
        raise RuntimeError(
            f"interpolate: Input and output sizes should be greater than 0, but got input {tuple(input.shape[2:])} and output "
            f"{tuple(sizes)}. Fix: a larger scale_factor or size."
        )
    for dim, (count, scale) in enumerate(zip(sizes, scales, strict=True), 2):
        input = _resize(input, dim, count, scale, mode, bool(align_corners))
    return input


def _target(input: Tensor, size, scale_factor, recompute: bool, spatial: int):
    """Return the output sizes, and the scales that were asked for (None: from the sizes)."""
    if (size is None) == (scale_factor is None):
        raise ValueRangeError("interpolate: exactly one of size and scale_factor should be defined")
    if spatial not in (1, 2, 3):
        raise ShapeError(
            f"interpolate: expected input (N, C, ...) with 1 to 3 spatial dimensions, got {tuple(input.shape)}."
        )
    given = size if scale_factor is None else scale_factor
    values = [given] * spatial if isinstance(given, int | float) else list(given)
    if len(values) != spatial:
        raise ValueRangeError(
            f"interpolate: size or scale_factor must have one number per spatial dimension, {spatial} of them, got {given!r}."
        )
    if scale_factor is None and min(values) <= 0:
        raise RuntimeError(f"interpolate: Input and output sizes should be greater than 0, got size {given!r}.")
    if scale_factor is None:
        return [int(n) for n in values], [None] * spatial
    sizes = [math.floor(n * s) for n, s in zip(input.shape[2:], values, strict=True)]
    return sizes, [None] * spatial if recompute else values


def _resize(x: Tensor, dim: int, count: int, scale: float | None, mode: str, align_corners: bool) -> Tensor:
    """Resize along one dimension: a weighted sum of lookups."""
    size = x.shape[dim]
    step = size / count if scale is None else 1.0 / scale
    places = np.arange(count, dtype=np.float64)
    if mode == "nearest":
        return index_select(x, dim, _rows(np.floor(places * step), size))
    if mode == "nearest-exact":
        return index_select(x, dim, _rows(np.floor((places + 0.5) * step), size))
    if align_corners:
        centres = places * ((size - 1) / (count - 1) if count > 1 else 0.0)
    else:
        centres = (places + 0.5) * step - 0.5
        if mode != "bicubic":
            centres = np.maximum(centres, 0)
    first = np.floor(centres)
    part = centres - first
    weights = _cubic(part) if mode == "bicubic" else {0: 1 - part, 1: part}
    column = (-1,) + (1,) * (x.ndim - dim - 1)
    terms = []
    for offset, weight in weights.items():
        factor = wrap(weight.astype(x._data.dtype).reshape(column))
        terms.append(index_select(x, dim, _rows(first + offset, size)) * factor)
    return sum(terms[1:], terms[0])


def _rows(places: np.ndarray, size: int) -> Tensor:
    return wrap(np.clip(places, 0, size - 1).astype(np.int64))


def _cubic(t: np.ndarray, a: float = -0.75) -> dict[int, np.ndarray]:
    """Weights of the four neighbours in cubic convolution (R. Keys, 1981)."""

    def near(s: np.ndarray) -> np.ndarray:
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def far(s: np.ndarray) -> np.ndarray:
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    return {-1: far(t + 1), 0: near(t), 1: near(1 - t), 2: far(2 - t)}


# ---- between channels and pixels --------------------------------------------------------------------------------------------
def _split_image(input: Tensor, op: str) -> tuple[tuple[int, ...], int, int, int]:
    if input.ndim < 3:
        raise ShapeError(f"{op}: expects input to have at least 3 dimensions (..., C, H, W), got {tuple(input.shape)}.")
    *lead, c, h, w = input.shape
    return tuple(lead), c, h, w


@composite(method=False)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Groups of r^2 channels become blocks of r x r pixels: (..., C r^2, H, W) to (..., C, H r, W r) [1]_.

    References
    ----------
    .. [1] W. Shi et al., "Real-time single image and video super-resolution", CVPR 2016, arXiv:1609.05158.
    """
    lead, c, h, w = _split_image(input, "pixel_shuffle")
    r = upscale_factor
    if r < 1 or c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={c} is not divisible by {r * r}."
        )
    n = math.prod(lead)
    blocks = permute_dims(reshape_to(input, (n, c // (r * r), r, r, h, w)), (0, 1, 4, 2, 5, 3))
    return reshape_to(blocks, (*lead, c // (r * r), h * r, w * r))


@composite(method=False)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Blocks of r x r pixels become r^2 channels, the inverse of :func:`pixel_shuffle`: (..., C, H r, W r) to (..., C r^2, H, W)."""
    lead, c, h, w = _split_image(input, "pixel_unshuffle")
    r = downscale_factor
    if r < 1 or h % r or w % r:
        raise RuntimeError(
            f"pixel_unshuffle: expects height and width to be divisible by {r}, but they are {h} and {w}."
        )
    n = math.prod(lead)
    blocks = permute_dims(reshape_to(input, (n, c, h // r, r, w // r, r)), (0, 1, 3, 5, 2, 4))
    return reshape_to(blocks, (*lead, c * r * r, h // r, w // r))


@composite(method=False)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleave the channels of `groups` groups: (N, g * k, ...) read as (g, k) and written as (k, g) [1]_.

    References
    ----------
    .. [1] X. Zhang et al., "ShuffleNet", CVPR 2018, arXiv:1707.01083.
    """
    n, c, *rest = input.shape
    if groups < 1 or c % groups:
        raise RuntimeError(
            f"channel_shuffle: number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    parts = permute_dims(reshape_to(input, (n, groups, c // groups, math.prod(rest))), (0, 2, 1, 3))
    return reshape_to(parts, tuple(input.shape))
