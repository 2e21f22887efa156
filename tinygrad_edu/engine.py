"""Backpropagation: the chain rule over a recorded graph, on one screen.

For every node, newest first: its gradient is complete (all its consumers are newer), so hand it to the op's derivative rules, and
add what they return to the parents' gradients. No recursion: a chain of a million operations is a list of a million nodes.

The ordinary pass runs the rules on plain arrays (``op.pull``, generated from the rules by :mod:`tinygrad_edu.codegen`). With
``create_graph=True`` the same rules run on Tensors, so the gradients are themselves recorded and can be differentiated again.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_edu.grad_mode import set_grad_enabled
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.memory import check_saved, latest_write
from tinygrad_edu.mistakes import used_before
from tinygrad_edu.quiet import restore, silence
from tinygrad_edu.recorders import recorders

__all__ = ["accumulate", "backpropagate", "gather"]

_number = attrgetter("number")
inspectors: list[Callable[[Node, Any], None]] = []  # called after each node's rules have run, see autograd.anomaly
keeping: list[None] = []  # not empty while a pass keeps what was saved, for another pass
_one_at_a_time = (
    threading.RLock()
)  # gradients travel on the nodes, so two passes must not share a leaf at the same time


def gather(seeds: Iterable[tuple[Node, Any]], mark: object) -> tuple[list[Node], list[Leaf]]:
    """Return the operations that the seeds' nodes depend on, newest first, and the leaves; all are marked with `mark`."""
    nodes: list[Node] = []
    leaves: list[Any] = []
    for node, _ in seeds:
        if node.mark is not mark:
            node.mark = mark
            (leaves if node.is_leaf else nodes).append(node)
    for node in nodes:  # grows while we walk it: breadth first without a queue
        for parent in node.parents:
            if parent is not None and parent.mark is not mark:
                parent.mark = mark
                (leaves if parent.is_leaf else nodes).append(parent)
    nodes.sort(key=_number, reverse=True)
    return nodes, leaves


def keep_paths_to(targets: set[Node], nodes: list[Node]) -> list[Node]:
    """Return the nodes from which a target can be reached, and unmark all others so that no rule runs for them."""
    live = []
    for node in reversed(nodes):  # oldest first: parents are decided before their children
        mark = node.mark
        if node in targets or any(parent is not None and parent.mark is mark for parent in node.parents):
            live.append(node)
        else:
            node.mark = None
    live.reverse()
    return live


def accumulate(node: Node, before: Any, more: Any) -> None:
    """Add a second or later contribution to a node's gradient: the second allocates, later ones add in place."""
    if node.owned and before.__class__ is np.ndarray and before.flags.writeable:
        np.add(before, more, before)
    else:
        node.grad = before + more
        node.owned = True


def backpropagate(
    seeds: Sequence[tuple[Node, Any]],
    targets: set[Node] | None,
    retain_graph: bool,
    create_graph: bool,
    deposit: Callable[[Leaf, Any, bool], None],
) -> dict[Node, Any]:
    """Run the chain rule from the seeds down.

    Parameters
    ----------
    seeds : list of (node, gradient)
        Arrays, or Tensors with ``create_graph=True``.
    targets : set of Node, optional
        Nodes whose gradients are wanted; without it every leaf's gradient goes to `deposit`.
    retain_graph : bool
        Keep saved values for another pass.
    create_graph : bool
        Run the rules on Tensors and record them.
    deposit : callable
        ``deposit(leaf, gradient, owned)`` adds a finished gradient to a leaf.

    Returns
    -------
    dict
        The gradient of every target that was reached.
    """
    if recorders and recorders[-1].here():
        if not create_graph:
            return recorders[-1].backpropagate(seeds, targets, retain_graph, deposit)
        deposit = recorders[-1].depositing(deposit)
    nodes: list[Node] = []
    leaves: list[Leaf] = []
    _one_at_a_time.acquire()
    noise = silence()
    if retain_graph:
        keeping.append(None)
    try:
        mark = object()
        nodes, leaves = gather(seeds, mark)
        overwritten = bool(nodes) and latest_write() > nodes[-1].number  # something was, since the oldest operation
        if targets is not None:
            nodes, leaves = keep_paths_to(targets, [*nodes, *leaves]), []
        if overwritten:
            for node in nodes:
                check_saved(node)
        for node, seed in seeds:
            if node.mark is mark:  # unmarked: no target can be reached from here
                add(node, seed)
        if targets is None and not create_graph and not inspectors:
            _pass_on_arrays(nodes, leaves, retain_graph, deposit)
            return {}
        return _pass([*nodes, *leaves], targets, retain_graph, create_graph, deposit)
    except BaseException:
        for node in (*nodes, *leaves):  # leave no half-collected gradient behind for the next pass
            node.grad = None
        raise
    finally:
        if retain_graph:
            keeping.pop()
        restore(noise)
        _one_at_a_time.release()


