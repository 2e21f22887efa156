"""Products of small float32 matrices, from inside other compiled functions: no Python, no table, hardly any preparation.

A layer of a small network is over in microseconds, so these products begin at once. One tile does all the work whose
right factor lies in rows: it holds up to ROWS x 2 vectors of the result in registers. Where both factors run along the
sum, as in x w^T, either the rows are multiplied as vectors (`_dot`: few outputs, long sums) or a panel of w is turned
first (`_turned`). Large products go to `matmul_vector`, which also uses several threads.

Matrices are given by address and distances in bytes, so that a transposed factor is the same matrix read another way.
"""

from __future__ import annotations

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.kernels import linear_loops
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.vector import transpose, usable
from tinygrad_edu.kernels.vector_instructions import FLOAT, INT, LANES, VECTOR, ZERO, Emitter

ONE = np.ones(1, np.float32)
# Numba compiles a function anew for every literal number it is called with, but not for these.
NOTHING, ONCE = np.int64(0), np.int64(1)
ROWS = 10 if LANES == 16 else 6  # two accumulators a row: AVX-512 has 32 registers, AVX2 16
FEW = 4 if LANES == 16 else 2
DOT_ROWS, DOT_COLUMNS = (4, 5) if LANES == 16 else (3, 3)
PANEL = 2 * LANES
TURNING = 13  # multiply-adds in the time that it takes to transpose one number
DEPTH = 256  # rows of the right factor that stay in the first-level cache, 32 KB a panel


@intrinsic
def address(context, array):
    """Where the numbers of an array begin. (``array.ctypes.data`` says it too, unsigned, and compiles for longer.)"""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, INT)

    return types.int64(array), generate


@intrinsic
def _room(context):
    """The address of room for a panel on the stack, at a multiple of 64: no vector of it is spread over two cache lines."""

    def generate(context, builder, signature, args):
        with builder.goto_entry_block():  # by hand: Numba's own helper would fill it with zeros every time
            room = builder.alloca(ir.ArrayType(FLOAT, DEPTH * PANEL))
        room.align = 64
        return builder.ptrtoint(room, INT)

    return types.int64(), generate


def _tile(rows: int, vectors: int, chains: int = 1):
    """Make C[i, v] = start[i, v] + sum over k of A(i, k) B(k, v), for i < rows and v < vectors.

    A(i, k) is at a + i a_row + k a_depth, the vectors B(k, .) at b + k b_depth; `start` (0: zeros) has rows start_row
    apart: 0 for a bias or for none, those of C to add to what C holds. Only the last vector may be incomplete, of `lanes` numbers.

    A multiply-add waits for the one before it that wrote to the same register, some four cycles, while the processor
    could begin eight. Tiles of one row therefore keep several sums, `chains`, each over every so many k.
    """

    @intrinsic
    def tile(context, depth, a, a_row, a_depth, b, b_depth, c, c_row, start, start_row, lanes):
        return types.void(*[types.int64] * 11), generate

    def generate(context, builder, signature, args):
        depth, a, a_row, a_depth, b, b_depth, c, c_row, start, start_row, lanes = args
        emit = Emitter(builder)
        whole, part = emit.first_lanes(INT(LANES)), emit.first_lanes(lanes)
        masks = [whole, part][-vectors:]
        sums = [[_cells(builder, vectors) for _ in range(rows)] for _ in range(chains)]
        with builder.if_then(builder.icmp_signed("!=", start, INT(0))):
            for i in range(rows):
                for v in range(vectors):
                    place = emit.add(emit.add(start, emit.times(start_row, i)), 4 * LANES * v)
                    builder.store(emit.load(place, masks[v]), sums[0][i][v])

        def accumulate(k, target):
            here, column = emit.add(b, emit.times(k, b_depth)), emit.add(a, emit.times(k, a_depth))
            y = [emit.load(emit.add(here, 4 * LANES * v), part if v == vectors - 1 else None) for v in range(vectors)]
            for i in range(rows):
                x = emit.splat(emit.add(column, emit.times(a_row, i)))
                for v in range(vectors):
                    builder.store(emit.multiply_add(x, y[v], builder.load(target[i][v])), target[i][v])

        rounds = builder.sdiv(depth, INT(chains))
        with emit.repeat(rounds) as k:
            for n, target in enumerate(sums):
                accumulate(emit.add(emit.times(k, chains), n), target)
        if chains > 1:
            done = emit.times(rounds, chains)
            with emit.repeat(builder.sub(depth, done)) as k:
                accumulate(builder.add(done, k), sums[0])
        for i in range(rows):
            for v in range(vectors):
                total = builder.load(sums[0][i][v])
                for other in sums[1:]:
                    total = builder.fadd(total, builder.load(other[i][v]))
                emit.store(total, emit.add(emit.add(c, emit.times(c_row, i)), 4 * LANES * v), masks[v])
        return context.get_dummy_value()

    return tile


