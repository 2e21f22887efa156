"""The picture of a recorded step: one static graph of everything that it does, backward and optimizer included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_edu.compiler.program import Call, Value, values_in
from tinygrad_edu.visualize.drawing import Drawing
from tinygrad_edu.visualize.labels import public_name

if TYPE_CHECKING:
    from tinygrad_edu.compiler.plan import Plan


def draw_plan(plan: Plan, *, backward: bool = True) -> Drawing:
    """Draw the program of a plan; see :meth:`tinygrad_edu.compiler.plan.Plan.draw`."""
    picture = PlanPicture(plan, backward)
    picture.draw()
    return picture.drawing


class PlanPicture:
    """Puts the calls of a program into boxes; ``origin`` tells the box that each value comes out of."""

    def __init__(self, plan: Plan, backward: bool) -> None:
        self.plan, self.backward = plan, backward
        self.drawing = Drawing(plan.title, "down")
        self.origin: dict[int, str] = {}
        self.gradients: dict[int, str] = {}  # the box of a gradient that is kept, by id of its leaf

    def draw(self) -> None:
        given = {value.number: value for value in (*self.plan.program.inputs, *self.plan.program.held)}
        gradient = self.plan.program.gradient
        if gradient is not None:
            given[gradient.seed.number] = gradient.seed
        for call in self.plan.calls():
            if self.is_shown(call):
                for value in values_in((call.arguments, call.keywords)):
                    if value.number in given and value.number not in self.origin:
                        self.draw_given(value)
                self.draw_call(call)
        self.draw_ends()

    def is_shown(self, call: Call) -> bool:
        """Forgetting old gradients makes nothing; it is only in the table."""
        if call.kind in ("op", "draw"):
            return True
        if call.kind == "effect":
            return self.backward and bool(call.results or list(call.values()) or self.leaves_of(call))
        return self.backward

    def draw_given(self, value: Value) -> None:
        name = self.plan.names.get(value.number, value.name)
        kind = "leaf" if value.origin == "input" else "constant" if value.node is None else "parameter"
        self.origin[value.number] = box = f"value{value.number}"
        title = "gradient of the result" if value.name == "g" and value.holder is None else name
        self.drawing.add_box(box, title, [value.type()], kind=kind)  # type: ignore[arg-type]

    def draw_call(self, call: Call) -> None:
        box = f"call{len(self.drawing.boxes)}"
        results = [value for value in call.results if value is not None]
        if call.kind == "deposit":
            self.drawing.add_box(box, self.plan.leaf_name(call), kind="output")
            self.gradients[id(call.arguments[0])] = box
        else:
            title = public_name(call.op) if call.kind == "op" else call.name.lstrip("_")
            self.drawing.add_box(box, title, [f"{v.name}: {v.type()}" for v in results], kind="op")
        read = [self.origin[v.number] for v in call.values() if v.number in self.origin]
        kept = [self.gradients[leaf] for leaf in self.leaves_of(call) if leaf in self.gradients]
        for source in dict.fromkeys([*read, *kept]):
            self.drawing.add_arrow(source, box)
        self.origin.update((value.number, box) for value in results)

    def leaves_of(self, call: Call) -> list[int]:
        """The gradients, by id of their leaves, that an optimizer's step reads."""
        owner: Any = call.arguments[0] if call.kind == "effect" and call.arguments else None
        if not call.name.endswith(".step") or not hasattr(owner, "param_groups"):
            return []
        return [id(p.node) for group in owner.param_groups for p in group["params"]]

    def draw_ends(self) -> None:
        """What the step returns, and the gradients that a function hands back to the graph around it."""
        ends = {value.number: "result" for value in values_in(self.plan.program.result)}
        for number, title in ends.items():
            if number in self.origin:
                self.drawing.add_box(f"end{number}", title, kind="output")
                self.drawing.add_arrow(self.origin[number], f"end{number}")
        gradient = self.plan.program.gradient
        for target, value in gradient.wanted if gradient is not None and self.backward else ():
            if isinstance(value, Value) and value.number in self.origin:
                box = f"gradient{target.number}"
                name = self.plan.names.get(target.number, target.name)
                self.drawing.add_box(box, f"{name}.grad", kind="output")
                self.drawing.add_arrow(self.origin[value.number], box)
