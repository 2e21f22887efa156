"""Writing vector instructions: LLVM's language, a few lines at a time, for the micro-kernels in `vector`.

Numba translates Python to LLVM's instructions; an "intrinsic" lets us write some of them ourselves. `Emitter` is a pen
for that: each of its methods writes one or two instructions into the function being compiled and returns what they
result in. A vector here is LANES float32, as many as one register of the processor holds.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils

config: Any = numba.config  # Numba's settings, from its environment variables


def _features() -> set[str]:
    """What the processor that we compile for can do."""
    if config.CPU_FEATURES is not None:
        return {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    try:
        return {name for name, present in llvmlite.binding.get_host_cpu_features().items() if present}
    except RuntimeError:  # LLVM does not know this system
        return set()


FEATURES = _features()
LANES = 16 if "avx512f" in FEATURES else 8

INT, FLOAT = ir.IntType(64), ir.FloatType()
VECTOR, MASK = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(1), LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)


class Lanes(NamedTuple):
    """The first few lanes of a vector: how many, and as a mask."""

    count: Any
    mask: Any


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

    def first_lanes(self, count) -> Lanes:
        """The first `count` lanes; none if it is negative, all if it is larger than LANES."""
        small, kind = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, self.builder.trunc(count, small), small(0))
        counts = self.builder.shuffle_vector(one, undefined, ir.Constant(kind, [0] * LANES))
        return Lanes(count, self.builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), counts))

    def load(self, address, lanes: Lanes | None = None):
        """A vector from memory; other lanes than those are not touched and become 0."""
        pointer = self.pointer(address, VECTOR)
        if lanes is None:
            return self.builder.load(pointer, align=4)
        kind = ir.FunctionType(VECTOR, [ir.PointerType(VECTOR), ir.IntType(32), MASK, VECTOR])
        function = self.function(f"llvm.masked.load.v{LANES}f32.p0", kind)
        return self.builder.call(function, [pointer, ir.IntType(32)(4), lanes.mask, ZERO])

    def halves(self, lower, upper):
        """A vector of LANES / 2 numbers from one address and as many from another."""
        half = ir.VectorType(FLOAT, LANES // 2)
        parts = [self.builder.load(self.pointer(address, half), align=4) for address in (lower, upper)]
        return self.shuffle(*parts, list(range(LANES)))

    def store(self, vector, address, lanes: Lanes) -> None:
        """Write some lanes of a vector to memory."""
        if LANES == 16:
            kind = ir.FunctionType(ir.VoidType(), [VECTOR, ir.PointerType(VECTOR), ir.IntType(32), MASK])
            function = self.function(f"llvm.masked.store.v{LANES}f32.p0", kind)
            self.builder.call(function, [vector, self.pointer(address, VECTOR), ir.IntType(32)(4), lanes.mask])
            return
        builder = self.builder
        with builder.if_else(builder.icmp_signed(">=", lanes.count, INT(LANES))) as (whole, part):
            with whole:
                builder.store(vector, self.pointer(address, VECTOR), align=4)
            with part:
                self._store_part(vector, address, lanes.count)

    def _store_part(self, vector, address, count) -> None:
        """Without AVX-512: a masked store takes some processors twenty times as long as one of 4, of 2 and of 1 number."""
        builder = self.builder
        room = builder.ptrtoint(cgutils.alloca_once(builder, VECTOR), INT)
        with builder.if_then(builder.icmp_signed(">", count, INT(0))):
            builder.store(vector, self.pointer(room, VECTOR), align=4)
            done: Any = INT(0)
            for size in (4, 2, 1):
                with builder.if_then(builder.icmp_signed("!=", builder.and_(count, INT(size)), INT(0))):
                    piece, place = ir.VectorType(FLOAT, size), self.times(done, 4)
                    numbers = builder.load(self.pointer(self.add(room, place), piece), align=4)
                    builder.store(numbers, self.pointer(self.add(address, place), piece), align=4)
                done = builder.and_(count, INT(8 - size))

    def prefetch(self, address):
        """Ask for the cache line at an address, for reading (0), into the second-level cache (2), as data (1)."""
        small = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(ir.IntType(8)), small, small, small])
        function = self.function("llvm.prefetch.p0", kind)
        self.builder.call(function, [self.pointer(address, ir.IntType(8)), small(0), small(2), small(1)])

    def multiply_add(self, x, y, z):
        """x * y + z, rounded once."""
        function = self.function(f"llvm.fma.v{LANES}f32", ir.FunctionType(VECTOR, [VECTOR] * 3))
        return self.builder.call(function, [x, y, z])

    def shuffle(self, x, y, order):
        """Lanes of x (numbered 0...) and y (numbered LANES...) in a given order."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), LANES), order))

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
