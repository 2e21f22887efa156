"""The gradient of a convolution's filters, straight from image and output gradient; the companion of `conv_vector`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_edu.kernels import conv_vector_sparse
from tinygrad_edu.kernels.buffers import scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.conv_numpy import Pair
from tinygrad_edu.kernels.conv_vector import BLOCK, PANEL, make_plan, spread, use_of_lanes
from tinygrad_edu.kernels.conv_vector_lists import share_of
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector import (
    DOT_COLUMNS,
    DOT_ROWS,
    LANES,
    LOOSE_ROWS,
    dot_tile,
    scattered_column,
    scattered_tile,
)
from tinygrad_edu.kernels.vector_moves import address, transpose

# The part of the lanes in use below which vectors run over pixels instead, and all lanes are added up at the end
WASTEFUL = 0.6 if LANES == 16 else 0.1
FEW_PIXELS = (
    1 << 12
)  # groups of channels smaller than this (in numbers) are convolved with their gradients several at a time
TOGETHER = 2  # namely this many


def weight_grad(
    x: np.ndarray, g: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The gradient of the filters: for each weight (c, u, v), all output gradients times the pixels it met."""
    shape, settings = (g.shape[1], x.shape[1] // groups, *kernel), (stride, padding, dilation, groups)
    pieces = chunks(len(x), 2.0 * g.size * shape[1] * kernel[0] * kernel[1])
    if conv_vector_sparse.suits(x, shape, dilation, share_of(g)):
        task, total = conv_vector_sparse.weight_grad_of(x.shape[1:], g.shape[1], kernel, *settings, len(pieces))
    else:
        task, total = weight_grad_of(x.shape[1:], g.shape[1:], kernel, *settings, len(pieces))
    run_chunks(lambda i, start, stop: task(i, x[start:stop], g[start:stop]), pieces)
    return total()


def weight_grad_of(
    x_shape: tuple[int, ...], g_shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int, count: int,
) -> tuple[Callable[[int, np.ndarray, np.ndarray], None], Callable[[], np.ndarray]]:  # fmt: skip
    """A function (i, images, gradients) that does the i-th of `count` pieces, on any thread, and one that adds them up.

    A tile is LOOSE_ROWS weights by two vectors of output channels, and the long dimension is the pixels. The channels
    have to lie side by side for that, so g is turned around, a panel of channels of some pixels at a time.
    """
    (channels, *hw), (oc, *out_hw) = x_shape, g_shape
    cg, each, area = channels // groups, oc // groups, out_hw[0] * out_hw[1]
    plan = make_plan(cg, groups, tuple(hw), kernel, stride, padding, dilation)
    depth, size, panels = cg * kernel[0] * kernel[1], channels * plan.plane, -(-each // PANEL)
    few = size <= groups * FEW_PIXELS and use_of_lanes(each, LANES) * use_of_lanes(depth, LOOSE_ROWS) < WASTEFUL
    parts = scratch("parts", count * groups * panels * depth * PANEL)
    parts = parts.reshape(count, groups * panels * depth * PANEL)

    def task(i: int, x: np.ndarray, g: np.ndarray) -> None:
        sizes = (len(x), channels, *hw, oc, depth)
        together = TOGETHER if few else plan.images
        work = scratch("image", size * together + 2 * LANES)
        work[:] = 0
        if few:
            rows = np.arange(oc + DOT_ROWS).clip(max=oc - 1) * (4 * area)
            _weight_grad_dots(x.reshape(-1), g.reshape(-1), parts[i], work, rows, sizes, plan, groups)
        else:
            slopes = scratch("slopes", min(BLOCK, plan.images * area) * PANEL)
            _weight_grad(x.reshape(-1), g.reshape(-1), parts[i], work, slopes, sizes, plan, groups)

    def total() -> np.ndarray:
        gw = np.empty((oc, cg, *kernel), np.float32)
        _add_parts(parts, gw.reshape(-1), groups, each, depth)
        return gw

    return task, total


@compiled()
def _weight_grad(x, g, part, work, slopes, sizes, plan, groups):
    """part[group and panel, (c,u,v), channel in panel] = the sum over these images."""
    count, channels, h, w, oc, depth = sizes
    each, size, area, inside = oc // groups, channels * plan.plane, plan.out_hw[0] * plan.out_hw[1], channels * h * w
    for i in range(part.size):
        part[i] = 0
    for n in range(0, count, plan.images):
        last = min(n + plan.images, count)
        for i in range(n, last):
            spread(x[i * inside :], (channels, h, w), work[(i - n) * size :], plan.layout, plan.plane)
        for first in range(0, (last - n) * area, BLOCK):
            many = min(BLOCK, (last - n) * area - first)
            out = address(part)
            for group in range(groups):
                image = address(work) + 4 * group * (size // groups)
                for o in range(0, each, PANEL):
                    channel = address(g) + 4 * (n * oc + group * each + o) * area
                    _collect(channel, first, first + many, area, oc, min(PANEL, each - o), address(slopes))
                    for k in range(0, depth, LOOSE_ROWS):
                        valid = min(LOOSE_ROWS, depth - k)
                        place = (many, out + 4 * PANEL * k, 4 * LANES, 4 * PANEL, LANES, LANES, valid, 0, 1)
                        weights, pixels = address(plan.window) + 8 * k, address(plan.pixels) + 8 * first
                        factors = (image, weights, pixels, address(slopes), 4 * PANEL)
                        if each - o > LANES:
                            scattered_tile(place, factors)
                        else:
                            scattered_column(place, factors)
                    out += 4 * PANEL * depth


@compiled()
def _collect(g, start, stop, area, outs, count, slopes):
    """Turn `count` planes around: slopes[pixel, channel] of the pixels from start to stop, counted over several images."""
    while start < stop:
        n, pixel = start // area, start % area
        many = min(stop - start, area - pixel)
        transpose(g + 4 * (n * outs * area + pixel), 4 * area, slopes, 4 * PANEL, count, many)
        slopes += 4 * PANEL * many
        start += many


@compiled()
def _add_parts(parts, gw, groups, each, depth):
    """gw[o, (c,u,v)] = the sum of all parts, in their order, turned around."""
    total = parts[0]
    for i in range(1, parts.shape[0]):
        part = parts[i]
        for j in range(total.size):
            total[j] += part[j]
    source = address(total)
    for group in range(groups):
        for o in range(0, each, PANEL):
            target = address(gw) + 4 * (group * each + o) * depth
            transpose(source, 4 * PANEL, target, 4 * depth, depth, min(PANEL, each - o))
            source += 4 * PANEL * depth


@compiled()
def _weight_grad_dots(x, g, part, work, rows, sizes, plan, groups):
    """The same sums for few channels and small images (first layers): vectors of pixels, several images at a time."""
    count, channels, h, w, oc, depth = sizes
    vectors, size, pixels = plan.vectors, channels * plan.plane, plan.out_hw[0] * plan.out_hw[1]
    each, inside = oc // groups, channels * h * w
    panels = (each + PANEL - 1) // PANEL
    for i in range(part.size):
        part[i] = 0
    for first in range(0, count, TOGETHER):
        pictures = min(TOGETHER, count - first)
        for n in range(pictures):
            spread(x[(first + n) * inside :], (channels, h, w), work[n * size :], plan.layout, plan.plane)
        slopes = address(g) + 4 * first * oc * pixels
        for panel in range(groups * panels):
            group = panel // panels
            start = group * each + panel % panels * PANEL
            end = min((group + 1) * each, start + PANEL)
            image = address(work) + 4 * group * (size // groups)
            for o in range(start, end, DOT_ROWS):
                for k in range(0, depth, DOT_COLUMNS):
                    out = address(part) + 4 * ((panel * depth + k) * PANEL + o - start)
                    place = (
                        pictures, vectors.shape[0], out, 4, 4 * PANEL, min(DOT_ROWS, end - o), min(DOT_COLUMNS, depth - k)
                    )  # fmt: skip
                    distances, weights = address(rows) + 8 * o, address(plan.window) + 8 * k
                    factors = (
                        slopes, distances, 4 * oc * pixels, image, weights, 4 * size, address(vectors)
                    )  # fmt: skip
                    dot_tile(place, factors)
