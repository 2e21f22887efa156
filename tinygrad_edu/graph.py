"""The computational graph: nodes and edges, and nothing else.

A :class:`Node` stands for one executed operation that somebody may want a derivative of. It knows its op, the nodes its inputs
came from (`parents`), the values its derivative rules read (`saved`) and its number. Numbers are handed out after the parents
exist, so *creation order is a topological order*: sorting by number is all that backpropagation needs.

A :class:`Leaf` is where gradients end up: the node of a tensor the user made with ``requires_grad=True``.
"""

import weakref
from collections.abc import Callable
from itertools import count
from typing import Any

__all__ = ["Leaf", "Node"]

tick = count(1).__next__  # the graph's clock: nodes and in-place writes are numbered by it


class Node:
    """One recorded operation.

    Attributes
    ----------
    op
        The primitive that was executed (its rules, name and documentation).
    parents : tuple of Node, Leaf or None
        One entry per tensor argument; None where no gradient is wanted.
    saved : tuple or None
        The values the derivative rules read, in the order of ``op.reads``; None once freed.
    shapes : tuple of shapes or None
        The arguments' shapes when broadcasting changed any of them.
    number : int
        Creation order.
    grad
        The gradient collected so far, only during a backward pass.
    owned : bool
        Whether `grad` is an array of our own that may be added to in place.
    mark
        The backward pass that last visited this node.
    hooks : list or None
        Functions ``hook(grad) -> grad or None`` run when the gradient is complete.
    """

    __slots__ = ("__weakref__", "grad", "hooks", "mark", "number", "op", "owned", "parents", "saved", "shapes")

    op: Any
    parents: tuple
    saved: tuple | None
    shapes: tuple | None
    number: int
    grad: Any
    owned: bool
    mark: object
    hooks: list[Callable] | None

    is_leaf = False
    forgetful = False  # True where `saved` is computed again when it is read, see utils.checkpoint

    def name(self) -> str:
        """Return PyTorch's name for this kind of node, such as ``MulBackward0``."""
        return self.op.node_name

    @property
    def next_functions(self) -> tuple:
        """The edges towards the leaves: a pair ``(node, output number)`` per tensor argument."""
        return tuple((parent, getattr(parent, "output_number", 0)) for parent in self.parents)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class Leaf(Node):
    """Where a gradient is accumulated: the graph's end at a tensor made by the user.

    Attributes
    ----------
    total : ndarray, Tensor or None
        What ``tensor.grad`` shows; wrapped as a Tensor when it is first looked at.
    after : list or None
        Functions ``hook(tensor)`` run when a gradient has been added.
    """

    __slots__ = ("_variable", "after", "total")

    total: Any
    after: list[Callable] | None

    is_leaf = True

    def __init__(self, tensor: Any):
        self.op = None
        self.parents = ()
        self.saved = ()
        self.shapes = None
        self.number = 0  # older than any operation
        self.grad = self.mark = self.hooks = self.total = self.after = None
        self.owned = False
        self._variable = weakref.ref(tensor)  # weak: a tensor and its leaf must die without the garbage collector

    @property
    def variable(self) -> Any:
        """The tensor this leaf belongs to, while it is alive."""
        return self._variable()

    def name(self) -> str:
        return "AccumulateGrad"


class HookHandle:
    """What registering a hook returns: ``remove()`` takes the hook away, also at the end of a ``with`` block."""

    def __init__(self, hooks: list[Callable], hook: Callable):
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> "HookHandle":
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(node: Node, hook: Callable) -> HookHandle:
    """Append `hook` to the node's hooks and return the handle that removes it."""
    if not callable(hook):
        raise TypeError(f"a hook must be callable, got {type(hook).__name__}")
    if node.hooks is None:
        node.hooks = []
    node.hooks.append(hook)
    return HookHandle(node.hooks, hook)
