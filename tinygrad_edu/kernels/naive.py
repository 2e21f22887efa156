"""Three kernels as a textbook writes them: plain Python loops, one multiplication at a time.

They run under ``set_backend("naive")``. Compare them with ``*_numpy`` and ``*_numba`` to see what speed costs.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tinygrad_edu.kernels.conv_numpy import conv_output_hw
from tinygrad_edu.kernels.pool_numpy import pool_output_hw


def matmul(a, b):
    """c[i,j] = sum over k of a[i,k] * b[k,j], for each matrix of a stack."""
    if a.ndim == 1 or b.ndim == 1:
        return np.matmul(a, b)
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


def conv2d_forward(x, w, bias, stride, padding, dilation, groups):
    """Slide each filter over the image; at each place, multiply and add."""
    (n_images, _, height, width), (oc, cg, kh, kw) = x.shape, w.shape
    oh, ow = conv_output_hw((height, width), (kh, kw), stride, padding, dilation)
    y = np.zeros((n_images, oc, oh, ow), np.result_type(x, w))
    for n, o, i, j in product(range(n_images), range(oc), range(oh), range(ow)):
        total = 0 if bias is None else bias[o]
        first = o // (oc // groups) * cg  # the group's first input channel
        for c, u, v in product(range(cg), range(kh), range(kw)):
            row = i * stride[0] + u * dilation[0] - padding[0]
            column = j * stride[1] + v * dilation[1] - padding[1]
            if 0 <= row < height and 0 <= column < width:
                total = total + w[o, c, u, v] * x[n, first + c, row, column]
        y[n, o, i, j] = total
    return y


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
