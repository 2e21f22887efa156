"""Layers that only rearrange: flatten, unflatten, shuffle channels and pixels, cut out patches, resize."""

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.conv import Lengths
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = [
    "ChannelShuffle", "Flatten", "Fold", "PixelShuffle", "PixelUnshuffle", "Unflatten", "Unfold", "Upsample", "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]  # fmt: skip


class _Shown(Module):
    """A layer whose printed form lists the attributes named in `shown`."""

    shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class Flatten(_Shown):
    """Make dimensions start_dim to end_dim into one; by default all but the batch.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.nn.Flatten()(tg.zeros(64, 20, 4, 4)).shape
    tinygrad_edu.Size([64, 320])
    """

    shown = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(_Shown):
    """Make one dimension into several; the inverse of :class:`Flatten`."""

    shown = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        if not isinstance(dim, int) or isinstance(unflattened_size, int):
            raise TypeError(
                f"Unflatten: expected an int and a tuple of ints, got {dim!r} and {unflattened_size!r}. Fix: Unflatten(1, (20, 4, 4))."
            )
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)


class PixelShuffle(_Shown):
    """Trade channels for resolution: (N, C r^2, H, W) becomes (N, C, H r, W r)."""

    shown = ("upscale_factor",)

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(_Shown):
    """Trade resolution for channels: the inverse of :class:`PixelShuffle`."""

    shown = ("downscale_factor",)

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(_Shown):
    """Deal the channels of `groups` groups out in turn, so that later groups see all of them."""

    shown = ("groups",)

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)


class Unfold(_Shown):
    """Cut images into patches: (N, C, H, W) becomes (N, C kh kw, number of patches)."""

    shown = ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Lengths, dilation: Lengths = 1, padding: Lengths = 0, stride: Lengths = 1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Shown):
    """Add patches up to images: the adjoint of :class:`Unfold`."""

    shown = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, output_size: Lengths, kernel_size: Lengths, dilation: Lengths = 1, padding: Lengths = 0, stride: Lengths = 1
    ):  # fmt: skip
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)


class Upsample(Module):
    """Resize images by repeating or interpolating pixels.

    Parameters
    ----------
    size : int or tuple, optional
        The output's size; or give `scale_factor`.
    mode : str
        "nearest", "linear", "bilinear", ... as in :func:`nn.functional.interpolate`.
    """

    def __init__(
        self, size: Lengths | None = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):  # fmt: skip
        super().__init__()
        if isinstance(scale_factor, tuple | list):
            scale_factor = tuple(float(factor) for factor in scale_factor)
        elif scale_factor is not None:
            scale_factor = float(scale_factor)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        size = f"scale_factor={self.scale_factor!r}" if self.scale_factor is not None else f"size={self.size!r}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resize images by repeating the nearest pixel."""

    def __init__(self, size: Lengths | None = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images bilinearly, corner to corner."""

    def __init__(self, size: Lengths | None = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