def _cells(builder, count: int):
    """Variables that hold a vector each, zero at first; the compiler keeps them in registers."""
    cells = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]
    for cell in cells:
        builder.store(ZERO, cell)
    return cells


_wide, _wide_few, _wide_one = _tile(ROWS, 2), _tile(FEW, 2), _tile(1, 2, chains=4)
_slim, _slim_few, _slim_one = _tile(ROWS, 1), _tile(FEW, 1, chains=2), _tile(1, 1, chains=8)


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

        def accumulate(offset, mask):
            y = [emit.load(emit.add(row, offset), mask) for row in y_rows]
            for i in range(DOT_ROWS):
                x = emit.load(emit.add(x_rows[i], offset), mask)
                for j in range(DOT_COLUMNS):
                    builder.store(emit.multiply_add(x, y[j], builder.load(sums[i][j])), sums[i][j])

        vectors = builder.sdiv(depth, INT(LANES))
        with emit.repeat(vectors) as k:
            accumulate(emit.times(k, 4 * LANES), None)
        left = builder.srem(depth, INT(LANES))
        with builder.if_then(builder.icmp_signed(">", left, INT(0))):
            accumulate(emit.times(vectors, 4 * LANES), emit.first_lanes(left))
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


def _once(function, arguments: int):
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
    """All rows of one panel of C, `lanes` <= PANEL numbers wide."""
    i = 0
    if lanes > LANES:
        last = lanes - LANES
        while i + ROWS <= rows:
            _wide(depth, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, last)
            i += ROWS
            start += ROWS * start_row
        while i + FEW <= rows:
            _wide_few(depth, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, last)
            i += FEW
            start += FEW * start_row
        while i < rows:
            _wide_one(depth, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, last)
            i += 1
            start += start_row
    else:
        while i + ROWS <= rows:
            _slim(depth, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, lanes)
            i += ROWS
            start += ROWS * start_row
        while i + FEW <= rows:
            _slim_few(depth, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, lanes)
            i += FEW
            start += FEW * start_row
        while i < rows:
            _slim_one(depth, a + i * a_row, a_row, a_depth, b, b_depth, c + i * c_row, c_row, start, start_row, lanes)
            i += 1
            start += start_row


panel = _once(_panel, 12)


turn = _once(transpose, 6)


@compiled()
def _by_panels(rows, depth, columns, a, w, c, bias):
    """Panel by panel: W's rows become columns of a work array, then all rows of A pass over it."""
    work, step = _room(), 4 * depth
    for j in range(0, columns, PANEL):
        lanes = min(PANEL, columns - j)
        start, start_row = (bias + 4 * j if bias != 0 else NOTHING), NOTHING
        for k in range(0, max(depth, 1), DEPTH):
            many = min(DEPTH, depth - k)
            turn(w + j * step + 4 * k, step, work, 4 * PANEL, lanes, many)
            panel(rows, many, a + 4 * k, step, 4, work, 4 * PANEL, c + 4 * j, 4 * columns, start, start_row, lanes)
            start, start_row = c + 4 * j, 4 * columns


