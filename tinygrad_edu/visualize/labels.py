"""How numbers, values and operations read in a picture."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tinygrad_edu.dtypes import dtype
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.registry import registry
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.visualize.derivatives import Local

# PyTorch's node names of the operations that are written between or before their operands, and how strongly they bind.
INFIX = {"Add": ("+", 1), "Sub": ("-", 1), "Mul": ("*", 2), "Div": ("/", 2), "Mm": ("@", 2), "Pow": ("**", 4)}
PREFIX = {"Neg": ("-", 3)}
ATOM = 9
FEW = 4  # elements in a row that are shown one by one


class Expression(str):
    """Text of a formula that knows how strongly its outermost operation binds, so that brackets are set where needed."""

    strength: int

    def __new__(cls, text: str, strength: int = ATOM) -> Expression:
        expression = super().__new__(cls, text)
        expression.strength = strength
        return expression

    def in_brackets(self) -> str:
        """The text, in brackets unless it is a name or a call."""
        return str(self) if self.strength == ATOM else f"({self})"


def constant(value: Any) -> Expression:
    """A number inside a formula; a negative one binds like the sign it starts with."""
    text = number(value)
    return Expression(text, PREFIX["Neg"][1] if text.startswith("-") else ATOM)


def operation(op: Any, operands: list[Expression], parameters: dict[str, Any]) -> Expression:
    """The formula of an operation, such as ``(x + y) ** 2`` or ``sum(x, dim=1)``."""
    kind = torch_name(op)
    if kind == "Pow" and "exponent" in parameters:
        operands, parameters = [*operands, Expression(number(parameters["exponent"]))], {}
    if kind in ("Slice", "Index") and "key" in parameters:
        return Expression(f"{operands[0].in_brackets()}[{key(parameters['key'])}]")
    shown = {k: v for k, v in parameters.items() if not is_default(v, op.parameters.get(k))}
    if kind in INFIX and len(operands) == 2 and not shown:
        symbol, strength = INFIX[kind]
        left, right = operands
        if left.strength < strength or (symbol == "**" and left.strength == strength):
            left = Expression(f"({left})")
        if right.strength < strength or (symbol != "**" and right.strength == strength):
            right = Expression(f"({right})")
        return Expression(f"{left} {symbol} {right}", strength)
    if kind in PREFIX and len(operands) == 1:
        symbol, strength = PREFIX[kind]
        inner = operands[0]
        return Expression(f"{symbol}({inner})" if inner.strength <= strength else f"{symbol}{inner}", strength)
    options = [f"{name}={short(value)}" for name, value in shown.items() if short(value)]
    return Expression(f"{public_name(op)}({', '.join([*operands, *options])})")


def torch_name(op: Any) -> str:
    return op.node_name.rstrip("0123456789").removesuffix("Backward")


def public_name(op: Any) -> str:
    """What a user calls an op: ``sum`` for the primitive ``sum_along``, ``cat`` for ``join``."""
    from tinygrad_edu.nn import functional

    if not isinstance(op, Primitive) or hasattr(Tensor, op.name) or hasattr(functional, op.name):
        return op.name.strip("_")
    words = op.name.split("_")
    beginnings = ["_".join(words[:count]) for count in range(len(words) - 1, 0, -1)]
    torch_like = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", torch_name(op).removesuffix("WithIndices")).lower()
    return next((name for name in [*beginnings, torch_like] if name in registry), op.name.strip("_"))


def is_default(value: Any, default: Any) -> bool:
    if value is None or value is False:
        return True
    return type(value) is type(default) and not isinstance(value, np.ndarray) and value == default


def short(value: Any) -> str:
    """A parameter as it is written in a call, or nothing when that is long or no user would write it."""
    if isinstance(value, bool | int | float | np.generic):
        return str(value) if isinstance(value, bool) else number(value)
    if isinstance(value, tuple | list) and len(value) == 1:
        return short(value[0])
    text = str(value).removeprefix("tinygrad_edu.") if isinstance(value, tuple | list | str | dtype) else ""
    return text if len(text) <= 12 else ""


def key(index: Any) -> str:
    """What stands between the square brackets of an index; arrays are left out."""
    if isinstance(index, tuple):
        parts = [key(part) for part in index]
        while len(parts) > 1 and parts[-1] in (":", "..."):  # whole dimensions at the end need not be written
            parts.pop()
        return ", ".join(parts)
    if isinstance(index, slice):
        text = ":".join("" if part is None else str(part) for part in (index.start, index.stop, index.step))
        return text.removesuffix(":") if index.step is None else text
    if index is Ellipsis:
        return "..."
    return str(index) if isinstance(index, int | np.integer | None.__class__) else "…"


def number(value: Any) -> str:
    """A number with four significant digits, without a needless point: 9, 0.25, 1.234e-05."""
    return f"{float(value) + 0.0:.4g}"  # + 0.0 turns -0 into 0


def is_small(array: np.ndarray) -> bool:
    return array.ndim <= 2 and all(length <= FEW for length in array.shape)


def values(array: np.ndarray) -> str:
    """The numbers themselves where they are few, a row of a matrix on each line; else what they lie between."""
    if array.size == 0:
        return "no elements"
    first = array.reshape(-1)[0]
    if array.size > 2 and np.all(array == first):
        return f"all {number(first)}"
    if array.size == 1:
        return number(first)
    if not is_small(array):
        return f"{number(array.min())} … {number(array.max())}"
    rows = [f"[{', '.join(map(number, row))}]" for row in np.atleast_2d(array)]
    return rows[0] if array.ndim < 2 else "[" + ",\n".join(rows) + "]"


def equation(left: str, right: str) -> list[str]:
    """``left = right`` as lines; a matrix starts on a line of its own."""
    rows = right.split("\n")
    if len(rows) > 1 and left:
        return [f"{left} =", *rows]
    return [f"{left} = {rows[0]}".lstrip(), *rows[1:]]


def local(derivative: Local) -> str:
    """A local derivative in this run's numbers where they are few or all the same, else the Jacobian's shape."""
    numbers, (rows, columns) = derivative.numbers, derivative.sizes
    if numbers is None or not numbers.size:
        return f"{rows} × {columns} matrix"
    if derivative.elementwise:
        return values(numbers).removeprefix("all ")
    if 1 in (rows, columns):
        return values(numbers.reshape(-1))
    return values(numbers) if is_small(numbers) else f"{rows} × {columns} matrix"
