"""Folding a trained batch norm into the layer before it: in evaluation both are affine, so one does the work of two."""

import copy

from tinygrad_edu.nn.conv import _Conv
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.normalization import _BatchNorm
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_eval(conv: _Conv, bn: _BatchNorm, transpose: bool = False) -> _Conv:
    """Return a copy of `conv` whose weights include `bn`; with `transpose`, `conv` is a transposed convolution."""
    return _fuse(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Linear, bn: _BatchNorm) -> Linear:
    """Return a copy of `linear` whose weights include `bn`."""
    return _fuse(linear, bn, 0)


def _fuse(layer, bn, output_dimension):
    """Return a copy of a layer whose weights include `bn`."""
    if layer.training or bn.training:
        raise RuntimeError(
            "fusion is only for evaluation: running statistics would no longer follow. Fix: model.eval()."
        )
    if bn.running_mean is None:
        raise RuntimeError("fusion needs running statistics, and this batch norm has track_running_stats=False.")
    fused = copy.deepcopy(layer)
    statistics = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    fused.weight, fused.bias = _weights(layer.weight, layer.bias, *statistics, output_dimension)
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Return weight and bias of a convolution that does what one with these and a batch norm after it do.

    Parameters
    ----------
    conv_w, conv_b : Tensor
        The convolution's.
    bn_rm, bn_rv : Tensor
        The batch norm's running mean and variance.
    bn_eps : float
    bn_w, bn_b : Tensor, optional
        Its weight and bias.
    transpose : bool
        Whether it is a transposed convolution.
    """
    return _weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Return weight and bias of a linear layer that does what one with these and a batch norm after it do."""
    return _weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _weights(w, b, mean, variance, eps, gain, offset, output_dimension):
    """w' = w s and b' = (b - mean) s + offset, where s = gain / sqrt(variance + eps)."""
    scale = (variance.array() + eps) ** -0.5
    if gain is not None:
        scale = scale * gain.array()
    shift = -mean.array() if b is None else b.array() - mean.array()
    shift = shift * scale if offset is None else shift * scale + offset.array()
    shape = [1] * w.ndim
    shape[output_dimension] = -1
    kind = w.array().dtype
    weight = Parameter(wrap((w.array() * scale.reshape(shape)).astype(kind)), w.requires_grad)
    return weight, Parameter(wrap(shift.astype(kind)), True if b is None else b.requires_grad)
