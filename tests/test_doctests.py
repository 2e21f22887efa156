"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib

import pytest

import tinygrad_edu.nn.functional  # noqa: F401 - so that every op is declared
from tests.test_architecture import modules
from tinygrad_edu.primitive import Primitive, registry

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
NAMES = [name for name, _ in modules() if not name.endswith("__main__")]
# Primitives are generated functions, which doctest's own search passes over.
PRIMITIVES = [name for name, op in registry.items() if isinstance(op, Primitive) and ">>>" in (op.__doc__ or "")]


@pytest.mark.parametrize("name", NAMES)
def test_module(name: str):
    if name.startswith("tinygrad_edu.onnx"):
        pytest.importorskip("onnx")
    result = doctest.testmod(_load(name), optionflags=FLAGS)
    assert result.failed == 0


def _load(name: str):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if name.startswith("tinygrad_edu.kernels.") and error.name in ("numba", "llvmlite"):
            pytest.skip("a kernel for Numba, which is not installed")
        raise


@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitive(name: str):
    test = doctest.DocTestParser().get_doctest(registry[name].__doc__, {}, name, None, None)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test)
    assert runner.failures == 0
