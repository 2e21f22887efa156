"""Every op case, from the files in tests/cases/."""

import importlib
import pkgutil

import tests.cases
from tests.op_cases import OpCase

CASES: list[OpCase] = [
    case
    for module in sorted(pkgutil.iter_modules(tests.cases.__path__), key=lambda m: m.name)
    for case in getattr(importlib.import_module(f"tests.cases.{module.name}"), "CASES", [])
]