def _pass(
    nodes: list[Node], targets: set[Node] | None, retain_graph: bool, create_graph: bool, deposit: Callable
) -> dict[Node, Any]:
    """Walk the nodes newest first: the gradient is complete, hand it to the parents."""
    found: dict[Node, Any] = {}
    with set_grad_enabled(create_graph):
        for node in nodes:
            gradient = node.grad
            if gradient is None:
                continue
            node.grad = None
            if node.hooks is not None:
                gradient = run_hooks(node, gradient)
            if targets is not None and node in targets:
                found[node] = gradient
            if node.is_leaf:
                if targets is None:
                    deposit(node, gradient, node.owned)
                continue
            if node.saved is None:
                raise used_before(node)
            if create_graph:
                node.op.pull_tensors(node, gradient)
            else:
                node.op.pull(node, gradient)
            for inspect in inspectors:
                inspect(node, gradient)
            if not retain_graph and node.op.frees:
                node.saved = None
    return found


def _pass_on_arrays(nodes: list[Node], leaves: list[Leaf], retain_graph: bool, deposit: Callable) -> None:
    """The same walk for an ordinary ``loss.backward()``, without the questions that only the other cases ask."""
    node: Any = None
    try:
        for node in nodes:
            gradient = node.grad
            if gradient is None:
                continue
            node.grad = None
            if node.hooks is not None:
                with set_grad_enabled(False):
                    gradient = run_hooks(node, gradient)
            op = node.op
            op.pull(node, gradient)
            if op.frees and not retain_graph:
                node.saved = None
    except TypeError:  # the first thing that rules do is to unpack what was saved
        if node.saved is None:
            raise used_before(node) from None
        raise
    for leaf in leaves:
        gradient = leaf.grad
        if gradient is None:
            continue
        leaf.grad = None
        if leaf.hooks is not None:
            with set_grad_enabled(False):
                gradient = run_hooks(leaf, gradient)
        if leaf.owned and leaf.total is None and leaf.after is None and gradient.flags.carray:
            leaf.total = gradient  # what deposit would do with it; most gradients are like this
        else:
            deposit(leaf, gradient, leaf.owned)


def add(node: Node, gradient: Any) -> None:
    """Give a node a contribution that must not be written over (it belongs to somebody else)."""
    if node.grad is None:
        node.grad, node.owned = gradient, False
    else:
        accumulate(node, node.grad, gradient)


def give(node: Node, gradient: np.ndarray) -> None:
    """Give a node a contribution that was made for it and is its own from now on."""
    if node.grad is None:
        node.grad, node.owned = gradient, True
    else:
        accumulate(node, node.grad, gradient)


def run_hooks(node: Node, gradient: Any) -> Any:
    """Show the gradient to each hook; what a hook returns replaces it."""
    for hook in tuple(node.hooks or ()):
        replacement = hook(gradient)
        if replacement is not None:
            gradient, node.owned = replacement, False
    return gradient
