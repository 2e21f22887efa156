"""Formulas typed as text, such as ``a = x**2; f = a + x*y``: calculated by the engine, and drawn with their own names.

The text is Python's syntax for arithmetic and nothing more. It is never handed to Python itself: :class:`Calculator`
walks its syntax tree and refuses whatever is not a number, a name, a list, an operator or a call of an op of this
package, so a formula from a stranger can do nothing but calculate.
"""

from __future__ import annotations

import ast
import difflib
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.registry import registry
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.visualize.drawing import Direction, Drawing
from tinygrad_edu.visualize.graph_picture import PARTS, draw_graph
from tinygrad_edu.visualize.recording import Recording, record

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y,
    ast.Pow: lambda x, y: x**y,
    ast.MatMult: lambda x, y: x @ y,
    ast.USub: lambda x: -x,
    ast.UAdd: lambda x: x,
}
LONGEST_TEXT = 20_000


class ExpressionError(ValueError):
    """What is wrong with a formula, with its line and column."""


@dataclass
class Evaluated:
    """The result of the last line, every named tensor, and the recording of all operations."""

    result: Tensor
    tensors: dict[str, Tensor]
    recording: Recording


def draw_expression(
    text: str,
    values: Mapping[str, Any],
    *,
    show: tuple[str, ...] = PARTS,
    direction: Direction = "right",
    title: str = "",
) -> Drawing:
    """Calculate formulas at the given values and draw the graph of the last one.

    Parameters
    ----------
    text : str
        Formulas on lines of their own or between semicolons, see :func:`evaluate`.
    values : mapping of str to number or nested list
        What the formulas start from; each value is a leaf of the graph.
    show, direction, title
        As for :func:`draw_graph`.

    Raises
    ------
    ExpressionError
        The text is no formula; a subclass of ValueError that names line and column.

    Examples
    --------
    >>> from tinygrad_edu.visualize import draw_expression
    >>> print(draw_expression("b = x * y; f = b + 1", {"x": 3, "y": 2}, show=("value", "grad")).to_text())
    x | = 3 | ∂f/∂x = 2
    y | = 2 | ∂f/∂y = 3
    b = x * y | = 6 | ∂f/∂b = 1
        from x
        from y
    f = b + 1 | = 7 | ∂f/∂f = 1
        from b = x * y
    """
    evaluated = evaluate(text, values)
    return draw_graph(
        evaluated.result,
        names=evaluated.tensors,
        recording=evaluated.recording,
        show=show,
        direction=direction,
        title=title,
    )


def evaluate(text: str, values: Mapping[str, Any]) -> Evaluated:
    """Calculate formulas: numbers, names, lists, ``+ - * / ** @``, brackets, and calls of this package's ops.

    Parameters
    ----------
    text : str
        ``name = formula`` or just ``formula``, on lines of their own or between semicolons. ``#`` starts a comment.
    values : mapping of str to number or nested list
        Floating-point tensors are made of them that require gradients.

    Raises
    ------
    ExpressionError
        Anything else in the text, an unknown name, or an operation that refuses its operands.

    Examples
    --------
    >>> from tinygrad_edu.visualize.expression import evaluate
    >>> evaluate("c = (x + y)**2", {"x": 3, "y": 2}).result.item()
    25.0
    >>> evaluate("f = x + z", {"x": 3})
    Traceback (most recent call last):
        ...
    tinygrad_edu.visualize.expression.ExpressionError: line 1, column 9: unknown name 'z'. Known names: x
        f = x + z
                ^
    """
    calculator = Calculator(text, values)
    with record() as recording:
        result = calculator.run()
    return Evaluated(result, calculator.tensors, recording)


def parse_value(text: str) -> Any:
    """The number or nested list that a text spells, as typed for a value on the command line."""
    try:
        value = ast.literal_eval(text.strip())
        as_leaf("value", value)
    except (ValueError, SyntaxError, TypeError, RecursionError) as error:
        raise ExpressionError(
            f"{text!r} is not a number or a list of numbers. Fix: 3, 0.5 or [[1, 2], [3, 4]]"
        ) from error
    return value


