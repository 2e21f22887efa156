"""Micro-kernels: the innermost loops of convolution and matrix product, written for the processor's vector registers.

A core multiplies and adds whole registers (16 float32 with AVX-512, 8 with AVX2), two of them per cycle, if it is fed: each
number loaded must be used several times. So a micro-kernel holds a small tile of the result, R rows by two registers, in
registers, and runs down the long dimension of the product; every step loads 2 registers of B and R single numbers of A,
and does 2 R multiply-adds with them. Compilers do not find this form by themselves: the loops below are spelled out as
LLVM instructions, from which Numba's compiler makes machine code like from any other function.

All addresses are plain integers (bytes). What the tiles are used for is in `conv_vector` and `matmul_vector`.
"""

from __future__ import annotations

import contextlib
import functools

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.kernels.compiler import compiled


def _features() -> set[str]:
    """What the processor that we compile for can do."""
    if numba.config.CPU_FEATURES is not None:
        return {name[1:] for name in numba.config.CPU_FEATURES.split(",") if name.startswith("+")}
    try:
        return {name for name, present in llvmlite.binding.get_host_cpu_features().items() if present}
    except RuntimeError:  # LLVM does not know this system
        return set()


FEATURES = _features()
LANES = 16 if "avx512f" in FEATURES else 8
ROWS = 8 if LANES == 16 else 6  # AVX-512 has 32 registers, AVX2 16: as many accumulators as leave room for A and B
FEW_ROWS = 4  # a smaller tile for what is left over
MANY_ROWS = 14 if LANES == 16 else 6  # a larger one, where one address serves all rows
LOOSE_ROWS = 10 if LANES == 16 else 6  # where every row needs an address of its own
DOT_ROWS, DOT_COLUMNS = (4, 5) if LANES == 16 else (3, 3)

INT, FLOAT = ir.IntType(64), ir.FloatType()
VECTOR, MASK = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(1), LANES)
ACCUMULATE, RELU = 1, 2  # bits of `mode`: add to what C holds; finish with max(c, 0)


