"""Writes benchmarks/results/op_table.md: every op of the registry, how it is called, and what its tests compare it with.

Run ``python -m tests.write_op_table`` after adding an op or a case; tests/ops/test_op_table.py fails while the file is stale.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as functional
from tests.all_cases import CASES
from tests.op_cases import OpCase
from tinygrad_edu.primitive import Primitive, registry

TABLE = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "op_table.md"
SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@", "neg": "-x",
    "pos": "+x", "abs": "abs(x)", "invert": "~x", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>", "eq": "==",
    "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "getitem": "x[i]", "setitem": "x[i] = y",
}  # fmt: skip
HEAD = """# Every op and how it is checked

Written by `python -m tests.write_op_table` from the registry of ops and the cases in `tests/cases/`.

- *called*: where the name is public: `tg` the package, `x` a method of tensors, `F` `nn.functional`; `x_` says that the method has
  an in-place form. Ops without a public name are steps that public ones are made of.
- *node*: the name that `grad_fn` shows; a composite has none, its steps do.
- *gradient*: the arguments that get one. *order*: the highest derivative that tests compare.
- *dtypes*: element types of the arguments in the cases.
- *oracles*: R a reference written with NumPy or SciPy, D central differences, T PyTorch (values, dtypes and derivatives).
- *cases*: ways of calling it; from each, inputs are drawn at random (shapes that broadcast, zero-size, 0-d, strided).

"""
COLUMNS = ("op", "called", "operators", "node", "gradient", "order", "dtypes", "oracles", "cases")


def operators_of(function: Callable) -> str:
    """The operators that call a function."""
    found = []
    for name, value in vars(tg.Tensor).items():
        symbol = SYMBOLS.get(name.strip("_"))
        if symbol and name.startswith("__") and getattr(value, "__wrapped__", value) is function:
            found.append(symbol)
    return " ".join(f"`{symbol}`" for symbol in found)


def called(name: str, function: Callable) -> str:
    """Where users find an op."""
    places = [place for place, owner in (("tg", tg), ("x", tg.Tensor), ("F", functional)) if hasattr(owner, name)]
    if "x" in places and hasattr(tg.Tensor, f"{name}_"):
        places.append("x_")
    return " ".join(places)


def oracles(cases: list[OpCase]) -> str:
    """Letters of the oracles that at least one case has."""
    found = {"R": any(c.reference for c in cases), "D": any(c.order for c in cases), "T": any(c.torch for c in cases)}
    return "".join(letter for letter, used in found.items() if used)


def kinds(cases: list[OpCase]) -> str:
    """The element types of the arguments that are drawn."""
    floats = {d for c in cases for d in (c.dtypes if c.torch else ()) if any(a.kind == "float" for a in c.args)}
    others = {a.kind for c in cases for a in c.args}
    if "float" in others:
        floats.add("float64")
    return " ".join(sorted(floats) + [name for kind, name in (("int", "int64"), ("bool", "bool")) if kind in others])


def row(name: str, op: Any, cases: list[OpCase]) -> tuple[str, ...]:
    """The entries of one op."""
    primitive = isinstance(op, Primitive)
    order = max((c.order for c in cases), default=0)
    public = dict(zip(op.arguments, op.public_names, strict=True)) if primitive else {}
    gradient = ", ".join(public[a] for a in op.differentiable) if primitive else ("by its steps" if order else "")
    return (
        f"`{name}`", called(name, op.function), operators_of(op.function), f"`{op.node_name}`" if primitive and op.rules else "",
        gradient, str(order), kinds(cases), oracles(cases), str(len(cases)),
    )  # fmt: skip


def table() -> str:
    """The whole file: one table for each module of ops, in the order of their names."""
    cases = defaultdict(list)
    for case in CASES:
        cases[case.name].append(case)
    modules = defaultdict(list)
    for name, op in registry.items():
        package, _, module = getattr(op, "forward", op.function).__module__.partition(".")
        if package == "tinygrad_edu":  # tests declare ops, too
            modules[module].append(row(name, op, cases[name]))
    total = sum(map(len, modules.values()))
    public = sum(bool(entries[1]) for rows in modules.values() for entries in rows)
    parts = [
        HEAD + f"{total} ops in {len(modules)} modules, {public} of them with a public name; {len(CASES)} cases.\n"
    ]
    for module, rows in sorted(modules.items()):
        lines = [" | ".join(COLUMNS), " | ".join("--:" if c in ("order", "cases") else ":--" for c in COLUMNS)]
        lines += [" | ".join(entries) for entries in rows]
        parts.append(f"\n## {module}\n\n" + "\n".join(f"| {line} |" for line in lines) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(table(), encoding="utf-8")
    print(TABLE)
