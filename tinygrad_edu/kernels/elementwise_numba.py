"""Activations in one pass over memory each; NumPy needs a pass, and an array, for every operation of a formula."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import elementwise_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import compiled

f32 = np.float32


def relu(x: np.ndarray) -> np.ndarray:
    y = empty(x.shape, x.dtype)
    _relu(x.ravel(), y.ravel())  # ravel copies only what is not in row-major order already
    return y


def relu_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _with_output(_relu_grad, g, y) if g.shape == y.shape else twin.relu_grad(g, y)


def sigmoid(x: np.ndarray) -> np.ndarray:
    if x.dtype != f32:
        return twin.sigmoid(x)
    y = empty(x.shape, f32)
    _sigmoid(x.ravel(), y.ravel())
    return y


def sigmoid_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _with_output(_sigmoid_grad, g, y) if g.shape == y.shape else twin.sigmoid_grad(g, y)


def tanh_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _with_output(_tanh_grad, g, y) if g.shape == y.shape else twin.tanh_grad(g, y)


def _with_output(function, g: np.ndarray, y: np.ndarray) -> np.ndarray:
    gx = empty(g.shape, g.dtype)
    function(g.ravel(), y.ravel(), gx.ravel())
    return gx


@compiled(inline="always")
def exp32(x):
    """exp for float32, to about one unit in the last place, written so that whole vectors go through it at once.

    Cody and Waite: x = n*ln 2 + r with |r| <= ln(2)/2; ln 2 is split into two numbers so that r is exact; a polynomial
    gives exp(r), and 2^n is made by writing n into the exponent bits. n is halved first because 2^128 has no float32.
    NaN stays NaN, large x gives Inf and very negative x 0.
    """
    bounded = min(max(x, f32(-104.0)), f32(89.0))
    n = np.floor(bounded * f32(1.44269504088896341) + f32(0.5))
    r = (bounded - n * f32(0.693359375)) + n * f32(2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    p = p * (r * r) + r + f32(1.0)
    half = np.floor(n * f32(0.5))
    y = p * power_of_two(half) * power_of_two(n - half)
    return y if x == x else x


@compiled(inline="always")
def power_of_two(n):
    """2^n for a whole number n between -126 and 127, by shifting n into the exponent bits of a float32."""
    bits = np.int32(np.int32(np.int32(n) + np.int32(127)) << np.int32(23))
    return bits.view(np.float32)


@compiled()
def _relu(x, y):
    for i in range(x.size):
        y[i] = x.dtype.type(0) if x[i] < 0 else x[i]


@compiled()
def _relu_grad(g, y, gx):
    for i in range(g.size):
        gx[i] = g.dtype.type(0) if y[i] <= 0 else g[i]


@compiled()
def _sigmoid(x, y):
    for i in range(x.size):
        y[i] = f32(1) / (f32(1) + exp32(-x[i]))


@compiled()
def _sigmoid_grad(g, y, gx):
    one = y.dtype.type(1)
    for i in range(g.size):
        gx[i] = g[i] * y[i] * (one - y[i])


@compiled()
def _tanh_grad(g, y, gx):
    one = y.dtype.type(1)
    for i in range(g.size):
        gx[i] = g[i] * (one - y[i] * y[i])
