"""Convolutions in one, two and three dimensions, and their transposes.

References
----------
.. [1] V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.linear import empty
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Lengths = int | Sequence[int]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def per_dimension(value: Lengths, dims: int) -> tuple[int, ...]:
    """Return one number for each dimension."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


class _Conv(Module):
    """What all convolutions hold: sizes, weight and bias."""

    dims = 0
    transposed = False
    output_padding: tuple[int, ...]

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Lengths, stride: Lengths, padding: Lengths | str,
        dilation: Lengths, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ):  # fmt: skip
        super().__init__()
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels,
            out_channels,
            groups,
            padding_mode,
        )
        self.kernel_size = per_dimension(kernel_size, self.dims)
        self.stride = per_dimension(stride, self.dims)
        self.padding = padding if isinstance(padding, str) else per_dimension(padding, self.dims)
        self.dilation = per_dimension(dilation, self.dims)
        self.output_padding = (0,) * self.dims
        self._check()
        ends = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (ends[0], ends[1] // groups, *self.kernel_size)
        self.weight = Parameter(empty(*shape, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_channels, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _check(self) -> None:
        name = type(self).__name__
        if self.groups <= 0:
            raise ValueError(f"{name}: groups must be a positive integer, got {self.groups}")
        for what in ("in_channels", "out_channels"):
            if getattr(self, what) % self.groups:
                raise ValueError(
                    f"{name}: {what} must be divisible by groups, got {getattr(self, what)} and {self.groups}"
                )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"{name}: Invalid padding string {self.padding!r}, should be one of 'same', 'valid'")
            if self.padding == "same" and any(step != 1 for step in self.stride):
                raise ValueError(
                    f"{name}: padding='same' is not supported for strided convolutions. Fix: padding={self._half()}."
                )
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(
                f"{name}: padding_mode must be one of {PADDING_MODES}, but got padding_mode='{self.padding_mode}'"
            )

    def _half(self) -> tuple[int, ...]:
        return tuple(d * (k - 1) // 2 for d, k in zip(self.dilation, self.kernel_size, strict=True))

    def reset_parameters(self) -> None:
        """Draw new starting values, uniform in [-k, k] with k = 1 / sqrt(in_channels / groups * kernel positions)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def _padded(self, input: Tensor) -> tuple[Tensor, Any]:
        """Return the input, padded here unless with zeros, and the padding left to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        sides: list[int] = []
        for i in reversed(range(self.dims)):  # F.pad counts from the last dimension
            if isinstance(self.padding, str):
                total = self.dilation[i] * (self.kernel_size[i] - 1) if self.padding == "same" else 0
                sides += [total // 2, total - total // 2]
            else:
                sides += [self.padding[i]] * 2
        return F.pad(input, sides, mode=self.padding_mode), 0

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {
            "padding": (0,) * self.dims,
            "dilation": (1,) * self.dims,
            "output_padding": (0,) * self.dims,
            "groups": 1,
        }
        for name, default in usual.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Correlation(_Conv):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Lengths | str = 0,
        dilation: Lengths = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )


class Conv1d(_Correlation):
    """Slide kernels along sequences: input (N, C_in, L) or (C_in, L); see :class:`Conv2d`."""

    dims = 1

    def forward(self, input: Tensor) -> Tensor:
        """Return shape (N, C_out, L_out)."""
        input, padding = self._padded(input)
        return F.conv1d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Correlation):
    """Slide kernels over images: out[n, o, i, j] = b[o] + sum over c, p, q of w[o, c, p, q] x[n, c, i s + p d - pad, j s + q d - pad].

    Each output length is floor((length + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1 [1]_.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or pair
    padding : int, pair, "same" or "valid"
        Rows and columns added on each side; "same" keeps the size.
    groups : int
        Split the channels into groups that do not see each other.
    bias : bool
    padding_mode : {"zeros", "reflect", "replicate", "circular"}

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels // groups, height, width)
    bias : Parameter, shape (out_channels,), or None

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Conv2d(1, 20, kernel_size=5)
    >>> layer(tg.zeros(8, 1, 28, 28)).shape
    tinygrad_edu.Size([8, 20, 24, 24])
    """

    dims = 2

    def forward(self, input: Tensor) -> Tensor:
        """Return shape (N, C_out, H_out, W_out)."""
        if self.padding_mode != "zeros":
            padded, padding = self._padded(input)
            return F.conv2d(padded, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv3d(_Correlation):
    """Slide kernels through volumes: input (N, C_in, D, H, W); see :class:`Conv2d`."""

    dims = 3

    def forward(self, input: Tensor) -> Tensor:
        """Return shape (N, C_out, D_out, H_out, W_out)."""
        input, padding = self._padded(input)
        return F.conv3d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _Transpose(_Conv):
    """The adjoint of a convolution: what its backward pass does to a gradient, used as a layer that enlarges."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Lengths = 0,
        output_padding: Lengths = 0, groups: int = 1, bias: bool = True, dilation: Lengths = 1, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.output_padding = per_dimension(output_padding, self.dims)

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """Return how much to add at the far ends so that the output has `output_size`."""
        if output_size is None:
            return self.output_padding
        lengths = input.shape[-self.dims :]
        if len(output_size) not in (self.dims, input.ndim):
            raise ValueError(
                f"{type(self).__name__}: output_size must have {self.dims} lengths, got {list(output_size)}"
            )
        wanted = tuple(output_size)[-self.dims :]
        least = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(lengths, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        )
        most = tuple(low + max(s, d) - 1 for low, s, d in zip(least, self.stride, self.dilation, strict=True))
        if any(not low <= w <= high for low, w, high in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: requested an output size of {wanted}, but valid sizes range from {least} to {most} "
                f"(for an input of {tuple(lengths)})"
            )
        return tuple(w - low for w, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transpose):
    """Transposed convolution of sequences; see :class:`ConvTranspose2d`."""

    dims = 1

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return shape (N, C_out, L_out)."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_Transpose):
    """Transposed convolution of images, the adjoint of :class:`Conv2d` with the same sizes.

    Each output length is (length - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1 [1]_.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels // groups, height, width)
    bias : Parameter, shape (out_channels,), or None
    """

    dims = 2

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return shape (N, C_out, H_out, W_out)."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose3d(_Transpose):
    """Transposed convolution of volumes; see :class:`ConvTranspose2d`."""

    dims = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return shape (N, C_out, D_out, H_out, W_out)."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )
