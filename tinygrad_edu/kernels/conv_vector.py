"""Convolution of float32 images straight from the image: no columns are ever written to memory.

The output of one image is cut into vectors of neighbouring pixels. For one of them, and for filter weight (c, u, v),
the pixels needed lie side by side in the image too, at a distance that depends on (c, u, v) only: a table of these
distances replaces the columns. A tile of several channels by two pixel vectors is then one run of a micro-kernel.
Where rows are too short to fill vectors, the vectors run over the output channels instead.

To have pixels side by side with any stride, and no borders to care about, the image is first copied into a work array
with its zero padding; with a stride of s, pixels that are s apart are put next to each other there ("phases").
The input gradient is the same convolution, of the output's gradient with the mirrored filters.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from tinygrad_edu.kernels.buffers import empty, scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.conv_numpy import Pair, conv_output_hw
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector import (
    DOT_COLUMNS,
    FEW_ROWS,
    LANES,
    LOOSE_ROWS,
    MANY_ROWS,
    ROWS,
    packed_few,
    packed_tile,
    running_many,
    running_tile,
    transpose,
    usable,
)


class Plan(NamedTuple):
    """Where everything is, for images of one size under filters of one size. Distances in the work array are bytes."""

    layout: tuple[int, int, int, int, int, int]  # rows and columns of a phase, stride, padding
    plane: int  # numbers per channel in the work array
    window: np.ndarray  # distance of filter weight (c, u, v) from the patch's corner; filled up to whole tiles
    pixels: np.ndarray  # distance of output pixel (i, j)'s patch from that of pixel (0, 0)
    vectors: np.ndarray  # for each vector of output pixels: its place in the output, its patches' distance, its lanes
    out_hw: Pair


@functools.lru_cache(maxsize=64)
def make_plan(channels: int, hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Plan:
    oh, ow = conv_output_hw(hw, kernel, stride, padding, dilation)
    (sh, sw), (dh, dw) = stride, dilation
    rows, columns = (-(-(size + 2 * p) // s) for size, p, s in zip(hw, padding, stride, strict=True))
    plane = sh * sw * rows * columns

    def place(c: int, y: int, x: int) -> int:
        phase = (y % sh) * sw + x % sw
        return 4 * (c * plane + (phase * rows + y // sh) * columns + x // sw)

    window = [place(c, u * dh, v * dw) for c in range(channels) for u in range(kernel[0]) for v in range(kernel[1])]
    window += [0] * (-len(window) % (LOOSE_ROWS * DOT_COLUMNS))
    i, j = np.arange(oh)[:, None], np.arange(ow)
    pixels = 4 * (i * columns + j)
    starts = j[::LANES]
    vectors = np.stack(
        np.broadcast_arrays(4 * (i * ow + starts), 4 * (i * columns + starts), np.minimum(LANES, ow - starts)), -1
    ).reshape(-1, 3)
    if len(vectors) % 2:  # tiles take two: one more, without lanes
        vectors = np.concatenate([vectors, vectors[-1:] * [1, 1, 0]])
    layout = (rows, columns, *stride, *padding)
    tables = [np.array(table, np.int64) for table in (window, pixels.ravel(), vectors)]
    return Plan(layout, plane, tables[0], tables[1], tables[2], (oh, ow))


def forward_suits(x: np.ndarray, w: np.ndarray) -> bool:
    """Whether `convolve` is correct and fast for these arrays."""
    return x.dtype == w.dtype == np.float32 and x.size > 0 and w.size > 0 and usable()


def input_grad_suits(g: np.ndarray, w: np.ndarray, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether `input_grad` or `strided_input_grad` can do it; else the filters' columns are added up one by one."""
    if stride == (1, 1):
        narrow = all(p <= d * (k - 1) for p, d, k in zip(padding, dilation, w.shape[2:], strict=True))
        return narrow and forward_suits(g, w)
    return dilation == (1, 1) and forward_suits(g, w)


