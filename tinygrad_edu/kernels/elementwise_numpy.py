"""Activations and the exponential, element by element."""

from __future__ import annotations

import numpy as np

NONE, RELU, SIGMOID, TANH = range(4)  # how the kernels that apply an activation are told which one


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), an array of the same shape and dtype; NaN stays NaN."""
    return np.maximum(x, x.dtype.type(0))


def relu_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gradient of `relu`: g where the output y is above 0, else 0 (also at the kink, as in PyTorch)."""
    return np.where(y <= 0, g.dtype.type(0), g)


def exp(x: np.ndarray) -> np.ndarray:
    """e^x, an array of the same shape and dtype."""
    return np.exp(x)


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent, an array of the same shape and dtype."""
    return np.tanh(x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), an array of the same shape and dtype. Only exp(-|x|) is taken, which cannot overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, x.dtype.type(1)) / (1 + small)


def sigmoid_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gradient of `sigmoid` from its output y: g * y * (1 - y)."""
    return g * y * (1 - y)


def tanh_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gradient of tanh from its output y: g * (1 - y^2)."""
    return g * (1 - y * y)


def activate_into(x: np.ndarray, out: np.ndarray, act: int) -> None:
    """Write the activation `act` (NONE, RELU, SIGMOID or TANH) of every element of x to `out`, which may be x itself."""
    if act == RELU:
        out[...] = relu(x)
    elif act == SIGMOID:
        out[...] = sigmoid(x)
    elif act == TANH:
        out[...] = tanh(x)
    else:
        out[...] = x


def activate_grad_into(g: np.ndarray, out: np.ndarray, gx: np.ndarray, act: int) -> None:
    """Write g times the derivative of `activate_into`, taken from its output, to `gx`, which may be g itself."""
    if act == RELU:
        gx[...] = relu_grad(g, out)
    elif act == SIGMOID:
        gx[...] = sigmoid_grad(g, out)
    elif act == TANH:
        gx[...] = tanh_grad(g, out)
    else:
        gx[...] = g
