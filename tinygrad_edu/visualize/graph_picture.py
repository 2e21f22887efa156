"""The picture of a computational graph: values, gradients, and the local derivatives beside the arrows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import GraphError, ValueRangeError, message
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.visualize import labels
from tinygrad_edu.visualize.derivatives import gradients, local_derivative
from tinygrad_edu.visualize.drawing import Direction, Drawing, Kind
from tinygrad_edu.visualize.graph_facts import Operand, ancestry, known_values, operands
from tinygrad_edu.visualize.labels import Expression
from tinygrad_edu.visualize.naming import Names, names_in
from tinygrad_edu.visualize.recording import Call, Recording

PARTS = ("value", "shape", "grad", "local")
LONG = 12  # characters; a longer formula without a name gets one, so that formulas never nest deeply
UNREADABLE = 400  # boxes


def draw_graph(
    *outputs: Tensor,
    names: Mapping[str, Tensor] | None = None,
    recording: Recording | None = None,
    show: Sequence[str] = PARTS,
    direction: Direction = "right",
    title: str = "",
) -> Drawing:
    """Draw the computational graph of one or more results.

    Each box is a tensor: its name or formula, its value, and the gradient of the first output by it. Each arrow runs
    from what an operation read to what it made, and is labelled with the local derivative in the numbers of this run.
    The gradient in a box is the sum, over the arrows that leave it, of label times gradient in the box at their end:
    that is the chain rule.

    Parameters
    ----------
    *outputs : Tensor
        Results of recorded operations.
    names : mapping of str to Tensor
        Names for boxes. Names of the caller's own variables (and of the parameters of modules among them) are found
        without it.
    recording : Recording
        What ``with tg.visualize.record() as recording:`` has recorded. Without it only values that the graph still
        holds are shown, and a constant that no derivative depends on reads ``?``.
    show : sequence of str
        Any of ``"value"``, ``"shape"`` (of arrays), ``"grad"`` and ``"local"``.
    direction : {"right", "down"}
    title : str

    Returns
    -------
    Drawing
        Shows itself in a notebook; ``.save("graph.svg")`` writes it.

    Raises
    ------
    RuntimeError
        An output has no graph (E203), or derivatives are wanted of a graph that ``backward()`` has freed (E204).
    ValueError
        `show` holds an unknown word, or the graph has more than 400 boxes.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> y = tg.tensor(2.0, requires_grad=True)
    >>> b = x * y
    >>> print(tg.visualize.draw_graph(b).to_text())
    x | = 3 | ∂b/∂x = 2
    y | = 2 | ∂b/∂y = 3
    b = x * y | = 6 | ∂b/∂b = 1
        from x: ∂b/∂x = 2
        from y: ∂b/∂y = 3
    """
    check(outputs, show)
    given = dict(names or {})
    for name, tensor in names_in(sys._getframe(1)).items():
        given.setdefault(name, tensor)
    picture = Picture(outputs, given, recording.calls if recording is not None else {}, frozenset(show))
    return picture.draw(Drawing(title=title, direction=direction))


def check(outputs: Sequence[Tensor], show: Sequence[str]) -> None:
    """Refuse what cannot be drawn, and say what can."""
    if not outputs:
        raise ValueRangeError("draw_graph: nothing to draw. Fix: draw_graph(loss)")
    if isinstance(show, str):
        raise ValueRangeError(f"draw_graph: show must be a sequence of words, got {show!r}. Fix: show=({show!r},)")
    for word in show:
        if word not in PARTS:
            raise ValueRangeError(f"draw_graph: show has {word!r}; it takes {', '.join(PARTS)}. Fix: show=('value',)")
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(f"draw_graph: the outputs must be Tensors, got {type(output).__name__}")
        if output.node is None:
            facts = f"a tensor of shape {tuple(output.shape)} does not require grad and has no graph."
            fix = "make an input with requires_grad=True, and do not calculate inside no_grad() or from detach()."
            raise GraphError(message("E203", "draw_graph", facts, fix))


class Picture:
    """What is known of a graph, and how its parts are called while it is being drawn."""

    def __init__(
        self, outputs: Sequence[Tensor], given: Mapping[str, Tensor], calls: dict[Node, Call], show: frozenset[str]
    ) -> None:
        self.show, self.calls = show, calls
        self.roots: list[Any] = [output.node for output in outputs]
        self.nodes = ancestry(self.roots, UNREADABLE)
        if len(self.nodes) > UNREADABLE:
            raise ValueRangeError(
                f"draw_graph: the graph has more than {UNREADABLE} boxes, and nobody could read its picture. "
                "Fix: draw an intermediate result, or run with fewer steps or layers"
            )
        self.values = known_values(self.nodes, calls, [*given.values(), *outputs])
        self.gradients: dict[Node, np.ndarray] = {}
        if show & {"grad", "local"}:
            self.gradients = gradients(self.roots[0], np.ones_like(outputs[0]._data), self.nodes, calls)
        self.operands = {node: operands(node, calls.get(node)) for node in self.nodes if not node.is_leaf}
        self.names = Names(given)
        self.constants: dict[int, str] = {}
        self.titles: dict[Node, str] = {}
        self.formulas: dict[Node, Expression] = {}  # how a node reads in the formulas of others
        for node in reversed(self.nodes):
            self.call_it(node)

    # ---- names ------------------------------------------------------------------------------------------------------
    def call_it(self, node: Node) -> None:
        """Give a node its title, and the constants it reads theirs; its parents have theirs already."""
        name = self.names.of_node.get(node)
        if node.is_leaf:
            name = self.titles[node] = name or self.names.invent("x")
            self.formulas[node] = Expression(name)
            return
        for operand in self.operands[node]:
            self.call_constant(operand)
        parameters = self.calls[node].parameters if node in self.calls else saved_parameters(node)
        formula = labels.operation(node.op, [self.formula(operand) for operand in self.operands[node]], parameters)
        if name is None and len(formula) > LONG and node not in self.roots:
            name = self.names.invent("v")
        self.titles[node] = f"{name} = {formula}" if name else formula
        self.formulas[node] = Expression(name) if name else formula

    def call_constant(self, operand: Operand) -> None:
        """A constant gets a box when it has a name or many elements; a mere number stands in the formula."""
        key, value = id(operand.owner), operand.constant
        if value is not None and key not in self.constants and (value.size != 1 or key in self.names.of_array):
            self.constants[key] = self.names.of_array.get(key) or self.names.invent("c")

    def formula(self, operand: Operand) -> Expression:
        """How an operand reads in the formula of the operation that read it."""
        if operand.node is not None:
            return self.formulas[operand.node]
        if id(operand.owner) in self.constants:
            return Expression(self.constants[id(operand.owner)])
        if operand.constant is None:
            return Expression("?")
        return labels.constant(operand.constant.item())

    # ---- boxes and arrows -------------------------------------------------------------------------------------------
    def draw(self, drawing: Drawing) -> Drawing:
        """Oldest operations first, and what an operation is the first to read just before it."""
        for node in reversed(self.nodes):
            for operand in self.operands.get(node, ()):
                if operand.node is None:
                    self.draw_constant(drawing, operand)
                elif operand.node.is_leaf:
                    self.draw_box(drawing, operand.node)
            if not node.is_leaf or node in self.roots:
                self.draw_box(drawing, node)
            for operand in self.operands.get(node, ()):
                if operand.node is not None:
                    drawing.add_arrow(box_id(operand.node), box_id(node), self.local(node, operand))
                elif id(operand.owner) in self.constants:
                    drawing.add_arrow(f"constant{id(operand.owner)}", box_id(node))
        return drawing

    def draw_box(self, drawing: Drawing, node: Node) -> None:
        if box_id(node) in drawing.boxes:
            return
        lines = []
        if node in self.values:
            lines = self.lines(self.values[node])
        elif node in self.gradients and "shape" in self.show:
            lines = [f"shape {self.gradients[node].shape}"]
        gradient = []
        if "grad" in self.show and node in self.gradients:
            whole = "Σ" if self.gradients[self.roots[0]].size > 1 else ""
            gradient = labels.equation(self.fraction(self.roots[0], node, whole), labels.values(self.gradients[node]))
        drawing.add_box(box_id(node), self.titles[node], lines, gradient, self.kind(node))

    def draw_constant(self, drawing: Drawing, operand: Operand) -> None:
        key = id(operand.owner)
        if key in self.constants and f"constant{key}" not in drawing.boxes:
            drawing.add_box(f"constant{key}", self.constants[key], self.lines(operand.constant), kind="constant")

    def kind(self, node: Node) -> Kind:
        from tinygrad_edu import nn

        if node in self.roots:
            return "output"
        if not isinstance(node, Leaf):
            return "op"
        return "parameter" if isinstance(node.variable, nn.Parameter) else "leaf"

    def lines(self, value: np.ndarray) -> list[str]:
        lines = labels.equation("", labels.values(value)) if "value" in self.show else []
        return lines + [f"shape {value.shape}"] * ("shape" in self.show and value.ndim > 0)

    def fraction(self, above: Node, below: Node, whole: str = "") -> str:
        top, bottom = self.formulas[above], self.formulas[below]
        return f"∂{whole}{top.in_brackets()}/∂{bottom.in_brackets()}"

    def local(self, node: Node, operand: Operand) -> str:
        """The label of an arrow: the derivative of what was made by what was read."""
        out = self.values.get(node, self.gradients.get(node))
        source = self.values.get(operand.node, self.gradients.get(operand.node))
        if "local" not in self.show or out is None or source is None:
            return ""
        slope = local_derivative(node, operand.parent, out, source.shape, self.calls.get(node))
        label = "\n".join(labels.equation(self.fraction(node, operand.node), labels.local(slope)))
        if slope.elementwise and source.shape != out.shape:
            label += f"\n{source.shape} stretched to {out.shape}"
        return label


def box_id(node: Node) -> str:
    return f"node{id(node)}"


def saved_parameters(node: Node) -> dict[str, Any]:
    """The parameters of the operation that its rules read; without a recording nobody knows the others."""
    return {
        name: value for name, value in zip(node.op.reads, node.saved or (), strict=False) if name in node.op.parameters
    }
