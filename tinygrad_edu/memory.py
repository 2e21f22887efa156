"""Who overwrote which memory, and when.

A derivative rule reads values that were saved while the graph was built. Writing over such a value in place would make the
gradient silently wrong, so every in-place write is stamped with the graph's clock. Nodes carry the same clock's numbers, hence
one comparison per backward pass tells whether anything at all was written since the oldest node; only then are the saved arrays
looked at one by one. Recording an operation costs nothing extra.
"""

import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_edu.errors import GraphError, Place, location, message, user_place
from tinygrad_edu.graph import Node, tick
from tinygrad_edu.recorders import recorders, refuse_write

__all__ = ["Stamp", "check_saved", "check_unchanged", "latest_write", "note_write", "note_writes", "version"]


@dataclass(slots=True)
class _Write:
    """The last write to one stretch of memory."""

    count: int
    number: int
    what: str
    place: Place | None


_lock = threading.Lock()
_writes: dict[int, tuple[weakref.ref, dict[tuple[int, int], _Write]]] = {}  # by id of the array that owns the memory
_again: dict[
    int, tuple[weakref.ref, _Write]
] = {}  # by id of the array last written through: parameters are written every step
_latest = 0


def latest_write() -> int:
    """Return the clock's number of the newest in-place write."""
    return _latest


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note_write(array: np.ndarray, what: str) -> None:
    """Stamp the memory of `array` as overwritten now by the operation `what`."""
    note_writes((array,), what)


def note_writes(arrays: Iterable[np.ndarray], what: str) -> None:
    """Stamp the memory of several arrays as overwritten by one operation, such as an optimizer's step."""
    global _latest
    if recorders:
        refuse_write(what)
    place = user_place()
    with _lock:
        _latest = tick()
        for array in arrays:
            known = _again.get(id(array))
            if known is not None and known[0]() is array:
                write = known[1]
                write.count += 1
                write.number, write.what, write.place = _latest, what, place
            else:
                _first_write(array, what, place)


def _first_write(array: np.ndarray, what: str, place: Place | None) -> None:
    owner = _owner(array)
    key = id(owner)
    entry = _writes.get(key)
    if entry is None or entry[0]() is not owner:
        entry = _writes[key] = (weakref.ref(owner, lambda _: _writes.pop(key, None)), {})
    stretch = byte_bounds(array)
    write = entry[1].setdefault(stretch, _Write(0, 0, what, place))
    write.count += 1
    write.number, write.what, write.place = _latest, what, place
    own = id(array)
    _again[own] = (weakref.ref(array, lambda _: _again.pop(own, None)), write)


class Stamp:
    """Stamps the same arrays again and again: what a recorded step overwrites each time."""

    def __init__(self, arrays: Iterable[np.ndarray], what: str, place: Place | None):
        self._arrays = list(arrays)
        note_writes(self._arrays, what)
        self._writes = [_again[id(array)][1] for array in self._arrays]
        for write in self._writes:
            write.what, write.place = what, place

    def __call__(self) -> None:
        global _latest
        _latest = number = tick()
        for write in self._writes:
            write.number = number
            write.count += 1


def _writes_over(array: np.ndarray) -> list[_Write]:
    entry = _writes.get(id(_owner(array)))
    if entry is None or not array.size:
        return []
    low, high = byte_bounds(array)
    return [write for (start, end), write in list(entry[1].items()) if start < high and low < end]


def version(array: np.ndarray) -> int:
    """Return how many in-place writes have touched the memory of `array`."""
    return sum(write.count for write in _writes_over(array))


def check_saved(node: Node) -> None:
    """Raise E201 if a value that `node`'s rules read was overwritten after it was saved."""
    if node.op is None or node.forgetful:
        return
    for name, value in zip(node.op.reads, node.saved or (), strict=False):
        if isinstance(value, np.ndarray):
            check_unchanged(value, node, f"`{name}`")


def check_unchanged(value: np.ndarray, node: Node, name: str) -> None:
    """Raise E201 if the memory of `value`, saved for `node`, was written to after the node was made."""
    if not isinstance(value, np.ndarray):
        return
    for write in _writes_over(value):
        if write.number > node.number:
            raise GraphError(
                message(
                    "E201",
                    f"the backward of {node.op.name}",
                    f"one of the values needed for the gradient has been modified by an inplace operation: {name} of "
                    f"{node.op.name}, shape {tuple(value.shape)}, was overwritten by {write.what} at {location(write.place)}.",
                    "use the out-of-place form there (x = x + 1 instead of x += 1), or write to x.clone().",
                )
            )
