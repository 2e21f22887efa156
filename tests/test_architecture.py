"""The house stays in order: imports go one way, importing is light, nothing global changes, names are spelt one way."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu

FOLDERS = {
    "tinygrad_edu": Path(tinygrad_edu.__file__).parent,
    **{
        f"tinygrad_edu.{n}": Path(importlib.import_module(f"tinygrad_edu.{n}").__file__).parent
        for n in ("nn", "optim", "datasets")
    },
}
# Each may import those before it, and its neighbours on the same line.
LAYERS = [
    ["errors", "quiet", "device"],
    ["recorders", "kernels"],
    ["dtypes", "grad_mode", "generator", "random"],
    ["graph"],
    ["memory"],
    ["registry", "source_lines", "cuts", "mistakes"],
    ["engine"],
    ["printing", "tensor"],
    ["array_rules", "codegen", "operands", "primitive"],
    ["ops"],
    ["linalg", "matrices", "autograd", "distributions", "settings", "testing"],
    ["accelerator", "amp", "backends", "cuda"],
    ["nn", "func", "profiler", "compiler"],
    ["optim"],
    ["utils", "visualize", "datasets"],
    ["onnx", "train", "model_check"],
    ["course", "lessons"],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
INDEPENDENT = {"nano"}  # imports nothing of ours, nobody imports it


def modules() -> list[tuple[str, Path]]:
    found = []
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder).with_suffix("")
            if package == "tinygrad_edu" and relative.parts[0] in ("nn", "optim", "datasets"):
                continue
            if "__pycache__" in relative.parts:  # steps that were written and compiled for somebody's network
                continue
            parts = [p for p in relative.parts if p != "__init__"]
            found.append((".".join([package, *parts]), path))
    return found


def imported_at_load(tree: ast.Module) -> list[str]:
    """Names of our modules imported when the module is loaded (imports inside functions and under TYPE_CHECKING do not count)."""
    names: list[str] = []

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                names.extend(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                names.append(child.module)
                names.extend(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(tree)
    return [n for n in names if n.startswith("tinygrad_edu.")]


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda v: v if isinstance(v, str) else "")
def test_imports_go_one_way(name: str, path: Path):
    own = name.split(".")[1] if "." in name else None
    if own is None:
        return  # the package's own __init__ gathers everything
    for other in imported_at_load(ast.parse(path.read_text(encoding="utf-8"))):
        part = other.split(".")[1]
        if part not in RANK:
            continue  # a public name of the package itself, not a module
        assert own in RANK or own in INDEPENDENT, f"{name} has no place in the order of imports"
        assert own not in INDEPENDENT, f"{name} must not import {other}"
        assert RANK[part] <= RANK[own], f"{name} imports {other}, which comes later in the order"
        if own == "kernels":
            assert part == "kernels", f"{name} knows nothing of the rest, but imports {other}"


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda v: v if isinstance(v, str) else "")
def test_imports_are_absolute(name: str, path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, f"{name} uses relative imports"


def run(code: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_importing_loads_no_heavy_library():
    heavy = [
        "numba",
        "scipy",
        "matplotlib",
        "sklearn",
        "networkx",
        "graphviz",
        "pooch",
        "tqdm",
        "safetensors",
        "PIL",
        "onnx",
        "torch",
    ]
    done = run(f"import tinygrad_edu, sys; print([m for m in {heavy} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_importing_changes_nothing_global():
    code = """
import os, threading, warnings, random, numpy as np
def state():
    return (dict(os.environ), threading.active_count(), list(warnings.filters), random.getstate(), np.random.get_state()[1].tolist(),
            np.geterr(), np.get_printoptions())
before = state()
import tinygrad_edu, tinygrad_edu.nn, tinygrad_edu.optim, tinygrad_edu.datasets
print(before == state())
"""
    done = run(code)
    assert done.stdout.strip() == "True", done.stdout + done.stderr


@pytest.mark.parametrize("package", ["nn", "optim", "datasets"])
def test_the_source_folders_refuse_a_second_name(package: str):
    done = run(f"import {package}", cwd=FOLDERS["tinygrad_edu.nn"].parent)
    assert done.returncode != 0
    assert f"tinygrad_edu.{package}" in done.stderr


def test_every_package_is_installed():
    import tomllib

    root = FOLDERS["tinygrad_edu"].parent
    if not (root / "pyproject.toml").exists():
        pytest.skip("installed from a wheel: there is no source tree to compare with")
    listed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {name for name, path in modules() if path.name == "__init__.py"}
    assert sorted(listed) == sorted(found)


def test_files_stay_readable():
    long = {name: n for name, path in modules() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 420}
    # tensor.py holds every protocol of Python's that a tensor answers.
    assert set(long) <= {"tinygrad_edu.tensor"}, long


def test_nano_is_short():
    assert len((FOLDERS["tinygrad_edu"] / "nano.py").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_public_name_exists():
    missing = [n for n in tinygrad_edu.__all__ if not hasattr(tinygrad_edu, n)]
    assert missing == []
