"""Running derivative rules on plain arrays: a copy of each rule that sees every op as its array function."""

from collections.abc import Callable
from inspect import unwrap
from itertools import pairwise
from types import FunctionType
from typing import Any

__all__ = ["hands_on", "makes_new", "on_arrays", "reads_of"]


def reads_of(rule: Callable) -> tuple[str, ...]:
    """Return what a rule reads: its parameter names after the gradient."""
    return rule.__code__.co_varnames[1 : rule.__code__.co_argcount]


def hands_on(rule: Callable) -> bool:
    """Tell whether a rule is ``lambda g: g``."""
    return rule.__code__.co_code == _IDENTITY.__code__.co_code and rule.__code__.co_argcount == 1


def makes_new(rule: Callable) -> bool:
    """Tell whether whatever a rule returns was just computed by an operator, so that it is nobody else's array."""
    from dis import get_instructions

    steps = list(get_instructions(rule))
    ends = [(before, step) for before, step in pairwise(steps) if step.opname.startswith("RETURN")]
    return bool(ends) and all(
        before.opname in ("BINARY_OP", "UNARY_NEGATIVE") and step.opname == "RETURN_VALUE" and not step.is_jump_target
        for before, step in ends
    )


_IDENTITY = lambda g: g  # noqa: E731 - what `hands_on` compares with
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
