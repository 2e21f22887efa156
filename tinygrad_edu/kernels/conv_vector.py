"""Convolution of float32 images straight from the image: no columns are ever written to memory.

The pixel that filter weight (c, u, v) meets when output pixel (i, j) is computed lies in the image at the distance
window[c, u, v] + pixels[i, j]: two tables replace the columns, and a convolution becomes a product of matrices whose
left factor is read through them. Its tiles are output pixels by two vectors of output channels, and the result is
turned around at the end; or, where there are few channels and long rows, channels by two vectors of pixels.

To have no borders to care about, and pixels side by side with any stride, the image is first copied into a work array
with its zero padding; with a stride of s, pixels that are s apart are put next to each other there ("phases").
The input gradient is the same convolution, of the output's gradient with the mirrored filters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinygrad_edu.kernels.buffers import empty, scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.conv_numpy import Pair, conv_output_hw
from tinygrad_edu.kernels.pool_vector import pool_planes, relu_in_place
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector import (
    DOT_COLUMNS,
    FEW_ROWS,
    LANES,
    LOOSE_ROWS,
    ROWS,
    packed_few,
    packed_tile,
    scattered_column,
    scattered_tile,
    usable,
)
from tinygrad_edu.kernels.vector_moves import address, copy_numbers, part_pairs, transpose

PANEL = 2 * LANES  # output channels of a tile
DEPTH = 256  # filter weights that are summed over at a time: their part of the panel stays in the first-level cache
BLOCK = 50 * LOOSE_ROWS  # output pixels that are computed before they are turned around
TURNING = 20  # multiply-adds per result that turning around costs
SMALL = 128  # output pixels; smaller images are convolved several at a time


class Plan(NamedTuple):
    """Where everything is, for images of one size under filters of one size. Distances in the work array are bytes."""

    layout: tuple[int, int, int, int, int, int]  # rows and columns of a phase, stride, padding
    plane: int  # numbers per channel in the work array
    images: int  # how many images are in the work array together
    window: np.ndarray  # distance of filter weight (c, u, v) from the patch's corner; filled up to whole tiles
    pixels: np.ndarray  # distance of output pixel (i, j)'s patch from that of the first; likewise
    vectors: np.ndarray  # for each vector of output pixels: its place in the output, its patches' distance, its lanes
    out_hw: Pair


@functools.lru_cache(maxsize=64)
def make_plan(channels: int, groups: int, hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Plan:
    """The plan for images of `groups` times `channels` channels."""
    oh, ow = conv_output_hw(hw, kernel, stride, padding, dilation)
    (sh, sw), (dh, dw) = stride, dilation
    rows, columns = (-(-(size + 2 * p) // s) for size, p, s in zip(hw, padding, stride, strict=True))
    plane = sh * sw * rows * columns

    def place(c: int, y: int, x: int) -> int:
        phase = (y % sh) * sw + x % sw
        return 4 * (c * plane + (phase * rows + y // sh) * columns + x // sw)

    window = [place(c, u * dh, v * dw) for c in range(channels) for u in range(kernel[0]) for v in range(kernel[1])]
    window += [0] * (-len(window) % (LOOSE_ROWS * DOT_COLUMNS))
    images = max(1, min(SMALL // max(1, oh * ow), (1 << 16) // max(1, groups * channels * plane)))
    i, j = np.arange(oh)[:, None], np.arange(ow)
    image = 4 * groups * channels * plane * np.arange(images)[:, None, None]
    pixels = np.append(image + 4 * (i * columns + j), [0] * LOOSE_ROWS)
    starts = j[::LANES]
    vectors = np.stack(
        np.broadcast_arrays(4 * (i * ow + starts), 4 * (i * columns + starts), np.minimum(LANES, ow - starts)), -1
    ).reshape(-1, 3)
    if len(vectors) % 2:  # tiles take two: one more, without lanes
        vectors = np.concatenate([vectors, vectors[-1:] * [1, 1, 0]])
    layout = (rows, columns, *stride, *padding)
    tables = [np.array(table, np.int64) for table in (window, pixels, vectors)]
    return Plan(layout, plane, images, tables[0], tables[1], tables[2], (oh, ow))


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
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int,
    mirrored: bool = False, relu: bool = False, pool: int = 1,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """The forward convolution, then max(., 0) and the maxima of windows pool x pool with their places, if asked for.

    `mirrored` swaps what goes in and what comes out and turns the filters by 180 degrees: x is an output's gradient.
    """
    settings = (stride, padding, dilation, groups)
    shape, task = convolution_of(x.shape[1:], w, bias, *settings, mirrored=mirrored, relu=relu, pool=pool)
    y = empty((len(x), *shape), np.float32)
    index = empty(y.shape, np.int32) if pool > 1 else None
    place = np.empty((len(x), 0), np.int32) if index is None else index
    pieces = chunks(len(x), 2.0 * y.size * pool * pool * w.size / shape[0])
    run_chunks(lambda i, start, stop: task(x[start:stop], y[start:stop], place[start:stop]), pieces)
    return y, index


def convolution_of(
    shape: tuple[int, ...], w: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair,
    groups: int, mirrored: bool = False, relu: bool = False, pool: int = 1,
) -> tuple[tuple[int, int, int], Callable[[np.ndarray, np.ndarray, np.ndarray], None]]:  # fmt: skip
    """The shape of a result for images of one shape, and a function (images, results, places) that any thread may call.

    Vectors run over channels or pixels, whichever leaves fewer lanes empty.
    """
    (channels, *hw), (oc, cg, *kernel) = shape, w.shape
    plan = make_plan(channels // groups, groups, tuple(hw), tuple(kernel), stride, padding, dilation)
    each = cg if mirrored else oc // groups
    (oh, ow), outs, depth = plan.out_hw, each * groups, w.size // (each * groups)
    bias = np.zeros(outs, np.float32) if bias is None else np.ascontiguousarray(bias, np.float32)
    by_channels = use_of_lanes(each, LANES) * use_of_lanes(plan.images * oh * ow, LOOSE_ROWS)
    by_pixels = use_of_lanes(each, FEW_ROWS) * use_of_lanes(ow, LANES)
    tall = by_channels * depth / (depth + TURNING) > by_pixels
    rows, few = (PANEL, PANEL) if tall else (ROWS, FEW_ROWS)
    room = groups * _packed_rows(each, rows, few)
    weights = scratch("weights", room * (depth + 1))
    packed, starts = weights[: room * depth], weights[room * depth :]
    _pack(w.reshape(-1), bias, groups, each, oc // groups if mirrored else 1, mirrored, rows, few, packed, starts)

    def task(x: np.ndarray, y: np.ndarray, index: np.ndarray) -> None:
        work = scratch("image", plan.images * channels * plan.plane + 2 * LANES)
        work[:] = 0
        planes = scratch("planes", plan.images * outs * oh * ow if pool > 1 else 0)
        result = scratch("result", min(BLOCK, plan.images * oh * ow) * PANEL)
        arrays = (x.reshape(-1), packed, starts, y.reshape(-1), index.reshape(-1), planes, work, result)
        _convolve(*arrays, (len(x), *shape), plan, groups, each, tall, relu, pool)

    return (outs, oh // pool, ow // pool), task


def use_of_lanes(count: int, unit: int) -> float:
    """The part of the work that is not wasted when `count` things are done `unit` at a time."""
    return count / (-(-count // unit) * unit) if count else 1.0


def input_grad(g: np.ndarray, w: np.ndarray, padding: Pair, dilation: Pair, groups: int) -> np.ndarray:
    """The gradient of a stride-1 convolution's image: g convolved with the mirrored filters, channels swapped."""
    return convolve(g, w, None, (1, 1), full_padding(w, padding, dilation), dilation, groups, mirrored=True)[0]