def convolve(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The forward convolution, with vectors of pixels or vectors of channels, whichever leaves fewer lanes empty."""
    (n, channels, *hw), (oc, cg, *kernel) = x.shape, w.shape
    plan = make_plan(cg, tuple(hw), tuple(kernel), stride, padding, dilation)
    depth, each = cg * kernel[0] * kernel[1], oc // groups
    y = empty((n, oc, *plan.out_hw), np.float32)
    filters = w.reshape(groups, each, depth)
    bias = np.zeros(oc, np.float32) if bias is None else np.ascontiguousarray(bias, np.float32)
    by_channels = use_of_lanes(each, 2 * LANES) * use_of_lanes(plan.out_hw[1], ROWS)
    by_pixels = use_of_lanes(each, FEW_ROWS) * use_of_lanes(plan.out_hw[1], LANES)
    if plan.out_hw[1] == MANY_ROWS and each % (2 * LANES) == 0:
        by_channels *= 1.3  # the larger tile
    if by_channels > 1.1 * by_pixels:
        run = _by_channels(x, filters, bias, y, plan)
    else:
        run = _by_pixels(x, filters, bias, y, plan)

    def task(i: int, start: int, stop: int) -> None:
        work = scratch("image", channels * plan.plane + 2 * LANES)
        work[:] = 0
        run(start, stop, work)

    run_chunks(task, chunks(n, 2.0 * y.size * depth))
    return y


def use_of_lanes(count: int, unit: int) -> float:
    """The part of the work that is not wasted when `count` things are done `unit` at a time."""
    return count / (-(-count // unit) * unit)


def _by_pixels(x, filters, bias, y, plan: Plan):
    groups, each, depth = filters.shape
    count = groups * _packed_rows(each)
    weights = scratch("weights", count * (depth + 1))
    packed, starts = weights[: count * depth], weights[count * depth :]
    _pack(filters, bias, packed, starts)

    def run(start: int, stop: int, work: np.ndarray) -> None:
        _convolve_pixels(
            start, stop, x, packed, starts, y, work, plan.window, plan.vectors, plan.layout, plan.plane, groups
        )

    return run


def _by_channels(x, filters, bias, y, plan: Plan):
    groups, each, depth = filters.shape
    turned = scratch("weights", filters.size).reshape(groups, depth, each)
    turned[:] = filters.swapaxes(1, 2)

    def run(start: int, stop: int, work: np.ndarray) -> None:
        result = scratch("result", y[0].size)
        _convolve_channels(start, stop, x, turned, bias, y, work, result, plan.window, plan.layout, plan.plane)

    return run


def input_grad(g: np.ndarray, w: np.ndarray, padding: Pair, dilation: Pair, groups: int) -> np.ndarray:
    """The gradient of a stride-1 convolution's image: g convolved with the mirrored filters, channels swapped."""
    oc, cg, kh, kw = w.shape
    mirrored = w.reshape(groups, oc // groups, cg, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)
    filters = np.ascontiguousarray(mirrored).reshape(groups * cg, oc // groups, kh, kw)
    full = (dilation[0] * (kh - 1) - padding[0], dilation[1] * (kw - 1) - padding[1])
    return convolve(g, filters, None, (1, 1), full, dilation, groups)


def strided_input_grad(
    g: np.ndarray, w: np.ndarray, input_hw: Pair, stride: Pair, padding: Pair, groups: int
) -> np.ndarray:
    """The same for a stride of s: pixels s apart met the same filter weights, so each of s*s phases is one convolution.

    Padded pixel y met filter row u in output row i where y = i*s + u; so y = q*s + r only meets the rows u = r + t*s,
    in output row i = q - t: phase r of the gradient is g convolved with every s-th filter row from the r-th on.
    """
    n, (h, width), (sh, sw), (ph, pw) = g.shape[0], input_hw, stride, padding
    gx = np.zeros((n, w.shape[1] * groups, h, width), np.float32)
    for r in range(min(sh, w.shape[2])):
        for c in range(min(sw, w.shape[3])):
            phase = input_grad(g, np.ascontiguousarray(w[:, :, r::sh, c::sw]), (0, 0), (1, 1), groups)
            top, left = -(-(ph - r) // sh), -(-(pw - c) // sw)  # the first q whose pixel is not in the padding
            top, left = max(0, top), max(0, left)
            y, x = top * sh + r - ph, left * sw + c - pw
            target = gx[:, :, y::sh, x::sw]
            inside = phase[:, :, top : top + target.shape[2], left : left + target.shape[3]]
            target[:, :, : inside.shape[2], : inside.shape[3]] = inside
    return gx


@compiled(inline="always")
def _tile_rows(left):
    """How many rows the next tile has when `left` are left."""
    return FEW_ROWS if left <= FEW_ROWS else ROWS


def _packed_rows(count: int) -> int:
    """The rows of all tiles that `count` rows are cut into."""
    left = count % ROWS
    return count - left + (0 if left == 0 else FEW_ROWS if left <= FEW_ROWS else ROWS)


@compiled()
def _pack(w, bias, packed, starts):
    """Filters in the order in which the tiles read them: [group][tile][depth][row in tile]; missing rows are zeros."""
    groups, each, depth = w.shape
    at, row = 0, 0
    for group in range(groups):
        first = 0
        while first < each:
            rows = _tile_rows(each - first)
            for i in range(rows):
                exists = first + i < each
                starts[row + i] = bias[group * each + first + i] if exists else np.float32(0)
                for k in range(depth):
                    packed[at + k * rows + i] = w[group, first + i, k] if exists else np.float32(0)
            at += rows * depth
            row += rows
            first += rows


@compiled()
def spread(image, work, layout, plane):
    """Copy an image into the work array: into the middle of its padding, and with strides into its phases."""
    rows, columns, sh, sw, ph, pw = layout
    channels, h, w = image.shape
    for c in range(channels):
        for y in range(h):
            line = c * plane + (((y + ph) % sh) * sw * rows + (y + ph) // sh) * columns
            if sw == 1:
                target = work[line + pw : line + pw + w]
                for j in range(w):
                    target[j] = image[c, y, j]
            else:
                for phase in range(sw):
                    first = (phase - pw) % sw  # the first pixel of this phase; the next one is sw further on
                    start = line + phase * rows * columns + (first + pw) // sw
                    for j in range((w - first + sw - 1) // sw):  # unsigned indices need no test for negative ones
                        work[np.uint64(start + j)] = image[c, y, np.uint64(first + j * sw)]


@compiled()
def _convolve_pixels(start, stop, x, packed, starts, y, work, window, vectors, layout, plane, groups):
    """Tiles of ROWS output channels by two vectors of output pixels."""
    oc, pixels = y.shape[1], y.shape[2] * y.shape[3]
    each, depth, table = oc // groups, packed.size // starts.size, window.ctypes.data
    for n in range(start, stop):
        spread(x[n], work, layout, plane)
        weights, bias = packed.ctypes.data, starts.ctypes.data
        for group in range(groups):
            image = work.ctypes.data + 4 * group * (x.shape[1] // groups) * plane
            first = 0
            while first < each:
                rows, valid = _tile_rows(each - first), min(ROWS, each - first)
                out = y.ctypes.data + 4 * (n * oc + group * each + first) * pixels
                for j in range(0, vectors.shape[0], 2):
                    here, next_ = vectors[j], vectors[j + 1]
                    result = (
                        depth, out + here[0], next_[0] - here[0], 4 * pixels, here[2], next_[2], valid, bias, 0
                    )  # fmt: skip
                    factors = (weights, image + here[1], next_[1] - here[1], table)
                    if rows == ROWS:
                        packed_tile(result, factors)
                    else:
                        packed_few(result, factors)
                weights += 4 * rows * depth
                bias += 4 * rows
                first += rows


@compiled()
def _convolve_channels(start, stop, x, weights, bias, y, work, result, window, layout, plane):
    """Tiles of some neighbouring output pixels by two vectors of output channels, turned around at the end."""
    groups, depth, each = weights.shape
    oc, oh, ow = y.shape[1:]
    columns = layout[1]
    many = ow % MANY_ROWS == 0
    step = MANY_ROWS if many else ROWS
    for n in range(start, stop):
        spread(x[n], work, layout, plane)
        for group in range(groups):
            image = work.ctypes.data + 4 * group * (x.shape[1] // groups) * plane
            for o in range(0, each, 2 * LANES):
                lanes0, lanes1 = min(LANES, each - o), max(0, min(LANES, each - o - LANES))
                b = weights.ctypes.data + 4 * (group * depth * each + o)
                start_at = bias.ctypes.data + 4 * (group * each + o)
                for i in range(oh):
                    for j in range(0, ow, step):
                        out = result.ctypes.data + 4 * ((i * ow + j) * oc + group * each + o)
                        place = (depth, out, 4 * LANES, 4 * oc, lanes0, lanes1, min(step, ow - j), start_at, 0)
                        factors = (image + 4 * (i * columns + j), window.ctypes.data, b, 4 * each)
                        if many:
                            running_many(place, factors)
                        else:
                            running_tile(place, factors)
        transpose(result.ctypes.data, oh * ow, oc, y.ctypes.data + 4 * n * oc * oh * ow)
