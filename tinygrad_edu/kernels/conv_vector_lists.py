"""Lists of the pixels that have a gradient, where most have none; for `conv_vector_sparse` and its companion.

Of a window of pixels a max-pool gives a gradient only to the largest, and a relu none to those that it cut off. Where
the pool and the relu belong to the same kernel, the list is made of what they kept; else of the gradient as it is, eight
pixels at a time: a table tells for each of the 256 cases which of eight numbers are to move to the front.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.kernels.buffers import scratch
from tinygrad_edu.kernels.compiler import REORDER, compiled
from tinygrad_edu.kernels.vector_instructions import INT, Emitter
from tinygrad_edu.kernels.vector_moves import address

EIGHT = 8
SMALL = ir.IntType(32)
NUMBERS, PLACES = ir.VectorType(ir.FloatType(), EIGHT), ir.VectorType(SMALL, EIGHT)
TO_THE_FRONT = np.array(
    [([k for k in range(EIGHT) if case >> k & 1] + [0] * EIGHT)[:EIGHT] for case in range(1 << EIGHT)], np.int32
)


def share_of(g: np.ndarray) -> float:
    """The share of numbers other than 0 in the first image's gradient; those of the others are like it."""
    return np.count_nonzero(g[0]) / g[0].size


@compiled(REORDER)
def all_finite(x):
    """Whether there is neither Inf nor NaN: either would make a sum of zeros times numbers a NaN."""
    zero = np.float32(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero
    return total == zero


def room_for_lists(channels: int, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Work arrays for the lists of some channels: distances, gradients, and where each channel's list starts."""
    size = channels * pixels + EIGHT  # eight are written at a time
    return scratch("offsets", size, np.int32), scratch("values", size), scratch("starts", channels + 1, np.int64)


@compiled()
def list_pixels(g, y, index, pixels, front, offsets, values, starts):
    """For each channel, the distances in `pixels` of those that have a gradient, and the gradients.

    g is the gradient of a pool's results, with these and their places in y and index; or, where index is empty, what a
    pool has already sent back. `front` is TO_THE_FRONT.
    """
    at = np.int64(0)
    for o in range(g.shape[0]):
        starts[o] = at
        if index.shape[1]:
            for i in range(g.shape[1]):
                offsets[at] = pixels[np.uint64(index[o, i])]
                values[at] = g[o, i]
                at += 0 if y[o, i] <= 0 else 1
        else:
            for i in range(0, g.shape[1], EIGHT):
                here = address(offsets) + 4 * at, address(values) + 4 * at
                source = address(g) + 4 * (o * g.shape[1] + i)
                many = min(EIGHT, g.shape[1] - i)
                at += _list_eight(source, address(pixels) + 4 * i, many, address(front), here[0], here[1])
    starts[g.shape[0]] = at


def listed(emit: Emitter, offsets, values, k):
    """Writes instructions that load the k-th distance of a list, and the k-th gradient into every lane."""
    distance = emit.times(k, 4)
    offset = emit.builder.load(emit.pointer(emit.add(offsets, distance), SMALL))
    return emit.builder.sext(offset, INT), emit.splat(emit.add(values, distance))


@intrinsic
def _list_eight(context, numbers, places, count, front, offsets, values):
    """Write those of `count` numbers, at most eight, that are not 0, and their places; returns how many."""

    def generate(context, builder, signature, args):
        numbers, places, count, front, offsets, values = args
        emit = Emitter(builder)
        whole = builder.icmp_signed("==", count, INT(EIGHT))
        room = builder.ptrtoint(cgutils.alloca_once(builder, NUMBERS), INT)
        with builder.if_then(builder.not_(whole), likely=False):
            builder.store(ir.Constant(NUMBERS, [0.0] * EIGHT), emit.pointer(room, NUMBERS), align=4)
            with cgutils.for_range(builder, count) as loop:
                distance = emit.times(loop.index, 4)
                number = builder.load(emit.pointer(emit.add(numbers, distance), ir.FloatType()))
                builder.store(number, emit.pointer(emit.add(room, distance), ir.FloatType()))
        source = builder.select(whole, numbers, room)
        eight = builder.load(emit.pointer(source, NUMBERS), align=4)
        present = builder.fcmp_unordered("!=", eight, ir.Constant(NUMBERS, [0.0] * EIGHT))
        case = builder.zext(builder.bitcast(present, ir.IntType(EIGHT)), INT)
        order = builder.load(emit.pointer(emit.add(front, emit.times(case, 4 * EIGHT)), PLACES), align=4)
        distances = builder.load(emit.pointer(places, PLACES), align=4)
        for kind, name, vector, target in (
            (NUMBERS, "llvm.x86.avx2.permps", eight, values), (PLACES, "llvm.x86.avx2.permd", distances, offsets)
        ):  # fmt: skip
            permute = emit.function(name, ir.FunctionType(kind, [kind, PLACES]))
            builder.store(builder.call(permute, [vector, order]), emit.pointer(target, kind), align=4)
        ones = emit.function("llvm.ctpop.i64", ir.FunctionType(INT, [INT]))
        return builder.call(ones, [case])

    return types.int64(*[types.int64] * 6), generate
