"""Tuples, lists and dicts with tensors anywhere in them, taken apart and put together again."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["flatten", "leaf_places", "map_leaves"]


def flatten(tree: Any) -> tuple[list, Callable[[list], Any]]:
    """Return the leaves of a tree in order, and the function that puts a list of as many leaves into the same form.

    >>> from tinygrad_edu.autograd.trees import flatten
    >>> leaves, rebuild = flatten({"a": 1, "b": (2, [3])})
    >>> leaves, rebuild([10, 20, 30])
    ([1, 2, 3], {'a': 10, 'b': (20, [30])})
    """
    leaves: list = []
    form = _take_apart(tree, leaves)
    return leaves, lambda values: form(iter(values))


def _take_apart(tree: Any, leaves: list) -> Callable[[Iterator], Any]:
    """Append the leaves to the list and return what rebuilds this part. (Not a closure: one that calls itself would keep
    the leaves alive until the garbage collector comes.)"""
    if isinstance(tree, dict):
        parts = [(key, _take_apart(value, leaves)) for key, value in tree.items()]
        mapping = OrderedDict if isinstance(tree, OrderedDict) else dict
        return lambda rest: mapping((key, part(rest)) for key, part in parts)
    if isinstance(tree, tuple | list):
        kind: Any = type(tree)
        entries = [_take_apart(value, leaves) for value in tree]
        if hasattr(tree, "_fields"):  # a named tuple
            return lambda rest: kind(*[part(rest) for part in entries])
        return lambda rest: kind([part(rest) for part in entries])
    leaves.append(tree)
    return next


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the same tree with ``function(leaf)`` in the place of every leaf."""
    leaves, rebuild = flatten(tree)
    return rebuild([function(leaf) for leaf in leaves])


def leaf_places(choice: Any, tree: Any, what: str) -> list:
    """Spread `choice` over the leaves of `tree`: one value for all below it, or a tree of values like `tree` itself.

    >>> from tinygrad_edu.autograd.trees import leaf_places
    >>> leaf_places((0, None), ({"w": "x", "b": "y"}, "z"), "in_dims")
    [0, 0, None]
    """
    if choice is None or isinstance(choice, int):
        return [choice] * len(flatten(tree)[0])
    if isinstance(choice, dict) and isinstance(tree, dict) and choice.keys() == tree.keys():
        return [place for key in tree for place in leaf_places(choice[key], tree[key], what)]
    if isinstance(choice, tuple | list) and isinstance(tree, tuple | list) and len(choice) == len(tree):
        return [place for c, t in zip(choice, tree, strict=True) for place in leaf_places(c, t, what)]
    raise ValueError(
        f"{what}: {choice!r} does not fit the structure it is for. Fix: an int or None for everything, or a "
        f"{type(tree).__name__} with one entry per part."
    )