class Emitter:
    """Writes LLVM instructions; each method emits one and returns its result."""

    def __init__(self, builder: ir.IRBuilder):
        self.builder = builder

    def pointer(self, address, kind):
        return self.builder.inttoptr(address, ir.PointerType(kind))

    def add(self, address, offset):
        return self.builder.add(address, INT(offset) if isinstance(offset, int) else offset)

    def times(self, value, factor):
        return self.builder.mul(value, INT(factor) if isinstance(factor, int) else factor)

    def integer(self, table, i):
        """table[i], from a table of 64-bit integers."""
        return self.builder.load(
            self.pointer(self.add(table, self.times(i, 8) if not isinstance(i, int) else 8 * i), INT)
        )

    def splat(self, address):
        """A vector with one number from memory in every lane."""
        number = self.builder.load(self.pointer(address, FLOAT))
        undefined, index = ir.Constant(VECTOR, ir.Undefined), ir.VectorType(ir.IntType(32), LANES)
        one = self.builder.insert_element(undefined, number, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, undefined, ir.Constant(index, [0] * LANES))

    def first_lanes(self, count):
        """The mask of the first `count` lanes."""
        small, kind = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, self.builder.trunc(count, small), small(0))
        counts = self.builder.shuffle_vector(one, undefined, ir.Constant(kind, [0] * LANES))
        return self.builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), counts)

    def load(self, address, mask=None):
        """A vector from memory; lanes outside the mask are not touched and become 0."""
        pointer = self.pointer(address, VECTOR)
        if mask is None:
            return self.builder.load(pointer, align=4)
        kind = ir.FunctionType(VECTOR, [ir.PointerType(VECTOR), ir.IntType(32), MASK, VECTOR])
        function = self.function(f"llvm.masked.load.v{LANES}f32.p0", kind)
        return self.builder.call(function, [pointer, ir.IntType(32)(4), mask, ZERO])

    def store(self, vector, address, mask):
        kind = ir.FunctionType(ir.VoidType(), [VECTOR, ir.PointerType(VECTOR), ir.IntType(32), MASK])
        function = self.function(f"llvm.masked.store.v{LANES}f32.p0", kind)
        self.builder.call(function, [vector, self.pointer(address, VECTOR), ir.IntType(32)(4), mask])

    def multiply_add(self, x, y, z):
        """x * y + z, rounded once."""
        function = self.function(f"llvm.fma.v{LANES}f32", ir.FunctionType(VECTOR, [VECTOR] * 3))
        return self.builder.call(function, [x, y, z])

    def shuffle(self, x, y, order):
        """Lanes of x (numbered 0...) and y (numbered LANES...) in a given order."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), LANES), order))

    def positive(self, x):
        """max(x, 0); NaN is not below 0, so it stays."""
        return self.builder.select(self.builder.fcmp_ordered("<", x, ZERO), ZERO, x)

    def function(self, name, kind):
        return cgutils.get_or_insert_function(self.builder.module, kind, name)

    def total(self, x):
        """The sum of all lanes."""
        kind = ir.FunctionType(FLOAT, [FLOAT, VECTOR])
        function = self.function(f"llvm.vector.reduce.fadd.v{LANES}f32", kind)
        return self.builder.call(function, [FLOAT(0.0), x], fastmath=("reassoc",))

    @contextlib.contextmanager
    def repeat(self, count):
        """A loop over 0 <= index < count, not unrolled: the tiles leave no registers for a second copy of its body."""
        builder = self.builder
        before, body, after = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", count, INT(0)), body, after)
        builder.position_at_end(body)
        index = builder.phi(INT)
        index.add_incoming(INT(0), before)
        yield index
        following = builder.add(index, INT(1))
        index.add_incoming(following, builder.block)
        branch = builder.cbranch(builder.icmp_signed("<", following, count), body, after)
        branch.set_metadata("llvm.loop", self.never_unroll())
        builder.position_at_end(after)

    def never_unroll(self):
        """LLVM's mark for such a loop: a node that names itself first, then the wish."""
        module = self.builder.module
        wish = module.add_metadata(["llvm.loop.unroll.disable"])
        mark = module.add_metadata([wish])
        mark.operands = (mark, wish)
        return mark

    def bit(self, flags, bit: int):
        return self.builder.icmp_signed("!=", self.builder.and_(flags, INT(bit)), INT(0))


ZERO = ir.Constant(VECTOR, [0.0] * LANES)


def _tile(rows: int, depth_step, operands: int, bias_of_lanes: bool = False):
    """Make a micro-kernel: C[i, v] = start + sum over k of A(i, k) * B(k, v), for i < rows and v = 0, 1.

    It takes two tuples of integers. The first says where the result goes: (depth, c, c_next, c_row, lanes0, lanes1,
    valid, bias, mode), which is how many k there are; the address of c, the distances to its second vector and to its
    next row; how many lanes of the two vectors and how many rows exist; the address of one starting value per row
    (with `bias_of_lanes` per lane), or 0; and the bits of ACCUMULATE and RELU. The second says where A and B are, as `depth_step` reads it:
    `depth_step(emit, operands, masks)` returns functions for the addresses of A(i, k) and of the two vectors B(k, .), and
    the masks to load the latter with.
    """

    @intrinsic
    def tile(context, result, factors):
        return types.void(types.UniTuple(types.int64, 9), types.UniTuple(types.int64, operands)), generate

    def generate(context, builder, signature, args):
        depth, c, c_next, c_row, lanes0, lanes1, valid, bias, mode = cgutils.unpack_tuple(builder, args[0])
        emit = Emitter(builder)
        masks = [emit.first_lanes(lanes0), emit.first_lanes(lanes1)]
        a_address, b_addresses, b_masks = depth_step(emit, cgutils.unpack_tuple(builder, args[1]), masks)
        sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(2)] for _ in range(rows)]  # become registers
        with builder.if_else(builder.icmp_signed("!=", bias, INT(0))) as (given, missing):
            with given:
                for i in range(rows):
                    for v in range(2):
                        if bias_of_lanes:
                            start = emit.load(emit.add(bias, 4 * LANES * v), masks[v])
                        else:
                            start = emit.splat(emit.add(bias, 4 * i))
                        builder.store(start, sums[i][v])
            with missing:
                for i in range(rows):
                    for v in range(2):
                        builder.store(ZERO, sums[i][v])
        with emit.repeat(depth) as k:
            b = [emit.load(address, mask) for address, mask in zip(b_addresses(k), b_masks, strict=True)]
            a = a_address(k)
            for i in range(rows):
                number = emit.splat(a(i))
                for v in range(2):
                    builder.store(emit.multiply_add(number, b[v], builder.load(sums[i][v])), sums[i][v])
        accumulate, relu = emit.bit(mode, ACCUMULATE), emit.bit(mode, RELU)
        for i in range(rows):
            with builder.if_then(builder.icmp_signed("<", INT(i), valid)):
                row = emit.add(c, emit.times(c_row, i))
                for v, address in enumerate((row, emit.add(row, c_next))):
                    with builder.if_then(accumulate):
                        old = emit.load(address, masks[v])
                        builder.store(builder.fadd(builder.load(sums[i][v]), old), sums[i][v])
                    with builder.if_then(relu):
                        builder.store(emit.positive(builder.load(sums[i][v])), sums[i][v])
                    emit.store(builder.load(sums[i][v]), address, masks[v])
        return context.get_dummy_value()

    return tile


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

        return a_address, b_addresses, (None, None)  # B lies in a work array with room to read on: no masks needed

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


