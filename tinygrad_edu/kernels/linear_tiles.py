"""The tiles of matrix products: a few rows by one or two vectors of the result, held in registers along the whole sum.

`panel` does all rows of a result that is at most two vectors wide, `dots` the products whose factors both lie along the
sum. What they are put together to is in `linear_vector`. Matrices are given by address and distances in bytes, so that a
transposed factor is the same matrix read another way.

Masked loads cost nothing with AVX-512. Without it they take some processors ten cycles, the time of ten multiply-adds:
there the tiles read whole vectors, into the next row of the matrix where theirs ends, and never use those lanes. Only at
the end of the matrix, where nothing follows, a mask is needed.
"""

from __future__ import annotations

import llvmlite.binding
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.vector import usable
from tinygrad_edu.kernels.vector_instructions import FLOAT, INT, LANES, VECTOR, ZERO, Emitter

NOTHING = np.int64(0)  # Numba compiles a function anew for every literal number it is called with, but not for this
MASKS = LANES == 16  # whether a masked load is as quick as any other
ROWS = 10 if LANES == 16 else 6  # two accumulators a row: AVX-512 has 32 registers, AVX2 16
FEW = 4 if LANES == 16 else 2
DOT_ROWS, DOT_COLUMNS = (4, 5) if LANES == 16 else (2, 5)
PANEL = 2 * LANES


def _tile(rows: int, vectors: int, chains: int = 1):
    """Make C[i, v] = start[i, v] + sum over k of A(i, k) B(k, v), for i < rows and v < vectors.

    A(i, k) is at a + i a_row + k a_depth, the vectors B(k, .) at b + k b_depth; `start` (0: zeros) has rows start_row
    apart: 0 for a bias or for none, those of C to add to what C holds. Only the last vector may be incomplete, of `lanes`
    numbers; for k < `safe` it may be read as a whole all the same.

    A multiply-add waits for the one before it that wrote to the same register, some four cycles, while the processor
    could begin eight. Tiles of one row therefore keep several sums, `chains`, each over every so many k.
    """

    @intrinsic
    def tile(context, depth, safe, a, a_row, a_depth, b, b_depth, c, c_row, start, start_row, lanes):
        return types.void(*[types.int64] * 12), generate

    def generate(context, builder, signature, args):
        depth, safe, a, a_row, a_depth, b, b_depth, c, c_row, start, start_row, lanes = args
        emit = Emitter(builder)
        part = emit.first_lanes(lanes)
        masks = [emit.first_lanes(INT(LANES)), part][-vectors:]
        sums = [[_cells(builder, vectors) for _ in range(rows)] for _ in range(chains)]
        with builder.if_then(builder.icmp_signed("!=", start, INT(0))):
            if MASKS:
                _load(emit, sums[0], start, start_row, part)
            else:
                with builder.if_else(builder.icmp_signed("==", lanes, INT(LANES))) as (full, partial):
                    with full:
                        _load(emit, sums[0], start, start_row, None)
                    with partial:
                        _load(emit, sums[0], start, start_row, part)

        def accumulate(k, target, mask):
            here, column = emit.add(b, emit.times(k, b_depth)), emit.add(a, emit.times(k, a_depth))
            y = [emit.load(emit.add(here, 4 * LANES * v), mask if v == vectors - 1 else None) for v in range(vectors)]
            for i in range(rows):
                x = emit.splat(emit.add(column, emit.times(a_row, i)))
                for v in range(vectors):
                    builder.store(emit.multiply_add(x, y[v], builder.load(target[i][v])), target[i][v])

        rounds = builder.sdiv(depth if MASKS else safe, INT(chains))
        with emit.repeat(rounds) as k:
            for n, target in enumerate(sums):
                accumulate(emit.add(emit.times(k, chains), n), target, part if MASKS else None)
        if chains > 1 or not MASKS:
            done = emit.times(rounds, chains)
            with emit.repeat(builder.sub(depth, done)) as k:
                accumulate(builder.add(done, k), sums[0], part)
        for i in range(rows):
            for v in range(vectors):
                total = builder.load(sums[0][i][v])
                for other in sums[1:]:
                    total = builder.fadd(total, builder.load(other[i][v]))
                emit.store(total, emit.add(emit.add(c, emit.times(c_row, i)), 4 * LANES * v), masks[v])
        return context.get_dummy_value()

    return tile


def _load(emit: Emitter, sums, start, start_row, mask) -> None:
    """Set the sums of a tile to what lies in memory, the last vector of each row through a mask."""
    for i, row in enumerate(sums):
        for v, cell in enumerate(row):
            place = emit.add(emit.add(start, emit.times(start_row, i)), 4 * LANES * v)
            emit.builder.store(emit.load(place, mask if v == len(row) - 1 else None), cell)


def _cells(builder, count: int):
    """Variables that hold a vector each, zero at first; the compiler keeps them in registers."""
    cells = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
    for cell in cells:
        builder.store(ZERO, cell)
    return cells


