"""Which tensor the user calls what: read from the user's own variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from tinygrad_edu.tensor import Tensor

NAMELESS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"}  # names are those of the code around them


def names_in(frame: FrameType | None) -> dict[str, Tensor]:
    """Tensors among the variables of a frame by their names, also parameters of modules, as ``model.0.weight``."""
    found: dict[str, Tensor] = {}
    while frame is not None:
        for scope in (frame.f_locals, frame.f_globals):
            for name, value in named_tensors(scope):
                found.setdefault(name, value)
        frame = frame.f_back if frame.f_code.co_name in NAMELESS else None
    return found


def named_tensors(scope: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    from tinygrad_edu import nn

    for name, value in list(scope.items()):
        if name.startswith("_") or not name.isidentifier():  # private, the notebook's own _12, a debugger's own
            continue
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, nn.Module):
            for path, parameter in value.named_parameters():
                yield f"{name}.{path}", parameter


class Names:
    """The name of a node or of a constant; what nobody named gets a letter and a number that are not taken."""

    def __init__(self, given: Mapping[str, Tensor]) -> None:
        self.of_node: dict[Any, str] = {}
        self.of_array: dict[int, str] = {}
        self.kept = list(given.values())  # an array's id is its own only while the array lives
        for name, tensor in given.items():
            if tensor.node is not None:
                self.of_node.setdefault(tensor.node, name)
            else:
                self.of_array.setdefault(id(tensor._data), name)
        self.taken = set(given)

    def invent(self, letter: str) -> str:
        """The first of ``v1, v2, ...`` that is free."""
        count = 1
        while f"{letter}{count}" in self.taken:
            count += 1
        self.taken.add(f"{letter}{count}")
        return f"{letter}{count}"
