"""The plan of a recorded step: every call of its program with names, shapes and source lines, as a table for people."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.compiler.names import names_of
from tinygrad_edu.compiler.program import Call, Program, Value
from tinygrad_edu.errors import location, message
from tinygrad_edu.recorders import RecordingError
from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from pathlib import Path

    from tinygrad_edu.compiler.step import Recorded
    from tinygrad_edu.visualize.drawing import Drawing

__all__ = ["Plan", "Row", "plan_of"]

SECTIONS = {"op": "forward", "draw": "beside", "effect": "beside", "write": "beside"}  # every other kind: backward


@dataclass(frozen=True)
class Row:
    """One line of a plan.

    Attributes
    ----------
    number : int
        Its place in the order of execution, from 1; inputs and held tensors have 0.
    section : str
        "inputs", "held", "forward", "backward" or "beside".
    result, type, what, place : str
        The name of what is made, its dtype and shape, how it is made, and the user's line.
    """

    number: int
    section: str
    result: str
    type: str
    what: str
    place: str = ""

    def cells(self) -> tuple[str, ...]:
        """Its columns as text."""
        return (str(self.number or ""), self.result, self.type, self.what, self.place)


class Plan:
    """What a recorded step does, as a table; ``print`` it, or let a notebook show it.

    Attributes
    ----------
    title : str
        Which program of how many this is.
    how : str
        Whether it runs as one compiled function, or why it does not.
    rows : list of Row
        Inputs, held tensors, and all calls.
    names : dict
        What a value is called, by its number.
    """

    def __init__(self, recorded: "Recorded", title: str, function: Callable):
        self.recorded, self.title = recorded, title
        self.program: Program = recorded.program
        self.names = names_of(self.program, function)
        self.how = _how(recorded)
        self.rows = [*self._given(), *self._calls()]
        self.result = "returns " + _written(self.program.result, self.names)

    # ---- rows -------------------------------------------------------------------------------------------------------------
    def _given(self) -> Iterator[Row]:
        for value in self.program.inputs:
            yield Row(0, "inputs", value.name, value.type(), "argument of the step")
        for value in self.program.held:
            kind = "learns" if value.node is not None else "is only read"
            name = self.names[value.number]
            yield Row(0, "held", value.name, value.type(), f"{name}, {kind}" if name != value.name else kind)

    def _calls(self) -> Iterator[Row]:
        number = 0
        for call in self.calls():
            number += 1
            made = [r for r in call.results if r is not None]
            if call.kind == "deposit":
                value = call.arguments[1]
                kind = value.type() if isinstance(value, Value) else ""
                yield Row(number, "backward", self.leaf_name(call), kind, self.text(call), location(call.place))
                continue
            section = SECTIONS.get(call.kind, "backward")
            name, kind = ", ".join(r.name for r in made), ", ".join(r.type() for r in made)
            yield Row(number, section, name, kind, self.text(call), location(call.place))

    def calls(self) -> list[Call]:
        """All calls in the order in which they run; of a function that is differentiated outside, its way back follows."""
        gradient = self.program.gradient
        return self.program.calls + ([] if gradient is None else gradient.calls)

    def text(self, call: Call) -> str:
        """Return how a call is made, with the names of its arguments."""
        if call.kind == "deposit":
            return f"keep {_written(call.arguments[1], self.names)}"
        if call.kind == "add":
            return " + ".join(_written(a, self.names) for a in call.arguments)
        if call.kind in ("effect", "draw", "write"):
            method = "." in call.name  # optimizer.step(): the first argument is its object
            parts = list(_parts(call.arguments[1:] if method else call.arguments, self.names))
        elif call.kind == "op":
            parts = list(self._arguments_of_op(call))
        else:
            parts = list(_parts(call.arguments, self.names))
        if call.kind != "op":
            parts += [f"{key}={_written(value, self.names)}" for key, value in call.keywords.items() if _plain(value)]
        return f"{call.name.lstrip('_')}({', '.join(parts)})"

    def _arguments_of_op(self, call: Call) -> Iterator[str]:
        """Yield tensors by name, and those parameters by keyword that differ from their defaults."""
        op = call.op
        count = len(call.arguments) if op.variadic else len(op.arguments)
        yield from (_written(a, self.names) for a in call.arguments[:count] if a is not None)
        words = [*zip(op.parameters, call.arguments[count:], strict=False), *call.keywords.items()]
        for key, value in words:
            if _plain(value) and value is not None and value is not False and not _same(value, op.parameters.get(key)):
                yield f"{key}={_written(value, self.names)}"

    def leaf_name(self, call: Call) -> str:
        """Return what a gradient is called: ``0.weight.grad``."""
        leaf = call.arguments[0]
        value = next((v for v in self.program.held if v.node is leaf), None)
        return call.name if value is None else f"{self.names[value.number]}.grad"

    # ---- showing ----------------------------------------------------------------------------------------------------------
    def sections(self) -> dict[str, list[Row]]:
        """The rows by section, in the order in which they are shown; without empty sections."""
        found: dict[str, list[Row]] = {name: [] for name in ("inputs", "held", "forward", "backward", "beside")}
        for row in self.rows:
            found[row.section].append(row)
        return {name: rows for name, rows in found.items() if rows}

    def __repr__(self) -> str:
        table = [row.cells() for row in self.rows]
        widths = [max((len(row[column]) for row in table), default=0) for column in range(4)]
        lines = [self.title, self.how]
        for name, rows in self.sections().items():
            lines += ["", name]
            for row in rows:
                number, *cells, place = row.cells()
                padded = [cell.ljust(width) for cell, width in zip(cells, widths[1:], strict=True)]
                lines.append(f"  {number.rjust(widths[0])}  {'  '.join(padded)}  {place}".rstrip())
        return "\n".join([*lines, "", self.result])

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self.title)}</b><br>{escape(self.how)}</p>", "<table>"]
        for name, rows in self.sections().items():
            parts.append(f'<tr><th colspan="5" style="text-align:left">{name}</th></tr>')
            for row in rows:
                cells = "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row.cells())
                parts.append(f"<tr>{cells}</tr>")
        return "".join([*parts, "</table>", f"<p>{escape(self.result)}</p>"])

    def source(self) -> str:
        """Return the Python function that replays the step and, where there is one, the compiled function that it calls.

        Raises
        ------
        RecordingError
            If the step has been called only once: the replay is written when a second recording has confirmed the first.
        """
        if not self.recorded.confirmed:
            raise _not_yet("the step has been recorded once, and its replay is written after the second call.")
        return self.recorded.source

    def draw(self, path: "str | Path | None" = None, *, backward: bool = True) -> "Drawing":
        """Draw the program: arrays that come in, operations, derivative rules, gradients and optimizers.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture; its ending (.svg, .png, .pdf, .dot) says how.
        backward : bool
            Whether derivative rules and what follows from them are part of the picture.

        Returns
        -------
        Drawing
            Shows itself in a notebook; ``.save("plan.svg")`` writes it.
        """
        from tinygrad_edu.visualize.plan_picture import draw_plan

        drawing = draw_plan(self, backward=backward)
        if path is not None:
            drawing.save(path)
        return drawing


def plan_of(step: Any, number: int) -> Plan:
    """Return the plan of one program of a recorded step."""
    count = len(step.programs)
    if step.plain and not count:
        raise _not_yet(
            f"{step.name} runs as it is written: it returns several tensors that are differentiated outside."
        )
    if not count:
        raise _not_yet(f"{step.name} has not been called yet, so nothing is recorded.")
    if not isinstance(number, int) or not -count <= number < count:
        raise IndexError(
            f"plan: {step.name} has {count} program{'s' * (count > 1)}, there is no number {number!r}. "
            f"Fix: a number from 0 to {count - 1}."
        )
    return Plan(step.programs[number], f"{step.name}: program {number % count} of {count}", step.function)


def _not_yet(facts: str) -> RecordingError:
    return RecordingError(
        message("", "plan", facts, "call the step twice with tensors of the right shapes, then ask again.")
    )


def _how(recorded: "Recorded") -> str:
    if not recorded.confirmed:
        return f"still runs on the tape: {recorded.why_not}"
    return f"runs call by call: {recorded.why_not}" if recorded.why_not else "runs as one compiled function"


# ---- arguments as text ------------------------------------------------------------------------------------------------------
def _plain(value: Any) -> bool:
    """Whether an argument says something to a reader; a workspace or an optimizer does not."""
    if isinstance(value, tuple | list):
        return all(map(_plain, value))
    return value is None or isinstance(
        value, Value | Tensor | bool | int | float | str | slice | np.generic | np.ndarray
    )


def _parts(arguments: tuple, names: dict[int, str]) -> Iterator[str]:
    """Yield the arguments that say something; tuples of nothing but True and False tell a rule which gradients are wanted."""
    for argument in arguments:
        wanted = isinstance(argument, tuple) and argument and all(isinstance(part, bool) for part in argument)
        if argument is not None and not wanted and _plain(argument):
            yield _written(argument, names)


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and not isinstance(value, np.ndarray) and bool(value == default)


def _written(thing: Any, names: dict[int, str]) -> str:
    """Return an argument as text."""
    if isinstance(thing, Value):
        return names.get(thing.number, thing.name)
    if isinstance(thing, np.ndarray) and thing.ndim:
        return f"<{thing.dtype} {thing.shape}>"
    if isinstance(thing, Tensor):
        return f"<tensor {tuple(thing.shape)}>"
    if isinstance(thing, np.ndarray | np.generic):
        return repr(thing.item())
    if isinstance(thing, slice):
        return ":".join(
            "" if part is None else str(part) for part in (thing.start, thing.stop, thing.step)
        ).removesuffix(":")
    if isinstance(thing, tuple):
        return f"({', '.join(_written(part, names) for part in thing)}{',' * (len(thing) == 1)})"
    if isinstance(thing, list):
        return f"[{', '.join(_written(part, names) for part in thing)}]"
    if isinstance(thing, dict):
        return "{" + ", ".join(f"{key!r}: {_written(part, names)}" for key, part in thing.items()) + "}"
    text = repr(thing)
    return text if len(text) <= 30 else f"{text[:27]}..."
