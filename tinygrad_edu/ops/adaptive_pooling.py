"""Pooling to a given output size: window i of n goes from floor(i * size / n) to ceil((i + 1) * size / n)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.ops.pooling import MaxPool, plane_gather
from tinygrad_edu.ops.reduction import mean_along
from tinygrad_edu.ops.shape import reshape_to, squeeze
from tinygrad_edu.ops.windows import as_image
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["adaptive_avg_pool1d", "adaptive_max_pool1d"]

Sizes = int | Sequence[int | None] | None


def _bounds(size: int, count: int) -> list[tuple[int, int]]:
    """Where the windows start and end along one dimension."""
    return [(i * size // count, -((i + 1) * size // -count)) for i in range(count)]


# ---- the mean, one dimension at a time --------------------------------------------------------------------------------------
@primitive(method=False, node_name="AdaptiveAvgPool2DBackward0")
def adaptive_mean(x, /, dim, count):
    """The mean of each of `count` windows along `dim`."""
    front = np.moveaxis(x, dim, 0)
    size = front.shape[0]
    if not count:
        return np.zeros((*x.shape[:dim], 0, *x.shape[dim + 1 :]), x.dtype)
    if size % count == 0:  # equal windows
        means = front.reshape(count, size // count, *front.shape[1:]).mean(1)
    else:
        means = np.stack([front[start:end].mean(0) for start, end in _bounds(size, count)])
    return np.moveaxis(means, 0, dim)


@primitive(method=False)
def adaptive_share(y, /, dim, size):
    """Share every value equally among the elements of its window, `size` of them along `dim`: the adjoint of the mean."""
    front = np.moveaxis(y, dim, 0)
    x = np.zeros((size, *front.shape[1:]), y.dtype)
    for value, (start, end) in zip(front, _bounds(size, len(front)), strict=True):
        x[start:end] += value / (end - start)
    return np.moveaxis(x, 0, dim)


adaptive_mean.derivative(x=lambda g, x_shape, dim: adaptive_share(g, dim, x_shape[dim]))
adaptive_share.derivative(y=lambda g, y_shape, dim: adaptive_mean(g, dim, y_shape[dim]))


def _output_size(output_size: Sizes, image: Tensor, spatial: int, op: str) -> tuple[int, ...]:
    """Return one output size per spatial dimension; None keeps the input's."""
    wanted = (output_size,) * spatial if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(wanted) != spatial:
        raise RuntimeError(f"{op}: output_size must be {spatial} (size of 1 or {spatial}), got {output_size!r}.")
    sizes = tuple(own if n is None else n for n, own in zip(wanted, image.shape[2:], strict=True))
    if min(sizes) < 0:
        raise RuntimeError(f"{op}: elements of output_size must be greater than or equal to 0, but got {sizes}.")
    if 0 in tuple(image.shape[1:]):
        raise RuntimeError(
            f"{op}: expected the input to have non-zero size besides the batch, got {tuple(image.shape)}."
        )
    return sizes


def _adaptive_mean(input: Tensor, output_size: Sizes, spatial: int, op: str) -> Tensor:
    image, batched = as_image(input, spatial, op)
    sizes = _output_size(output_size, image, spatial, op)
    if all(size == 1 for size in sizes):
        image = mean_along(image, tuple(range(2, 2 + spatial)), True)
    else:
        for dim, size in enumerate(sizes, 2):
            image = adaptive_mean(image, dim, size)
    return image if batched else squeeze(image, 0)


@composite(method=False)
def adaptive_avg_pool1d(input: Tensor, output_size: int) -> Tensor:
    """Means of windows chosen so that (N, C, L) becomes (N, C, output_size)."""
    return _adaptive_mean(input, output_size, 1, "adaptive_avg_pool1d")


@composite(method=False)
def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Means of windows chosen so that (N, C, H, W) becomes (N, C, *output_size); None keeps a length.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    output_size : int or pair
    """
    return _adaptive_mean(input, output_size, 2, "adaptive_avg_pool2d")


@composite(method=False)
def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """Means of windows chosen so that (N, C, D, H, W) becomes (N, C, *output_size); see :func:`adaptive_avg_pool2d`."""
    return _adaptive_mean(input, output_size, 3, "adaptive_avg_pool3d")


# ---- the largest value ------------------------------------------------------------------------------------------------------
def _positions(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Where in its flattened image each window's maximum is, (N, C, *sizes); NaN counts as the largest, the last one wins."""
    places = np.arange(int(np.prod(x.shape[2:]))).reshape(x.shape[2:])
    index = np.empty((*x.shape[:2], *sizes), np.int64)
    bounds = [_bounds(size, count) for size, count in zip(x.shape[2:], sizes, strict=True)]
    for cell in np.ndindex(*sizes):
        window: Any = tuple(slice(*bounds[d][i]) for d, i in enumerate(cell))
        values = x[(..., *window)].reshape(*x.shape[:2], -1)
        choice = values.argmax(-1)
        nan = np.isnan(values)
        if nan.any():
            choice = np.where(nan.any(-1), values.shape[-1] - 1 - nan[..., ::-1].argmax(-1), choice)
        index[(..., *cell)] = places[window].reshape(-1)[choice]
    return index


def pick_from_planes(image: Tensor, index: np.ndarray) -> Tensor:
    """Return the elements of every flattened plane (N, C, ...) at `index` (N, C, ...), by the pair of gather and scatter."""
    n, c = image.shape[:2]
    flat = reshape_to(image, (n, c, 1, image.numel() // max(1, n * c)))
    picked = plane_gather(flat, index.reshape(n, c, 1, index.size // max(1, n * c)).astype(np.int32))
    return reshape_to(picked, index.shape)


def _adaptive_max(input: Tensor, output_size: Sizes, return_indices: bool, spatial: int, op: str) -> Tensor | MaxPool:
    image, batched = as_image(input, spatial, op)
    index = _positions(image._data, _output_size(output_size, image, spatial, op))
    out = pick_from_planes(image, index)
    if not batched:
        out, index = squeeze(out, 0), index[0]
    return MaxPool(out, wrap(index)) if return_indices else out


@composite(method=False)
def adaptive_max_pool1d(input: Tensor, output_size: int, return_indices: bool = False) -> Tensor | MaxPool:
    """Maxima of windows chosen so that (N, C, L) becomes (N, C, output_size)."""
    return _adaptive_max(input, output_size, return_indices, 1, "adaptive_max_pool1d")


@composite(method=False)
def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Tensor | MaxPool:
    """Maxima of windows chosen so that (N, C, H, W) becomes (N, C, *output_size); None keeps a length.

    With `return_indices` also where each maximum was, as row * W + column.
    """
    return _adaptive_max(input, output_size, return_indices, 2, "adaptive_max_pool2d")


@composite(method=False)
def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Tensor | MaxPool:
    """Maxima of windows chosen so that (N, C, D, H, W) becomes (N, C, *output_size); see :func:`adaptive_max_pool2d`."""
    return _adaptive_max(input, output_size, return_indices, 3, "adaptive_max_pool3d")