def full_padding(w: np.ndarray, padding: Pair, dilation: Pair) -> Pair:
    """The padding of the convolution that gives the input gradient of one with this padding."""
    return dilation[0] * (w.shape[2] - 1) - padding[0], dilation[1] * (w.shape[3] - 1) - padding[1]


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


def _packed_rows(count: int, rows: int, few: int) -> int:
    """The rows of all tiles that `count` rows are cut into."""
    left = count % rows
    return count - left + (0 if left == 0 else few if left <= few else rows)


@compiled()
def _pack(w, bias, groups, each, blocks, mirrored, rows, few, packed, starts):
    """Filters in the order in which the tiles read them, [group][tile][depth][row in tile], and the rows' biases.

    A tile is a turned piece of the filters as they lie. Mirrored, it is one such piece for each of the channels (blocks)
    that go in, written from its end.
    """
    length = w.size // (groups * blocks * each)
    at, row = address(packed), 0
    for group in range(groups):
        first = 0
        while first < each:
            width = few if each - first <= few else rows
            exist = min(width, each - first)
            for i in range(width):
                starts[row + i] = bias[group * each + first + i] if i < exist else np.float32(0)
            for block in range(blocks):
                source = address(w) + 4 * ((group * blocks + block) * each + first) * length
                last = length - 1 if mirrored else 0
                step = -4 * width if mirrored else 4 * width
                transpose(source, 4 * length, at + 4 * width * (block * length + last), step, exist, length)
            at += 4 * blocks * length * width
            row += width
            first += width


