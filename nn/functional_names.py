"""More names that PyTorch has for functions of networks: old ones of upsampling, and poolings that always return indices."""

import warnings
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

from tinygrad_edu.ops import adaptive_pooling, fractional_pooling, pooling, resampling, volumes
from tinygrad_edu.tensor import Tensor

__all__ = [
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices",
    "fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices", "max_pool1d_with_indices",
    "max_pool2d_with_indices", "max_pool3d_with_indices", "native_channel_shuffle", "upsample", "upsample_bilinear",
    "upsample_nearest",
]  # fmt: skip


def _with_indices(pool: Callable[..., Any]) -> Callable[..., Any]:
    """Return the form of a pooling that gives (values, indices), whatever `return_indices` says."""
    order = signature(pool)

    @wraps(pool)
    def both(*args: Any, **kwargs: Any) -> Any:
        given = order.bind(*args, **kwargs).arguments
        return pool(**{**given, "return_indices": True})

    both.__name__ = both.__qualname__ = f"{pool.__name__}_with_indices"
    both.__doc__ = f"The function :func:`{pool.__name__}` with ``return_indices=True``: a pair (values, indices)."
    return both


max_pool1d_with_indices = _with_indices(pooling.max_pool1d)
max_pool2d_with_indices = _with_indices(pooling.max_pool2d)
max_pool3d_with_indices = _with_indices(volumes.max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_pooling.adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_pooling.adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_pooling.adaptive_max_pool3d)
fractional_max_pool2d_with_indices = _with_indices(fractional_pooling.fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_pooling.fractional_max_pool3d)
native_channel_shuffle = resampling.channel_shuffle


def _deprecated(old: str, new: str) -> None:
    warnings.warn(f"`nn.functional.{old}` is deprecated. Use `nn.functional.{new}` instead.", UserWarning, stacklevel=3)


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """The old name of :func:`interpolate`; deprecated."""
    _deprecated("upsample", "interpolate")
    return resampling.interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The function :func:`interpolate` in its mode "nearest"; deprecated."""
    _deprecated("upsample_nearest", "interpolate")
    return resampling.interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The function :func:`interpolate` in its mode "bilinear" with aligned corners; deprecated."""
    _deprecated("upsample_bilinear", "interpolate")
    return resampling.interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
