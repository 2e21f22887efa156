"""Padding layers. A number pads all sides; a tuple counts from the last dimension: (left, right, top, bottom, front, back)."""

from collections.abc import Sequence

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d",
    "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    dims = 0
    mode = "constant"

    def __init__(self, padding: int | Sequence[int]):
        super().__init__()
        self.padding = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pad sequences (N, C, L) with a number."""

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Pad images (N, C, H, W) with a number."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Pad volumes (N, C, D, H, W) with a number."""

    dims = 3


class ZeroPad1d(_Pad):
    """Pad sequences with zeros."""

    dims = 1


class ZeroPad2d(_Pad):
    """Pad images with zeros."""

    dims = 2


class ZeroPad3d(_Pad):
    """Pad volumes with zeros."""

    dims = 3


class ReflectionPad1d(_Pad):
    """Pad sequences with their mirror image; the edge itself is not repeated."""

    dims, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Pad images with their mirror image; the edge itself is not repeated."""

    dims, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Pad volumes with their mirror image; the edge itself is not repeated."""

    dims, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Pad sequences with their edge values."""

    dims, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Pad images with their edge values."""

    dims, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Pad volumes with their edge values."""

    dims, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Pad sequences with their other end."""

    dims, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Pad images with their other end."""

    dims, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Pad volumes with their other end."""

    dims, mode = 3, "circular"
