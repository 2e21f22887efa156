"""Modules behind each other that share one kernel call each way: a layer, its activation, and the pooling behind that.

They are joined only where nobody can see what lies between them; the graph is that of the modules one by one.
"""

from typing import Any

from tinygrad_edu.nn.activation import ReLU, Sigmoid, Tanh
from tinygrad_edu.nn.conv import Conv2d
from tinygrad_edu.nn.linear import Linear, prepared
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.pooling import MaxPool2d
from tinygrad_edu.ops.convolution_activated import convolution_activated
from tinygrad_edu.recorders import recorders
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor

__all__ = ["JOINS"]

_FUSED = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh"}


def _activated(layer: Linear, activation: Module, input: Any) -> Any:
    """The two modules' result by one kernel call; None where somebody wants to see what lies between, or it does not fit."""
    name = _FUSED.get(activation.__class__)
    if (
        name is None
        or activation.inplace
        or layer._hooks is not None
        or activation._hooks is not None
        or observers
        or recorders
        or input.__class__ is not Tensor
    ):
        return None
    ready = prepared(layer, name)
    return None if ready is None else ready(input)


class _Rectified:
    """A convolution and its relu, until it is known whether a pooling follows."""

    __slots__ = ("activation", "layer")

    def __init__(self, layer: Conv2d, activation: ReLU):
        self.layer, self.activation = layer, activation

    def joined(self, input: Tensor, side: int) -> Tensor | None:
        """The result by one kernel call, pooled over windows of this side; None where that does not fit."""
        layer = self.layer
        weight = layer.__dict__.get("weight")
        if weight is None:
            return None
        settings = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return convolution_activated(input, weight, layer.__dict__.get("bias"), *settings, side)

    def __call__(self, input: Tensor) -> Any:
        out = self.joined(input, 1)
        return self.activation(self.layer(input)) if out is None else out


def _rectified(layer: Conv2d, activation: Module, input: Any) -> _Rectified | None:
    """The two modules, to wait for a third; None where somebody wants to see what lies between."""
    seen = layer._hooks is not None or activation._hooks is not None or observers or recorders
    if activation.__class__ is not ReLU or activation.inplace or seen or input.__class__ is not Tensor:
        return None
    return _Rectified(layer, activation) if layer.padding_mode == "zeros" else None


def _pooled(before: _Rectified, pool: Module, input: Tensor) -> Tensor | None:
    """The three modules' result by one kernel call."""
    side = _side_of_windows(pool) if pool.__class__ is MaxPool2d and pool._hooks is None else None
    return None if side is None else before.joined(input, side)


def _side_of_windows(pool: Any) -> int | None:
    """The side of a pooling's windows where they are squares that touch, without a border; None for all others."""
    sizes = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    side, step, border, spread = (_both_ways(size) for size in sizes)
    plain = side == step and border == 0 and spread == 1 and not pool.ceil_mode and not pool.return_indices
    return side if plain and side is not None and side > 1 else None


def _both_ways(size: Any) -> int | None:
    """A size that is the same vertically and horizontally, as one number; None for all others."""
    if size.__class__ is tuple and len(size) == 2 and size[0] == size[1]:
        size = size[0]
    return size if size.__class__ is int else None


JOINS: dict[type, Any] = {Linear: _activated, Conv2d: _rectified, _Rectified: _pooled}
"""By what waits for the module behind it: ``join(waiting, module, input)``. It returns the output of both, or both to wait on, or None."""
