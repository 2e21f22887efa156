"""The numbers beside the arrows: local derivatives by each operation's own rules, and the chain rule over a drawn graph.

The engine could give the gradients too, but it would run the user's hooks and need values that ``backward()`` has freed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import GraphError, message
from tinygrad_edu.graph import Node
from tinygrad_edu.memory import check_saved
from tinygrad_edu.primitive import Primitive, new_node
from tinygrad_edu.visualize.recording import Call

LARGEST_JACOBIAN = 64  # entries; beyond that a picture only says its shape


class Local(NamedTuple):
    """A local derivative: one number for each element (``elementwise``), or the Jacobian as (out elements, in elements).

    ``numbers`` is None for a Jacobian that is too large to be looked at; its shape is in ``sizes``.
    """

    numbers: np.ndarray | None
    elementwise: bool
    sizes: tuple[int, int]


def gradients(root: Node, seed: np.ndarray, nodes: list[Node], calls: dict[Node, Call]) -> dict[Node, np.ndarray]:
    """The derivative of the sum of ``root`` by every node it depends on; ``nodes`` are in order, newest first."""
    flow: dict[Node, Any] = {root: seed}
    for node in nodes:
        if node in flow and not node.is_leaf:
            parts = run_backward(node, flow[node], calls.get(node))
            for parent, part in zip(node.parents, parts, strict=True):
                if parent is not None and part is not None:
                    flow[parent] = added(flow[parent], part) if parent in flow else part
    return {node: gradient for node, gradient in flow.items() if not isinstance(gradient, list)}


def added(before: Any, part: Any) -> Any:
    """The sum of two contributions; a function with several results has a list, with None where nothing came yet."""
    if isinstance(part, list):
        return [a if b is None else b if a is None else a + b for a, b in zip(before, part, strict=True)]
    return before + part


def run_backward(node: Node, gradient: Any, call: Call | None, summed: bool = True) -> list[Any]:
    """What the op's backward step hands on to each parent; without ``summed`` not summed to the shapes it broadcast.

    The engine's own step runs on a copy of the node whose parents are stand-ins, so that it collects nothing in the
    graph and runs no hooks.
    """
    mark = object()
    stand_ins = tuple(None if parent is None else new_node(parent.op, (), ()) for parent in node.parents)
    copy = new_node(node.op, stand_ins, saved_values(node, call), node.shapes if summed else None)
    for each in (copy, *stand_ins):
        if each is not None:
            each.mark = mark
    with np.errstate(all="ignore"):
        node.op.pull(copy, gradient)
    return [None if each is None else each.grad for each in stand_ins]


def saved_values(node: Node, call: Call | None) -> tuple:
    """What the op's rules read, in the order of ``node.saved``."""
    if not isinstance(node.op, Primitive):
        return check_not_freed(node)
    values = readings(node, call)
    return tuple(values[name] for name in node.op.reads)


def check_not_freed(node: Node) -> tuple:
    if node.saved is None:
        facts = f"the values that {node.op.name} saved for its derivative were freed by backward()."
        fix = "draw before backward(), or pass it retain_graph=True, or calculate inside tg.visualize.record()."
        raise GraphError(message("E204", "visualize", facts, fix))
    return node.saved


def readings(node: Node, call: Call | None) -> dict[str, Any]:
    """The values by the names that the rules use: from the recording, or else what the node has saved."""
    op = node.op
    if call is None:
        saved = check_not_freed(node)
        check_saved(node)
        return dict(zip(op.reads, saved, strict=False))
    values: dict[str, Any] = {**op.parameters, **call.parameters, "out": call.out}
    if op.variadic:
        return values | {
            "tensors": list(call.values),
            "tensors_shapes": [value.shape for value in call.values if value is not None],
        }
    for name, value in zip(op.arguments, call.values, strict=True):
        values[name] = value
        values[f"{name}_shape"] = None if value is None else value.shape
        values[f"{name}_dtype"] = None if value is None else value.dtype
    return values


def local_derivative(node: Node, position: int, out: np.ndarray, shape: tuple[int, ...], call: Call | None) -> Local:
    """The derivative of a node by its parent number ``position``, which has ``shape``; ``out`` has the node's shape."""
    size = int(np.prod(shape))
    sizes = (out.size, size)
    slopes = run_backward(node, np.ones(out.shape, out.dtype), call, summed=False)[position]
    if slopes is None:  # a user's function that passes nothing on
        return Local(np.zeros(sizes), False, sizes)
    alone = isinstance(node.op, Primitive) and node.op.elementwise and slopes.shape == out.shape
    if alone or (shape == out.shape and is_diagonal(node, position, slopes, call)):
        return Local(np.broadcast_to(slopes, out.shape), True, sizes)
    if out.size * size > LARGEST_JACOBIAN:
        return Local(None, False, sizes)
    rows = []
    for number in range(out.size):
        unit = np.zeros(out.shape, out.dtype)
        unit.flat[number] = 1
        rows.append(np.reshape(run_backward(node, unit, call)[position], -1))
    return Local(np.reshape(rows, sizes), False, sizes)


def is_diagonal(node: Node, position: int, slopes: np.ndarray, call: Call | None) -> bool:
    """Whether an operation on one tensor works on each element alone, as tanh does and transposing does not.

    Then, and only then, its rule gives ``slopes * probe`` for every gradient ``probe``; one with all elements different
    tells.
    """
    if len(node.op.arguments if isinstance(node.op, Primitive) else node.parents) != 1 or len(node.parents) != 1:
        return False
    probe = np.linspace(1, 2, slopes.size, dtype=slopes.dtype).reshape(slopes.shape)
    found = run_backward(node, probe, call)[position]
    return bool(np.allclose(found, slopes * probe, equal_nan=True))
