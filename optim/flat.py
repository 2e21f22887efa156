"""Small parameters side by side in one array, so that an optimizer changes all of them in one call.

A bias has ten numbers, and a call costs a microsecond whether for ten numbers or for a thousand. From the second step on, the small
parameters of a group (and what the optimizer remembers of them) are views into one array each; their gradients are copied together
before each step. Formulas that treat every number alike do not notice: the subclass's `update` runs once, on the long array.
"""

import sys
from operator import is_
from typing import Any

import numpy as np

from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Flat", "flattened"]

SMALL = 16384  # numbers; copying the gradient of a larger parameter costs more than a call


class Flat:
    """The small parameters of one group as one.

    Attributes
    ----------
    params : list of Tensor
    p, g : ndarray
        All values, and room for all gradients.
    state : dict
        What the optimizer remembers, of all of them together.
    """

    def __init__(self, params: list[Tensor], states: list[dict[str, Any]]):
        kind = params[0]._data.dtype
        self.params, self.states, self.kind = params, states, kind
        self.p, self.views = _joined([p._data for p in params])
        self.g = np.empty_like(self.p)
        self.state: dict[str, Any] = {}
        for p, view in zip(params, self.views, strict=True):
            p._data = view
        for key, value in states[0].items():
            if isinstance(value, Tensor):
                whole, parts = _joined([state[key]._data for state in states])
                self.state[key] = wrap(whole)
                for state, part in zip(states, parts, strict=True):
                    state[key] = wrap(part)
        self.numbers = [key for key in states[0] if key not in self.state]
        self._mine = frozenset(map(id, params))

    def others(self, params: list[Tensor]) -> list[Tensor]:
        """Return the parameters of the group that are not among the joined ones."""
        if len(params) == len(self.params):
            return []
        return [p for p in params if id(p) not in self._mine]

    def gather(self) -> bool:
        """Copy the gradients together; False if one is missing, or a parameter has other memory by now."""
        params, kind = self.params, self.kind
        try:
            gradients = [p.node.total for p in params]
            if [g.dtype for g in gradients].count(kind) < len(params):
                gradients = [g._data if g.__class__ is Tensor else g for g in gradients]  # somebody looked at them
                if [g.dtype for g in gradients].count(kind) < len(params):
                    return False
        except AttributeError:  # no node, or no gradient
            return False
        if not all(map(is_, [p._data for p in params], self.views)):
            return False
        np.concatenate(gradients, None, self.g)
        for key in self.numbers:
            self.state[key] = self.states[0][key]
        return True

    def spread(self) -> None:
        """Tell every parameter's state the numbers that have changed, such as how many steps there were."""
        for key in self.numbers:
            value = self.state[key]
            if value is not None:
                for state in self.states:
                    state[key] = value


def flattened(params: list[Tensor], state: dict[Tensor, dict[str, Any]]) -> Flat | None:
    """Join those parameters that are small and that nobody else holds the memory of; None if they are too few to be worth it."""
    chosen = [p for p in params if _is_free(p) and _is_plain(p, state.get(p))]
    if chosen:
        like = state[chosen[0]]
        numbers = {key: value for key, value in like.items() if not isinstance(value, Tensor)}
        chosen = [p for p in chosen if p._data.dtype == chosen[0]._data.dtype and _alike(state[p], like, numbers)]
    return Flat(chosen, [state[p] for p in chosen]) if len(chosen) > 1 else None


def _is_free(p: Tensor) -> bool:
    data = p._data
    if (
        data.__class__ is not np.ndarray
        or not 0 < data.size <= SMALL
        or not data.flags.c_contiguous
        or not data.flags.writeable
    ):
        return False
    del data
    # Another holder (a view, a detached tensor, a saved value) would go on looking at the old memory.
    return sys.getrefcount(p._data) <= 2 and p._base is None and p.node is not None


def _is_plain(p: Tensor, kept: dict[str, Any] | None) -> bool:
    """Whether what is remembered of a parameter is numbers and arrays of its own shape."""
    return kept is not None and all(
        value._data.shape == p._data.shape and value._data.dtype == p._data.dtype
        if isinstance(value, Tensor)
        else value is None or isinstance(value, int)
        for value in kept.values()
    )


def _alike(kept: dict[str, Any], like: dict[str, Any], numbers: dict[str, Any]) -> bool:
    return kept.keys() == like.keys() and all(kept[key] == value for key, value in numbers.items())


def _joined(arrays: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return one array of all values, and views of its parts in their shapes."""
    whole = np.concatenate(arrays, axis=None)
    ends = np.cumsum([a.size for a in arrays])
    return whole, [whole[end - a.size : end].reshape(a.shape) for a, end in zip(arrays, ends, strict=True)]
