"""The gradients of convolutions as functions, for comparing a backward pass of one's own with: ``from tinygrad_edu.nn import grad``.

A convolution is linear in its input and in its weight, so either gradient needs the other one only, and the output's gradient.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.autograd.differentiate import grad as derivative
from tinygrad_edu.grad_mode import enable_grad, is_grad_enabled
from tinygrad_edu.nn import functional as F
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]

Lengths = int | Sequence[int]


def _gradient(function: Callable[[Tensor], Tensor], shape: Sequence[int], grad_output: Tensor) -> Tensor:
    """Return the gradient of a linear function of a tensor of this shape: it does not matter where it is taken."""
    place = wrap(np.zeros(tuple(shape), grad_output.array().dtype)).requires_grad_()
    again = is_grad_enabled() and grad_output.requires_grad
    with enable_grad():
        result: Any = derivative(function(place), [place], [grad_output], create_graph=again)
    return result[0]


def conv1d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the gradient of ``conv1d`` with respect to its input, of shape `input_size` (N, C, L)."""
    options = (None, stride, padding, dilation, groups)
    return _gradient(lambda x: F.conv1d(x, weight, *options), input_size, grad_output)


def conv1d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the gradient of ``conv1d`` with respect to its weight, of shape `weight_size`."""
    options = (None, stride, padding, dilation, groups)
    return _gradient(lambda w: F.conv1d(input, w, *options), weight_size, grad_output)


def conv2d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the gradient of ``conv2d`` with respect to its input.

    Parameters
    ----------
    input_size : shape (N, C, H, W)
    weight : Tensor (OC, C / groups, KH, KW)
    grad_output : Tensor (N, OC, OH, OW)
        The gradient of the convolution's output.
    stride, padding, dilation, groups
        The convolution's options.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> weight, g = tg.ones(1, 1, 2, 2), tg.ones(1, 1, 2, 2)
    >>> tg.nn.grad.conv2d_input((1, 1, 3, 3), weight, g).tolist()
    [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    options = (None, stride, padding, dilation, groups)
    return _gradient(lambda x: F.conv2d(x, weight, *options), input_size, grad_output)


def conv2d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the gradient of ``conv2d`` with respect to its weight, of shape `weight_size`."""
    options = (None, stride, padding, dilation, groups)
    return _gradient(lambda w: F.conv2d(input, w, *options), weight_size, grad_output)


def conv3d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the gradient of ``conv3d`` with respect to its input, of shape `input_size` (N, C, D, H, W)."""
    options = (None, stride, padding, dilation, groups)
    return _gradient(lambda x: F.conv3d(x, weight, *options), input_size, grad_output)


def conv3d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
    dilation: Lengths = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the gradient of ``conv3d`` with respect to its weight, of shape `weight_size`."""
    options = (None, stride, padding, dilation, groups)
    return _gradient(lambda w: F.conv3d(input, w, *options), weight_size, grad_output)
