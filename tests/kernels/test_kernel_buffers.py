"""Memory is used again, and never while anybody can still see it."""

import gc
import threading

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.kernels import buffers

SHAPE = (300, 1000)  # large enough to be kept


def address(array) -> int:
    return array.ctypes.data


def test_dead_memory_is_used_again_whatever_its_new_shape():
    first = kernels.empty(SHAPE, np.float32)
    where = address(first)
    del first
    again = kernels.empty((1000, 3, 100), np.float32)
    assert address(again) == where
    assert again.shape == (1000, 3, 100)
    assert again.dtype == np.float32
    assert again.flags.c_contiguous
    assert again.flags.writeable


def test_memory_in_use_is_never_handed_out():
    held = [kernels.empty(SHAPE, np.float32) for _ in range(3)]
    for i, array in enumerate(held):
        array[:] = i
    keepers = [held[0].T[5:, ::2], memoryview(held[1]), held[2].reshape(-1)[7:].view(np.int32)]
    before = [np.array(keeper) for keeper in keepers]
    del held, array
    gc.collect()
    for _ in range(10):
        fresh = [kernels.empty(SHAPE, np.float32) for _ in range(4)]
        assert len({address(one) for one in fresh}) == 4
        for one in fresh:
            one[:] = -1
    for keeper, value in zip(keepers, before, strict=True):
        np.testing.assert_array_equal(np.array(keeper), value)


def test_results_of_kernels_do_not_change_later():
    x = np.random.default_rng(0).standard_normal((20, 8, 40, 40)).astype(np.float32)
    kept = kernels.relu(x)[3:, 1]
    copy = kept.copy()
    for _ in range(5):
        kernels.relu(-x)
    np.testing.assert_array_equal(kept, copy)


def test_each_thread_has_its_own_store():
    mine = kernels.empty(SHAPE, np.float32)
    where = address(mine)
    del mine
    seen = []
    worker = threading.Thread(target=lambda: seen.append(kernels.empty(SHAPE, np.float32)))
    worker.start()
    worker.join()
    assert address(seen[0]) != where
    assert address(kernels.empty(SHAPE, np.float32)) == where


def test_the_store_is_bounded(monkeypatch):
    monkeypatch.setattr(buffers, "_local", threading.local())  # an empty store
    monkeypatch.setattr(buffers, "KEPT", 4_000_000)
    for size in range(300_000, 340_000, 1000):
        kernels.empty((size,), np.float32)
        assert sum(owner.nbytes for owners, _ in buffers._store().values() for owner in owners) <= 4_000_000
    huge = kernels.empty((2_000_000,), np.float32)
    huge[:] = 1


def test_large_arrays_and_work_arrays_start_with_a_cache_line():
    arrays = [kernels.empty((size,), np.float32) for size in (50_000, 50_001, 1_234_567)]
    for array in [*arrays, buffers.scratch("lines", 1001), buffers.scratch("lines", 1001, np.int64)]:
        assert address(array) % 64 == 0


def test_small_and_empty_arrays_are_plain():
    for shape in ((), (0,), (3, 0), (5, 5)):
        array = kernels.empty(shape, np.float64)
        assert array.shape == shape
        assert array.flags.owndata
