"""Folding a trained batch norm into the layer before it: in evaluation both are affine, so one does the work of two."""

import copy

from tinygrad_edu.nn.conv import _Conv
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.normalization import _BatchNorm
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import wrap

__all__ = ["fuse_conv_bn_eval", "fuse_linear_bn_eval"]


def fuse_conv_bn_eval(conv: _Conv, bn: _BatchNorm, transpose: bool = False) -> _Conv:
    """Return a copy of `conv` whose weights include `bn`; with `transpose`, `conv` is a transposed convolution."""
    return _fuse(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Linear, bn: _BatchNorm) -> Linear:
    """Return a copy of `linear` whose weights include `bn`."""
    return _fuse(linear, bn, 0)


def _fuse(layer, bn, output_dimension):
    """Return a copy of a layer with w' = w s and b' = (b - mean) s + bias, where s = weight / sqrt(var + eps)."""
    if layer.training or bn.training:
        raise RuntimeError(
            "fusion is only for evaluation: running statistics would no longer follow. Fix: model.eval()."
        )
    if bn.running_mean is None:
        raise RuntimeError("fusion needs running statistics, and this batch norm has track_running_stats=False.")
    fused = copy.deepcopy(layer)
    scale = (bn.running_var.array() + bn.eps) ** -0.5
    if bn.weight is not None:
        scale = scale * bn.weight.array()
    shift = -bn.running_mean.array() if layer.bias is None else layer.bias.array() - bn.running_mean.array()
    shift = shift * scale if bn.bias is None else shift * scale + bn.bias.array()
    shape = [1] * layer.weight.ndim
    shape[output_dimension] = -1
    kind = layer.weight.array().dtype
    fused.weight = Parameter(
        wrap((layer.weight.array() * scale.reshape(shape)).astype(kind)), layer.weight.requires_grad
    )
    fused.bias = Parameter(wrap(shift.astype(kind)), True if layer.bias is None else layer.bias.requires_grad)
    return fused
