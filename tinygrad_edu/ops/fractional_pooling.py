"""Fractional max-pooling: windows at random steps, so that images shrink by any factor, not only by whole ones.

References
----------
.. [1] B. Graham, "Fractional Max-Pooling", 2014, arXiv:1412.6071.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.adaptive_pooling import pick_from_planes
from tinygrad_edu.ops.pooling import MaxPool
from tinygrad_edu.ops.sampling import rand
from tinygrad_edu.ops.shape import squeeze
from tinygrad_edu.ops.windows import as_image, as_sizes
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []

Sizes = int | Sequence[int]
Ratios = float | Sequence[float]


def _starts(samples: np.ndarray, size: int, count: int, kernel: int) -> np.ndarray:
    """Return where the `count` windows of each plane begin along one dimension, (planes, count).

    start_i = floor((i + u) alpha) - floor(u alpha) with alpha = (size - kernel) / (count - 1) and one random u for each plane, so
    that steps of two lengths alternate irregularly; the last window ends at the edge.
    """
    alpha = samples.dtype.type(size - kernel) / samples.dtype.type(max(1, count - 1))
    starts = (
        np.floor((np.arange(count, dtype=samples.dtype) + samples[:, None]) * alpha)
        - np.floor(samples * alpha)[:, None]
    )
    starts[:, -1:] = size - kernel
    return starts.astype(np.int64)


def _positions(x: np.ndarray, samples: np.ndarray, kernel: tuple[int, ...], sizes: tuple[int, ...]) -> np.ndarray:
    """Return where in its flattened plane each window's maximum is; NaN counts as the largest, the last one wins."""
    n, c, *lengths = x.shape
    planes, spatial = n * c, len(lengths)
    # PyTorch takes the random numbers of images in the order width, height, and those of volumes in the order of the dimensions.
    order = (1, 0) if spatial == 2 else tuple(range(spatial))
    places = np.zeros((planes, *(1,) * (2 * spatial)), np.int64)  # plane, then windows, then the pixels of a window
    for d, length in enumerate(lengths):
        starts = _starts(samples.reshape(planes, spatial)[:, order[d]], length, sizes[d], kernel[d])
        pixels = starts[..., None] + np.arange(kernel[d])
        shape = [planes, *(1,) * (2 * spatial)]
        shape[1 + d], shape[1 + spatial + d] = sizes[d], kernel[d]
        places = places * length + pixels.reshape(shape)
    places = places.reshape(planes, *sizes, -1)
    values: Any = np.take_along_axis(x.reshape(planes, -1), places.reshape(planes, -1), 1).reshape(places.shape)
    nan: Any = np.isnan(values)
    choice: Any = np.where(nan.any(-1), values.shape[-1] - 1 - nan[..., ::-1].argmax(-1), values.argmax(-1))
    return np.take_along_axis(places, choice[..., None], -1).reshape(n, c, *sizes)


def _fractional(
    input: Tensor, kernel_size: Sizes, output_size: Sizes | None, output_ratio: Ratios | None, return_indices: bool,
    samples: Tensor | None, spatial: int,
) -> Tensor | MaxPool:  # fmt: skip
    op = f"fractional_max_pool{spatial}d"
    image, batched = as_image(input, spatial, op)
    lengths = tuple(image.shape[2:])
    if output_size is None:
        if output_ratio is None:
            raise ValueError(
                f"{op} requires specifying either an output_size or an output_ratio. Fix: output_ratio=0.5."
            )
        ratios = (output_ratio,) * spatial if isinstance(output_ratio, int | float) else tuple(output_ratio)
        if len(ratios) != spatial:
            raise ValueError(f"{op} requires output_ratio to be one number or {spatial}, got {output_ratio!r}.")
        output_size = [int(length * ratio) for length, ratio in zip(lengths, ratios, strict=True)]
    kernel, sizes = (
        as_sizes(kernel_size, spatial, op, "kernel_size", 1),
        as_sizes(output_size, spatial, op, "output_size", 1),
    )
    for length, k, size in zip(lengths, kernel, sizes, strict=True):
        if size + k - 1 > length:
            raise ShapeError(
                f"{op}: pool size {k} too large relative to input size {length}: {size} outputs need at least {size + k - 1}. "
                "Fix: a smaller kernel_size or output_size."
            )
    n, c = image.shape[:2]
    if samples is None:
        samples = rand(n, c, spatial, dtype=image.dtype)
    elif tuple(samples.shape) != (n, c, spatial):
        raise ShapeError(f"{op}: _random_samples must have shape {(n, c, spatial)}, got {tuple(samples.shape)}.")
    index = _positions(image._data, samples.array(), kernel, sizes)
    out = pick_from_planes(image, index)
    if not batched:
        out, index = squeeze(out, 0), index[0]
    return MaxPool(out, wrap(index)) if return_indices else out


@composite(method=False)
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Tensor | MaxPool:
    """The largest values of windows that begin at random steps, so that the output has any size asked for [1]_.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size : int or pair
    output_size, output_ratio : int or pair, float or pair
        One of them: the output's size, or its share of the input's.
    return_indices : bool
        Also return where each maximum was, as row * W + column.

    References
    ----------
    .. [1] B. Graham, "Fractional Max-Pooling", 2014, arXiv:1412.6071.
    """
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 2)


@composite(method=False)
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Tensor | MaxPool:
    """The largest values of windows of (N, C, D, H, W) at random steps; see :func:`fractional_max_pool2d`."""
    return _fractional(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 3)
