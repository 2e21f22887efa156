"""Memory for results and for work in between, used again instead of returned to the operating system.

Fresh memory is slow memory: the system hands it out page by page, each zeroed on first touch, and for arrays of some
megabytes that takes ten times as long as writing them. A training step asks for arrays of the same sizes as the step
before, whose arrays are dead by then: so we keep them.
"""

from __future__ import annotations

import math
import sys
import threading

import numpy as np

LARGE = 1 << 17  # bytes; smaller arrays come from the allocator's own store, which is quick
LINE = 64  # bytes of a cache line
KEPT = 1 << 28  # bytes that a thread keeps at most

_local = threading.local()  # every thread has its own store, so none needs a lock
_sample = [np.empty(1)]
_ALONE = sys.getrefcount(_sample[0])  # what the counter says of an array that only a list refers to


def empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array like ``np.empty``, in the memory of an earlier one that nobody can reach any more.

    Every view of an array, and every view of a view, holds a reference to the array that owns the memory. So the owner's
    reference count tells whether the memory is in use, whoever uses it: a tensor, a user's slice, another library.

    Parameters
    ----------
    shape : tuple of int
    dtype : NumPy dtype

    Returns
    -------
    array
        Uninitialized.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    try:
        owners, starts = _local.store[size]
    except (AttributeError, KeyError):
        owners, starts = _store().setdefault(size, ([], []))
    for i in range(len(owners)):
        if sys.getrefcount(owners[i]) == _ALONE:
            return np.ndarray(shape, dtype, owners[i], starts[i])
    owner, start = _room(size)
    _local.kept += owner.nbytes
    if _local.kept > KEPT:  # another network, or ever new sizes: begin anew; what is in use stays with its users
        _local.store, _local.kept = {}, 0
    elif owner.nbytes <= KEPT:
        owners.append(owner)
        starts.append(start)
    return np.ndarray(shape, dtype, owner, start)


def _room(size: int) -> tuple[np.ndarray, int]:
    """Memory for `size` bytes and where in it they start: at a multiple of 64 bytes, a cache line.

    A vector that is loaded from there is never spread over two lines, which would take twice as long.
    """
    room = np.empty(size + LINE, np.uint8)
    return room, -room.ctypes.data % LINE


def _store() -> dict[int, tuple[list[np.ndarray], list[int]]]:
    store = getattr(_local, "store", None)
    if store is None:
        store = _local.store = {}
        _local.kept, _local.scratch = 0, {}
    return store


def scratch(name: str, size: int, dtype=np.float32) -> np.ndarray:
    """A work array of `size` elements that this thread keeps from call to call; its content is arbitrary."""
    try:
        array = _local.scratch[name, dtype]
        if size <= len(array):
            return array[:size]
    except (AttributeError, KeyError):
        _store()
    room, start = _room(size * np.dtype(dtype).itemsize)
    array = _local.scratch[name, dtype] = np.ndarray((size,), dtype, room, start)
    array[:] = 0  # numbers that are never used should at least not be slow ones
    return array
