"""Maxima of touching windows, with their places, and the way back: a vector of 2x2 windows at a time.

The four pixels of neighbouring windows lie in two rows, mixed; two shuffles part them. Both directions come with and
without the relu that usually stands before the pool: max(0, .) and the maximum may change places.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinygrad_edu.kernels.compiler import REORDER, compiled
from tinygrad_edu.kernels.vector_instructions import INT, LANES, VECTOR, ZERO, Emitter
from tinygrad_edu.kernels.vector_moves import address

SMALL = ir.IntType(32)
PLACES = ir.VectorType(SMALL, LANES)
EVEN, ODD = list(range(0, 2 * LANES, 2)), list(range(1, 2 * LANES, 2))
LOW = [n // 2 + LANES * (n % 2) for n in range(LANES)]  # takes turns between two vectors: their lower halves
HIGH = [n + LANES // 2 for n in LOW]


def _all_lanes(builder: ir.IRBuilder, number):
    """A vector of places with one 64-bit number in every lane."""
    undefined = ir.Constant(PLACES, ir.Undefined)
    one = builder.insert_element(undefined, builder.trunc(number, SMALL), SMALL(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(PLACES, [0] * LANES))


def _corners(builder: ir.IRBuilder, first, width):
    """The places of each window's four pixels, where the first window's first pixel is at `first`."""
    upper_left = builder.add(_all_lanes(builder, first), ir.Constant(PLACES, EVEN))
    right, below = ir.Constant(PLACES, [1] * LANES), _all_lanes(builder, width)
    upper_right, lower_left = builder.add(upper_left, right), builder.add(upper_left, below)
    return upper_left, upper_right, lower_left, builder.add(lower_left, right)


def _two_vectors(emit: Emitter, address, lanes):
    """Two neighbouring vectors from memory, of which the first `lanes` numbers exist."""
    behind = emit.builder.sub(lanes, INT(LANES))
    return emit.load(address, emit.first_lanes(lanes)), emit.load(
        emit.add(address, 4 * LANES), emit.first_lanes(behind)
    )


def _larger(builder: ir.IRBuilder, one, other):
    """The larger of two (number, place); on a tie the first, and NaN is larger than any number."""
    above, no_number = builder.fcmp_ordered(">", other[0], one[0]), builder.fcmp_unordered("uno", other[0], other[0])
    chosen = builder.or_(above, no_number)
    return builder.select(chosen, other[0], one[0]), builder.select(chosen, other[1], one[1])


@intrinsic
def pool_tile(context, upper, lower, y, index, count, first, width, relu):
    """The maxima of `count` windows, at most LANES, whose rows start at the addresses upper and lower.

    Writes the maxima to y and their places to index; `first` is the place of the first pixel and `width` that of the
    pixel below it, less `first`. With `relu` not 0, negative maxima become 0.
    """

    def generate(context, builder, signature, args):
        upper, lower, y, index, count, first, width, relu = args
        emit = Emitter(builder)
        pixels = []
        for row in (upper, lower):
            pair = _two_vectors(emit, row, builder.add(count, count))
            pixels += [emit.shuffle(*pair, EVEN), emit.shuffle(*pair, ODD)]
        a, b, c, d = zip(pixels, _corners(builder, first, width), strict=True)
        top, place = _larger(builder, _larger(builder, a, b), _larger(builder, c, d))
        negative = builder.fcmp_ordered("<", top, ZERO)
        cut = builder.select(negative, ZERO, top)
        top = builder.select(builder.icmp_signed("!=", relu, INT(0)), cut, top)
        mask = emit.first_lanes(count)
        emit.store(top, y, mask)
        emit.store(builder.bitcast(place, VECTOR), index, mask)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), generate


@intrinsic
def unpool_tile(context, g, y, index, upper, lower, count, first, width):
    """The gradients g of `count` windows, put where their maxima were, and zeros around them.

    `y` is the address of the maxima, where the gradient of one that is not above 0 is dropped (relu), or 0.
    """

    def generate(context, builder, signature, args):
        g, y, index, upper, lower, count, first, width = args
        emit = Emitter(builder)
        mask = emit.first_lanes(count)
        slope, place = emit.load(g, mask), builder.bitcast(emit.load(index, mask), PLACES)
        given = builder.icmp_signed("!=", y, INT(0))
        maxima = emit.load(builder.select(given, y, g), mask)
        dead = builder.and_(builder.fcmp_ordered("<=", maxima, ZERO), _everywhere(builder, given))
        slope = builder.select(dead, ZERO, slope)
        a, b, c, d = (
            builder.select(builder.icmp_signed("==", place, corner), slope, ZERO)
            for corner in _corners(builder, first, width)
        )
        lanes = builder.add(count, count)
        masks = emit.first_lanes(lanes), emit.first_lanes(builder.sub(lanes, INT(LANES)))
        for row, left, right in ((upper, a, b), (lower, c, d)):
            emit.store(emit.shuffle(left, right, LOW), row, masks[0])
            emit.store(emit.shuffle(left, right, HIGH), emit.add(row, 4 * LANES), masks[1])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), generate


def _everywhere(builder: ir.IRBuilder, condition):
    """A mask whose every lane is one condition."""
    every = _all_lanes(builder, builder.zext(condition, INT))
    return builder.icmp_signed("!=", every, ir.Constant(PLACES, [0] * LANES))


@compiled()
def _pool_row(pixels, y, index, count, first, width, relu):
    """`pool_tile` for a row of windows.

    The last tile of a row starts early enough to be a whole one: some windows twice are done more quickly than a part
    of a tile, and of a whole one the compiler knows how many lanes it has.
    """
    if count < LANES:
        pool_tile(pixels, pixels + 4 * width, y, index, count, first, width, relu)
    else:
        for k in range(0, count, LANES):
            j = min(k, count - LANES)
            here = pixels + 8 * j
            pool_tile(here, here + 4 * width, y + 4 * j, index + 4 * j, LANES, first + 2 * j, width, relu)


@compiled()
def _unpool_row(g, y, index, pixels, count, first, width):
    """`unpool_tile` for a row of windows, in the same way."""
    if count < LANES:
        unpool_tile(g, y, index, pixels, pixels + 4 * width, count, first, width)
    else:
        for k in range(0, count, LANES):
            j = min(k, count - LANES)
            here, maxima = pixels + 8 * j, y + 4 * j if y else 0
            unpool_tile(g + 4 * j, maxima, index + 4 * j, here, here + 4 * width, LANES, first + 2 * j, width)


@compiled()
def pool_planes(x, y, index, hw, size, relu):
    """Maxima and places of touching windows size x size of planes H x W, one after another, then the relu if asked for."""
    (h, w), (oh, ow) = hw, (hw[0] // size, hw[1] // size)
    for p in range(y.size // (oh * ow)):
        for i in range(oh):
            row, at = (p * h + size * i) * w, (p * oh + i) * ow
            if size == 2:
                here = address(x) + 4 * row, address(y) + 4 * at, address(index) + 4 * at
                _pool_row(here[0], here[1], here[2], ow, 2 * i * w, w, np.int64(relu))
            else:
                for j in range(ow):
                    best, place = x[row + j * size], i * size * w + j * size
                    for u in range(size):
                        for v in range(j * size, (j + 1) * size):
                            value = x[row + u * w + v]
                            if value > best or value != value:
                                best, place = value, (i * size + u) * w + v
                    y[at + j] = np.float32(0) if relu and best < 0 else best
                    index[at + j] = place


@compiled()
def unpool_planes(g, y, index, gx, hw, size, relu):
    """The way back: gradients of maxima at their places in planes H x W, zeros elsewhere; with relu, only above 0."""
    (h, w), (oh, ow) = hw, (hw[0] // size, hw[1] // size)
    for p in range(g.size // (oh * ow)):
        if size != 2 or h % 2 or w % 2:  # else the tiles write every pixel
            for i in range(p * h * w, (p + 1) * h * w):
                gx[i] = 0
        for i in range(oh):
            at = (p * oh + i) * ow
            if size == 2:
                maxima = address(y) + 4 * at if relu else 0
                row = address(gx) + 4 * (p * h + 2 * i) * w
                _unpool_row(address(g) + 4 * at, maxima, address(index) + 4 * at, row, ow, 2 * i * w, w)
            else:
                for j in range(at, at + ow):
                    if not (relu and y[j] <= 0):
                        gx[p * h * w + index[j]] = g[j]


@compiled()
def relu_in_place(x):
    """x = max(x, 0); NaN fails the comparison and stays."""
    zero = np.float32(0)
    for i in range(x.size):
        value = x[i]
        x[i] = zero if value < zero else value


@compiled(REORDER)
def positive_sums(g, y, sums):
    """sums[c] = the sum of g over images and pixels where y is above 0 (or NaN); g and y are (N, C, pixels)."""
    zero = np.float32(0)
    sums[:] = 0
    for n in range(g.shape[0]):
        for c in range(g.shape[1]):
            slope, out, total = g[n, c], y[n, c], zero
            for i in range(slope.size):
                total += zero if out[i] <= zero else slope[i]
            sums[c] += total


@compiled()
def relu_slopes(g, y, d):
    """d = g where y is above 0 (or NaN)."""
    zero = np.float32(0)
    for i in range(g.size):
        d[i] = zero if y[i] <= zero else g[i]
