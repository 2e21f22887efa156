"""The numbers beside the arrows: local derivatives by each operation's own rules, and the chain rule over a drawn graph.

The engine could give the gradients too, but it would run the user's hooks and need values that ``backward()`` has freed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import GraphError, message
from tinygrad_edu.graph import Node
from tinygrad_edu.memory import check_saved
from tinygrad_edu.primitive import reads_of, registry
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
    flow: dict[Node, np.ndarray] = {root: seed}
    for node in nodes:
        if node in flow and not node.is_leaf:
            for parent, part in pull(node, flow[node], calls.get(node)):
                flow[parent] = flow[parent] + part if parent in flow else part
    return flow


def pull(node: Node, gradient: np.ndarray, call: Call | None) -> list[tuple[Node, np.ndarray]]:
    """What the node's rules hand on to each parent, summed to the parent's shape."""
    parts = []
    for position, (parent, part) in enumerate(zip(node.parents, run_rules(node, gradient, call), strict=True)):
        if parent is not None and part is not None:
            if node.op.elementwise and node.op.together is None and node.shapes is not None:
                part = registry["sum_to"].forward(part, node.shapes[rule_position(node, position)])
            parts.append((parent, part))
    return parts


def rule_position(node: Node, position: int) -> int:
    """Where among all arguments the argument of the rule with this number stands."""
    return node.op.arguments.index(tuple(node.op.rules)[position])


def run_rules(node: Node, gradient: np.ndarray, call: Call | None) -> list[Any]:
    """The op's derivative rules on arrays, as the engine runs them: one result for each parent.

    Those of an elementwise op are not yet summed over the dimensions that broadcasting added.
    """
    op, values = node.op, readings(node, call)
    with np.errstate(all="ignore"):
        if op.variadic:
            return list(op.array_rule("tensors")(gradient, *(values[r] for r in reads_of(op.rules["tensors"]))))
        if op.together is not None:
            needs = tuple(parent is not None for parent in node.parents)
            return list(op.together(gradient, needs, *(values[r] for r in op.together_reads)))
        return [
            None if parent is None else op.array_rule(name)(gradient, *(values[r] for r in reads_of(rule)))
            for parent, (name, rule) in zip(node.parents, op.rules.items(), strict=True)
        ]


def readings(node: Node, call: Call | None) -> dict[str, Any]:
    """The values by the names that the rules use: from the recording, or else what the node has saved."""
    op = node.op
    if call is None:
        if node.saved is None:
            raise GraphError(
                message(
                    "E204",
                    "visualize",
                    f"the values that {op.name} saved for its derivative were freed by backward().",
                    "draw before backward(), or pass it retain_graph=True, or calculate inside tg.visualize.record().",
                )
            )
        check_saved(node)
        return dict(zip(op.reads, node.saved, strict=True))
    values: dict[str, Any] = {**op.parameters, **call.parameters, "out": call.out}
    if op.variadic:
        return values | {
            "tensors": list(call.values),
            "tensors_shapes": [value.shape for value in call.values if value is not None],
        }
    for name, value in zip(op.arguments, call.values, strict=True):
        values[name] = value
        if value is not None:
            values[f"{name}_shape"], values[f"{name}_dtype"] = value.shape, value.dtype
    return values


def local_derivative(node: Node, position: int, out: np.ndarray, shape: tuple[int, ...], call: Call | None) -> Local:
    """The derivative of a node by its parent number ``position``, which has ``shape``; ``out`` has the node's shape."""
    size = int(np.prod(shape))
    sizes = (out.size, size)
    slopes = run_rules(node, np.ones(out.shape, out.dtype), call)[position]
    alone = node.op.elementwise and (node.op.together is None or shape == out.shape)
    if alone or (shape == out.shape and is_diagonal(node, position, slopes, call)):
        return Local(np.broadcast_to(slopes, out.shape), True, sizes)
    if out.size * size > LARGEST_JACOBIAN:
        return Local(None, False, sizes)
    rows = []
    for number in range(out.size):
        unit = np.zeros(out.shape, out.dtype)
        unit.flat[number] = 1
        rows.append(np.reshape(run_rules(node, unit, call)[position], -1))
    return Local(np.reshape(rows, sizes), False, sizes)


def is_diagonal(node: Node, position: int, slopes: np.ndarray, call: Call | None) -> bool:
    """Whether an operation on one tensor works on each element alone, as tanh does and transposing does not.

    Then, and only then, its rule gives ``slopes * probe`` for every gradient ``probe``; one with all elements different
    tells.
    """
    if len(node.op.arguments) != 1 or node.op.variadic:
        return False
    probe = np.linspace(1, 2, slopes.size, dtype=slopes.dtype).reshape(slopes.shape)
    found = run_rules(node, probe, call)[position]
    return bool(np.allclose(found, slopes * probe, equal_nan=True))
