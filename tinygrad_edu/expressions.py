"""Reading a formula back from compiled Python, so that generated code can contain it where it would otherwise call it.

A call costs as much as the arithmetic on one number. And ``part = g * y`` in ``tg.mul.source()`` says more than a call of a rule.
"""

from collections.abc import Callable, Mapping
from dis import Instruction, get_instructions

__all__ = ["written_out"]

_LOADS = {"LOAD_FAST", "LOAD_FAST_BORROW"}
_PAIRS = {"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"}
_NUMBERS = {"LOAD_CONST", "LOAD_SMALL_INT"}
_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
_BRANCHES = {"POP_JUMP_FORWARD_IF_FALSE", "POP_JUMP_IF_FALSE"}
_NOTHING = {"RESUME", "NOP", "CACHE", "TO_BOOL", "NOT_TAKEN"}


def written_out(function: Callable, names: Mapping[str, str]) -> str | None:
    """Return the formula of a function that does nothing but return one of its arguments and numbers; None for any other.

    Parameters
    ----------
    names : mapping
        What stands for each argument.

    Examples
    --------
    >>> written_out(lambda g, out: g * (1 - out), {"g": "g", "out": "y"})
    'g * (1 - y)'
    >>> written_out(lambda x: abs(x), {"x": "x"}) is None
    True
    """
    code = function.__code__
    if code.co_exceptiontable or code.co_freevars:  # type: ignore[attr-defined]
        return None
    steps = list(get_instructions(code))
    return _read(steps, 0, [], names)


def _read(steps: list[Instruction], start: int, begun: list[str], names: Mapping[str, str]) -> str | None:
    """Follow the instructions from an offset to the end, with a stack of formulas instead of values."""
    stack = list(begun)
    for at, step in enumerate(steps):
        kind, value = step.opname, step.argval
        if step.offset < start:
            continue
        if kind in _LOADS and value in names:
            stack.append(names[value])
        elif kind in _PAIRS and all(name in names for name in value):
            stack += [names[name] for name in value]
        elif kind in _NUMBERS and value.__class__ in (int, float):
            stack.append(repr(value) if value >= 0 else f"({value!r})")
        elif (kind == "BINARY_OP" and not step.argrepr.endswith("=")) or (
            kind == "COMPARE_OP" and value in _COMPARISONS
        ):
            second, first = stack.pop(), stack.pop()
            stack.append(f"{_operand(first)} {step.argrepr if kind == 'BINARY_OP' else value} {_operand(second)}")
        elif kind == "UNARY_NEGATIVE":
            stack.append(f"-{_operand(stack.pop())}")
        elif kind in _BRANCHES and len(stack) == 1:
            here, other = _read(steps, steps[at + 1].offset, [], names), _read(steps, value, [], names)
            return f"{here} if {stack[0]} else {other}" if here and other else None
        elif kind == "JUMP_FORWARD":
            return _read(steps, value, stack, names)
        elif kind == "RETURN_VALUE" and len(stack) == 1:
            return stack[0]
        elif kind not in _NOTHING:
            return None
    return None


def _operand(formula: str) -> str:
    """A formula as a part of another one."""
    return f"({formula})" if " " in formula or formula.startswith("-") else formula
