"""Activations in one pass over memory each; NumPy needs a pass, and an array, for every operation of a formula."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import elementwise_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.elementwise_numpy import RELU, SIGMOID, TANH
from tinygrad_edu.kernels.elementwise_scalars import exp_of, f32, sigmoid_of, tanh_of


def relu(x: np.ndarray) -> np.ndarray:
    y = empty(x.shape, x.dtype)
    _relu(x.ravel(), y.ravel())  # ravel copies only what is not in row-major order already
    return y


def relu_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _with_output(_relu_grad, g, y) if g.shape == y.shape else twin.relu_grad(g, y)


def exp(x: np.ndarray) -> np.ndarray:
    return _of_single(_exp, x) if x.dtype == f32 else twin.exp(x)


def tanh(x: np.ndarray) -> np.ndarray:
    return _of_single(_tanh, x) if x.dtype == f32 else twin.tanh(x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return _of_single(_sigmoid, x) if x.dtype == f32 else twin.sigmoid(x)


def _of_single(function, x: np.ndarray) -> np.ndarray:
    """float64 is left to NumPy: ours would take one number at a time."""
    y = empty(x.shape, f32)
    function(x.ravel(), y.ravel())
    return y


def sigmoid_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _with_output(_sigmoid_grad, g, y) if g.shape == y.shape else twin.sigmoid_grad(g, y)


def tanh_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _with_output(_tanh_grad, g, y) if g.shape == y.shape else twin.tanh_grad(g, y)


def _with_output(function, g: np.ndarray, y: np.ndarray) -> np.ndarray:
    gx = empty(g.shape, g.dtype)
    function(g.ravel(), y.ravel(), gx.ravel())
    return gx


@compiled()
def activate_into(x, out, act):
    source, result = x.reshape(x.size), out.reshape(out.size)
    if act == RELU:
        _relu(source, result)
    elif act == SIGMOID:
        _sigmoid(source, result)
    elif act == TANH:
        _tanh(source, result)
    else:
        for i in range(source.size):
            result[i] = source[i]


@compiled()
def activate(y, act):
    """In place. One array in the loop, not two that happen to be the same, which would be done number by number."""
    flat, zero = y.reshape(y.size), y.dtype.type(0)
    if act == RELU:
        for i in range(flat.size):
            flat[i] = zero if flat[i] < zero else flat[i]
    elif act == SIGMOID:
        for i in range(flat.size):
            flat[i] = sigmoid_of(flat[i])
    elif act == TANH:
        for i in range(flat.size):
            flat[i] = tanh_of(flat[i])


@compiled()
def activate_grad_into(g, out, gx, act):
    slope, y, result = g.reshape(g.size), out.reshape(out.size), gx.reshape(gx.size)
    if act == RELU:
        _relu_grad(slope, y, result)
    elif act == SIGMOID:
        _sigmoid_grad(slope, y, result)
    elif act == TANH:
        _tanh_grad(slope, y, result)
    else:
        for i in range(slope.size):
            result[i] = slope[i]


@compiled()
def activate_grad(g, out, act):
    """In place."""
    flat, y, zero, one = g.reshape(g.size), out.reshape(out.size), g.dtype.type(0), g.dtype.type(1)
    if act == RELU:
        for i in range(flat.size):
            flat[i] = zero if y[i] <= zero else flat[i]
    elif act == SIGMOID:
        for i in range(flat.size):
            flat[i] = flat[i] * y[i] * (one - y[i])
    elif act == TANH:
        for i in range(flat.size):
            flat[i] = flat[i] * (one - y[i] * y[i])


@compiled()
def _relu(x, y):
    for i in range(x.size):
        y[i] = x.dtype.type(0) if x[i] < 0 else x[i]


@compiled()
def _relu_grad(g, y, gx):
    for i in range(g.size):
        gx[i] = g.dtype.type(0) if y[i] <= 0 else g[i]


@compiled()
def _exp(x, y):
    for i in range(x.size):
        y[i] = exp_of(x[i])


@compiled()
def _sigmoid(x, y):
    for i in range(x.size):
        y[i] = sigmoid_of(x[i])


@compiled()
def _tanh(x, y):
    for i in range(x.size):
        y[i] = tanh_of(x[i])


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