def as_leaf(name: str, value: Any) -> Tensor:
    import tinygrad_edu as tg

    try:
        return tg.tensor(value, dtype=tg.get_default_dtype(), requires_grad=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ExpressionError(f"the value of {name} is not a number or a list of numbers: {error}") from error


class Calculator:
    """Walks the syntax tree of a text; ``tensors`` holds what has a name so far."""

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self.text = textwrap.dedent(text).strip("\n")
        self.tensors = {name: as_leaf(name, value) for name, value in values.items()}

    def run(self) -> Tensor:
        """Calculate every statement; return the last result."""
        result = None
        for name, formula in self.statements():
            result = self.tensor(formula)
            if name is not None:
                self.tensors[name] = result
        if result is None:
            raise ExpressionError("there is no formula to calculate. Fix: write one, such as f = x**2 + 1")
        return result

    def statements(self) -> list[tuple[str | None, ast.expr]]:
        """The statements of the text, each ``name = formula`` or just ``formula``, as names and formulas."""
        if len(self.text) > LONGEST_TEXT:
            raise ExpressionError(f"the text is longer than {LONGEST_TEXT} characters")
        try:
            body = ast.parse(self.text).body
        except SyntaxError as error:
            raise self.wrong(f"not a formula ({error.msg})", error.lineno or 1, error.offset or 1) from None
        except (RecursionError, MemoryError, ValueError):
            raise ExpressionError("the formula is nested too deeply, or holds a sign that no formula has") from None
        found: list[tuple[str | None, ast.expr]] = []
        for statement in body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=formula):
                    found.append((name, formula))
                case ast.Expr(value=formula):
                    found.append((None, formula))
                case _:
                    raise self.error(statement, "only `name = formula` and `formula` may stand here")
        return found

    # ---- values -----------------------------------------------------------------------------------------------------
    def tensor(self, node: ast.expr) -> Tensor:
        """The value of a formula as a tensor; numbers and lists of numbers become constants."""
        import tinygrad_edu as tg

        value = self.value(node)
        if isinstance(value, Tensor):
            return value
        try:
            return tg.tensor(value, dtype=tg.get_default_dtype())
        except (TypeError, ValueError, RuntimeError) as error:
            raise self.error(node, f"not a list of numbers: {error}") from error

    def value(self, node: ast.expr) -> Any:
        """The value of any allowed syntax: a tensor, a number, or a list of these."""
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return number
            case ast.Name(id=name):
                return self.named(node, name)
            case ast.List(elts=elements):
                return [self.value(element) for element in elements]
            case ast.UnaryOp(op=operator, operand=operand) if type(operator) in OPERATORS:
                return self.apply(node, type(operator), operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
                return self.apply(node, type(operator), left, right)
            case ast.Call(func=ast.Name(id=name)):
                return self.call(node, name)
        allowed = "numbers, names, lists, + - * / ** @, brackets and calls of functions such as sin(x)"
        raise self.error(node, f"{ast.unparse(node)[:40]!r} is not allowed in a formula. Allowed are {allowed}")

    def named(self, node: ast.expr, name: str) -> Tensor:
        if name in self.tensors:
            return self.tensors[name]
        near = difflib.get_close_matches(name, [*self.tensors, *functions()], n=1)
        hint = f" Did you mean {near[0]}?" if near else f" Known names: {', '.join(self.tensors) or 'none'}"
        raise self.error(node, f"unknown name {name!r}.{hint}")

    def apply(self, node: ast.expr, operator: type[ast.AST], *operands: ast.expr) -> Any:
        """An operator on tensors or numbers. Numbers alone are floats here, so that none can grow without bound."""
        values = [self.tensor(each) if isinstance(each, ast.List) else self.value(each) for each in operands]
        if not any(isinstance(value, Tensor) for value in values) and len(values) == 2:
            values = [float(value) for value in values]
        return self.guarded(node, OPERATORS[operator], *values)

    def call(self, node: ast.Call, name: str) -> Any:
        """A call of an op: the first argument is a tensor, or a list of them; the others may be plain parameters."""
        known = functions()
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else " Known are exp, log, sin, tanh, sum and the like"
            raise self.error(node, f"unknown function {name!r}.{hint}")
        if not node.args or any(keyword.arg is None for keyword in node.keywords):
            raise self.error(node, f"{name}() needs an operand first, and parameters by name. Fix: {name}(x)")
        first = self.value(node.args[0])
        if not (isinstance(first, list) and any(isinstance(element, Tensor) for element in first)):
            first = self.tensor(node.args[0])
        rest = [self.value(argument) for argument in node.args[1:]]
        parameters = {str(keyword.arg): self.value(keyword.value) for keyword in node.keywords}
        result = self.guarded(node, known[name], first, *rest, **parameters)
        if not isinstance(result, Tensor):
            raise self.error(node, f"{name}() gives a {type(result).__name__}, and a formula needs one tensor")
        return result

    def guarded(self, node: ast.expr, function: Callable[..., Any], *operands: Any, **parameters: Any) -> Any:
        """Run an operation; what it refuses is an error of the formula, at its place."""
        try:
            return function(*operands, **parameters)
        except (ArithmeticError, TypeError, ValueError, RuntimeError, IndexError, MemoryError) as error:
            raise self.error(node, f"{error}") from error

    # ---- errors -----------------------------------------------------------------------------------------------------
    def error(self, node: ast.stmt | ast.expr, problem: str) -> ExpressionError:
        line = self.text.splitlines()[node.lineno - 1]
        return self.wrong(problem, node.lineno, len(line.encode()[: node.col_offset].decode()) + 1)

    def wrong(self, problem: str, line: int, column: int) -> ExpressionError:
        """The problem, the line it is in, and a mark under the column; both count from 1."""
        lines = self.text.splitlines() or [""]
        shown = lines[min(line, len(lines)) - 1]
        return ExpressionError(f"line {line}, column {column}: {problem}\n    {shown}\n    {' ' * (column - 1)}^")


def functions() -> dict[str, Callable[..., Any]]:
    """The ops that a formula may call: the public ones that give their result and change nothing."""
    import tinygrad_edu as tg

    names = (name for name in registry if not name.startswith("_") and not name.endswith("_"))
    return {name: registry[name].function for name in names if getattr(tg, name, None) is registry[name].function}
