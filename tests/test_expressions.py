"""Formulas read back from compiled functions compute what the functions compute."""

import pytest

from tinygrad_edu.expressions import written_out
from tinygrad_edu.ops.arithmetic import add
from tinygrad_edu.registry import registry

FORMULAS = [
    lambda x, y: x * y,
    lambda x, y: x - (y - x),
    lambda x, y: x - y - x,
    lambda x, y: -x * y / (x + 3),
    lambda x, y: -(x**2),
    lambda x, y: (-x) ** 2,
    lambda x, y: x**-2,
    lambda x, y: 2 * x if y == 1 else x * -y,
    lambda x, y: x + y * 2.5e-3 if x < y else (x if y != 2 else y),
    lambda x, y: y,
]


@pytest.mark.parametrize("function", FORMULAS)
def test_a_formula_gives_the_same_numbers(function):
    formula = written_out(function, {"x": "a", "y": "b"})
    assert formula is not None
    for a, b in [(3.0, 1.0), (2.0, 2.0), (-1.5, 4.0), (5.0, -2.0)]:
        assert eval(formula, {"a": a, "b": b}) == function(a, b)


def _with_a_variable(x):
    twice = x + x
    return twice * twice


def _with_an_exception(x):
    try:
        return x + 1
    except TypeError:
        return x


OTHERS = [
    lambda x: abs(x), lambda x: x[0], lambda x: x.T, lambda x: (x, x), lambda x: "x", lambda x: x and 1, lambda x: 1 if x < 2 < x + 1 else x,
    _with_a_variable, _with_an_exception,
]  # fmt: skip


@pytest.mark.parametrize("function", OTHERS)
def test_everything_else_is_left_alone(function):
    assert written_out(function, {"x": "x"}) is None


def test_an_argument_without_a_name_is_left_alone():
    assert written_out(lambda x, y: x * y, {"x": "x"}) is None


def test_the_generated_code_contains_the_formulas():
    source = registry["mul"].source()
    assert "result = x_data * y_data" in source
    assert "part = g * y" in source
    assert "result = x_data + y_data if alpha == 1 else x_data + (y_data * alpha)" in add.source()