def _running_a_plain_b():
    """A(i, k) at a + column_table[k] + 4 i. B(k) at b + k b_row, its second vector right behind."""

    def step(emit, args, masks):
        a, column_table, b, b_row = args

        def a_address(k):
            column = emit.add(a, emit.integer(column_table, k))
            return lambda i: emit.add(column, 4 * i)

        def b_addresses(k):
            first = emit.add(b, emit.times(k, b_row))
            return first, emit.add(first, 4 * LANES)

        return a_address, b_addresses, masks

    return step


packed_tile = _tile(ROWS, _packed_a_scattered_b(ROWS), 4)
packed_few = _tile(FEW_ROWS, _packed_a_scattered_b(FEW_ROWS), 4)
scattered_tile = _tile(LOOSE_ROWS, _scattered_a_plain_b(LOOSE_ROWS), 5)
running_tile = _tile(ROWS, _running_a_plain_b(), 4, bias_of_lanes=True)
running_many = _tile(MANY_ROWS, _running_a_plain_b(), 4, bias_of_lanes=True)


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
            for i in range(LANES):
                if not i & half:
                    upper, lower = square[i], square[i + half]
                    lanes = range(LANES)
                    square[i] = emit.shuffle(upper, lower, [n if not n & half else LANES + n - half for n in lanes])
                    square[i + half] = emit.shuffle(
                        upper, lower, [n + half if not n & half else LANES + n for n in lanes]
                    )
            half //= 2
        mask = emit.first_lanes(rows)
        for j in range(LANES):
            with builder.if_then(builder.icmp_signed("<", INT(j), columns)):
                emit.store(square[j], emit.add(target, emit.times(target_row, j)), mask)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@compiled()
def transpose(source, rows, columns, target):
    """target (columns, rows) = source (rows, columns) transposed; both are addresses."""
    for i in range(0, rows, LANES):
        for j in range(0, columns, LANES):
            transpose_tile(
                source + 4 * (i * columns + j), 4 * columns, target + 4 * (j * rows + i), 4 * rows,
                min(LANES, rows - i), min(LANES, columns - j),
            )  # fmt: skip


@compiled()
def _probe(source, target):
    transpose(source.ctypes.data, 2, 3, target.ctypes.data)


@functools.cache
def usable() -> bool:
    """Whether this machine has the vectors that we write for, and its LLVM accepts what we write."""
    if not numba.config.ENABLE_AVX or not ("avx512f" in FEATURES or {"avx2", "fma"} <= FEATURES):
        return False
    source, target = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((3, 2), np.float32)
    try:
        _probe(source, target)
    except Exception:  # another LLVM may spell its instructions in another way: then the plain kernels do the work
        return False
    return bool((target == source.T).all())
