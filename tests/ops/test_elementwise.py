"""Corner cases of elementwise ops by name: kinks and ties, NaN and infinity, dtypes, refusals."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.cases.elementwise import functional
from tinygrad_edu.ops import activation

F = functional(tg)
INF, NAN = math.inf, math.nan


def gradient(function, *values) -> list:
    """Gradients of the summed result with respect to every argument."""
    tensors = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in values]
    function(*tensors).sum().backward()
    grads = [t.grad.tolist() for t in tensors]
    return grads[0] if len(grads) == 1 else grads


# ---- the derivative at a kink is PyTorch's -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (tg.relu, 0.0, 0.0),
        (tg.abs, 0.0, 0.0),
        (tg.sign, 0.0, 0.0),
        (F.leaky_relu, 0.0, 0.01),
        (F.elu, 0.0, 1.0),
        (F.relu6, 6.0, 0.0),
        (F.hardtanh, 1.0, 0.0),
        (F.hardsigmoid, 3.0, 0.0),
        (F.hardswish, 3.0, 1.0),
        (F.hardswish, -3.0, 0.0),
        (F.hardshrink, 0.5, 0.0),
        (F.softshrink, 0.5, 0.0),
        (lambda x: x.clamp(0, 1), 1.0, 1.0),
        (lambda x: x.clamp(max=1), 1.0, 1.0),
        (lambda x: x.clamp_min(1), 1.0, 1.0),
        (tg.sinc, 0.0, 0.0),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**2, 0.0, 0.0),
        (tg.sqrt, 0.0, INF),
    ],
)
def test_derivative_at_a_kink(function, at, expected):
    assert gradient(function, [at]) == [expected]


def test_equal_elements_share_the_gradient_of_maximum_and_minimum():
    for function in (tg.maximum, tg.minimum):
        assert gradient(function, [2.0], [2.0]) == [[0.5], [0.5]]


def test_fmax_gives_the_gradient_of_equal_elements_to_the_first():
    for function in (tg.fmax, tg.fmin):
        assert gradient(function, [2.0, NAN], [2.0, 1.0]) == [[1.0, 0.0], [0.0, 1.0]]


def test_power_of_zero_has_finite_derivatives():
    base, exponent = gradient(tg.pow, [0.0, 0.0, 0.0], [0.0, 1.0, 2.0])
    assert base == [0.0, 1.0, 0.0]
    assert exponent == [0.0, 0.0, 0.0]


def test_atan2_at_the_origin_has_zero_derivatives():
    assert gradient(tg.atan2, [0.0], [0.0]) == [[0.0], [0.0]]


def test_xlogy_counts_zero_times_log_zero_as_zero():
    x, y = tg.tensor([0.0, 0.0, 1.0]), tg.tensor([0.0, NAN, 0.0])
    np.testing.assert_array_equal(tg.xlogy(x, y).numpy(), [0.0, NAN, -INF])


# ---- NaN and infinity -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "exp", "abs", "clamp", "maximum", "minimum"])
@pytest.mark.parametrize("size", [3, 3000])
def test_nan_stays_nan(name, size):
    x = tg.full((size,), NAN)
    others = {"clamp": (0.0, 1.0), "maximum": (tg.zeros(size),), "minimum": (tg.zeros(size),)}.get(name, ())
    assert np.isnan(getattr(tg, name)(x, *others).numpy()).all()


@pytest.mark.parametrize("size", [4, 4000])
def test_an_infinite_gradient_stops_at_a_dead_relu(size):
    x = tg.full((size,), -1.0, requires_grad=True)
    tg.relu(x).backward(tg.full((size,), INF))
    assert not x.grad.numpy().any()


def test_keep_drops_infinity_and_nan():
    assert tg.nan_to_num(tg.tensor([INF, NAN, -INF]), posinf=7.0, neginf=-7.0).tolist() == [7.0, 0.0, -7.0]
    assert gradient(lambda x: tg.nan_to_num(x) * 3, [INF, NAN, 1.0]) == [0.0, 0.0, 3.0]


def test_extreme_arguments_do_not_overflow():
    x = tg.tensor([-1000.0, 1000.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tg.sigmoid(x).tolist() == [0.0, 1.0]
        assert F.logsigmoid(x).tolist() == [-1000.0, 0.0]
        assert F.softplus(x).tolist() == [0.0, 1000.0]
        assert F.silu(x).tolist() == [0.0, 1000.0]
        assert tg.logaddexp(x, x).tolist() == pytest.approx([-1000 + math.log(2), 1000 + math.log(2)])
        assert tg.exp(x).tolist() == [0.0, INF]
        assert tg.log(tg.zeros(1)).tolist() == [-INF]


def test_elu_far_above_zero_has_finite_second_derivatives():
    x = tg.tensor([800.0, -1.0], dtype=tg.float64, requires_grad=True)
    (first,) = tg.autograd.grad(F.elu(x).sum(), [x], create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), [x])
    assert second.tolist() == pytest.approx([0.0, math.exp(-1)])


# ---- dtypes -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("result", "dtype"),
    [
        (lambda i: i / 2, tg.float32),
        (lambda i: i // 2, tg.int64),
        (lambda i: i**2, tg.int64),
        (lambda i: i**0.5, tg.float32),
        (lambda i: i + 1.5, tg.float32),
        (lambda i: i + True, tg.int64),
        (lambda i: i.clamp(0, 1), tg.int64),
        (lambda i: i.clamp(0, 1.5), tg.float32),
        (lambda i: i.int() + i, tg.int64),
        (lambda i: i.float().double() * 2, tg.float64),
        (lambda i: tg.exp(i), tg.float32),
        (lambda i: i.half() * 2.5, tg.float16),
        (lambda i: i > 1, tg.bool),
        (lambda i: tg.square(i > 1), tg.int64),
    ],
)
def test_result_dtype(result, dtype):
    assert result(tg.tensor([1, 2, 3])).dtype == dtype


@pytest.mark.parametrize("name", sorted(n for n in ("relu", "sigmoid", "tanh", "exp", "abs", "sqrt", "square", "neg")))
def test_float32_and_float16_stay(name):
    for dtype in (tg.float16, tg.float32):
        assert getattr(tg, name)(tg.ones(3, dtype=dtype)).dtype == dtype


def test_operators_with_numbers_on_either_side():
    x = tg.tensor([1, 2, 4])
    for ours, expected in [
        (2**x, [2, 4, 16]),
        (9 // x, [9, 4, 2]),
        (9 % x, [0, 1, 1]),
        (1 << x, [2, 4, 16]),
        (x >> 1, [0, 1, 2]),
        (6 & x, [0, 2, 4]),
        (1 | x, [1, 3, 5]),
        (1 ^ x, [0, 3, 5]),
        (~x, [-2, -3, -5]),
        (-x, [-1, -2, -4]),
        (+x, [1, 2, 4]),
        (abs(-x), [1, 2, 4]),
    ]:
        assert ours.tolist() == expected


def test_a_tensor_equals_nothing_that_is_no_number():
    x = tg.ones(2)
    for other in (None, "one", [1.0, 1.0], object()):
        assert (x == other) is False
        assert (x != other) is True
    assert (x == np.array([1.0, 2.0])).tolist() == [True, False]
    with pytest.raises(RuntimeError, match="E104"):
        x == tg.ones(3)  # noqa: B015 - the comparison itself is refused


def test_polygamma_is_called_either_way_round():
    x = tg.tensor([1.0, 2.0])
    assert tg.polygamma(1, x).tolist() == x.polygamma(1).tolist() == x.clone().polygamma_(1).tolist()


def test_division_rounds_as_python_and_c_do():
    x, y = tg.tensor([7, -7]), tg.tensor([2, 2])
    assert (x // y).tolist() == [3, -4]
    assert tg.div(x, y, rounding_mode="trunc").tolist() == [3, -3]
    assert tg.remainder(x, y).tolist() == [1, 1]
    assert tg.fmod(x, y).tolist() == [1, -1]


def test_rounding_takes_halves_to_the_even_number():
    assert tg.round(tg.tensor([0.5, 1.5, 2.5, -0.5])).tolist() == [0.0, 2.0, 2.0, -0.0]
    assert tg.round(tg.tensor([1234.0]), decimals=-2).tolist() == [1200.0]


# ---- random slopes ----------------------------------------------------------------------------------------------------------
def test_rrelu_draws_slopes_within_bounds_and_uses_them_in_the_gradient():
    tg.manual_seed(0)
    x = tg.linspace(-3, 3, 200).requires_grad_()
    y = F.rrelu(x, 0.1, 0.4, training=True)
    y.sum().backward()
    slopes = x.grad.numpy()
    below = x.detach().numpy() <= 0
    assert (slopes[~below] == 1).all()
    assert (slopes[below] >= 0.1).all() and (slopes[below] <= 0.4).all() and np.ptp(slopes[below]) > 0.2
    np.testing.assert_allclose(y.detach().numpy(), x.detach().numpy() * slopes)


def test_rrelu_draws_the_same_slopes_as_torch():
    torch = pytest.importorskip("torch")
    x = np.linspace(-3, 3, 31, dtype=np.float32)
    tg.manual_seed(3)
    torch.manual_seed(3)
    ours, theirs = F.rrelu(tg.tensor(x), training=True), torch.nn.functional.rrelu(torch.tensor(x), training=True)
    np.testing.assert_allclose(
        ours.numpy(), theirs.numpy(), rtol=2e-7
    )  # the same draws; the product rounds once more or less


# ---- refusals ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tg.tensor([1, 2]) // tg.tensor([1, 0]), RuntimeError, "ZeroDivisionError"),
        (lambda: tg.tensor([1, 2]) % 0, RuntimeError, "ZeroDivisionError"),
        (lambda: tg.tensor([2]) ** -1, RuntimeError, "Integers to negative integer powers"),
        (lambda: tg.tensor([True]) - tg.tensor([True]), RuntimeError, "bool"),
        (lambda: -tg.tensor([True]), RuntimeError, "logical_not"),
        (lambda: tg.relu(tg.tensor([True])), RuntimeError, "bool"),
        (lambda: tg.tensor([1.5]) & 1, NotImplementedError, "bitwise_and"),
        (lambda: ~tg.tensor([1.5]), NotImplementedError, "bitwise_not"),
        (lambda: tg.frac(tg.tensor([1])), NotImplementedError, "frac"),
        (lambda: tg.clamp(tg.ones(2)), RuntimeError, "At least one of 'min' or 'max'"),
        (lambda: tg.div(tg.ones(2), 2, rounding_mode="up"), RuntimeError, "rounding_mode"),
        (lambda: tg.isclose(tg.ones(2), tg.ones(2), rtol=-1), RuntimeError, "rtol"),
        (lambda: tg.polygamma(-1, tg.ones(2)), RuntimeError, "negative"),
        (lambda: tg.ones(2, 3) + tg.ones(2, 4), RuntimeError, "E104"),
        (lambda: tg.maximum(tg.ones(2), tg.ones(3)), RuntimeError, "do not broadcast"),
        (lambda: F.gelu(tg.ones(2), approximate="sinh"), RuntimeError, "approximate"),
        (lambda: F.hardtanh(tg.ones(2), 1.0, -1.0), ValueError, "min_val"),
        (lambda: F.softshrink(tg.ones(2), -1.0), RuntimeError, "lambda"),
        (lambda: activation.celu(tg.ones(2), 0.0), RuntimeError, "alpha"),
        (lambda: F.rrelu(tg.ones(2), 0.5, 0.1), ValueError, "0.5 and 0.1"),
        (lambda: F.glu(tg.ones(2, 3)), RuntimeError, "even"),
        (lambda: tg.prelu(tg.ones(2, 3), tg.ones(2)), RuntimeError, "2 weights for 3 channels"),
        (lambda: tg.maximum(tg.ones(2), "one"), TypeError, "must be Tensor"),
    ],
)
def test_refusals_name_the_op_and_the_fix(call, error, text):
    with pytest.raises(error, match=text):
        call()
