"""Two runs of a model beside each other: what differs between them depends on the input.

One run shows only what happened for one input. A second one, with other values and with other lengths of the dynamic axes, tells the
rest: a length that changed is a :class:`Varying` one, which the graph must calculate; a number that changed was calculated outside
the recorded operations and would be frozen in the file, which is refused.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.errors import GraphError, message
from tinygrad_edu.onnx.trace import Step, Trace, Value

__all__ = ["Varying", "compare"]

PATH = "is not carried out for every input: an `if` or a loop depends on the input's values"


@dataclass(frozen=True)
class Varying:
    """An integer that was `first` in one run and `second` in the other."""

    first: int
    second: int


class _DiffersError(Exception):
    """What is not the same in both runs, in words."""


def compare(one: Trace, other: Trace, outs: list[Value], other_outs: list[Value], dynamic: bool) -> None:
    """Write into the values and steps of `one` what varies.

    Parameters
    ----------
    dynamic : bool
        Whether the second run had other lengths; else no integer may differ.

    Raises
    ------
    RuntimeError
        If the runs took different steps, or a step's number or constant depends on the input's values.
    """
    pair = _Pair(dynamic)
    where = "the model"
    try:
        for a, b in zip(one.inputs, other.inputs, strict=True):
            a.dims = pair.merged(a.dims, b.dims)
        for index, step in enumerate(one.steps):
            where = _described(step)
            twin = other.steps[index] if index < len(other.steps) else None
            if twin is None or (step.name, step.place) != (twin.name, twin.place):
                raise _DiffersError(PATH)
            for name, argument in step.arguments.items():
                step.arguments[name] = pair.merged(argument, twin.arguments[name])
            for a, b in zip(step.results, twin.results, strict=True):
                a.dims = pair.merged(a.dims, b.dims)
        if len(other.steps) > len(one.steps):
            where = _described(other.steps[len(one.steps)])
            raise _DiffersError(PATH)
        where = "what the model returns"
        pair.merged(outs, other_outs)
    except _DiffersError as difference:
        fix = (
            "operations of tensors throughout (tg.where instead of `if`, no .item() or .numpy()), and a dummy input that is like "
            "the others."
        )
        raise GraphError(message("", "onnx.export", f"{where} {difference}.", fix)) from None


def _described(step: Step) -> str:
    return f"the operation {step.name} ({step.where()})"


@dataclass(frozen=True)
class _Pair:
    """Merging what two runs say of the same thing."""

    dynamic: bool

    def merged(self, a: Any, b: Any) -> Any:
        """Return what both have in common, with :class:`Varying` where integers differ."""
        if type(a) is not type(b):
            raise _DiffersError(PATH)
        if isinstance(a, Value):
            return self._value(a, b)
        if isinstance(a, tuple | list) and not hasattr(a, "_fields"):
            if len(a) != len(b):
                raise _DiffersError(f"has {len(a)} dimensions or parts for one input, {len(b)} for another")
            parts = [self.merged(x, y) for x, y in zip(a, b, strict=True)]
            return parts if isinstance(a, list) else tuple(parts)
        if isinstance(a, slice):
            return slice(*(self.merged(getattr(a, p), getattr(b, p)) for p in ("start", "stop", "step")))
        if isinstance(a, int | np.integer) and not isinstance(a, bool):
            if a != b and not self.dynamic:
                raise _DiffersError(f"has a length or number ({a}) that depends on the input's values")
            return int(a) if a == b else Varying(int(a), int(b))
        if isinstance(a, bool | float | str | np.generic) and not (a == b or a != a):
            raise _DiffersError(f"has a parameter ({a}) that depends on the input's values")
        return a

    def _value(self, a: Value, b: Value) -> Value:
        if (a.origin, a.key) != (b.origin, b.key):
            raise _DiffersError("does not take its inputs from the same places for every input")
        if a.origin == "constant":
            a.dims = self.merged(tuple(a.array.shape), tuple(b.array.shape))
            if a.array.shape == b.array.shape and not _equal(a.array, b.array):
                raise _DiffersError(
                    f"contains a tensor of shape {tuple(a.array.shape)} that was calculated from the input (or drawn at random) outside "
                    "the recorded operations; the file would freeze it"
                )
        return a


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
