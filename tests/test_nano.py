"""The scalar engine: known derivatives, long chains, and agreement with finite differences and with the full engine."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinygrad_edu.nano import Value


def test_the_course_example():
    x, y = Value(3.0), Value(2.0)
    a, b, c = x**2, x * y, (x + y) ** 2
    f = a + b + c
    f.backward()
    assert (a.data, b.data, c.data, f.data) == (9.0, 6.0, 25.0, 40.0)
    assert (x.grad, y.grad) == (18.0, 13.0)
    assert (f.grad, a.grad, b.grad, c.grad) == (1.0, 1.0, 1.0, 1.0)
    assert a.arrows == ((x, 6.0),)
    assert b.arrows == ((x, 2.0), (y, 3.0))


KNOWN = {
    "add": (lambda x: x + 3, lambda x: 1.0),
    "radd": (lambda x: 3 + x, lambda x: 1.0),
    "sub": (lambda x: x - 3, lambda x: 1.0),
    "rsub": (lambda x: 3 - x, lambda x: -1.0),
    "mul": (lambda x: x * 3, lambda x: 3.0),
    "rmul": (lambda x: 3 * x, lambda x: 3.0),
    "div": (lambda x: x / 4, lambda x: 0.25),
    "rdiv": (lambda x: 4 / x, lambda x: -4 / x**2),
    "pow": (lambda x: x**3, lambda x: 3 * x**2),
    "negative pow": (lambda x: x**-2, lambda x: -2 * x**-3),
    "zeroth pow": (lambda x: x**0, lambda x: 0.0),
    "rpow": (lambda x: 2**x, lambda x: math.log(2) * 2**x),
    "self pow": (lambda x: x**x, lambda x: x**x * (math.log(x) + 1)),
    "neg": (lambda x: -x, lambda x: -1.0),
    "exp": (Value.exp, math.exp),
    "log": (Value.log, lambda x: 1 / x),
    "sin": (Value.sin, math.cos),
    "cos": (Value.cos, lambda x: -math.sin(x)),
    "tanh": (Value.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "relu": (Value.relu, lambda x: 1.0),
    "sigmoid": (Value.sigmoid, lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("number", [0.3, 1.0, 2.5])
def test_known_derivatives(name, number):
    function, derivative = KNOWN[name]
    x = Value(number)
    function(x).backward()
    assert x.grad == pytest.approx(derivative(number), rel=1e-13)


@pytest.mark.parametrize(("number", "out", "slope"), [(-2.0, 0.0, 0.0), (0.0, 0.0, 0.0), (2.0, 2.0, 1.0)])
def test_relu_on_both_sides_and_at_its_kink(number, out, slope):
    x = Value(number)
    y = x.relu()
    y.backward()
    assert (y.data, x.grad) == (out, slope)


@pytest.mark.parametrize("number", [-800.0, 800.0])
def test_sigmoid_saturates_without_overflow(number):
    x = Value(number)
    y = x.sigmoid()
    y.backward()
    assert (y.data, x.grad) == (float(number > 0), 0.0)


def test_powers_at_and_below_zero():
    x, y = Value(-2.0), Value(3.0)
    (x**y).backward()
    assert x.grad == 12.0
    assert math.isnan(y.grad)  # (-2)**y is a real number only at whole y, so it has no derivative by y
    zero = Value(0.0)
    (zero**2 + zero**1 + zero**0).backward()
    assert zero.grad == 1.0


def test_a_hundred_thousand_steps_and_then_their_release():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y * 1.00001
    y.backward()
    assert y.data == pytest.approx(1.00001**100_000, rel=1e-9)
    assert x.grad == y.data
    del y  # frees the whole chain at once: must not recurse either


def test_sharing_is_counted_once_per_use():
    x = Value(1.0)
    y = x
    for _ in range(60):  # 2**60 paths, 60 steps
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_gradients_add_up_over_calls_and_leave_other_graphs_alone():
    x = Value(3.0)
    y = x * x
    z = y + 1
    z.backward()
    z.backward()
    assert (x.grad, y.grad, z.grad) == (12.0, 2.0, 2.0)
    unrelated = x * 5
    assert unrelated.grad == 0.0


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (lambda: Value("3"), TypeError, r"got str '3'. Fix: Value\(3.0\)"),
        (lambda: Value(1.0) + "a", TypeError, "Value holds one number"),
        (lambda: Value(-8.0) ** 0.5, ValueError, r"\(-8.0\) \*\* 0.5, or its derivative, is not a real number"),
        (lambda: Value(0.0) ** 0.5, ValueError, "or its derivative, is not a real number"),
        (lambda: Value(0.0).log(), ValueError, r"log\(0.0\) is not a real number"),
        (lambda: 1 / Value(0.0), ZeroDivisionError, "division by zero"),
    ],
)
def test_mistakes_are_named(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake()


# A random program: each step names an operation and the earlier results it reads. It runs on any kind of number that
# has the operators, so the same program can be run by this engine, by plain floats and by the full engine.
UNARY = ("neg", "exp", "sin", "cos", "tanh", "sigmoid", "softlog", "square")
BINARY = ("add", "sub", "mul", "div", "pow")
steps = st.lists(st.tuples(st.sampled_from(UNARY + BINARY), st.integers(0, 99), st.integers(0, 99)), max_size=12)
numbers = st.lists(st.floats(-1.5, 1.5).filter(lambda v: abs(v) > 0.01), min_size=2, max_size=4)


def run(program, results, ops):
    """The sum of all results of the program, so that every step counts."""
    results = list(results)
    for op, i, j in program:
        x, y = results[i % len(results)], results[j % len(results)]
        out = {
            "neg": lambda x=x: -x,
            "softlog": lambda x=x: ops["log"](x * x + 1),
            "square": lambda x=x: x**2,
            "add": lambda x=x, y=y: x + y,
            "sub": lambda x=x, y=y: 1.5 - (x - y),
            "mul": lambda x=x, y=y: x * y * 0.5,
            "div": lambda x=x, y=y: x / (y * y + 1),
            "pow": lambda x=x, y=y: (x * x + 1) ** y,
        }.get(op, lambda x=x, op=op: ops[op](x))()
        results.append(out)
    total = results[0]
    for result in results[1:]:
        total = total + result
    return total


NANO = {name: getattr(Value, name) for name in ("exp", "log", "sin", "cos", "tanh", "sigmoid")}


def run_nano(program, inputs):
    leaves = [Value(v) for v in inputs]
    try:
        out = run(program, leaves, NANO)
    except OverflowError:
        assume(False)
    assume(abs(out.data) < 1e6)
    out.backward()
    return out.data, [leaf.grad for leaf in leaves]


@given(program=steps, inputs=numbers)
def test_random_programs_against_complex_steps(program, inputs):
    """Im f(x + ih) / h is the derivative to rounding: no subtraction, so h can be tiny."""
    ops = {name: getattr(np, name) for name in ("exp", "log", "sin", "cos", "tanh")}
    ops["sigmoid"] = lambda v: 1 / (1 + np.exp(-v))
    value, grads = run_nano(program, inputs)
    for position, grad in enumerate(grads):
        assume(abs(grad) < 1e6)
        moved = [np.complex128(complex(v, 1e-30 * (position == i))) for i, v in enumerate(inputs)]
        out = run(program, moved, ops)
        assert out.real == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert out.imag / 1e-30 == pytest.approx(grad, rel=1e-7, abs=1e-7)


@given(program=steps, inputs=numbers)
def test_random_programs_against_the_full_engine(program, inputs):
    import tinygrad_edu as tg

    value, grads = run_nano(program, inputs)
    leaves = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in inputs]
    out = run(program, leaves, {name: getattr(tg, name) for name in NANO})
    out.backward()
    assert out.item() == pytest.approx(value, rel=1e-9, abs=1e-9)
    for leaf, grad in zip(leaves, grads, strict=True):
        assert leaf.grad.item() == pytest.approx(grad, rel=1e-9, abs=1e-9)
