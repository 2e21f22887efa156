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


@dataclass(frozen=True)
class Varying:
    """An integer that was `first` in one run and `second` in the other."""

    first: int
    second: int


def compare(one: Trace, other: Trace, outs: list[Value], other_outs: list[Value]) -> None:
    """Write into the values and steps of `one` what varies.

    Raises
    ------
    RuntimeError
        If the runs took different steps, or a step's number or constant depends on the input's values.
    """
    for a, b in zip(one.inputs, other.inputs, strict=True):
        a.dims = _merged(a.dims, b.dims)
    for index, step in enumerate(one.steps):
        twin = other.steps[index] if index < len(other.steps) else None
        if twin is None or step.name != twin.name or step.place != twin.place:
            raise _refused(step, "is not carried out for every input: an `if` or a loop depends on the input's values")
        _merge_steps(step, twin)
    if len(other.steps) > len(one.steps):
        step = other.steps[len(one.steps)]
        raise _refused(step, "is not carried out for every input: an `if` or a loop depends on the input's values")
    last = one.steps[-1] if one.steps else Step("forward", {}, [], "", ("", 0))
    for a, b in zip(outs, other_outs, strict=True):
        _merge_values(a, b, last)


def _merge_steps(step: Step, twin: Step) -> None:
    for name, argument in step.arguments.items():
        try:
            step.arguments[name] = _merged(argument, twin.arguments[name], step)
        except _DiffersError:
            raise _refused(step, f"has an argument {name!r} that depends on the input's values") from None
    for a, b in zip(step.results, twin.results, strict=True):
        if len(a.dims) != len(b.dims):
            raise _refused(step, f"gives results of shape {a.dims} and {b.dims}, depending on the input")
        a.dims = _merged(a.dims, b.dims)


class _DiffersError(Exception):
    """Two arguments that are not the same, and no lengths."""


def _merged(a: Any, b: Any, step: Step | None = None) -> Any:
    """Return what both runs have in common, with :class:`Varying` where integers differ."""
    if isinstance(a, Value) and isinstance(b, Value) and step is not None:
        return _merge_values(a, b, step)
    if type(a) is not type(b):
        raise _DiffersError
    if isinstance(a, tuple | list) and not hasattr(a, "_fields"):
        if len(a) != len(b):
            raise _DiffersError
        parts = [_merged(x, y, step) for x, y in zip(a, b, strict=True)]
        return parts if isinstance(a, list) else tuple(parts)
    if isinstance(a, slice):
        return slice(*(_merged(getattr(a, p), getattr(b, p), step) for p in ("start", "stop", "step")))
    if isinstance(a, int | np.integer) and not isinstance(a, bool):
        return int(a) if a == b else Varying(int(a), int(b))
    if isinstance(a, bool | float | str | np.generic) and not (a == b or a != a):
        raise _DiffersError
    return a


def _merge_values(a: Value, b: Value, step: Step) -> Value:
    if (a.origin, a.key) != (b.origin, b.key):
        raise _refused(step, "does not take its inputs from the same places for every input")
    if a.origin == "constant":
        if a.array.ndim != b.array.ndim:
            raise _DiffersError
        a.dims = _merged(a.dims, tuple(b.array.shape))
        if a.array.shape == b.array.shape and not _equal(a.array, b.array):
            facts = (
                f"uses a tensor of shape {tuple(a.array.shape)} that was calculated from the input (or drawn at random) outside the "
                "recorded operations; in the file it would be frozen"
            )
            raise _refused(step, facts)
    return a


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _refused(step: Step, facts: str) -> GraphError:
    fix = (
        "use operations of tensors throughout (tg.where instead of `if`, no .item() or .numpy()), and one dummy input that "
        "is like the others."
    )
    return GraphError(message("", "onnx.export", f"the operation {step.name} ({step.where()}) {facts}.", fix))