_wide, _wide_few, _wide_one = _tile(ROWS, 2), _tile(FEW, 2, chains=4 // FEW), _tile(1, 2, chains=4)
_slim, _slim_few, _slim_one = _tile(ROWS, 1), _tile(FEW, 1, chains=8 // FEW), _tile(1, 1, chains=8)


@intrinsic
def _dot_tile(context, depth, a, a_row, b, b_row, c, c_row, bias, rows, columns):
    """C[i, j] = bias[j] + A_i . B_j for rows of A and of B that lie in one piece; `bias` 0: none.

    rows <= DOT_ROWS and columns <= DOT_COLUMNS exist; for those that do not, the last one is read again.
    """

    def generate(context, builder, signature, args):
        depth, a, a_row, b, b_row, c, c_row, bias, rows, columns = args
        emit = Emitter(builder)
        sums = [_cells(builder, DOT_COLUMNS) for _ in range(DOT_ROWS)]

        def starts(first, step, count, most):
            last = builder.sub(count, INT(1))
            places = [builder.select(builder.icmp_signed("<", INT(i), count), INT(i), last) for i in range(most)]
            return [emit.add(first, emit.times(step, place)) for place in places]

        x_rows, y_rows = starts(a, a_row, rows, DOT_ROWS), starts(b, b_row, columns, DOT_COLUMNS)

        def accumulate(load):
            y = [load(row) for row in y_rows]
            for i in range(DOT_ROWS):
                x = load(x_rows[i])
                for j in range(DOT_COLUMNS):
                    builder.store(emit.multiply_add(x, y[j], builder.load(sums[i][j])), sums[i][j])

        vectors = builder.sdiv(depth, INT(LANES))
        with emit.repeat(vectors) as k:
            accumulate(lambda row: emit.load(emit.add(row, emit.times(k, 4 * LANES))))
        left = builder.srem(depth, INT(LANES))
        with builder.if_then(builder.icmp_signed(">", left, INT(0))):
            accumulate(_last_lanes(emit, depth, left))
        for j in range(DOT_COLUMNS):
            with builder.if_then(builder.icmp_signed("<", INT(j), columns)):
                start = cgutils.alloca_once_value(builder, FLOAT(0.0))
                with builder.if_then(builder.icmp_signed("!=", bias, INT(0))):
                    builder.store(builder.load(emit.pointer(emit.add(bias, 4 * j), FLOAT)), start)
                for i in range(DOT_ROWS):
                    with builder.if_then(builder.icmp_signed("<", INT(i), rows)):
                        total = builder.fadd(emit.total(builder.load(sums[i][j])), builder.load(start))
                        place = emit.add(emit.add(c, emit.times(c_row, i)), 4 * j)
                        builder.store(total, emit.pointer(place, FLOAT))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 10), generate


def _last_lanes(emit: Emitter, depth, left):
    """How to load the last `left` numbers of a row; without masks its last LANES numbers, of which the first become 0."""
    if MASKS:
        offset, mask = emit.times(emit.builder.sub(depth, left), 4), emit.first_lanes(left)
        return lambda row: emit.load(emit.add(row, offset), mask)
    offset = emit.times(emit.builder.sub(depth, INT(LANES)), 4)
    seen = emit.first_lanes(emit.builder.sub(INT(LANES), left)).mask
    return lambda row: emit.builder.select(seen, ZERO, emit.load(emit.add(row, offset)))


def once(function, arguments: int):
    """The same function of int64 arguments, for calls from other compiled functions through its address.

    Otherwise Numba's compiler would translate a copy of it into every function that calls it, and into their callers: of
    these long ones that takes seconds.
    """
    signature, name = types.void(*[types.int64] * arguments), f"tinygrad_edu.{function.__name__}"
    if usable():
        result = function.get_compile_result(signature)
        llvmlite.binding.add_symbol(name, result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name))
    return types.ExternalFunction(name, signature)


@compiled()
def _panel(rows, depth, a, a_row, a_depth, b, b_depth, c, c_row, start, start_row, lanes):
    """All rows of one panel of C, `lanes` <= PANEL numbers wide; B's rows follow each other, or have room for whole vectors."""
    safe, i = (depth if lanes % LANES == 0 else overlapping(depth, b_depth)), 0
    if lanes > LANES:
        last = lanes - LANES
        while i + ROWS <= rows:
            _wide(depth, safe, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, last)
            i += ROWS
            start += ROWS * start_row
        while i + FEW <= rows:
            _wide_few(
                depth, safe, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, last
            )
            i += FEW
            start += FEW * start_row
        while i < rows:
            _wide_one(
                depth, safe, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, last
            )
            i += 1
            start += start_row
    else:
        while i + ROWS <= rows:
            _slim(depth, safe, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, lanes)
            i += ROWS
            start += ROWS * start_row
        while i + FEW <= rows:
            _slim_few(
                depth, safe, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, lanes
            )
            i += FEW
            start += FEW * start_row
        while i < rows:
            _slim_one(
                depth, safe, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, lanes
            )
            i += 1
            start += start_row


@compiled(inline="always")
def overlapping(rows, row):
    """How many rows of a matrix, `row` bytes apart, are followed by enough others to be read with a vector too many."""
    return max(0, rows - (1 if row >= 4 * LANES else LANES))


@compiled()
def _dots(rows, depth, columns, a, w, c, bias):
    """C = A W^T + bias; depth >= LANES."""
    step = 4 * depth
    for i in range(0, rows, DOT_ROWS):
        for j in range(0, columns, DOT_COLUMNS):
            _dot_tile(
                depth, a + i * step, step, w + j * step, step, c + 4 * (i * columns + j), 4 * columns,
                bias + 4 * j if bias != 0 else NOTHING, min(DOT_ROWS, rows - i), min(DOT_COLUMNS, columns - j),
            )  # fmt: skip


panel, dots = once(_panel, 12), once(_dots, 7)
