"""Moving numbers by whole vectors: copying, parting pairs, turning matrices around. Addresses are plain integers (bytes)."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.vector_instructions import INT, LANES, Emitter


@intrinsic
def address(context, array):
    """Where the numbers of an array begin. (``array.ctypes.data`` says it too, unsigned, and compiles for longer.)"""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, INT)

    return types.int64(array), generate


@intrinsic
def prefetch(context, address):
    """Ask for the cache line at an address, which need not exist, into the second-level cache."""

    def generate(context, builder, signature, args):
        Emitter(builder).prefetch(args[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def copy_lanes(context, source, target, count, room):
    """Copy the first `count` numbers of a vector, and zeros up to `room` numbers."""

    def generate(context, builder, signature, args):
        source, target, count, room = args
        emit = Emitter(builder)
        emit.store(emit.load(source, emit.first_lanes(count)), target, emit.first_lanes(room))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def part_pairs(context, source, even, odd, count):
    """Of `count` numbers, at most two vectors, put those at even places to one address and the others to another."""

    def generate(context, builder, signature, args):
        source, even, odd, count = args
        emit = Emitter(builder)
        masks = emit.first_lanes(count), emit.first_lanes(builder.sub(count, INT(LANES)))
        pair = [emit.load(emit.add(source, 4 * LANES * v), masks[v]) for v in range(2)]
        for place, target in enumerate((even, odd)):
            many = builder.udiv(builder.add(count, INT(1 - place)), INT(2))
            emit.store(emit.shuffle(*pair, list(range(place, 2 * LANES, 2))), target, emit.first_lanes(many))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


def swap(emit: Emitter, lines, half: int) -> None:
    """One round: rows `half` apart exchange pieces of `half` numbers."""
    for i in range(LANES):
        if not i & half:
            upper, lower = lines[i], lines[i + half]
            lines[i] = emit.shuffle(upper, lower, [n if not n & half else LANES + n - half for n in range(LANES)])
            lines[i + half] = emit.shuffle(
                upper, lower, [n + half if not n & half else LANES + n for n in range(LANES)]
            )


@intrinsic
def transpose_tile(context, source, source_row, target, target_row, rows, columns):
    """target[j, i] = source[i, j] for a square of LANES by LANES numbers, of which rows by columns exist.

    In log2(LANES) rounds: first swap halves between rows LANES/2 apart, then quarters, and so on down to single
    numbers. Numbers that do not exist are neither read nor written.
    """

    def generate(context, builder, signature, args):
        source, source_row, target, target_row, rows, columns = args
        emit = Emitter(builder)
        square = []
        for i in range(LANES):
            exists = builder.icmp_signed("<", INT(i), rows)
            mask = emit.first_lanes(builder.select(exists, columns, INT(0)))
            address = emit.add(source, emit.times(source_row, builder.select(exists, INT(i), INT(0))))
            square.append(emit.load(address, mask))
        half = LANES // 2
        while half:
            swap(emit, square, half)
            half //= 2
        mask = emit.first_lanes(rows)
        for j in range(LANES):
            with builder.if_then(builder.icmp_signed("<", INT(j), columns)):
                emit.store(square[j], emit.add(target, emit.times(target_row, j)), mask)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@compiled()
def transpose(source, source_row, target, target_row, rows, columns):
    """target[j, i] = source[i, j] for j < columns and i < rows; addresses, and the distances between rows.

    Where a whole tile fits, the last ones start early enough to be whole, too: some numbers twice are moved more quickly
    than a part of a tile, and of a whole one the compiler knows how many lanes it has.
    """
    whole = rows >= LANES and columns >= LANES
    for m in range(0, rows, LANES):
        for n in range(0, columns, LANES):
            if whole:
                i, j = min(m, rows - LANES), min(n, columns - LANES)
                here, there = source + i * source_row + 4 * j, target + j * target_row + 4 * i
                transpose_tile(here, source_row, there, target_row, LANES, LANES)
            else:
                here, there = source + m * source_row + 4 * n, target + n * target_row + 4 * m
                transpose_tile(here, source_row, there, target_row, min(LANES, rows - m), min(LANES, columns - n))


@compiled()
def copy_numbers(source, target, count):
    """Copy `count` numbers from one address to another; the last vector is a whole one in the same way."""
    if 0 < count < LANES:
        copy_lanes(source, target, count, count)
    elif count:
        for i in range(0, count, LANES):
            j = min(i, count - LANES)
            copy_lanes(source + 4 * j, target + 4 * j, LANES, LANES)
