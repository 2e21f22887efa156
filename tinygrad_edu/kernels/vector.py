"""Micro-kernels: the innermost loops of convolution and matrix product, written for the processor's vector registers.

A core multiplies and adds whole registers (16 float32 with AVX-512, 8 with AVX2), two of them per cycle, if it is fed:
each number loaded must be used several times. So a micro-kernel holds a small tile of the result, R rows by two
registers, in registers, and runs down the long dimension of the product; every step loads 2 registers of B and R single
numbers of A, and does 2 R multiply-adds with them. Compilers do not find this form by themselves: the loops below are
spelled out as LLVM instructions, from which Numba's compiler makes machine code like from any other function.

All addresses are plain integers (bytes). What these tiles are used for is in `conv_vector` and `conv_vector_weights`; those of matrix
products, whose factors lie in rows, are in `linear_tiles`, and what moves numbers about in `vector_moves`.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.vector_instructions import FEATURES, FLOAT, INT, LANES, VECTOR, ZERO, Emitter, config
from tinygrad_edu.kernels.vector_moves import address, transpose

ROWS = 8 if LANES == 16 else 6  # AVX-512 has 32 registers, AVX2 16: as many accumulators as leave room for A and B
FEW_ROWS = 4  # a smaller tile for what is left over
LOOSE_ROWS = 10 if LANES == 16 else 6  # where every row needs an address of its own
DOT_ROWS, DOT_COLUMNS = (4, 5) if LANES == 16 else (3, 3)


def _tile(rows: int, depth_step, operands: int, bias_of_lanes: bool = False, vectors: int = 2):
    """Make a micro-kernel: C[i, v] = start + sum over k of A(i, k) * B(k, v), for i < rows and v < vectors, 1 or 2.

    It takes two tuples of integers. The first says where the result goes: (depth, c, c_next, c_row, lanes0, lanes1,
    valid, bias, add_to_c), which is how many k there are; the address of c, the distances to its second vector and to
    its next row; how many lanes of the two vectors and how many rows exist; the address of one starting value per row
    (with `bias_of_lanes` per lane), or 0; and whether to add to what c holds. The second says where A and B are, as
    `depth_step` reads it: `depth_step(emit, operands, masks)` returns functions for the addresses of A(i, k) and of the
    two vectors B(k, .), and the masks to load the latter with. A tile of one vector looks at the first ones only.
    """

    @intrinsic
    def tile(context, result, factors):
        return types.void(types.UniTuple(types.int64, 9), types.UniTuple(types.int64, operands)), generate

    def generate(context, builder, signature, args):
        depth, c, c_next, c_row, lanes0, lanes1, valid, bias, add_to_c = cgutils.unpack_tuple(builder, args[0])
        emit = Emitter(builder)
        masks = [emit.first_lanes(lanes0), emit.first_lanes(lanes1)][:vectors]
        a_address, b_addresses, b_masks = depth_step(emit, cgutils.unpack_tuple(builder, args[1]), masks)
        sums = [[cgutils.alloca_once(builder, VECTOR) for _ in masks] for _ in range(rows)]  # become registers
        _begin(emit, sums, bias, masks, bias_of_lanes)
        with emit.repeat(depth) as k:
            b = [emit.load(address, mask) for address, mask in zip(b_addresses(k)[:vectors], b_masks, strict=True)]
            a = a_address(k)
            for i in range(rows):
                number = emit.splat(a(i))
                for v in range(vectors):
                    builder.store(emit.multiply_add(number, b[v], builder.load(sums[i][v])), sums[i][v])
        _finish(emit, sums, c, c_next, c_row, masks, valid, add_to_c)
        return context.get_dummy_value()

    return tile


def _begin(emit: Emitter, sums, bias, masks, bias_of_lanes: bool) -> None:
    """Set the sums to the bias, or to zero if its address is 0."""
    builder = emit.builder
    with builder.if_else(builder.icmp_signed("!=", bias, INT(0))) as (given, missing):
        with given:
            for i, row in enumerate(sums):
                for v, mask in enumerate(masks):
                    if bias_of_lanes:
                        start = emit.load(emit.add(bias, 4 * LANES * v), mask)
                    else:
                        start = emit.splat(emit.add(bias, 4 * i))
                    builder.store(start, row[v])
        with missing:
            for row in sums:
                for cell in row:
                    builder.store(ZERO, cell)


def _finish(emit: Emitter, sums, c, c_next, c_row, masks, valid, add_to_c) -> None:
    """Write the rows and lanes that exist to c, or add them to it."""
    builder = emit.builder
    accumulate = builder.icmp_signed("!=", add_to_c, INT(0))
    for i, cells in enumerate(sums):
        with builder.if_then(builder.icmp_signed("<", INT(i), valid)):
            row = emit.add(c, emit.times(c_row, i))
            for cell, mask, address in zip(cells, masks, (row, emit.add(row, c_next)), strict=False):
                with builder.if_then(accumulate):
                    builder.store(builder.fadd(builder.load(cell), emit.load(address, mask)), cell)
                emit.store(builder.load(cell), address, mask)


def _packed_a_scattered_b(rows: int):
    """A is packed: A(i, k) at a + 4 (k rows + i). B(k) starts at b + table[k], its second vector b_next bytes on."""

    def step(emit, args, masks):
        a, b, b_next, table = args

        def a_address(k):
            column = emit.add(a, emit.times(k, 4 * rows))
            return lambda i: emit.add(column, 4 * i)

        def b_addresses(k):
            first = emit.add(b, emit.integer(table, k))
            return first, emit.add(first, b_next)

        return (
            a_address,
            b_addresses,
            [None] * len(masks),
        )  # B lies in a work array with room to read on: no masks needed

    return step


def _scattered_a_plain_b(rows: int):
    """A(i, k) at a + row_table[i] + column_table[k]. B(k) at b + k b_row, its second vector right behind."""

    def step(emit, args, masks):
        a, row_table, column_table, b, b_row = args
        starts = [emit.add(a, emit.integer(row_table, i)) for i in range(rows)]

        def a_address(k):
            column = emit.integer(column_table, k)
            return lambda i: emit.add(starts[i], column)

        def b_addresses(k):
            first = emit.add(b, emit.times(k, b_row))
            return first, emit.add(first, 4 * LANES)

        return a_address, b_addresses, masks

    return step


packed_tile = _tile(ROWS, _packed_a_scattered_b(ROWS), 4)
packed_few = _tile(FEW_ROWS, _packed_a_scattered_b(FEW_ROWS), 4)
scattered_tile = _tile(LOOSE_ROWS, _scattered_a_plain_b(LOOSE_ROWS), 5, bias_of_lanes=True)
scattered_column = _tile(LOOSE_ROWS, _scattered_a_plain_b(LOOSE_ROWS), 5, bias_of_lanes=True, vectors=1)


@intrinsic
def dot_tile(context, result, factors):
    """C[i, j] += sum over pictures and vectors of A_i . B_j, for DOT_ROWS rows and DOT_COLUMNS columns.

    Here both factors are loaded as vectors, and only at the end the lanes of each sum are added up: the form for few
    results and long sums. result: (pictures, count, c, c_row, c_column, rows, columns), the last two telling how much
    of the tile exists. factors: (a, a_rows, a_picture, b, b_rows, b_picture, vectors); the table `vectors` has three
    numbers per vector, the distance in A, the distance in B and the number of lanes.
    """

    def generate(context, builder, signature, args):
        pictures, count, c, c_row, c_column, rows, columns = cgutils.unpack_tuple(builder, args[0])
        a, a_rows, a_picture, b, b_rows, b_picture, vectors = cgutils.unpack_tuple(builder, args[1])
        emit = Emitter(builder)
        sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(DOT_COLUMNS)] for _ in range(DOT_ROWS)]
        for line in sums:
            for cell in line:
                builder.store(ZERO, cell)
        a_offsets = [emit.integer(a_rows, i) for i in range(DOT_ROWS)]
        b_offsets = [emit.integer(b_rows, j) for j in range(DOT_COLUMNS)]
        with cgutils.for_range(builder, pictures) as picture:
            a_start = emit.add(a, emit.times(a_picture, picture.index))
            b_start = emit.add(b, emit.times(b_picture, picture.index))
            with emit.repeat(count) as k:
                entry = emit.add(vectors, emit.times(k, 24))
                mask = emit.first_lanes(emit.integer(entry, 2))
                a_here = emit.add(a_start, emit.integer(entry, 0))
                b_here = emit.add(b_start, emit.integer(entry, 1))
                y = [emit.load(emit.add(b_here, offset), mask) for offset in b_offsets]
                for i in range(DOT_ROWS):
                    x = emit.load(emit.add(a_here, a_offsets[i]), mask)
                    for j in range(DOT_COLUMNS):
                        builder.store(emit.multiply_add(x, y[j], builder.load(sums[i][j])), sums[i][j])
        for i in range(DOT_ROWS):
            for j in range(DOT_COLUMNS):
                exists = builder.and_(builder.icmp_signed("<", INT(i), rows), builder.icmp_signed("<", INT(j), columns))
                with builder.if_then(exists):
                    address = emit.add(emit.add(c, emit.times(c_row, i)), emit.times(c_column, j))
                    pointer = emit.pointer(address, FLOAT)
                    total = emit.total(builder.load(sums[i][j]))
                    builder.store(builder.fadd(builder.load(pointer), total), pointer)
        return context.get_dummy_value()

    return types.void(types.UniTuple(types.int64, 7), types.UniTuple(types.int64, 7)), generate


@compiled()
def _probe(source, target):
    transpose(address(source), 12, address(target), 8, 2, 3)


@functools.cache
def usable() -> bool:
    """Whether this machine has the vectors that we write for, and its LLVM accepts what we write."""
    if not config.ENABLE_AVX or not ("avx512f" in FEATURES or {"avx2", "fma"} <= FEATURES):
        return False
    source, target = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((3, 2), np.float32)
    try:
        _probe(source, target)
    except Exception:  # another LLVM may spell its instructions in another way: then the plain kernels do the work
        return False
    return bool((target == source.T).all())
