"""Derivative rules run on symbols: what a rule does to numbers, written down as source for one element of a loop."""

from typing import Any

import numpy as np

__all__ = ["NotFusible", "Symbol", "literal"]

FUNCTIONS = {
    np.exp: "exp_of({})",
    np.log: "log_of({})",
    np.tanh: "tanh_of({})",
    np.sqrt: "math.sqrt({})",
    np.sin: "math.sin({})",
    np.cos: "math.cos({})",
    np.absolute: "abs({})",
    np.negative: "(-{})",
    np.square: "({0} * {0})",
    np.add: "({} + {})",
    np.subtract: "({} - {})",
    np.multiply: "({} * {})",
    np.true_divide: "({} / {})",
}


class NotFusible(Exception):
    """A recorded program that cannot become one compiled function; it is replayed call by call instead."""


class Symbol:
    """An element of an array, by the name that it has inside the loop.

    The ops' own forward functions and rules run on it, as they do on arrays and on tensors.
    """

    __array_priority__ = 2000
    size = 1  # an op that would hand a large array to a kernel takes NumPy's function, which stands in the table above

    def __init__(self, text: str, kind: np.dtype):
        self.text, self.kind = text, kind

    @property
    def dtype(self) -> np.dtype:
        """What an op that looks at its argument's type finds."""
        return self.kind

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> "Symbol":
        if method != "__call__" or kwargs or ufunc not in FUNCTIONS:
            raise NotFusible(f"{ufunc.__name__} has no compiled form")
        return self._made(FUNCTIONS[ufunc].format(*(_text(i, self.kind) for i in inputs)))

    def _made(self, text: str) -> "Symbol":
        return Symbol(text, self.kind)

    def __add__(self, other: Any) -> "Symbol":
        return self._made(f"({self.text} + {_text(other, self.kind)})")

    def __radd__(self, other: Any) -> "Symbol":
        return self._made(f"({_text(other, self.kind)} + {self.text})")

    def __sub__(self, other: Any) -> "Symbol":
        return self._made(f"({self.text} - {_text(other, self.kind)})")

    def __rsub__(self, other: Any) -> "Symbol":
        return self._made(f"({_text(other, self.kind)} - {self.text})")

    def __mul__(self, other: Any) -> "Symbol":
        return self._made(f"({self.text} * {_text(other, self.kind)})")

    def __rmul__(self, other: Any) -> "Symbol":
        return self._made(f"({_text(other, self.kind)} * {self.text})")

    def __truediv__(self, other: Any) -> "Symbol":
        return self._made(f"({self.text} / {_text(other, self.kind)})")

    def __rtruediv__(self, other: Any) -> "Symbol":
        return self._made(f"({_text(other, self.kind)} / {self.text})")

    def __neg__(self) -> "Symbol":
        return self._made(f"(-{self.text})")

    def __bool__(self) -> bool:
        raise NotFusible("a rule asks for a value")


def _text(part: Any, kind: np.dtype) -> str:
    if isinstance(part, Symbol):
        return part.text
    return literal(part, kind)


def literal(number: Any, kind: np.dtype) -> str:
    """Return a number as source, in the arrays' own type: a float64 beside float32 would slow every line down."""
    if isinstance(number, np.ndarray | np.generic) and number.ndim == 0:
        number = number.item()
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or number != number
        or abs(number) == float("inf")
    ):
        raise NotFusible(f"{number!r} is no plain number")
    return f"{'f4' if kind == np.float32 else 'f8'}({float(number)!r})"
