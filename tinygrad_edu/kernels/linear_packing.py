"""Factors of matrix products put into the order in which `linear_tiles` reads them, in work arrays.

A right factor becomes panels, PANEL numbers a row, a left one tiles, ROWS numbers a row. Where a matrix is not as wide,
what follows in memory is copied along, or a row twice: numbers in lanes that nobody uses.
"""

from __future__ import annotations

import contextlib

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.linear_tiles import MASKS, PANEL, ROWS, once, overlapping
from tinygrad_edu.kernels.vector_instructions import FLOAT, INT, LANES, VECTOR, Emitter
from tinygrad_edu.kernels.vector_moves import copy_lanes, prefetch, swap, transpose

DEPTH = 256  # rows of the right factor that stay in the first-level cache: 16 KB a panel with AVX2
BLOCK = 48 * 1024  # numbers of the left factor that stay in the second-level cache: 192 KB


def _on_stack(size: int):
    """Make a function for the address of room on the stack, at a multiple of 64: no vector is spread over two cache lines."""

    @intrinsic
    def room(context):
        def generate(context, builder, signature, args):
            with builder.goto_entry_block():  # by hand: Numba's own helper would fill it with zeros every time
                numbers = builder.alloca(ir.ArrayType(FLOAT, size))
            numbers.align = 64
            return builder.ptrtoint(numbers, INT)

        return types.int64(), generate

    return room


panel_room = _on_stack(DEPTH * PANEL)
row_room = _on_stack(PANEL)
tiles_room = _on_stack(BLOCK)


@intrinsic
def spread(context, source, target):
    """A row of a panel, all of whose numbers are the one at `source`."""

    def generate(context, builder, signature, args):
        emit = Emitter(builder)
        number = emit.splat(args[0])
        for v in range(PANEL // LANES):
            builder.store(number, emit.pointer(emit.add(args[1], 4 * LANES * v), VECTOR), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _square(masked: bool):
    """Make target[j, i] = source[i, j] for i < rows and j < LANES, or j < columns if `masked`.

    `target` has room for whole vectors. Rows that do not exist are read again from the last one, and land in lanes that
    nobody uses: only numbers that were in the matrix come to work arrays. As `transpose_tile`, in log2(LANES) rounds.
    """

    @intrinsic
    def square(context, source, source_row, target, target_row, rows, columns):
        return types.void(*[types.int64] * 6), generate

    def generate(context, builder, signature, args):
        source, source_row, target, target_row, rows, columns = args
        emit = Emitter(builder)
        last = builder.sub(rows, INT(1))
        places = [builder.select(builder.icmp_signed("<", INT(i), rows), INT(i), last) for i in range(LANES)]
        starts = [emit.add(source, emit.times(source_row, place)) for place in places]
        half = LANES // 2
        if masked or MASKS:
            mask = emit.first_lanes(columns) if masked else None
            lines = [emit.load(start, mask) for start in starts]
        else:  # the first round by loading: moving halves between registers is slow on the same processors
            pairs = [(starts[i % half], starts[i % half + half], 4 * half * (i // half)) for i in range(LANES)]
            lines = [emit.halves(emit.add(upper, here), emit.add(lower, here)) for upper, lower, here in pairs]
            half //= 2
        while half:
            swap(emit, lines, half)
            half //= 2
        for j, line in enumerate(lines):
            with builder.if_then(builder.icmp_signed("<", INT(j), columns)) if masked else contextlib.nullcontext():
                builder.store(line, emit.pointer(emit.add(target, emit.times(target_row, j)), VECTOR), align=4)
        return context.get_dummy_value()

    return square


_whole_square, _part_square = _square(False), _square(True)


@compiled()
def _turn(source, source_row, target, target_row, rows, columns):
    """target[j, i] = source[i, j]; every target[j] has room for whole vectors, or may overlap the next one."""
    for i in range(0, rows, LANES):
        here, there, many = source + i * source_row, target + 4 * i, min(LANES, rows - i)
        if columns < LANES:
            _part_square(here, source_row, there, target_row, many, columns)
        else:
            for j in range(0, columns, LANES):
                first = min(j, columns - LANES)
                _whole_square(here + 4 * first, source_row, there + first * target_row, target_row, many, LANES)


turn = once(_turn, 6)


@compiled()
def _turn_back(source, source_row, target, target_row, rows, columns):
    """The same into a result, of which nothing but these numbers may be written."""
    whole = rows - rows % LANES if columns >= LANES else 0
    turn(source, source_row, target, target_row, whole, columns)
    transpose(source + whole * source_row, source_row, target + 4 * whole, target_row, rows - whole, columns)


turn_back = once(_turn_back, 6)


@compiled()
def _prepare(b, b_row, turned, k, j, target, depth, lanes):
    """A panel of B: of `depth` rows from the k-th on, `lanes` numbers from the j-th on; if `turned` B is transposed."""
    if turned != 0:
        turn(b + j * b_row + 4 * k, b_row, target, 4 * PANEL, lanes, depth)
    else:
        _copy_panel(b + k * b_row + 4 * j, b_row, target, depth, lanes)


@compiled()
def _copy_panel(source, source_row, target, depth, lanes):
    """The first `lanes` numbers of each row, to a panel."""
    safe = depth if lanes % LANES == 0 else overlapping(depth, source_row)
    for k in range(safe):
        prefetch(source + k * source_row + 4 * PANEL)  # the next panel
        copy_lanes(source + k * source_row, target + 4 * k * PANEL, LANES, LANES)
        if lanes > LANES:
            copy_lanes(source + k * source_row + 4 * LANES, target + 4 * (k * PANEL + LANES), LANES, LANES)
    for k in range(safe, depth):
        copy_lanes(source + k * source_row, target + 4 * k * PANEL, min(lanes, LANES), LANES)
        copy_lanes(source + k * source_row + 4 * LANES, target + 4 * (k * PANEL + LANES), lanes - LANES, LANES)


@compiled()
def _pack_tiles(source, step, target, rows, depth):
    """target[t, k, i] = A(t ROWS + i, k), which is at source + 4 (t ROWS + i) + k step."""
    size = 4 * (depth * ROWS + LANES)  # whole vectors are written, the next row over what is too much of them
    for k in range(depth):
        for i in range(0, rows, ROWS):
            here, there = source + 4 * i + k * step, target + i // ROWS * size + 4 * k * ROWS
            if k < depth - 1 or i + LANES <= rows:
                copy_lanes(here, there, LANES, LANES)
            else:
                copy_lanes(here, there, min(ROWS, rows - i), LANES)


prepare, pack_tiles = once(_prepare, 8), once(_pack_tiles, 5)
