"""The user's own lines, read when an error or warning is composed: which variable holds a tensor, and where it was assigned.

Remembering names and lines would cost every operation; at the moment of an error both can still be found.
"""

import ast
import linecache
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tinygrad_edu.errors import user_frame

__all__ = ["Assignment", "Lines", "variable_that"]

_places: dict[tuple[str, int, str], str] = {}
SWITCHES = ("no_grad", "inference_mode", "set_grad_enabled(False)")


@dataclass(frozen=True)
class Assignment:
    """``names = value`` in a line, and the ``with no_grad()`` around it as it is written."""

    line: int
    names: frozenset[str]
    value: ast.expr
    switch: str


class Lines:
    """The assignments of the function (or module) that a frame runs, and the statement it is in.

    Raises
    ------
    SyntaxError
        If the source cannot be read.
    """

    def __init__(self, frame: FrameType):
        self.frame = frame
        self.file = os.path.basename(frame.f_code.co_filename)
        self.assignments: list[Assignment] = []
        self.statement: ast.stmt | None = None
        lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
        self._collect(_scope(ast.parse("".join(lines)), frame).body, "")

    def value(self, name: str) -> Any:
        """Return what a variable holds now."""
        return self.frame.f_locals.get(name, self.frame.f_globals.get(name))

    def before(self, name: str, line: int) -> Assignment | None:
        """Return the last assignment to a variable above `line`."""
        above = (a for a in self.assignments if name in a.names and a.line < line)
        return max(above, key=lambda a: a.line, default=None)

    def last(self, name: str) -> Assignment | None:
        """Return the lowest assignment to a variable: in a loop it may be the one before."""
        return max((a for a in self.assignments if name in a.names), key=lambda a: a.line, default=None)

    def _collect(self, body: list[Any], switch: str) -> None:
        """Note the assignments of a block, but not those of functions defined in it."""
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            inside = switch
            if isinstance(statement, ast.With):
                items = [ast.unparse(item.context_expr) for item in statement.items]
                inside = next((f"with {i}" for i in items if any(s in i for s in SWITCHES)), switch)
            elif isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign) and statement.value is not None:
                self.assignments.append(_assignment(statement, switch))
            simple = not hasattr(statement, "body")
            if simple and statement.lineno <= self.frame.f_lineno <= (statement.end_lineno or 0):
                self.statement = statement
            for part in ("body", "orelse", "finalbody"):
                self._collect(getattr(statement, part, []), inside)
            for handler in getattr(statement, "handlers", []):
                self._collect(handler.body, inside)


def _assignment(statement: Any, switch: str) -> Assignment:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = frozenset(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    value = statement.value
    if isinstance(statement, ast.AugAssign):
        value = ast.BinOp(statement.target, statement.op, value)
    return Assignment(statement.lineno, names, value, switch)


def _scope(tree: ast.Module, frame: FrameType) -> Any:
    """Return the function (or the module) that the frame runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == frame.f_code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == frame.f_code.co_firstlineno:
                return node
    return tree


def variable_that(matches: Callable[[Any], bool]) -> str:
    """Return the name of the user's variable whose value matches, with the line that assigned it; empty if there is none."""
    frame = user_frame()
    if frame is None:
        return ""
    try:
        names = [n for n, value in frame.f_locals.items() if not n.startswith("_") and matches(value)]
        if not names:
            return ""
        key = frame.f_code.co_filename, frame.f_lineno, names[0]
        if key not in _places:  # a warning in a training loop comes here at every step
            if len(_places) >= 256:
                _places.clear()
            found = Lines(frame)
            source = found.before(names[0], frame.f_lineno) or found.last(names[0])
            _places[key] = f"`{names[0]}`" + (f" of line {source.line} in {found.file}" if source is not None else "")
        return _places[key]
    except Exception:  # a message must come, whatever the user's objects answer
        return ""
