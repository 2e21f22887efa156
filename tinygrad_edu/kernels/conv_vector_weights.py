"""The gradient of a convolution's filters, straight from image and output gradient; the companion of `conv_vector`."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels.buffers import scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.conv_numpy import Pair
from tinygrad_edu.kernels.conv_vector import make_plan, spread, use_of_lanes
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector import (
    DOT_COLUMNS,
    DOT_ROWS,
    LANES,
    LOOSE_ROWS,
    dot_tile,
    scattered_tile,
    transpose,
)

FEW_PIXELS = 1 << 12  # images smaller than this (in numbers) are convolved with their gradients several at a time
TOGETHER = 8  # namely this many


def weight_grad(
    x: np.ndarray, g: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The gradient of the filters: for each weight (c, u, v), all output gradients times the pixels it met.

    A tile is LOOSE_ROWS weights by two vectors of output channels, and the long dimension is the pixels of an image.
    The channels have to lie side by side for that, so each g[n] is transposed.
    """
    (n, channels, *hw), oc = x.shape, g.shape[1]
    cg, each = channels // groups, oc // groups
    plan = make_plan(cg, tuple(hw), kernel, stride, padding, dilation)
    depth = cg * kernel[0] * kernel[1]
    pieces = chunks(n, 2.0 * g.size * depth)
    parts = np.zeros((len(pieces), groups, depth, each), np.float32)
    few = groups == 1 and channels * plan.plane <= FEW_PIXELS
    few = few and use_of_lanes(each, 2 * LANES) * use_of_lanes(depth, LOOSE_ROWS) < 0.6

    def task(i: int, start: int, stop: int) -> None:
        size = channels * plan.plane
        work = scratch("image", size * (TOGETHER if few else 1) + 2 * LANES)
        work[:] = 0
        if few:
            rows = np.arange(-(-oc // DOT_ROWS) * DOT_ROWS).clip(max=oc - 1) * (4 * g[0, 0].size)
            _weight_grad_dots(start, stop, x, g, parts[i, 0], work, rows, plan.window, plan.vectors, plan.layout, size)
        else:
            slopes = scratch("slopes", g[0].size)
            _weight_grad(start, stop, x, g, parts[i], work, slopes, plan.window, plan.pixels, plan.layout, plan.plane)

    run_chunks(task, pieces)
    total = parts[0] if len(parts) == 1 else np.add.reduce(parts)
    return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(oc, cg, *kernel)


@compiled()
def _weight_grad(start, stop, x, g, part, work, slopes, window, pixels, layout, plane):
    """part[group, (c,u,v), o] += the sum over the images from start to stop."""
    groups, depth, each = part.shape
    oc = g.shape[1]
    for n in range(start, stop):
        spread(x[n], work, layout, plane)
        transpose(g.ctypes.data + 4 * n * oc * pixels.size, oc, pixels.size, slopes.ctypes.data)
        for group in range(groups):
            image = work.ctypes.data + 4 * group * (x.shape[1] // groups) * plane
            for o in range(0, each, 2 * LANES):
                b = slopes.ctypes.data + 4 * (group * each + o)
                lanes0, lanes1 = min(LANES, each - o), max(0, min(LANES, each - o - LANES))
                for k in range(0, depth, LOOSE_ROWS):
                    out = part.ctypes.data + 4 * ((group * depth + k) * each + o)
                    valid = min(LOOSE_ROWS, depth - k)
                    result = (pixels.size, out, 4 * LANES, 4 * each, lanes0, lanes1, valid, 0, 1)
                    rows = window.ctypes.data + 8 * k
                    scattered_tile(result, (image, rows, pixels.ctypes.data, b, 4 * oc))


@compiled()
def _weight_grad_dots(start, stop, x, g, part, work, rows, window, vectors, layout, size):
    """The same sums for small images with few channels (first layers): vectors of pixels, several images at a time."""
    depth, oc = part.shape
    pixels = g.shape[2] * g.shape[3]
    for first in range(start, stop, TOGETHER):
        pictures = min(TOGETHER, stop - first)
        for n in range(pictures):
            spread(x[first + n], work[n * size : (n + 1) * size], layout, size // x.shape[1])
        for o in range(0, oc, DOT_ROWS):
            for k in range(0, depth, DOT_COLUMNS):
                out = part.ctypes.data + 4 * (k * oc + o)
                result = (
                    pictures, vectors.shape[0], out, 4, 4 * oc, min(DOT_ROWS, oc - o), min(DOT_COLUMNS, depth - k)
                )  # fmt: skip
                slopes = g.ctypes.data + 4 * first * oc * pixels
                a = (slopes, rows.ctypes.data + 8 * o, 4 * oc * pixels)
                b = (work.ctypes.data, window.ctypes.data + 8 * k, 4 * size)
                dot_tile(result, (a[0], a[1], a[2], b[0], b[1], b[2], vectors.ctypes.data))
