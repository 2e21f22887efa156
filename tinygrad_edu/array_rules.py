"""Running derivative rules on plain arrays: a copy of each rule that sees every op as its array function."""

from collections.abc import Callable
from inspect import unwrap
from itertools import pairwise
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dis import Instruction

__all__ = ["hands_on", "makes_new", "on_arrays", "reads_of"]


def reads_of(rule: Callable) -> tuple[str, ...]:
    """Return what a rule reads: its parameter names after the gradient."""
    return rule.__code__.co_varnames[1 : rule.__code__.co_argcount]


def hands_on(rule: Callable) -> bool:
    """Tell whether a rule returns the gradient itself, as ``lambda g: g`` does, or what an operator has just computed."""
    return _ends_in(rule, lambda step: _is_new(step) or (step.opname == "LOAD_FAST" and step.arg == 0))


def makes_new(rule: Callable) -> bool:
    """Tell whether whatever a rule returns was just computed by an operator, so that it is nobody else's array."""
    return _ends_in(rule, _is_new)


def _is_new(step: "Instruction") -> bool:
    return step.opname in ("BINARY_OP", "UNARY_NEGATIVE")


def _ends_in(rule: Callable, fits: "Callable[[Instruction], bool]") -> bool:
    """Tell whether the step before every return fits; false where a return can be reached from elsewhere."""
    from dis import get_instructions  # importing it takes longer than all of this file

    steps = list(get_instructions(rule))
    ends = [(before, step) for before, step in pairwise(steps) if step.opname.startswith("RETURN")]
    return bool(ends) and all(
        fits(before) and step.opname == "RETURN_VALUE" and not step.is_jump_target for before, step in ends
    )


_array_worlds: dict[int, dict[str, Any]] = {}


def on_arrays(function: Callable) -> Callable:
    """Return a copy of `function` in whose world every op is its array function, so that it maps arrays to arrays."""
    world = _array_worlds.get(id(function.__globals__))
    if world is None:
        world = _array_worlds[id(function.__globals__)] = dict(function.__globals__)
        for name, value in list(world.items()):
            if isinstance(value, FunctionType):
                world[name] = _array_version(value)
    copy = FunctionType(function.__code__, world, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _array_version(function: FunctionType) -> Callable:
    op: Any = getattr(function, "op", None)
    if hasattr(op, "forward"):
        return op.forward if not op.variadic else lambda tensors, *a, **k: op.forward(*tensors, *a, **k)
    if function.__module__.startswith("tinygrad_edu.ops"):
        return on_arrays(unwrap(function))
    return function
