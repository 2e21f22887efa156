"""The gradient of a convolution's filters where most of the output's gradient is zero: behind a max-pool.

Of a window of pixels only the largest gets a gradient: one of four with the usual pool, and none where the relu cut it
off. So the sum over pixels becomes one over a list of those that have a gradient; each adds its patch of the image,
times the gradient, to the filter's gradient, which a tile keeps in registers. For that, a row of a patch has to lie in
one piece: the image is turned around, its channels innermost, as many as a vector has lanes at a time.

A pixel that is not in the list counts as nothing, while 0 * Inf is NaN: this is for images of finite numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.kernels.buffers import scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.conv_numpy import Pair, conv_output_hw
from tinygrad_edu.kernels.conv_vector_lists import EIGHT, TO_THE_FRONT, all_finite, list_pixels, listed, room_for_lists
from tinygrad_edu.kernels.vector_instructions import INT, LANES, VECTOR, Emitter
from tinygrad_edu.kernels.vector_moves import address, copy_numbers, transpose

ROWS, FEW_ROWS = (
    9,
    5,
)  # vectors of a patch in a tile: a 3x3 patch of a full vector of channels; a 5x5 patch of one channel


def _patch_tile(rows: int):
    """Make a micro-kernel: out[r] += sum over k < count of values[k] * the vector at image + table[r] + offsets[k]."""

    @intrinsic
    def tile(context, count, offsets, values, image, table, out):
        return types.void(*[types.int64] * 6), generate

    def generate(context, builder, signature, args):
        count, offsets, values, image, table, out = args
        emit = Emitter(builder)
        starts = [emit.add(image, emit.integer(table, r)) for r in range(rows)]
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(rows)]
        for r, cell in enumerate(sums):
            builder.store(emit.load(emit.add(out, 4 * LANES * r)), cell)
        with emit.repeat(count) as k:
            offset, value = listed(emit, offsets, values, k)
            for start, cell in zip(starts, sums, strict=True):
                patch = emit.load(emit.add(start, offset))
                builder.store(emit.multiply_add(value, patch, builder.load(cell)), cell)
        for r, cell in enumerate(sums):
            emit.store(builder.load(cell), emit.add(out, 4 * LANES * r), emit.first_lanes(INT(LANES)))
        return context.get_dummy_value()

    return tile


_tile, _few = _patch_tile(ROWS), _patch_tile(FEW_ROWS)


class Plan(NamedTuple):
    """How images lie in the work array, block after block of channels. Distances are bytes."""

    layout: tuple[int, int, int, int, int, int]  # rows, columns, channels and channels of a block, padding
    blocks: int
    vectors: int  # of a patch's row in a block
    rows: np.ndarray  # for each vector of a patch in a block, its distance from the patch's corner; in whole tiles
    pixels: np.ndarray  # the distance of output pixel (i, j)'s patch from the first


@functools.lru_cache(maxsize=64)
def make_plan(channels: int, hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Plan:
    """The plan for images of so many channels, those of a group."""
    height, width = (size + 2 * p for size, p in zip(hw, padding, strict=True))
    each = min(channels, LANES)
    vectors = -(-kernel[1] * each // LANES)
    u, v = np.arange(kernel[0])[:, None], np.arange(vectors)
    rows = 4 * (u * dilation[0] * width * each + v * LANES).reshape(-1)
    rows = np.append(rows, np.zeros(whole_tiles(len(rows)) - len(rows), np.int64))
    oh, ow = conv_output_hw(hw, kernel, stride, padding, dilation)
    i, j = np.arange(oh)[:, None], np.arange(ow)
    pixels = 4 * each * (i * stride[0] * width + j * stride[1]).reshape(-1)
    pixels = np.append(pixels, [0] * EIGHT).astype(np.int32)
    return Plan((height, width, channels, each, *padding), -(-channels // LANES), vectors, rows, pixels)


def whole_tiles(count: int) -> int:
    """The vectors of all tiles that so many are cut into."""
    left = count % ROWS
    return count - left + (0 if left == 0 else FEW_ROWS if left <= FEW_ROWS else ROWS)


def suits(x: np.ndarray, weights: tuple[int, ...], dilation: Pair, share: float) -> bool:
    """Whether this is correct and fast if only that share of the output's pixels has a gradient.

    It is fast if there are at most half as many vectors to multiply as there are with all pixels.
    """
    _, channels, kh, kw = weights
    vectors = -(-channels // LANES) * whole_tiles(kh * -(-kw * min(channels, LANES) // LANES))
    less = 2 * share * vectors * LANES <= channels * kh * kw
    return dilation[1] == 1 and less and bool(all_finite(x.reshape(-1)))


def weight_grad_of(
    x_shape: tuple[int, ...],
    outs: int,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    count: int,
) -> tuple[Callable[..., None], Callable[[], np.ndarray]]:
    """A function (i, images, gradients) that does the i-th of `count` pieces, and one that adds them up.

    With a pool's gradients, maxima and places instead of gradients, those before a relu and the pool are meant.
    """
    channels, *hw = x_shape
    plan = make_plan(channels // groups, tuple(hw), kernel, stride, padding, dilation)
    (height, width, _, each, *_), blocks, room = plan.layout, plan.blocks, len(plan.rows) * LANES
    parts = scratch("parts", count * outs * blocks * room).reshape(count, groups, blocks, -1)

    def task(
        i: int, x: np.ndarray, g: np.ndarray, y: np.ndarray | None = None, index: np.ndarray | None = None
    ) -> None:
        n, pixels = len(x), g.shape[2] * g.shape[3]
        work = scratch("turned", height * width * blocks * each + LANES)
        work[:] = 0
        lists = TO_THE_FRONT, *room_for_lists(outs // groups, pixels)
        if y is None or index is None:
            y, index = np.empty((n, outs, 0), np.float32), np.empty((n, outs, 0), np.int32)
        arrays = (x.reshape(*x.shape[:2], -1), *(array.reshape(n, outs, -1) for array in (g, y, index)))
        _weight_grad(*arrays, parts[i], work, *lists, tuple(hw), plan, groups)

    def total() -> np.ndarray:
        sums = parts[0] if count == 1 else parts[0].copy()
        for part in parts[1:]:
            sums += part
        return sums.take(_order(plan.layout, blocks, plan.vectors, room, outs, groups, kernel))

    return task, total


@functools.lru_cache(maxsize=16)  # as large as the filters they are for
def _order(layout: tuple, blocks: int, vectors: int, room: int, outs: int, groups: int, kernel: Pair) -> np.ndarray:
    """Where in part[group, block, tile of (u,v,c), output channel, in tile] each number of the filters' gradient is."""
    (_, _, cg, each, *_), whole = layout, outs // groups * ROWS * LANES
    places = np.arange(outs * blocks * room).reshape(groups, blocks, -1)
    tiles = np.split(places, range(whole, room * outs // groups, whole), -1)
    places = np.concatenate([tile.reshape(groups, blocks, outs // groups, -1) for tile in tiles], -1)
    places = places[..., : kernel[0] * vectors * LANES].reshape(groups, blocks, -1, kernel[0], vectors * LANES)
    places = places[..., : kernel[1] * each].reshape(groups, blocks, -1, *kernel, each).transpose(0, 2, 1, 5, 3, 4)
    return np.ascontiguousarray(places.reshape(outs, blocks * each, *kernel)[:, :cg])


@compiled()
def _weight_grad(x, g, y, index, part, work, front, offsets, values, starts, hw, plan, groups):
    """part[group, block of channels, tile of (u,v,c), output channel, in tile] = the sum over these images."""
    part[:] = 0
    (images, outs), blocks, channels = g.shape[:2], part.shape[1], x.shape[1] // groups
    each, size = outs // groups, plan.layout[0] * plan.layout[1] * plan.layout[3]
    tiles = plan.rows.size
    for n in range(images):
        for group in range(groups):
            _turn(x[n, group * channels : (group + 1) * channels], hw, work, plan.layout)
            chosen = slice(group * each, (group + 1) * each)
            lists = plan.pixels, front, offsets, values, starts
            list_pixels(g[n, chosen], y[n, chosen], index[n, chosen], *lists)
            for block in range(blocks):
                image, r, out = address(work) + 4 * block * size, 0, address(part[group, block])
                while r < tiles:
                    rows, table = (ROWS if tiles - r >= ROWS else FEW_ROWS), address(plan.rows) + 8 * r
                    for o in range(each):
                        start, count = starts[o], starts[o + 1] - starts[o]
                        here, slopes = address(offsets) + 4 * start, address(values) + 4 * start
                        if rows == ROWS:
                            _tile(count, here, slopes, image, table, out)
                        else:
                            _few(count, here, slopes, image, table, out)
                        out += 4 * LANES * rows
                    r += rows


@compiled()
def _turn(x, hw, work, layout):
    """An image's channels, turned around into the middle of the padding: work[block, y, x, channel in block]."""
    (h, w), (height, width, channels, each, top, left) = hw, layout
    for c in range(0, channels, each):
        for i in range(h):
            target = address(work) + 4 * ((c // each * height + i + top) * width + left) * each
            source = address(x) + 4 * (c * h + i) * w
            if each == 1:
                copy_numbers(source, target, w)
            else:
                transpose(source, 4 * h * w, target, 4 * each, min(each, channels - c), w)
