"""Writes tinygrad_edu/operations.pyi: the methods that declaring an op installs on Tensor, for editors and type checkers.

Run ``python -m tests.write_operations_stub`` after adding an op; tests/test_typing.py fails while the file is stale.
"""

import ast
import inspect
from pathlib import Path

import tinygrad_edu as tg
from tinygrad_edu.primitive import Primitive

PACKAGE = Path(tg.__file__).parent
STUB = PACKAGE / "operations.pyi"
HEAD = '''"""The methods and operators that declaring an op installs on Tensor. Written by tests/write_operations_stub.py."""

from typing import Any

from tinygrad_edu.tensor import Tensor

class Operations:
'''


def own_names() -> set[str]:
    """What the class body in tensor.py itself defines."""
    tree = ast.parse((PACKAGE / "tensor.py").read_text(encoding="utf-8"))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor").body
    names = {n.name for n in body if isinstance(n, ast.FunctionDef)}
    for n in body:
        targets = n.targets if isinstance(n, ast.Assign) else [n.target] if isinstance(n, ast.AnnAssign) else []
        names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names | {
        "__slots__",
        "__doc__",
        "__module__",
        "__annotations__",
        "__weakref__",
        "__static_attributes__",
        "__firstlineno__",
    }


def entry(name: str, value: object) -> str:
    """One line of the stub."""
    if isinstance(value, property):
        return f"    @property\n    def {name}(self) -> Tensor: ..."
    if name == "__setitem__":
        return "    def __setitem__(self, index: Any, value: Any) -> None: ..."
    if name.startswith("__i") and name != "__invert__":
        return f"    def {name}(self, other: Any) -> Tensor: ...  # type: ignore[misc]"
    if name in ("__eq__", "__ne__"):
        return f"    def {name}(self, other: object) -> Tensor: ...  # type: ignore[override]"
    operator = name.startswith("__")
    tensor = operator or name.endswith("_") or isinstance(getattr(value, "op", None), Primitive)
    try:
        parameters = list(inspect.signature(value).parameters.values())[1:]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        parameters = []
    parts, starred = [], False
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            parts.append(f"*{p.name}: Any")
            starred = True
        elif p.kind is p.VAR_KEYWORD:
            parts.append(f"**{p.name}: Any")
        else:
            if p.kind is p.KEYWORD_ONLY and not starred:
                parts.append("*")
                starred = True
            parts.append(f"{p.name}: Any" + ("" if p.default is p.empty else " = ..."))
    return f"    def {name}(self{''.join(', ' + part for part in parts)}) -> {'Tensor' if tensor else 'Any'}: ..."


def stub() -> str:
    """The whole file."""
    import tinygrad_edu.nn  # noqa: F401 - whatever else installs methods

    skip = own_names()
    entries = [
        entry(n, v)
        for n, v in sorted(vars(tg.Tensor).items())
        if n not in skip and (callable(v) or isinstance(v, property))
    ]
    return HEAD + "\n".join(entries) + "\n"


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    print(f"{STUB}: {stub().count('def ')} methods")
