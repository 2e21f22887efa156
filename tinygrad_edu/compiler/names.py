"""What the values of a recorded step are called by the person who wrote it: ``0.weight``, ``w``, ``0.01``."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Program, Value
from tinygrad_edu.tensor import Tensor

__all__ = ["names_of"]


def names_of(program: Program, function: Callable) -> dict[int, str]:
    """Return a name for every held tensor of a program, by the number of its value.

    A parameter or buffer is called by its path in the module that holds it, any other tensor by the variable in which `function`
    finds it, and a constant is a number. What nobody named keeps its short name in the program.
    """
    variables = dict(_variables(function))
    known = {id(thing): name for name, thing in variables.items() if isinstance(thing, Tensor)}
    known.update(_paths(program, {id(thing): name for name, thing in variables.items()}))
    return {value.number: known.get(id(value.holder)) or _constant(value) or value.name for value in program.held}


def _variables(function: Callable) -> Iterator[tuple[str, Any]]:
    """Yield what a function finds outside itself: in the functions around it and in its module."""
    code = getattr(function, "__code__", None)
    if code is None:
        return
    world = getattr(function, "__globals__", {})
    yield from ((name, world[name]) for name in code.co_names if name in world)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a variable that is not filled any more
            continue


def _paths(program: Program, variables: dict[int, str]) -> dict[int, str]:
    """Return the path of every parameter and buffer of the modules that were called, by id."""
    found: dict[int, str] = {}
    roots: list[tuple[str, Any]] = []
    inside: set[int] = set()
    for module, _ in program.modules:  # the outer ones were called first
        if id(module) not in inside:
            inside.update(map(id, module.modules()))
            roots.append((variables.get(id(module), type(module).__name__), module))
    for number, (name, root) in enumerate(roots):
        same = sum(name == other for other, _ in roots[:number])
        prefix = "" if len(roots) == 1 else f"{name}{same + 1 if same else ''}."
        for path, tensor in (*root.named_parameters(), *root.named_buffers()):
            found.setdefault(id(tensor), prefix + path)
    return found


def _constant(value: Value) -> str:
    """Return a number that stands in the function's text, as text."""
    if value.shape or value.node is not None:
        return ""
    number: np.ndarray = np.asarray(value.holder._data)
    return f"{number.item():.6g}" if number.dtype.kind == "f" else str(number.item())
