"""Layers that learn their number of inputs from the first batch; after it they are ordinary layers.

An optimizer may be made before or after that batch: the parameters stay the same objects.
"""

from typing import Any, NoReturn

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import require_cpu
from tinygrad_edu.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Lengths,
    _Conv,
)
from tinygrad_edu.nn.linear import Linear, empty
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    _InstanceNorm,
    _RunningStatistics,
)
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d",
    "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear",
    "UninitializedParameter",
]  # fmt: skip


class UninitializedParameter(Parameter):
    """A parameter without a shape yet; the first batch gives it one, and it becomes an ordinary :class:`Parameter`."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None):
        require_cpu(device)
        kind = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
        super().__init__(wrap(np.empty(0, kind.numpy)), requires_grad)

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> None:
        """Get memory for `shape`, with whatever is in it, and become a Parameter."""
        self.data = empty(*shape, dtype=self.dtype if dtype is None else dtype, device=device)  # type: ignore[misc]
        self.__class__ = Parameter  # type: ignore[assignment]

    def _refuse(self, *args: Any) -> NoReturn:
        raise RuntimeError(
            "the shape of an uninitialized parameter is not known before the first batch. Fix: run one batch through the model "
            "first, model(x); then count, copy or load its parameters."
        )

    shape = property(_refuse)  # type: ignore[assignment]
    numel = nelement = size = detach = _refuse  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


class _Lazy(Module):
    """Mixed into a layer class; `becomes` is what its objects turn into."""

    becomes: type[Module]

    def forward(self, input: Tensor, *args: Any) -> Tensor:
        """Take the sizes from the input, turn into an ordinary layer, and run it."""
        self._fit(input)
        self.__class__ = self.becomes  # type: ignore[assignment]
        self.reset_parameters()
        return self.forward(input, *args)

    def reset_parameters(self) -> None:
        """Do nothing: there are no sizes yet."""

    def _fit(self, input: Tensor) -> None:
        raise NotImplementedError


# ---- Linear -----------------------------------------------------------------------------------------------------------------
class LazyLinear(_Lazy, Linear):
    """A :class:`Linear` whose in_features is the last length of the first batch.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.LazyLinear(3)
    >>> out = layer(tg.zeros(5, 7))
    >>> layer
    Linear(in_features=7, out_features=3, bias=True)
    """

    becomes = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        Linear.__init__(self, 0, out_features, bias, device, dtype)
        self.weight = UninitializedParameter(dtype=dtype)

    def _fit(self, input: Tensor) -> None:
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))


# ---- convolutions -----------------------------------------------------------------------------------------------------------
class _LazyConv(_Lazy, _Conv):
    def _fit(self, input: Tensor) -> None:
        if input.ndim not in (self.dims + 1, self.dims + 2):
            raise RuntimeError(
                f"{type(self).__name__}: Expected {self.dims + 1}D (unbatched) or {self.dims + 2}D (batched) input, but got input "
                f"of size {tuple(input.shape)}."
            )
        self.in_channels = input.shape[-self.dims - 1]
        self._check()
        ends = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        self.weight.materialize((ends[0], ends[1] // self.groups, *self.kernel_size))


class _LazyCorrelation(_LazyConv):
    def __init__(
        self, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Lengths | str = 0, dilation: Lengths = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        _Conv.__init__(
            self, 0, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )  # fmt: skip
        self.weight = UninitializedParameter(dtype=dtype)


class LazyConv1d(_LazyCorrelation, Conv1d):
    """A :class:`Conv1d` whose in_channels is that of the first batch."""

    becomes = Conv1d


class LazyConv2d(_LazyCorrelation, Conv2d):
    """A :class:`Conv2d` whose in_channels is that of the first batch."""

    becomes = Conv2d


class LazyConv3d(_LazyCorrelation, Conv3d):
    """A :class:`Conv3d` whose in_channels is that of the first batch."""

    becomes = Conv3d


class _LazyTransposed(_LazyConv):
    def __init__(
        self, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Lengths = 0, output_padding: Lengths = 0,
        groups: int = 1, bias: bool = True, dilation: Lengths = 1, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ):  # fmt: skip
        self.becomes.__init__(  # type: ignore[misc]
            self, 0, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype
        )  # fmt: skip
        self.weight = UninitializedParameter(dtype=dtype)


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """A :class:`ConvTranspose1d` whose in_channels is that of the first batch."""

    becomes = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """A :class:`ConvTranspose2d` whose in_channels is that of the first batch."""

    becomes = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """A :class:`ConvTranspose3d` whose in_channels is that of the first batch."""

    becomes = ConvTranspose3d


# ---- normalisation ----------------------------------------------------------------------------------------------------------
class _LazyNorm(_Lazy, _RunningStatistics):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ):  # fmt: skip
        _RunningStatistics.__init__(self, 0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        for name in self._own_scale_and_shift():
            setattr(self, name, UninitializedParameter(dtype=dtype))

    def _own_scale_and_shift(self) -> list[str]:
        return [name for name in ("weight", "bias") if getattr(self, name) is not None]

    def _fit(self, input: Tensor) -> None:
        self._check_input_dim(input)
        alone = (
            isinstance(self, _InstanceNorm) and input.ndim == self.dimensions[0]
        )  # a single sample: channels come first
        self.num_features = input.shape[0 if alone else 1]
        for name in self._own_scale_and_shift():
            getattr(self, name).materialize((self.num_features,))
        if self.track_running_stats:
            for name in ("running_mean", "running_var"):
                setattr(self, name, empty(self.num_features, dtype=getattr(self, name).dtype))
            self.reset_running_stats()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A :class:`BatchNorm1d` whose num_features is that of the first batch."""

    becomes = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A :class:`BatchNorm2d` whose num_features is that of the first batch."""

    becomes = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A :class:`BatchNorm3d` whose num_features is that of the first batch."""

    becomes = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """An :class:`InstanceNorm1d` whose num_features is that of the first batch."""

    becomes = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """An :class:`InstanceNorm2d` whose num_features is that of the first batch."""

    becomes = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """An :class:`InstanceNorm3d` whose num_features is that of the first batch."""

    becomes = InstanceNorm3d