@compiled()
def spread(image, shape, work, layout, plane):
    """Copy an image into the work array: into the middle of its padding, and with strides into its phases."""
    rows, columns, sh, sw, ph, pw = layout
    channels, h, w = shape
    for c in range(channels):
        for y in range(h):
            row = (c * h + y) * w
            line = c * plane + (((y + ph) % sh) * sw * rows + (y + ph) // sh) * columns
            source, target = address(image) + 4 * row, address(work) + 4 * line
            if sw == 1:
                copy_numbers(source, target + 4 * pw, w)
            elif sw == 2:  # the usual stride has a quicker way
                odd = pw % 2  # the phase of the first pixel
                even_pixels, odd_pixels = pw // 2 + odd * rows * columns, (pw + 1) // 2 + (1 - odd) * rows * columns
                for j in range(0, w, 2 * LANES):
                    even, other = target + 4 * even_pixels + 2 * j, target + 4 * odd_pixels + 2 * j
                    part_pairs(source + 4 * j, even, other, min(2 * LANES, w - j))
            else:
                for phase in range(sw):
                    first = (phase - pw) % sw  # the first pixel of this phase; the next one is sw further on
                    start = line + phase * rows * columns + (first + pw) // sw
                    for j in range((w - first + sw - 1) // sw):  # unsigned indices need no test for negative ones
                        work[np.uint64(start + j)] = image[np.uint64(row + first + j * sw)]


@compiled()
def _convolve(x, packed, starts, y, index, planes, work, result, shape, plan, groups, each, tall, relu, pool):
    """Some images at a time: convolve, then relu and pooling while the result is in the cache."""
    count, channels, h, w = shape
    inside, size, (oh, ow) = channels * h * w, channels * plan.plane, plan.out_hw
    outside, pooled = groups * each * oh * ow, groups * each * (oh // pool) * (ow // pool)
    for n in range(0, count, plan.images):
        last = min(n + plan.images, count)
        for i in range(n, last):
            spread(x[i * inside :], (channels, h, w), work[(i - n) * size :], plan.layout, plan.plane)
        target = address(planes) if pool > 1 else address(y) + 4 * n * outside
        if tall:
            _by_channels(last - n, packed, starts, target, work, result, plan, groups, each, size // groups)
        else:
            for i in range(last - n):
                image, out = address(work) + 4 * i * size, target + 4 * i * outside
                _by_pixels(packed, starts, out, image, size // groups, plan, groups, each)
        if pool > 1:
            result_part = slice(n * pooled, last * pooled)
            pool_planes(planes, y[result_part], index[result_part], (oh, ow), pool, relu)
        elif relu:
            relu_in_place(y[n * outside : last * outside])


@compiled()
def _by_pixels(packed, starts, target, image, size, plan, groups, each):
    """Tiles of ROWS output channels by two vectors of output pixels, of one image."""
    pixels, depth, vectors = plan.out_hw[0] * plan.out_hw[1], packed.size // starts.size, plan.vectors
    weights, bias, table = address(packed), address(starts), address(plan.window)
    for _ in range(groups):
        first = 0
        while first < each:
            rows, valid = (FEW_ROWS if each - first <= FEW_ROWS else ROWS), min(ROWS, each - first)
            for j in range(0, vectors.shape[0], 2):
                here, next_ = vectors[j], vectors[j + 1]
                place = (
                    depth, target + here[0], next_[0] - here[0], 4 * pixels, here[2], next_[2], valid, bias, 0
                )  # fmt: skip
                factors = (weights, image + here[1], next_[1] - here[1], table)
                if rows == ROWS:
                    packed_tile(place, factors)
                else:
                    packed_few(place, factors)
            weights += 4 * rows * depth
            bias += 4 * rows
            target += 4 * valid * pixels
            first += rows
        image += 4 * size


@compiled()
def _by_channels(images, packed, starts, target, work, result, plan, groups, each, size):
    """Tiles of LOOSE_ROWS output pixels by two vectors of output channels, of some images together."""
    area, depth = plan.out_hw[0] * plan.out_hw[1], packed.size // starts.size
    pieces = (depth + DEPTH - 1) // DEPTH
    step = (depth + pieces - 1) // pieces
    for start in range(0, images * area, BLOCK):
        stop = min(start + BLOCK, images * area)
        weights, bias = address(packed), address(starts)
        for group in range(groups):
            image = address(work) + 4 * group * size
            for o in range(0, each, PANEL):
                for k in range(0, depth, step):
                    many, window = min(step, depth - k), address(plan.window) + 8 * k
                    for i in range(start, stop, LOOSE_ROWS):
                        out = address(result) + 4 * PANEL * (i - start)
                        place = (
                            many, out, 4 * LANES, 4 * PANEL, LANES, LANES, min(LOOSE_ROWS, stop - i),
                            0 if k else bias, min(1, k),
                        )  # fmt: skip
                        patches = address(plan.pixels) + 8 * i
                        factors = (image, patches, window, weights + 4 * PANEL * k, 4 * PANEL)
                        if each - o > LANES:
                            scattered_tile(place, factors)
                        else:
                            scattered_column(place, factors)
                channel = target + 4 * (group * each + o) * area
                _deliver(address(result), start, stop, channel, area, groups * each, min(PANEL, each - o))
                weights += 4 * PANEL * depth
                bias += 4 * PANEL


@compiled()
def _deliver(result, start, stop, target, area, outs, count):
    """Turn the pixels from start to stop, counted over several images, around: result[pixel, channel] to planes."""
    while start < stop:
        n, pixel = start // area, start % area
        many = min(stop - start, area - pixel)
        transpose(result, 4 * PANEL, target + 4 * (n * outs * area + pixel), 4 * area, many, count)
        result += 4 * PANEL * many
        start += many