@compiled()
def _around(rows, depth, columns, a, w, c):
    """(W A^T)^T, for an A that has fewer rows to turn than W: A's are columns of a work array, the result is turned back."""
    work, result, step, row = _room(), _room(), 4 * depth, 4 * PANEL
    for i in range(0, rows, PANEL):
        lanes = min(PANEL, rows - i)
        for j in range(0, columns, DEPTH):
            here, start, start_row = min(DEPTH, columns - j), NOTHING, NOTHING
            for k in range(0, max(depth, 1), DEPTH):
                many = min(DEPTH, depth - k)
                turn(a + i * step + 4 * k, step, work, row, lanes, many)
                panel(here, many, w + j * step + 4 * k, step, 4, work, row, result, row, start, start_row, lanes)
                start, start_row = result, row
            turn(result, row, c + 4 * (i * columns + j), 4 * columns, here, lanes)


@compiled()
def _dots(rows, depth, columns, a, w, c, bias):
    step = 4 * depth
    for i in range(0, rows, DOT_ROWS):
        for j in range(0, columns, DOT_COLUMNS):
            _dot_tile(
                depth, a + i * step, step, w + j * step, step, c + 4 * (i * columns + j), 4 * columns,
                bias + 4 * j if bias != 0 else NOTHING, min(DOT_ROWS, rows - i), min(DOT_COLUMNS, columns - j),
            )  # fmt: skip


by_panels, around, dots = _once(_by_panels, 7), _once(_around, 6), _once(_dots, 7)


@compiled()
def multiply(rows, depth, columns, a, a_row, a_depth, b, c, bias):
    """C = bias + A B for B and C (columns numbers in a row) in row-major order; A as in `_tile`; bias 0: none."""
    step = 4 * columns
    for j in range(0, columns, PANEL):
        lanes = min(PANEL, columns - j)
        start, start_row = (bias + 4 * j if bias != 0 else NOTHING), NOTHING
        for k in range(0, max(depth, 1), DEPTH):
            many = min(DEPTH, depth - k)
            panel(
                rows, many, a + k * a_depth, a_row, a_depth, b + k * step + 4 * j, step, c + 4 * j, step,
                start, start_row, lanes,
            )  # fmt: skip
            start, start_row = c + 4 * j, step


@compiled()
def affine(x, w, b, out):
    """out = x w^T + b; an empty b is none."""
    rows, depth, columns = x.shape[0], x.shape[1], w.shape[0]
    bias = address(b) if b.size else NOTHING
    if depth == 2 and columns == 1:
        linear_loops.neuron(x, w, b, out)
    elif depth >= 4 * LANES and (columns <= PANEL or rows <= 2 * DOT_ROWS):
        dots(rows, depth, columns, address(x), address(w), address(out), bias)
    elif _better_around(rows, depth, columns):
        around(rows, depth, columns, address(x), address(w), address(out))
        if b.size:
            for i in range(rows):
                for j in range(columns):
                    out[i, j] += b[j]
    else:
        by_panels(rows, depth, columns, address(x), address(w), address(out), bias)


@compiled()
def _better_around(rows, depth, columns):
    """Compare the lanes at work, and the numbers to be turned, each of which costs as much as TURNING lanes."""
    row_lanes, column_lanes = (rows + LANES - 1) & -LANES, (columns + LANES - 1) & -LANES
    panels = (rows + TURNING) * column_lanes * depth
    return columns * row_lanes * depth + TURNING * row_lanes * (depth + columns) < panels


@compiled()
def product(a, turned, b, out):
    """out = a b, or a^T b if `turned`."""
    rows, depth, columns = out.shape[0], b.shape[0], out.shape[1]
    if turned and columns == 2 and rows == 1:
        linear_loops.neuron_grad(a, b, out)
    else:
        row, step = (4, 4 * rows) if turned else (4 * depth, 4)
        multiply(rows, depth, columns, address(a), row, step, address(b), address(out), NOTHING)


@compiled()
def column_sums(g, sums):
    """The sum of the rows of g: the product with a row of ones, each of which is read from the same place."""
    if sums.size == 1:
        linear_loops.column_sum(g, sums)
    else:
        multiply(ONCE, g.shape[0], g.shape[1], address(ONE), NOTHING, NOTHING, address(g), address(sums), NOTHING)
