"""Two or more threads on one kernel: the work is cut into chunks, and whoever is free takes the next one.

Kernels are compiled without the GIL, so plain Python threads run them side by side. The chunks are fixed by the problem
alone, never by the number of threads, and sums over chunks are taken in order: the result is the same to the last bit
on one thread and on many.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

try:
    from numpy._core._multiarray_umath import __cpu_features__ as _features
except ImportError:  # another NumPy
    _features = {}

# Below this many operations, 0.2 to 0.3 ms, waking a thread costs more than it brings: some 30 µs, twice that on slow processors.
PARALLEL_FLOPS = 4e7 if _features.get("AVX512F") else 1e7
CHUNKS = 8  # the most pieces that one call is cut into

_busy = threading.Lock()  # one kernel at a time uses the pool; others run on the thread they were called on
_pool: ThreadPoolExecutor | None = None
_threads: int | None = None


def get_num_threads() -> int:
    """How many threads a kernel may use: ``NUMBA_NUM_THREADS``, ``OMP_NUM_THREADS`` or the cores of this process."""
    global _threads
    if _threads is None:
        asked = os.environ.get("NUMBA_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        _threads = int(asked) if asked.isdigit() and int(asked) > 0 else cores
    return _threads


def set_num_threads(count: int) -> None:
    """Let kernels use `count` threads from now on; 1 means that they stay on the calling thread."""
    global _threads
    if not isinstance(count, int) or count < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {count!r}")
    _threads = count
    _forget_pool()


def _forget_pool() -> None:
    global _pool, _busy
    _pool, _busy = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork: the child starts its own


def chunks(count: int, flops: float) -> list[tuple[int, int]]:
    """Cut ``range(count)`` into ranges (start, stop), each worth waking a thread for."""
    if flops < PARALLEL_FLOPS:
        return [(0, count)]
    pieces = int(max(1, min(CHUNKS, count, flops // (PARALLEL_FLOPS / 2))))
    return [(count * i // pieces, count * (i + 1) // pieces) for i in range(pieces)]


def run_chunks(task: Callable[[int, int, int], None], pieces: list[tuple[int, int]]) -> None:
    """Call ``task(i, start, stop)`` for every piece, on several threads when that is allowed and nobody else does."""
    if len(pieces) == 1:
        task(0, *pieces[0])
        return
    helpers = min(get_num_threads(), len(pieces)) - 1
    lock = _busy
    if helpers < 1 or not lock.acquire(blocking=False):
        for i, (start, stop) in enumerate(pieces):
            task(i, start, stop)
        return
    try:
        _run_together(task, pieces, helpers)
    finally:
        lock.release()


def _run_together(task, pieces, helpers: int) -> None:
    global _pool
    if (pool := _pool) is None:
        from concurrent.futures import ThreadPoolExecutor  # here, because it is slow to import

        pool = _pool = ThreadPoolExecutor(get_num_threads() - 1 or 1, thread_name_prefix="tinygrad_edu-kernel")
    ticket = itertools.count()  # next() on it is atomic: each piece is taken exactly once

    def work():
        while (i := next(ticket)) < len(pieces):
            task(i, *pieces[i])

    others = [pool.submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():  # a helper that has not begun yet has nothing left to do
                other.result()
