"""Fast convolution: unfold the image into columns in cache-sized pieces, and let BLAS multiply.

A convolution is a matrix product once every patch has become a column: (OC, C*KH*KW) times (C*KH*KW, OH*OW). Unfolding
a whole batch at once would write KH*KW times the batch into main memory and read it back; a few images at a time stay
in the processor's cache. This serves any stride, dilation and grouping, in float32 and float64.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.kernels import (
    conv_vector,
    conv_vector_relu,
    conv_vector_sparse_input,
    conv_vector_weights,
    elementwise_numba,
    pool_numba,
)
from tinygrad_edu.kernels.buffers import empty, scratch
from tinygrad_edu.kernels.compiler import REORDER, compiled
from tinygrad_edu.kernels.conv_numpy import Pair, check_conv, conv_output_hw
from tinygrad_edu.kernels.conv_vector_lists import share_of
from tinygrad_edu.kernels.vector import usable

CACHE_BYTES = 1 << 19  # columns of one piece: half of a typical core's second-level cache


def conv2d_forward(x, w, bias, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> np.ndarray:
    (n, c, h, width), (oc, cg, kh, kw) = x.shape, w.shape
    oh, ow = conv_output_hw((h, width), (kh, kw), stride, padding, dilation)
    check_conv(x.shape, w.shape, (n, oc, oh, ow), stride, padding, dilation, groups)
    x, w = _ready(x), _ready(w)
    if conv_vector.forward_suits(x, w):
        return conv_vector.convolve(x, w, bias, stride, padding, dilation, groups)[0]
    y = empty((n, oc, oh, ow), x.dtype)
    filters = w.reshape(1, groups, oc // groups, cg * kh * kw)
    for start, stop, columns in _pieces(n, c * kh * kw, oh * ow, x.dtype):
        _unfold(x, columns, start, stop, kh, kw, *stride, *padding, *dilation, oh, ow)
        patches = columns.reshape(stop - start, groups, cg * kh * kw, oh * ow)
        np.matmul(filters, patches, out=y[start:stop].reshape(stop - start, groups, oc // groups, oh * ow))
    if bias is not None:
        y += bias[:, None, None]
    return y


def conv2d_input_grad(g, w, input_hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> np.ndarray:
    (n, oc, oh, ow), (_, cg, kh, kw) = g.shape, w.shape
    gx_shape = (n, cg * groups, *input_hw)
    check_conv(gx_shape, w.shape, g.shape, stride, padding, dilation, groups)
    g, w = _ready(g), _ready(w)
    if conv_vector.forward_suits(g, w) and conv_vector_sparse_input.suits(
        w, input_hw, (oh, ow), stride, dilation, share_of(g)
    ):
        return conv_vector_sparse_input.input_grad(g, w, input_hw, stride, padding, dilation, groups)
    if conv_vector.input_grad_suits(g, w, stride, padding, dilation):
        if stride == (1, 1):
            return conv_vector.input_grad(g, w, padding, dilation, groups)
        return conv_vector.strided_input_grad(g, w, input_hw, stride, padding, groups)
    gx = empty(gx_shape, g.dtype)
    filters = w.reshape(1, groups, oc // groups, cg * kh * kw).swapaxes(2, 3)
    for start, stop, columns in _pieces(n, cg * groups * kh * kw, oh * ow, g.dtype):
        slopes = g[start:stop].reshape(stop - start, groups, oc // groups, oh * ow)
        np.matmul(filters, slopes, out=columns.reshape(stop - start, groups, cg * kh * kw, oh * ow))
        _fold(columns, gx, start, stop, kh, kw, *stride, *padding, *dilation, oh, ow)
    return gx


def conv2d_weight_grad(x, g, kernel_hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> np.ndarray:
    (n, c), (_, oc, oh, ow), (kh, kw) = x.shape[:2], g.shape, kernel_hw
    cg = c // groups
    check_conv(x.shape, (oc, cg, kh, kw), g.shape, stride, padding, dilation, groups)
    x, g = _ready(x), _ready(g)
    if conv_vector.forward_suits(x, g):
        return conv_vector_weights.weight_grad(x, g, kernel_hw, stride, padding, dilation, groups)
    gw = np.zeros((groups, oc // groups, cg * kh * kw), x.dtype)
    for start, stop, columns in _pieces(n, c * kh * kw, oh * ow, x.dtype):
        _unfold(x, columns, start, stop, kh, kw, *stride, *padding, *dilation, oh, ow)
        patches = columns.reshape(stop - start, groups, cg * kh * kw, oh * ow)
        slopes = g[start:stop].reshape(stop - start, groups, oc // groups, oh * ow)
        for image in range(stop - start):
            gw += np.matmul(slopes[image], patches[image].swapaxes(1, 2))
    return gw.reshape(oc, cg, kh, kw)


def conv_relu_pool_forward(x, w, bias, stride: Pair, padding: Pair, dilation: Pair, groups: int, pool: int):
    settings = (stride, padding, dilation, groups)
    x, w = _ready(x), _ready(w)
    if conv_vector.forward_suits(x, w):
        out_hw = conv_output_hw(x.shape[2:], w.shape[2:], stride, padding, dilation)
        check_conv(x.shape, w.shape, (x.shape[0], w.shape[0], *out_hw), *settings)
        return conv_vector.convolve(x, w, bias, *settings, relu=True, pool=pool)
    y = conv2d_forward(x, w, bias, *settings)
    if pool == 1:
        return elementwise_numba.relu(y), None
    y, index = pool_numba.max_pool2d_forward(y, (pool, pool), (pool, pool), (0, 0), (1, 1), False)
    return elementwise_numba.relu(y), index


def conv_relu_pool_backward(
    g, x, w, y, index, stride: Pair, padding: Pair, dilation: Pair, groups: int, pool: int, needs=(True, True, True)
):
    settings, out_hw = (
        (stride, padding, dilation, groups),
        conv_output_hw(x.shape[2:], w.shape[2:], stride, padding, dilation),
    )
    check_conv(x.shape, w.shape, (*y.shape[:2], *out_hw), *settings)
    g, x, w, y, index = (None if array is None else _ready(array) for array in (g, x, w, y, index))
    if conv_vector.forward_suits(g, w) and (
        not needs[0] or (stride == (1, 1) and conv_vector.input_grad_suits(g, w, *settings[:3]))
    ):
        return conv_vector_relu.backward(g, x, w, y, index, out_hw, settings, pool, needs)
    d = conv_relu_pool_slopes(g, y, index, out_hw, pool)
    gx = conv2d_input_grad(d, w, x.shape[2:], *settings) if needs[0] else None
    gw = conv2d_weight_grad(x, d, w.shape[2:], *settings) if needs[1] else None
    return gx, gw, conv2d_bias_grad(d) if needs[2] else None


def conv_relu_pool_slopes(g, y, index, hw: Pair, pool: int) -> np.ndarray:
    if g.dtype == np.float32 == y.dtype and g.size and usable():
        d = empty((*g.shape[:2], *hw), np.float32)
        index = None if index is None else _ready(index)
        conv_vector_relu.before_relu(_ready(g), _ready(y), index, pool, d)
        return d
    d = elementwise_numba.relu_grad(g, y)
    return d if index is None else pool_numba.max_pool2d_backward(d, index, hw, (pool, pool))


def conv2d_bias_grad(g) -> np.ndarray:
    gb = np.empty(g.shape[1], g.dtype)
    _sum_planes(_ready(g).reshape(*g.shape[:2], math.prod(g.shape[2:])), gb)
    return gb


def _ready(array: np.ndarray) -> np.ndarray:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _pieces(images: int, rows: int, pixels: int, dtype):
    """Ranges of images whose columns fit the cache, each with a work array (images, rows, pixels)."""
    per_image = rows * pixels
    step = max(1, CACHE_BYTES // max(1, per_image * dtype.itemsize))
    work = scratch("columns", min(step, images) * per_image, dtype)
    for start in range(0, images, step):
        stop = min(start + step, images)
        yield start, stop, work[: (stop - start) * per_image].reshape(stop - start, rows, pixels)


@compiled(REORDER)
def _sum_planes(g, gb):
    """Each plane is summed in its own precision, the planes of a channel in float64."""
    for c in range(g.shape[1]):
        total = 0.0
        for n in range(g.shape[0]):
            plane = g.dtype.type(0)
            for i in range(g.shape[2]):
                plane += g[n, c, i]
            total += plane
        gb[c] = total


@compiled()
def _unfold(x, columns, start, stop, kh, kw, sh, sw, ph, pw, dh, dw, oh, ow):
    """columns[n, (c,u,v), (i,j)] = x[start+n, c, i*sh + u*dh - ph, j*sw + v*dw - pw], zero outside the image."""
    channels, h, w = x.shape[1:]
    padded = np.zeros((h + 2 * ph, w + 2 * pw), x.dtype)
    for n in range(start, stop):
        for c in range(channels):
            for y in range(h):
                for j in range(w):
                    padded[ph + y, pw + j] = x[n, c, y, j]
            for u in range(kh):
                for v in range(kw):
                    row, corner = columns[n - start, (c * kh + u) * kw + v], padded[u * dh :, v * dw :]
                    for i in range(oh):
                        line, source = row[i * ow : (i + 1) * ow], corner[i * sh]
                        if sw == 1:
                            for j in range(ow):
                                line[j] = source[j]
                        else:
                            for j in range(ow):
                                line[j] = source[j * sw]


@compiled()
def _fold(columns, gx, start, stop, kh, kw, sh, sw, ph, pw, dh, dw, oh, ow):
    """The adjoint of `_unfold`: add every column entry to the pixel that it was copied from."""
    channels, h, w = gx.shape[1:]
    padded = np.empty((h + 2 * ph, w + 2 * pw), gx.dtype)
    for n in range(start, stop):
        for c in range(channels):
            padded[:] = 0
            for u in range(kh):
                for v in range(kw):
                    row, corner = columns[n - start, (c * kh + u) * kw + v], padded[u * dh :, v * dw :]
                    for i in range(oh):
                        line, target = row[i * ow : (i + 1) * ow], corner[i * sh]
                        if sw == 1:
                            for j in range(ow):
                                target[j] += line[j]
                        else:
                            for j in range(ow):
                                target[j * sw] += line[j]
            for y in range(h):
                for j in range(w):
                    gx[n, c, y, j] = padded[ph + y, pw + j]
