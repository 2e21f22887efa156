"""The heaviest kernels as a textbook writes them: plain Python loops, one multiplication at a time.

They run under ``tg.backend("naive")``, forward and backward. Step through them with a debugger, print inside a loop, and
compare them with ``*_numpy`` and ``*_numba`` (``tinygrad-edu bench conv2d``) to see what speed costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from tinygrad_edu.kernels.conv_numpy import check_conv, conv_output_hw
from tinygrad_edu.kernels.elementwise_numpy import NONE, activate_grad_into, activate_into, relu, relu_grad
from tinygrad_edu.kernels.linear_numpy import CODES, check_linear
from tinygrad_edu.kernels.pool_numpy import pool_output_hw

At = tuple[int, ...]  # the place of one number in an array


# ---- products ---------------------------------------------------------------------------------------------------------------
def matmul(a, b):
    """c[i,j] = sum over k of a[i,k] * b[k,j], for each matrix of a stack; a vector is a row on the left, a column on the right."""
    if a.ndim == 1:
        return matmul(a[None, :], b)[..., 0, :] if b.ndim > 1 else matmul(a[None, :], b)[0]
    if b.ndim == 1:
        return matmul(a, b[:, None])[..., 0]
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    if b.shape[-2] != inner:
        raise ValueError(f"matmul: the {inner} columns of {a.shape} do not meet the {b.shape[-2]} rows of {b.shape}")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*stack, rows, inner)), np.broadcast_to(b, (*stack, inner, columns))
    c = np.zeros((*stack, rows, columns), np.result_type(a, b))
    for at in np.ndindex(*stack):
        for i in range(rows):
            for j in range(columns):
                for k in range(inner):
                    c[(*at, i, j)] += a[(*at, i, k)] * b[(*at, k, j)]
    return c


def linear_act_forward(x, weight, bias, act):
    """y[n,o] = activation(bias[o] + sum over i of x[n,i] * weight[o,i])."""
    check_linear(x, weight, bias, act)
    y = matmul(x, weight.T)
    if bias is not None:
        for n, o in np.ndindex(*y.shape):
            y[n, o] += bias[o]
    activate_into(y, y, act)
    return y


def linear_act_backward(g, x, weight, out, act, need_x=True, need_w=True, need_b=True):
    """gx = d weight, gw = d^T x, gb[o] = sum over n of d[n,o], where d = g times the activation's slope."""
    d = g
    if act != NONE:
        d = np.empty_like(g)
        activate_grad_into(g, out, d, act)
    gb = None
    if need_b:
        gb = np.zeros(d.shape[1], d.dtype)
        for n, o in np.ndindex(*d.shape):
            gb[o] += d[n, o]
    return matmul(d, weight) if need_x else None, matmul(d.T, x) if need_w else None, gb


def linear_act_forward_into(x, w, b, out, act):
    """The same into `out`."""
    out[...] = linear_act_forward(x, w, b if b.size else None, act)


def linear_act_backward_into(g, x, w, out, act, gx, gw, gb, need_x):
    """The same into gx, gw and gb, unless they are empty."""
    parts = linear_act_backward(g, x, w, out, act)
    for place, part in zip((gx, gw, gb), parts, strict=True):
        if place.size:
            place[...] = part


def linear_forward(x, w, bias, activation):
    """The same with the activation by name."""
    return linear_act_forward(x, w, bias, CODES.get(activation, activation))


def linear_backward(g, x, w, y, activation, needs=(True, True, True)):
    """The same with the activation by name."""
    return linear_act_backward(g, x, w, y, CODES[activation], *needs)


# ---- convolution ------------------------------------------------------------------------------------------------------------
def conv2d_forward(x, w, bias, stride, padding, dilation, groups):
    """Slide each filter over the image; at each place, multiply and add."""
    out_hw = conv_output_hw(x.shape[2:], w.shape[2:], stride, padding, dilation)
    check_conv(x.shape, w.shape, (x.shape[0], w.shape[0], *out_hw), stride, padding, dilation, groups)
    y = np.zeros((x.shape[0], w.shape[0], *out_hw), np.result_type(x, w))
    for in_y, in_w, in_x in _meetings(x.shape, w.shape, y.shape, stride, padding, dilation, groups):
        y[in_y] += w[in_w] * x[in_x]
    if bias is not None:
        for n, o, i, j in np.ndindex(*y.shape):
            y[n, o, i, j] += bias[o]
    return y


def conv2d_input_grad(g, w, input_hw, stride, padding, dilation, groups):
    """Every pixel gets back what each output took from it: the filter's weight times the output's gradient."""
    gx = np.zeros((g.shape[0], w.shape[1] * groups, *input_hw), np.result_type(g, w))
    check_conv(gx.shape, w.shape, g.shape, stride, padding, dilation, groups)
    for in_y, in_w, in_x in _meetings(gx.shape, w.shape, g.shape, stride, padding, dilation, groups):
        gx[in_x] += w[in_w] * g[in_y]
    return gx


