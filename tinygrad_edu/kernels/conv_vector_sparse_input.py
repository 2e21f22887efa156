"""The gradient of a convolution's image where most of the output's gradient is zero; companion of `conv_vector_sparse`.

Each pixel of the list adds the filter, times its gradient, to the patch that it was computed from. The image's gradient
is made a vector of channels at a time, which fits the first-level cache with its padding, and turned around at the end.
Adding to memory takes longer than adding to a register, so there has to be still less to do than for the filters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import types
from numba.extending import intrinsic

from tinygrad_edu.kernels.buffers import empty, scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.conv_numpy import Pair
from tinygrad_edu.kernels.conv_vector_lists import TO_THE_FRONT, all_finite, list_pixels, listed, room_for_lists
from tinygrad_edu.kernels.conv_vector_sparse import FEW_ROWS, ROWS, make_plan, whole_tiles
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector_instructions import INT, LANES, Emitter
from tinygrad_edu.kernels.vector_moves import address, transpose

PRICE = 3 if LANES == 8 else 6  # multiply-adds in registers that take as long as one to memory


def _patch_tile(rows: int):
    """Make a micro-kernel: the vector at image + table[r] + offsets[k] += values[k] * weights[r], for all k and r."""

    @intrinsic
    def tile(context, count, offsets, values, image, table, weights):
        return types.void(*[types.int64] * 6), generate

    def generate(context, builder, signature, args):
        count, offsets, values, image, table, weights = args
        emit = Emitter(builder)
        starts = [emit.add(image, emit.integer(table, r)) for r in range(rows)]
        filters = [emit.load(emit.add(weights, 4 * LANES * r)) for r in range(rows)]
        with emit.repeat(count) as k:
            offset, value = listed(emit, offsets, values, k)
            for start, weight in zip(starts, filters, strict=True):
                address = emit.add(start, offset)
                total = emit.multiply_add(value, weight, emit.load(address))
                emit.store(total, address, emit.first_lanes(INT(LANES)))
        return context.get_dummy_value()

    return tile


_tile, _few = _patch_tile(ROWS), _patch_tile(FEW_ROWS)


def suits(w: np.ndarray, input_hw: Pair, out_hw: Pair, stride: Pair, dilation: Pair, share: float) -> bool:
    """Whether this is correct and fast if only that share of the output's pixels has a gradient."""
    _, channels, kh, kw = w.shape
    waste = -(-channels // LANES) * LANES * whole_tiles(kh * kw) / (channels * kh * kw)
    listed = PRICE * share * waste * out_hw[0] * out_hw[1]
    all_pixels = input_hw[0] * input_hw[1] / (stride[0] * stride[1])
    return channels >= LANES and dilation[1] == 1 and listed <= all_pixels and bool(all_finite(w.reshape(-1)))


def input_grad(
    g: np.ndarray, w: np.ndarray, input_hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The gradient of the images, if `suits` says so for `share_of(g)`."""
    task = input_grad_of(w, input_hw, stride, padding, dilation, groups)
    gx = empty((len(g), w.shape[1] * groups, *input_hw), np.float32)
    run_chunks(lambda i, start, stop: task(g[start:stop], gx[start:stop]), chunks(len(g), 2.0 * g.size * w[0].size))
    return gx


def input_grad_of(
    w: np.ndarray, input_hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Callable[..., None]:
    """A function (gradients, results) that any thread may call.

    With a pool's maxima and places behind these, the gradients are the pool's, and a relu stood before it.
    """
    outs, channels, *kernel = w.shape
    plan = make_plan(channels, tuple(input_hw), tuple(kernel), stride, padding, dilation)
    blocks, taps, each = plan.blocks, kernel[0] * kernel[1], outs // groups
    packed = np.zeros((groups, blocks, LANES, each, len(plan.rows)), np.float32)
    lanes = packed.reshape(groups, blocks * LANES, each, -1)[:, :channels, :, :taps]
    lanes[:] = w.reshape(groups, each, channels, taps).swapaxes(1, 2)
    packed = np.ascontiguousarray(packed.transpose(0, 1, 3, 4, 2))
    size = plan.layout[0] * plan.layout[1] * LANES
    rows = plan.rows.copy()
    rows[taps:] = 4 * size  # what fills up the last tile goes behind the image

    def task(g: np.ndarray, gx: np.ndarray, y: np.ndarray | None = None, index: np.ndarray | None = None) -> None:
        n, pixels = len(g), g.shape[2] * g.shape[3]
        work = scratch("turned", 2 * size)
        lists = TO_THE_FRONT, *room_for_lists(each, pixels)
        if y is None or index is None:
            y, index = np.empty((n, outs, 0), np.float32), np.empty((n, outs, 0), np.int32)
        arrays = (*(array.reshape(n, outs, -1) for array in (g, y, index)), gx.reshape(*gx.shape[:2], -1))
        _input_grad(*arrays, packed, rows, work, *lists, tuple(input_hw), plan)

    return task


@compiled()
def _input_grad(g, y, index, gx, packed, rows, work, front, offsets, values, starts, hw, plan):
    groups, blocks, each = packed.shape[:3]
    channels = gx.shape[1] // groups
    for n in range(g.shape[0]):
        for group in range(groups):
            chosen = slice(group * each, (group + 1) * each)
            lists = plan.pixels, front, offsets, values, starts
            list_pixels(g[n, chosen], y[n, chosen], index[n, chosen], *lists)
            for block in range(blocks):
                work[:] = 0
                for o in range(each):
                    start, weights = starts[o], address(packed[group, block, o])
                    here, slopes = address(offsets) + 4 * start, address(values) + 4 * start
                    _add_filter(starts[o + 1] - start, here, slopes, address(work), rows, weights)
                first = block * LANES
                end = min(first + LANES, channels)
                _turn_back(work, gx[n, group * channels + first : group * channels + end], hw, plan.layout)


@compiled()
def _add_filter(count, offsets, values, image, rows, weights):
    """Add one filter, times each number of a list, to the patches of that list."""
    r = 0
    while r < rows.size:
        table, here = address(rows) + 8 * r, weights + 4 * LANES * r
        if rows.size - r >= ROWS:
            _tile(count, offsets, values, image, table, here)
            r += ROWS
        else:
            _few(count, offsets, values, image, table, here)
            r += FEW_ROWS


@compiled()
def _turn_back(work, gx, hw, layout):
    """The image inside the padding, work[y, x, channel], as planes."""
    (h, w), (_, width, _, _, top, left) = hw, layout
    for i in range(h):
        source = address(work) + 4 * ((i + top) * width + left) * LANES
        transpose(source, 4 * LANES, address(gx) + 4 * i * w, 4 * h * w, w, gx.shape[0])
