"""Editors and type checkers see what users see."""

import inspect
from pathlib import Path

import tinygrad_edu as tg
from tests.write_operations_stub import STUB, stub


def test_the_stub_of_installed_methods_is_fresh():
    assert STUB.read_text(encoding="utf-8") == stub(), "run: python -m tests.write_operations_stub"


def test_the_package_says_that_it_is_typed():
    assert (Path(tg.__file__).parent / "py.typed").exists()


def test_signatures_are_pytorchs_before_the_first_call():
    assert str(inspect.signature(tg.mul)) == "(input, other)"
    assert list(inspect.signature(tg.nn.functional.linear).parameters) == ["input", "weight", "bias"]
