"""What is known of a graph: its operations, what each read, and the values that a recording or the graph still hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.memory import latest_write, version
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.visualize.derivatives import readings
from tinygrad_edu.visualize.recording import Call


class Operand(NamedTuple):
    """One thing that an operation read: the ``parent`` number of its node among the node's parents, or a constant."""

    node: Any
    parent: Any
    constant: Any
    owner: Any  # the tensor or array that the constant is, by which it may have a name


def ancestry(roots: Iterable[Node], limit: int) -> list[Node]:
    """All nodes the roots depend on, newest first; stops when there are more than ``limit``."""
    found: dict[Node, None] = dict.fromkeys(roots)
    to_visit = list(found)
    while to_visit and len(found) <= limit:
        for parent in to_visit.pop().parents:
            if parent is not None and parent not in found:
                found[parent] = None
                to_visit.append(parent)
    return sorted(found, key=lambda node: node.number, reverse=True)


def operands(node: Node, call: Call | None) -> list[Operand]:
    """What a node's operation read, in the order of its arguments."""
    op = node.op
    if not isinstance(op, Primitive):
        return [Operand(parent, i, None, None) for i, parent in enumerate(node.parents) if parent is not None]
    if op.variadic:
        found = [operand(node, call, i, i) for i in range(len(node.parents))]
    else:
        with_rule = {name: position for position, name in enumerate(op.rules)}
        found = [operand(node, call, i, with_rule.get(name)) for i, name in enumerate(op.arguments)]
    return [each for each in found if each is not None]


def operand(node: Node, call: Call | None, argument: int, parent: int | None) -> Operand | None:
    """Argument number ``argument`` of a node's operation; None for an optional one that was not given."""
    source = node.parents[parent] if parent is not None else None
    if source is not None:
        return Operand(source, parent, None, None)
    if call is not None:
        tensor = call.inputs[argument]
        return None if tensor is None else Operand(None, None, call.values[argument], tensor._data)
    op = node.op
    name = "tensors" if op.variadic else op.arguments[argument]
    saved = dict(zip(op.reads, node.saved or (), strict=False)).get(name)
    if op.variadic and saved is not None:
        saved = saved[argument]
    if saved is None and name in op.optional:
        return None
    return Operand(None, None, None if saved is None else np.asarray(saved), saved)


def known_values(nodes: list[Node], calls: dict[Node, Call], held: Iterable[Tensor]) -> dict[Node, np.ndarray]:
    """The values of as many nodes as possible; ``nodes`` are newest first, ``held`` are tensors that the user holds."""
    oldest = min((node.number for node in nodes if not node.is_leaf), default=0)
    unwritten = latest_write() < oldest
    leaves = [node.variable for node in nodes if isinstance(node, Leaf) and node.variable is not None]
    # What was written over after it was read is not what the operations have seen.
    current = [t for t in [*held, *leaves] if t.node is not None and (unwritten or never_written(t._data))]
    known = {tensor.node: np.asarray(tensor._data) for tensor in current}
    for node in nodes:
        if node in calls:
            known[node] = calls[node].out
            pairs = zip(calls[node].nodes, calls[node].values, strict=True)
            known |= {source: value for source, value in pairs if source is not None and value is not None}
        elif isinstance(node.op, Primitive) and node.saved is not None:
            learn_from_saved(node, known)
    if unwritten:
        for node in reversed(nodes):
            if node not in known and isinstance(node.op, Primitive):
                calculate_again(node, known)
    return known


def never_written(data: Any) -> bool:
    return not isinstance(data, np.ndarray) or version(data) == 0


def learn_from_saved(node: Node, known: dict[Node, np.ndarray]) -> None:
    """What a node's rules read are values of its parents or its own."""
    op = node.op
    for name, value in readings(node, None).items():
        if name == "out":
            known.setdefault(node, np.asarray(value))
        elif name in op.rules and not op.variadic and value is not None:
            source = node.parents[tuple(op.rules).index(name)]
            if source is not None:
                known.setdefault(source, np.asarray(value))


def calculate_again(node: Node, known: dict[Node, np.ndarray]) -> None:
    """A value that nobody kept follows from its operands where these are all known."""
    op, arguments = node.op, operands(node, None)
    parameters = {name: value for name, value in readings(node, None).items() if name in op.parameters}
    inputs = [known.get(each.node) if each.node is not None else each.constant for each in arguments]
    complete = all(value is not None for value in inputs) and parameters.keys() == op.parameters.keys()
    if complete and (op.variadic or len(inputs) == len(op.arguments)):
        known[node] = np.asarray(op.forward(*inputs, **parameters))