def conv2d_weight_grad(x, g, kernel_hw, stride, padding, dilation, groups):
    """Every filter weight gets the pixels that it met, each times the gradient of the output that it went to."""
    gw = np.zeros((g.shape[1], x.shape[1] // groups, *kernel_hw), np.result_type(x, g))
    check_conv(x.shape, gw.shape, g.shape, stride, padding, dilation, groups)
    for in_y, in_w, in_x in _meetings(x.shape, gw.shape, g.shape, stride, padding, dilation, groups):
        gw[in_w] += g[in_y] * x[in_x]
    return gw


def conv2d_bias_grad(g):
    """Every bias was added to a whole channel of outputs."""
    gb = np.zeros(g.shape[1], g.dtype)
    for at in np.ndindex(*g.shape):
        gb[at[1]] += g[at]
    return gb


def _meetings(x_shape, w_shape, y_shape, stride, padding, dilation, groups) -> Iterator[tuple[At, At, At]]:
    """Where output, weight and pixel meet in one multiplication: the places in y, in w and in x.

    A convolution and both of its gradients are sums over these same triples, each of them into another of the three.
    """
    (images, _, height, width), (filters, channels, kh, kw), (oh, ow) = x_shape, w_shape, y_shape[2:]
    for n, o, i, j in product(range(images), range(filters), range(oh), range(ow)):
        first = o // (filters // groups) * channels  # the group's first input channel
        for c, u, v in product(range(channels), range(kh), range(kw)):
            row = i * stride[0] + u * dilation[0] - padding[0]
            column = j * stride[1] + v * dilation[1] - padding[1]
            if 0 <= row < height and 0 <= column < width:  # the padding is zero and adds nothing
                yield (n, o, i, j), (o, c, u, v), (n, first + c, row, column)


# ---- max-pooling ------------------------------------------------------------------------------------------------------------
def max_pool2d_forward(x, kernel, stride, padding, dilation, ceil_mode):
    """Look at every pixel of every window and keep the largest; the first of equals, and NaN above all."""
    n_images, channels, height, width = x.shape
    oh, ow = pool_output_hw((height, width), kernel, stride, padding, dilation, ceil_mode)
    y = np.empty((n_images, channels, oh, ow), x.dtype)
    index = np.empty(y.shape, np.int32)
    for n, c, i, j in product(range(n_images), range(channels), range(oh), range(ow)):
        best, place = -np.inf, None
        for u, v in product(range(kernel[0]), range(kernel[1])):
            row = i * stride[0] + u * dilation[0] - padding[0]
            column = j * stride[1] + v * dilation[1] - padding[1]
            if 0 <= row < height and 0 <= column < width:
                value = x[n, c, row, column]
                if place is None or value > best or np.isnan(value):
                    best, place = value, row * width + column
        y[n, c, i, j], index[n, c, i, j] = best, place or 0
    return y, index


def max_pool2d_backward(g, index, input_hw, tile=None):
    """Only the pixel that was chosen made a difference: it gets the window's whole gradient."""
    gx = np.zeros((*g.shape[:2], *input_hw), g.dtype)
    for n, c, i, j in np.ndindex(*g.shape):
        gx[(n, c, *divmod(index[n, c, i, j], input_hw[1]))] += g[n, c, i, j]
    return gx


def max_pool2d_gather(x, index):
    """Read the pixels that were chosen."""
    y = np.empty(index.shape, x.dtype)
    for n, c, i, j in np.ndindex(*index.shape):
        y[n, c, i, j] = x[(n, c, *divmod(index[n, c, i, j], x.shape[3]))]
    return y


# ---- convolution, relu and max-pooling in one -------------------------------------------------------------------------------
def conv_relu_pool_forward(x, w, bias, stride, padding, dilation, groups, pool):
    """One after the other: nothing is gained here by doing all at once."""
    y, index = conv2d_forward(x, w, bias, stride, padding, dilation, groups), None
    if pool > 1:
        y, index = max_pool2d_forward(y, (pool, pool), (pool, pool), (0, 0), (1, 1), False)
    return relu(y), index


def conv_relu_pool_backward(
    g, x, w, y, index, stride, padding, dilation, groups, pool, needs=(True, True, True)
):  # fmt: skip
    """Back through relu, through the pool, and through the convolution."""
    d = conv_relu_pool_slopes(g, y, index, conv_output_hw(x.shape[2:], w.shape[2:], stride, padding, dilation), pool)
    gx = conv2d_input_grad(d, w, x.shape[2:], stride, padding, dilation, groups) if needs[0] else None
    gw = conv2d_weight_grad(x, d, w.shape[2:], stride, padding, dilation, groups) if needs[1] else None
    return gx, gw, conv2d_bias_grad(d) if needs[2] else None


def conv_relu_pool_slopes(g, y, index, hw, pool):
    """The gradient of what the convolution gave, before relu and pool."""
    d = relu_grad(g, y)
    return d if index is None else max_pool2d_backward(d, index, hw)
