"""Where was the graph cut? The user's own lines, read backwards from a ``backward()`` that found nothing recorded (E203).

A tensor without a graph does not know where it came from, and remembering it would cost every operation. But when the error is made,
the lines that led here and the values of their variables are still at hand: going back from the loss over the assignments, the cut
lies in the statement that takes something which requires grad and gives something which does not. Only that is claimed.
"""

import ast
from types import FrameType

from tinygrad_edu.source_lines import Assignment, Lines

__all__ = ["find_cut"]

# Calls and attributes after which nothing is recorded, and what to do instead.
METHODS = {
    "detach": "leave out .detach() on the way to the loss",
    "data": "use the tensor itself instead of .data",
    "item": "keep the tensor; .item() is for printing",
    "numpy": "compute with tinygrad_edu's functions instead of NumPy's",
    "tolist": "keep the tensor; .tolist() is for printing",
    "argmax": "compute the loss from the scores, not from their argmax, which has no derivative",
    "argmin": "compute the loss from the scores, not from their argmin, which has no derivative",
    "long": "keep floating-point numbers: whole numbers have no derivative",
    "int": "keep floating-point numbers: whole numbers have no derivative",
    "bool": "keep floating-point numbers: truth values have no derivative",
}
FUNCTIONS = {
    "tensor": "use the tensor itself: tensor(...) copies the values and not the graph",
    "Tensor": "use the tensor itself: Tensor(...) copies the values and not the graph",
    "float": "keep the tensor; float(...) is for printing",
    "argmax": METHODS["argmax"],
    "argmin": METHODS["argmin"],
}
DEPTH = 20  # assignments followed backwards


def find_cut(frame: FrameType | None) -> tuple[str, str] | None:
    """Return what cut the graph and how to mend it, both as text; None where the lines do not prove it."""
    if frame is None:
        return None
    try:
        return _Trace(frame).run()
    except Exception:  # the error must come, whatever the user's objects answer and however the source looks
        return None


class _Trace(Lines):
    """One walk backwards through the lines of one function."""

    def __init__(self, frame: FrameType):
        super().__init__(frame)
        self.seen: set[Assignment] = set()
        self.plain: list[str] = []  # tensors and models met on the way, none of which requires grad

    def run(self) -> tuple[str, str] | None:
        start = None if self.statement is None else _receiver(self.statement)
        if start is None:
            return None
        found = self._follow(start, self.frame.f_lineno, "", None, 0)
        if found is None and self.plain:
            names = ", ".join(dict.fromkeys(self.plain))
            verdict = "which does not require grad" if "," not in names else "none of which requires grad"
            return f"It was computed from {names}, {verdict}.", "make the parameters with requires_grad=True."
        return found

    def _follow(self, value: ast.expr, line: int, switch: str, name: str | None, depth: int) -> tuple[str, str] | None:
        """Look for the cut in one expression, then in the assignments of the variables it uses."""
        names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
        trainable = [
            n for n in dict.fromkeys(names) if self._requires_grad(n) or (n == name and self._required_grad(n, line))
        ]
        if trainable and switch:
            return (
                f"Line {line} of {self.file} computes `{name}` inside `{switch}`.",
                "compute the loss outside that block.",
            )
        if trainable:
            written = _short(f"{name} = {ast.unparse(value)}" if name else ast.unparse(value))
            cut = self._cut_in(value, set(trainable))
            if cut is not None:
                text, fix = cut
                return f"{text} in line {line} of {self.file}, `{written}`, cut the graph.", f"{fix}."
            if name is not None:
                return (
                    f"Line {line} of {self.file}, `{written}`, takes {trainable[0]}, which requires grad, but its result does not.",
                    "compute it with tensor operations only, outside no_grad().",
                )
        for other in dict.fromkeys(names):
            source = self.before(other, line) or self.last(other)
            if source in self.seen or depth >= DEPTH or not self._is_tensor(other):
                continue
            if source is None:
                self.plain.append(other)
                continue
            self.seen.add(source)
            before = len(self.plain)
            found = self._follow(source.value, source.line, source.switch, other, depth + 1)
            if found is not None:
                return found
            if len(self.plain) == before:
                self.plain.append(other)
        return None

    def _cut_in(self, value: ast.expr, trainable: set[str]) -> tuple[str, str] | None:
        """Return the innermost known cut that is applied to something trainable."""
        found = None
        for node in ast.walk(value):  # outermost first
            if isinstance(node, ast.Attribute) and node.attr in METHODS and _mentions(node.value, trainable):
                found = f".{node.attr}{'' if node.attr == 'data' else '()'}", METHODS[node.attr]
            elif isinstance(node, ast.Call) and any(_mentions(a, trainable) for a in node.args):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in FUNCTIONS:
                    found = f"{called}()", FUNCTIONS[called]
        return found

    def _requires_grad(self, name: str) -> bool:
        value = self.value(name)
        if hasattr(value, "_kinds"):  # a Module
            return any(p.requires_grad for _, p in value._named_members("parameter", "", True, True))
        return getattr(value, "requires_grad", False) is True

    def _required_grad(self, name: str, line: int) -> bool:
        """Tell whether a variable that line `line` overwrites, as in ``x = x.detach()``, was recorded before."""
        earlier = self.before(name, line)
        if earlier is None or earlier.switch:
            return False
        names = {n.id for n in ast.walk(earlier.value) if isinstance(n, ast.Name) and self._requires_grad(n.id)}
        return bool(names) and self._cut_in(earlier.value, names) is None

    def _is_tensor(self, name: str) -> bool:
        value = self.value(name)
        return hasattr(value, "requires_grad") or hasattr(value, "_kinds")


def _receiver(statement: ast.stmt) -> ast.expr | None:
    """Return x of the ``x.backward(...)``, or the first argument of the ``backward(x)`` or ``grad(x, ...)``, in a statement."""
    for node in ast.walk(statement):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("backward", "grad")
        ):
            module = ast.unparse(node.func.value).endswith("autograd")
            return node.args[0] if module and node.args else None if module else node.func.value
    return None


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node))


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
