"""The whole idea of this package on single numbers: read this file first.

Every calculation is a chain of small steps such as ``x * y`` or ``sin(x)``. For one small step calculus has a formula
at once: the derivative of ``x * y`` by ``x`` is ``y``. So while Python calculates, each result remembers two things:
which numbers it was made from, and its *local derivative* by each of them. That memory is the computational graph.

The chain rule then gives the derivative of the end result by any number that took part in it:

    derivative by x  =  sum over the steps that used x of
                        (derivative by the step's result)  *  (local derivative of that step by x)

:meth:`Value.backward` evaluates this rule from the end result towards the beginning. A result is always made after the
numbers it is made from, so walking from the youngest to the oldest visits every result only after all steps that used
it have reported. No recursion is needed, and the cost is one multiplication and one addition for each arrow.

The full engine does exactly this, with arrays in the place of numbers.

>>> x, y = Value(3.0), Value(2.0)
>>> f = x**2 + x*y + (x + y)**2
>>> f.backward()
>>> f.data, x.grad, y.grad                 # df/dx = 2x + y + 2(x + y),  df/dy = x + 2(x + y)
(40.0, 18.0, 13.0)
"""

from __future__ import annotations

import itertools
import math

__all__ = ["Value"]

birth_certificates = itertools.count()  # 0, 1, 2, ...: the order in which values are made


class Value:
    """A number that remembers how it was made.

    ``data`` is the number, ``op`` the name of the step that made it ("" for a number given from outside), ``arrows``
    one pair ``(parent, local derivative)`` for each number that went into it, and ``grad`` the derivative of the end
    result by this value. Gradients add up over calls of :meth:`backward`; set ``grad = 0.0`` to start afresh.
    """

    __slots__ = ("arrows", "born", "data", "grad", "op")

    def __init__(self, data: float, arrows: tuple[tuple[Value, float], ...] = (), op: str = "") -> None:
        if not isinstance(data, int | float):
            raise TypeError(f"Value holds one number, got {type(data).__name__} {data!r}. Fix: Value(3.0)")
        self.data = float(data)
        self.arrows = arrows
        self.op = op
        self.grad = 0.0
        self.born = next(birth_certificates)

    def backward(self) -> None:
        """Add the derivative of this value by ``v`` to ``v.grad``, for this value and every ``v`` it was made from."""
        flow = {self: 1.0}  # derivative of self by each value; that of self by itself is 1
        for value in sorted(self.ancestry(), key=lambda v: v.born, reverse=True):
            for parent, local_derivative in value.arrows:
                flow[parent] = flow.get(parent, 0.0) + flow[value] * local_derivative
            value.grad += flow[value]

    def ancestry(self) -> set[Value]:
        """This value and all values it was made from."""
        found, to_visit = {self}, [self]
        while to_visit:
            new = {parent for parent, _ in to_visit.pop().arrows} - found
            found |= new
            to_visit.extend(new)
        return found

    # One step, one paragraph: the number, then its local derivative by each operand.

    def __add__(self, other: Value | float) -> Value:
        x, y = self, as_value(other)
        return Value(x.data + y.data, ((x, 1.0), (y, 1.0)), "+")

    def __sub__(self, other: Value | float) -> Value:
        x, y = self, as_value(other)
        return Value(x.data - y.data, ((x, 1.0), (y, -1.0)), "-")

    def __mul__(self, other: Value | float) -> Value:
        x, y = self, as_value(other)
        return Value(x.data * y.data, ((x, y.data), (y, x.data)), "*")

    def __truediv__(self, other: Value | float) -> Value:
        x, y = self, as_value(other)
        return Value(x.data / y.data, ((x, 1 / y.data), (y, -x.data / y.data**2)), "/")

    def __pow__(self, other: Value | float) -> Value:
        x, y = self, as_value(other)
        try:  # math.pow refuses (-8)**0.5 where Python's own ** would turn complex
            power = math.pow(x.data, y.data)
            by_x = y.data * math.pow(x.data, y.data - 1) if y.data else 0.0  # x**0 is 1 everywhere, even at 0
        except ValueError:
            raise ValueError(f"({x.data}) ** {y.data}, or its derivative, is not a real number") from None
        if not isinstance(other, Value):
            return Value(power, ((x, by_x),), f"**{other}")
        by_y = power * math.log(x.data) if x.data > 0 else math.nan  # x**y varies smoothly with y only where x > 0
        return Value(power, ((x, by_x), (y, by_y)), "**")

    def __neg__(self) -> Value:
        return Value(-self.data, ((self, -1.0),), "neg")

    def exp(self) -> Value:
        out = math.exp(self.data)
        return Value(out, ((self, out),), "exp")

    def log(self) -> Value:
        if self.data <= 0:
            raise ValueError(f"log({self.data}) is not a real number: log needs a number above 0")
        return Value(math.log(self.data), ((self, 1 / self.data),), "log")

    def sin(self) -> Value:
        return Value(math.sin(self.data), ((self, math.cos(self.data)),), "sin")

    def cos(self) -> Value:
        return Value(math.cos(self.data), ((self, -math.sin(self.data)),), "cos")

    def tanh(self) -> Value:
        out = math.tanh(self.data)
        return Value(out, ((self, 1 - out**2),), "tanh")

    def relu(self) -> Value:
        return Value(max(self.data, 0.0), ((self, 1.0 if self.data > 0 else 0.0),), "relu")

    def sigmoid(self) -> Value:
        out = (1 + math.tanh(self.data / 2)) / 2  # the same function as 1 / (1 + exp(-x)), and it never overflows
        return Value(out, ((self, out * (1 - out)),), "sigmoid")

    # The operand on the left may be a plain number: 2 * x asks x.__rmul__(2). Sums and products may swap.

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> Value:
        return as_value(other) - self

    def __rtruediv__(self, other: float) -> Value:
        return as_value(other) / self

    def __rpow__(self, other: float) -> Value:
        return as_value(other) ** self

    def __repr__(self) -> str:
        return f"Value({self.data}, grad={self.grad})"


def as_value(number: Value | float) -> Value:
    """A plain number among the operands becomes a value of its own, made from nothing."""
    return number if isinstance(number, Value) else Value(number)
