"""Fractional max-pooling: layers that shrink images by any factor, at random steps."""

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.conv import Lengths
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]

Ratios = float | Sequence[float]


class _FractionalMaxPool(Module):
    """What both share; `spatial` is the number of dimensions pooled."""

    spatial: int
    _random_samples: Tensor | None

    def __init__(
        self, kernel_size: Lengths, output_size: Lengths | None = None, output_ratio: Ratios | None = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        self.kernel_size = self._per_dimension(kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else self._per_dimension(output_size)
        self.output_ratio = None if output_ratio is None else self._per_dimension(output_ratio)
        if self.output_size is None and self.output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio. Fix: output_ratio=0.5."
            )
        if self.output_size is not None and self.output_ratio is not None:
            raise ValueError(f"{name}: only one of output_size and output_ratio may be specified.")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1 (got {output_ratio})")

    def _per_dimension(self, value: Any) -> tuple:
        return tuple(value) if isinstance(value, Sequence) else (value,) * self.spatial

    def forward(self, input: Tensor) -> Any:
        """Return the largest values of the windows; with `return_indices` also where they were."""
        pool = F.fractional_max_pool2d if self.spatial == 2 else F.fractional_max_pool3d
        return pool(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """Largest values of windows of (N, C, H, W) that begin at random steps, for an output of any size [1]_.

    Parameters
    ----------
    kernel_size : int or pair
        The window.
    output_size, output_ratio : int or pair, float or pair
        One of them: the output's size, or its share of the input's.
    return_indices : bool
        Also return where each maximum was, for :class:`MaxUnpool2d`.

    References
    ----------
    .. [1] B. Graham, "Fractional Max-Pooling", 2014, arXiv:1412.6071.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tuple(tg.nn.FractionalMaxPool2d(2, output_ratio=0.7)(tg.zeros(1, 3, 20, 30)).shape)
    (1, 3, 14, 21)
    """

    spatial = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Largest values of windows of (N, C, D, H, W) that begin at random steps; see :class:`FractionalMaxPool2d`."""

    spatial = 3
