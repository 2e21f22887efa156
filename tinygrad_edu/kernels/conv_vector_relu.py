"""The way back through convolution, relu and max-pooling at once; the companion of `conv_vector.convolve`.

The gradient before the relu is as large as the convolution's output, and mostly zeros. So it is never written as a
whole: a few images of it at a time are made in a work array, and used for all gradients while it is in the cache; or
not even that, where lists of the pixels that have a gradient do (`conv_vector_sparse`).
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import conv_vector_sparse, conv_vector_sparse_input
from tinygrad_edu.kernels.buffers import empty, scratch
from tinygrad_edu.kernels.conv_numpy import Pair
from tinygrad_edu.kernels.conv_vector import convolution_of, full_padding
from tinygrad_edu.kernels.conv_vector_weights import weight_grad_of
from tinygrad_edu.kernels.pool_vector import positive_sums, relu_slopes, unpool_planes
from tinygrad_edu.kernels.threads import chunks, run_chunks


def before_relu(g: np.ndarray, y: np.ndarray, index: np.ndarray | None, pool: int, d: np.ndarray) -> None:
    """d = the gradient of the convolution's output, from that of what relu and pool made of it."""
    if index is None:
        relu_slopes(g.reshape(-1), y.reshape(-1), d.reshape(-1))
    else:
        unpool_planes(*(array.reshape(-1) for array in (g, y, index, d)), d.shape[2:], pool, True)


def backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, y: np.ndarray, index: np.ndarray | None, out_hw: Pair,
    settings: tuple[Pair, Pair, Pair, int], pool: int, needs: tuple[bool, bool, bool],
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:  # fmt: skip
    """The gradients of image, filters and bias, as far as needed, of a convolution with stride 1."""
    stride, padding, dilation, groups = settings
    n, shape = len(x), (w.shape[0], *out_hw)
    pieces = chunks(n, 2.0 * n * out_hw[0] * out_hw[1] * w.size * (1 + needs[0]))
    sums, gx = np.empty((len(pieces), w.shape[0])), empty(x.shape, np.float32) if needs[0] else None
    place, share = np.empty((n, 0), np.int32), pool**-2
    into_images = needs[0] and conv_vector_sparse_input.suits(w, x.shape[2:], out_hw, stride, dilation, share)
    into_filters = needs[1] and conv_vector_sparse.suits(x, w.shape, dilation, share)
    if into_images:
        list_images = conv_vector_sparse_input.input_grad_of(w, x.shape[2:], *settings)
    elif needs[0]:
        full = full_padding(w, padding, dilation)
        _, to_images = convolution_of(shape, w, None, stride, full, dilation, groups, mirrored=True)
    if into_filters:
        list_filters, total = conv_vector_sparse.weight_grad_of(
            x.shape[1:], len(w), w.shape[2:], *settings, len(pieces)
        )
    elif needs[1]:
        to_filters, total = weight_grad_of(x.shape[1:], shape, w.shape[2:], *settings, len(pieces))

    def task(i: int, start: int, stop: int) -> None:
        piece = slice(start, stop)
        places = None if index is None else index[piece]
        if needs[0] > into_images or needs[1] > into_filters:
            d = scratch("gradients", (stop - start) * shape[0] * shape[1] * shape[2]).reshape(-1, *shape)
            before_relu(g[piece], y[piece], places, pool, d)
        if into_filters:
            list_filters(i, x[piece], g[piece], y[piece], places)
        elif needs[1]:
            to_filters(i, x[piece], d)
        if into_images and gx is not None:
            list_images(g[piece], gx[piece], y[piece], places)
        elif gx is not None:
            to_images(d, gx[piece], place[piece])
        if needs[2]:
            rows = (stop - start, shape[0], g.shape[2] * g.shape[3])
            positive_sums(g[piece].reshape(rows), y[piece].reshape(rows), sums[i])

    run_chunks(task, pieces)
    return gx, total() if needs[1] else None, sums.sum(0).astype(np.float32) if needs[2] else None
