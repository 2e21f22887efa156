"""A second engine, as plain as possible: the oracle of the state machine in test_state_machine.py.

Every value is a tuple of float64 with a full Jacobian row per leaf element, carried forward (forward-mode, no graph, no backward
pass), so nothing of the real engine's machinery can be repeated here. A view is stored as positions in its base, and reading it reads the base.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class Value:
    """Numbers and their derivatives with respect to all leaves, side by side: `slopes[i]` belongs to `numbers[i]`."""

    numbers: np.ndarray
    slopes: np.ndarray
    tracked: bool


class Variable:
    """A variable of the program: its own value, or positions in a base."""

    def __init__(self, value: Value | None = None, base: "Variable | None" = None, cells: np.ndarray | None = None):
        self.value, self.base, self.cells = value, base, cells
        self.leaf = False

    def root(self) -> "Variable":
        return self if self.base is None else self.base

    def read(self) -> Value:
        if self.base is None:
            return self.value
        whole = self.base.value
        return Value(whole.numbers[self.cells], whole.slopes[self.cells], whole.tracked)

    def write(self, new: Value) -> None:
        if self.base is None:
            self.value = new
            return
        whole = self.base.value
        numbers, slopes = whole.numbers.copy(), whole.slopes.copy()
        numbers[self.cells], slopes[self.cells] = new.numbers, new.slopes
        self.base.value = Value(numbers, slopes, whole.tracked or new.tracked)


class NaiveEngine:
    """Forward-mode differentiation with respect to a fixed number of leaf elements."""

    def __init__(self, leaf_elements: int):
        self.width = leaf_elements
        self.used = 0

    def constant(self, numbers: np.ndarray) -> Variable:
        return Variable(Value(numbers.copy(), np.zeros((numbers.size, self.width)), False))

    def leaf(self, numbers: np.ndarray) -> Variable:
        slopes = np.zeros((numbers.size, self.width))
        for i in range(numbers.size):
            slopes[i, self.used + i] = 1
        self.used += numbers.size
        made = Variable(Value(numbers.copy(), slopes, True))
        made.leaf = True
        return made

    def binary(self, name: str, a: Value, b: Value, recording: bool) -> Value:
        tracked = recording and (a.tracked or b.tracked)
        if name == "add":
            numbers, slopes = a.numbers + b.numbers, a.slopes + b.slopes
        elif name == "sub":
            numbers, slopes = a.numbers - b.numbers, a.slopes - b.slopes
        else:
            numbers = a.numbers * b.numbers
            slopes = a.slopes * b.numbers[:, None] + b.slopes * a.numbers[:, None]
        return Value(numbers, slopes if tracked else np.zeros_like(slopes), tracked)

    def unary(self, name: str, a: Value, recording: bool) -> Value:
        tracked = recording and a.tracked
        function, slope = {"sin": (np.sin, np.cos), "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2)}[name]
        slopes = a.slopes * slope(a.numbers)[:, None]
        return Value(function(a.numbers), slopes if tracked else np.zeros_like(slopes), tracked)
