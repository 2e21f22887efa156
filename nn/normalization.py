"""Normalisation layers: subtract a mean, divide by a standard deviation, scale and shift.

They differ in what the mean is taken over: the batch (BatchNorm), one sample (LayerNorm, RMSNorm), a group of its channels
(GroupNorm), or one channel of it (InstanceNorm).

References
----------
.. [1] S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167.
.. [2] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", arXiv:1607.06450.
.. [3] Y. Wu and K. He, "Group Normalization", ECCV 2018, arXiv:1803.08494.
.. [4] D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance Normalization", arXiv:1607.08022.
.. [5] B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, arXiv:1910.07467.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.linear import empty
from tinygrad_edu.nn.modes import watch
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _Affine(Module):
    """What all normalisations share: an optional scale (starting at one) and shift (starting at zero)."""

    def _add_scale_and_shift(
        self, shape: Sequence[int], scale: bool, shift: bool, device: Any = None, dtype: Any = None
    ) -> None:
        self.register_parameter("weight", Parameter(empty(*shape, dtype=dtype, device=device)) if scale else None)
        self.register_parameter("bias", Parameter(empty(*shape, dtype=dtype)) if shift else None)

    def reset_parameters(self) -> None:
        """Set the scale to one and the shift to zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)


class _RunningStatistics(_Affine):
    """Normalisation per channel, which may keep running means and variances for evaluation."""

    dimensions: tuple[int, ...] = ()

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._add_scale_and_shift((num_features,), affine, affine and bias, device, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", empty(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", empty(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", wrap(np.array(0)) if tracked else None)
        self.reset_running_stats()
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what was seen: mean 0, variance 1."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.dimensions:
            wanted = " or ".join(f"{d}D" for d in self.dimensions)
            raise ValueError(
                f"{type(self).__name__}: expected {wanted} input (got {input.ndim}D input, {tuple(input.shape)})"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


@again
def _count(batches: Tensor) -> np.ndarray:
    """Count one more batch."""
    seen = batches.array()
    seen += 1
    return seen


class _BatchNorm(_RunningStatistics):
    def forward(self, input: Tensor) -> Tensor:
        """Normalise every channel by the batch's statistics in training, by the running ones in evaluation."""
        self._check_input_dim(input)
        mean, variance, factor = self.running_mean, self.running_var, self.momentum
        if self.training and self.track_running_stats:
            seen = _count(self.num_batches_tracked)
            if factor is None:
                factor = 1.0 / float(seen)  # a plain average over all batches so far
        if self.training and not self.track_running_stats:
            mean = variance = None
        by_batch = self.training or mean is None
        out = F.batch_norm(
            input, mean, variance, self.weight, self.bias, by_batch, 0.0 if factor is None else factor, self.eps
        )
        if self.track_running_stats:
            watch(self, input, out)
        return out


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); see :class:`BatchNorm2d`."""

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W): y = (x - mean) / sqrt(var + eps) * weight + bias for each channel [1]_.

    In training, mean and variance are the batch's, and the running ones move towards them; in evaluation the running ones are used.

    Parameters
    ----------
    num_features : int
        The number of channels C.
    eps : float
    momentum : float or None
        running = (1 - momentum) * running + momentum * batch; None averages all batches equally.
    affine : bool
        Whether there are `weight` and `bias`.
    track_running_stats : bool
        Without running statistics the batch's are used in evaluation too.

    Attributes
    ----------
    weight, bias : Parameter, shape (C,), or None
    running_mean, running_var : Tensor, shape (C,), or None
    num_batches_tracked : Tensor or None
    """

    dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (N, C, D, H, W); see :class:`BatchNorm2d`."""

    dimensions = (5,)


class _InstanceNorm(_RunningStatistics):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise every channel of every sample by itself."""
        self._check_input_dim(input)
        alone = input.ndim == self.dimensions[0]  # a single sample, without the batch dimension
        channels = input.shape[0 if alone else 1]
        if channels != self.num_features:
            facts = f"{type(self).__name__}: expected {self.num_features} channels (num_features), but got {channels}"
            if self.affine:
                raise ValueError(f"{facts}, input of shape {tuple(input.shape)}")
            warnings.warn(f"{facts}; num_features is not used because affine=False", stacklevel=3)
        by_sample = self.training or not self.track_running_stats
        out = F.instance_norm(
            input.unsqueeze(0) if alone else input, self.running_mean, self.running_var, self.weight, self.bias, by_sample,
            0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip
        return out.squeeze(0) if alone else out


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L) [4]_."""

    dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images (N, C, H, W) or (C, H, W) [4]_."""

    dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of volumes (N, C, D, H, W) or (C, D, H, W) [4]_."""

    dimensions = (4, 5)


class LayerNorm(_Affine):
    """Normalise each sample over its last dimensions: y = (x - mean) / sqrt(var + eps) * weight + bias [2]_.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The lengths of the last dimensions, over which mean and variance are taken.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._add_scale_and_shift(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Divide each sample by its root mean square over the last dimensions: y = x / sqrt(mean(x^2) + eps) * weight [5]_."""

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(empty(*self.normalized_shape, dtype=dtype, device=device)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Normalise each sample over groups of its channels (dimension 1) [3]_."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None, dtype: Any = None,
        *, bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._add_scale_and_shift((num_channels,), affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """x_c / (k + alpha / size * sum of x^2 over the `size` channels around c)^beta."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """The older name of :class:`LocalResponseNorm`, for images (N, C, H, W).

    Every channel is divided by what the `size` channels around it make. PyTorch's layer of this name keeps the first channel in
    every later window and has no gradient for most sizes, so the two agree up to (size + 1) / 2 channels only.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1):
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input."""
        if input.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead. Fix: (N, C, H, W).")
        return super().forward(input)
