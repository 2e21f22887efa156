"""Corner cases of reductions by name: ties, NaN, nothing to reduce, dtypes, accuracy, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import tinygrad_edu as tg
from tinygrad_edu.ops.cumulative import products_of_others, running_products
from tinygrad_edu.ops.reduction import BLOCK, total

INF, NAN = math.inf, math.nan


def gradient(function, values) -> list:
    x = tg.tensor(values, dtype=tg.float64, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


# ---- ties -------------------------------------------------------------------------------------------------------------------
def test_whole_extremes_share_the_gradient_evenly():
    assert gradient(lambda x: x.max(), [1.0, 3.0, 3.0]) == [0.0, 0.5, 0.5]
    assert gradient(lambda x: x.min(), [[1.0, 3.0], [1.0, 1.0]]) == [[1 / 3, 0.0], [1 / 3, 1 / 3]]
    assert gradient(lambda x: x.amax(0), [1.0, 3.0, 3.0]) == [0.0, 0.5, 0.5]
    assert gradient(lambda x: x.median(), [2.0, 2.0, 1.0, 5.0]) == [0.5, 0.5, 0.0, 0.0]
    assert gradient(lambda x: tg.norm(x, INF), [-3.0, 3.0, 1.0]) == [-0.5, 0.5, 0.0]


def test_extremes_along_a_dimension_choose_the_first():
    x = [[2.0, 5.0, 5.0], [0.0, 0.0, 1.0]]
    assert tg.tensor(x).max(1).indices.tolist() == [1, 2]
    assert tg.tensor(x).min(1).indices.tolist() == [0, 0]
    assert gradient(lambda t: t.max(1).values, x) == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert gradient(lambda t: t.min(dim=1, keepdim=True)[0], x) == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert tg.tensor(x).argmax(1).tolist() == [1, 2]
    assert tg.tensor(x).argmax().item() == 1


def test_running_extremes_choose_the_latest():
    values, indices = tg.cummax(tg.tensor([1.0, 3.0, 3.0, 2.0, NAN, 4.0]), 0)
    np.testing.assert_array_equal(values.numpy(), [1.0, 3.0, 3.0, 3.0, NAN, NAN])
    assert indices.tolist() == [0, 1, 2, 2, 4, 4]


def test_the_median_of_an_even_number_is_the_lower_one():
    assert tg.tensor([4.0, 1.0, 3.0, 2.0]).median().item() == 2.0
    values, indices = tg.tensor([[4, 1, 3, 2]]).median(dim=1)
    assert (values.tolist(), indices.tolist()) == ([2], [3])


def test_the_mode_is_the_smallest_most_frequent_element_at_its_last_place():
    values, indices = tg.tensor([3, 1, 2, 1, 2]).mode()
    assert (values.item(), indices.item()) == (1, 3)


# ---- three forms ------------------------------------------------------------------------------------------------------------
def test_max_has_three_forms():
    x, y = tg.tensor([[1.0, 4.0], [3.0, 2.0]]), tg.tensor([2.0, 3.0])
    assert tg.max(x).item() == 4.0
    assert tg.max(x, y).tolist() == [[2.0, 4.0], [3.0, 3.0]]
    assert tg.max(x, other=y).tolist() == x.max(y).tolist()
    result = x.max(0, keepdim=True)
    assert type(result).__name__ == "max" and result._fields == ("values", "indices")
    assert result.values.tolist() == [[3.0, 4.0]] and result.indices.dtype == tg.int64


def test_axis_is_another_name_for_dim():
    x = tg.arange(6.0).reshape(2, 3)
    for name in ("sum", "mean", "argmax", "argmin", "softmax", "log_softmax"):
        assert getattr(tg, name)(x, axis=1).tolist() == getattr(tg, name)(x, dim=1).tolist()
    assert x.max(axis=0).indices.tolist() == [1, 1, 1]
    assert (x > 1).any(axis=0).tolist() == [True, True, True]
    assert (x > 1).all(axis=1).tolist() == [False, True]


def test_variance_reads_both_of_pytorchs_signatures():
    x = tg.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]])
    population = [np.var([1, 2, 6]), np.var([0, 0, 3])]
    assert x.var(1, correction=0).tolist() == pytest.approx(population)
    assert x.var(1, False).tolist() == pytest.approx(population)
    assert x.var(dim=1, unbiased=False, keepdim=True).shape == (2, 1)
    assert x.var(False).item() == pytest.approx(np.var(x.numpy()))
    assert x.std().item() == pytest.approx(np.std(x.numpy(), ddof=1))


# ---- NaN and infinity -------------------------------------------------------------------------------------------------------
def test_nan_wins_every_extreme_and_takes_the_gradient():
    x = [1.0, NAN, 3.0]
    for name in ("max", "min", "amax", "amin", "median"):
        assert math.isnan(getattr(tg.tensor(x), name)().item())
    assert gradient(lambda t: t.max(), x) == [0.0, 1.0, 0.0]
    assert tg.tensor(x).argmax().item() == tg.tensor(x).argmin().item() == 1
    assert tg.tensor(x).max(0).indices.item() == 1


def test_nan_is_left_out_where_the_name_says_so():
    x = [1.0, NAN, 3.0]
    assert tg.nansum(tg.tensor(x)).item() == 4.0
    assert tg.nanmean(tg.tensor(x)).item() == 2.0
    assert tg.nanmedian(tg.tensor(x)).item() == 1.0
    assert gradient(tg.nansum, x) == [1.0, 0.0, 1.0]
    assert tg.nanmedian(tg.tensor([[NAN, NAN]]), dim=1).values.isnan().all()


def test_log_sum_exp_survives_infinity():
    assert tg.logsumexp(tg.tensor([-INF, -INF]), 0).item() == -INF
    assert tg.logsumexp(tg.tensor([INF, 0.0]), 0).item() == INF
    assert tg.logsumexp(tg.tensor([1e4, 1e4]), 0).item() == pytest.approx(1e4 + math.log(2))
    assert tg.logcumsumexp(tg.tensor([-INF, -INF, 0.0, 1e4]), 0).tolist() == [-INF, -INF, 0.0, 1e4]
    assert gradient(lambda x: tg.logcumsumexp(x, 0), [-INF, 0.0, 900.0]) == [0.0, 1.0, 1.0]


def test_softmax_without_a_dimension_warns_and_names_the_one_chosen():
    with pytest.warns(UserWarning, match="dim=1"):
        assert tg.softmax(tg.zeros(2, 4)).tolist() == [[0.25] * 4] * 2


def test_softmax_of_large_scores_and_masked_scores():
    assert tg.softmax(tg.tensor([1000.0, -INF, 1000.0]), 0).tolist() == [0.5, 0.0, 0.5]
    assert tg.log_softmax(tg.tensor([0.0, -2000.0]), 0).tolist() == [0.0, -2000.0]


def test_a_constant_line_has_zero_standard_deviation_and_a_zero_gradient():
    assert gradient(lambda x: x.std(), [3.0, 3.0]) == [0.0, 0.0]
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [0.0, 0.0]


# ---- zeros in products ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "expected"),
    [([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]), ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0]), ([0.0], [1.0]), ([2.0, 3.0], [3.0, 2.0])],
)
def test_the_gradient_of_a_product_is_the_product_of_the_others(values, expected):
    assert gradient(tg.prod, values) == expected


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), min_size=1, max_size=9))
def test_running_products_by_doubling_equal_the_loop(values):
    x = tg.tensor(values, dtype=tg.float64)
    np.testing.assert_allclose(running_products(x, 0, 1).numpy(), np.cumprod(values))
    np.testing.assert_allclose(running_products(x, 0, -1).numpy(), np.cumprod(values[::-1])[::-1])
    others = [np.prod(values[:i] + values[i + 1 :]) for i in range(len(values))]
    np.testing.assert_allclose(products_of_others(x, 0).numpy(), others)


def test_a_product_with_a_zero_has_second_derivatives():
    x = tg.tensor([2.0, 0.0, 3.0], dtype=tg.float64, requires_grad=True)
    hessian = tg.autograd.functional.hessian(tg.prod, x)
    assert hessian.tolist() == [[0.0, 3.0, 0.0], [3.0, 0.0, 2.0], [0.0, 2.0, 0.0]]


# ---- nothing to reduce ------------------------------------------------------------------------------------------------------
def test_reductions_of_nothing():
    nothing = tg.zeros(0)
    assert nothing.sum().item() == 0.0
    assert nothing.prod().item() == 1.0
    assert math.isnan(nothing.mean().item())
    assert math.isnan(nothing.var().item())
    assert math.isnan(nothing.median().item())
    assert nothing.logsumexp(0).item() == -INF
    assert nothing.any().item() is False and nothing.all().item() is True
    assert tg.zeros(2, 0).sum(1).tolist() == [0.0, 0.0]
    assert tg.zeros(2, 0).max(0).values.shape == (0,)
    assert tg.softmax(tg.zeros(2, 0), 1).shape == (2, 0)


def test_the_variance_of_one_sample_is_nan():
    assert math.isnan(tg.tensor([3.0]).var().item())
    assert tg.tensor([3.0]).var(correction=0).item() == 0.0


# ---- dtypes -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
def test_integers_add_and_multiply_in_int64(dtype):
    x = tg.ones(300, dtype=getattr(tg, dtype))
    assert (x.sum().dtype, x.sum().item()) == (tg.int64, 300)
    assert (x.prod().dtype, x.cumsum(0).dtype, x.cumprod(0).dtype) == (tg.int64,) * 3
    assert x.cumsum(0)[-1].item() == 300


def test_uint8_stays_uint8_in_any_and_all():
    assert tg.ones(3, dtype=tg.uint8).any().dtype == tg.uint8
    assert tg.ones(3, dtype=tg.int32).all().dtype == tg.bool


def test_half_precision_adds_up_in_single():
    assert tg.full((4096,), 1.0, dtype=tg.float16).sum().item() == 4096.0  # 2048 + 1 is 2048 in half precision
    assert tg.full((4096,), 0.1, dtype=tg.float16).mean().dtype == tg.float16


def test_dtype_converts_before_the_sum_and_the_gradient_comes_back_in_the_inputs_type():
    x = tg.full((3,), 1e30, requires_grad=True)
    y = x.sum(dtype=tg.float64)
    y.backward()
    assert (y.dtype, x.grad.dtype) == (tg.float64, tg.float32)


# ---- accuracy ---------------------------------------------------------------------------------------------------------------
@given(
    shape=array_shapes(min_dims=1, max_dims=3, max_side=6),
    keepdim=st.booleans(),
    turned=st.booleans(),
    data=st.data(),
)
def test_total_equals_numpys_sum(shape, keepdim, turned, data):
    x = np.random.default_rng(0).normal(size=shape)
    x = x.T if turned else x
    dim = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1), st.just(tuple(range(x.ndim)))))
    ours = total(x, dim, keepdim)
    assert ours.shape == x.sum(dim, keepdims=keepdim).shape
    np.testing.assert_allclose(ours, x.sum(dim, keepdims=keepdim), atol=1e-12)


@pytest.mark.parametrize("shape", [(BLOCK,), (BLOCK + 1,), (3 * BLOCK + 5,), (2 * BLOCK + 3, 2), (2, 2 * BLOCK + 3)])
def test_long_sums_keep_float32_accurate(shape):
    x = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(np.float32)
    for dim in (None, *range(len(shape))):
        exact = x.astype(np.float64).sum(dim)
        np.testing.assert_allclose(total(x, dim, False), exact, rtol=2e-6)


# ---- refusals ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tg.ones(2).sum(1), IndexError, r"sum: .*range of \[-1, 0\], but got 1"),
        (lambda: tg.tensor(1.0).sum(1), IndexError, "sum"),
        (lambda: tg.ones(2, 3).mean((0, 0)), RuntimeError, "dim 0 appears multiple times"),
        (lambda: tg.ones(2).softmax(1), IndexError, "softmax"),
        (lambda: tg.softmax(tg.tensor([1, 2]), 0), NotImplementedError, "x.float()"),
        (lambda: tg.tensor([1, 2]).mean(), RuntimeError, r"x\.float\(\)\.mean\(\)"),
        (lambda: tg.tensor([1, 2]).var(), RuntimeError, "floating point"),
        (lambda: tg.zeros(0).max(), RuntimeError, "max: Expected reduction dim"),
        (lambda: tg.zeros(0).amin(), RuntimeError, "amin: Expected reduction dim"),
        (lambda: tg.zeros(0).argmax(), IndexError, "argmax: Expected reduction dim"),
        (lambda: tg.zeros(2, 0).max(1), IndexError, "non-zero size"),
        (lambda: tg.zeros(2, 0).argmin(1), IndexError, "non-zero size"),
        (lambda: tg.zeros(2, 0).median(1), IndexError, "non-zero size"),
        (lambda: tg.ones(2).cumsum(1), IndexError, "cumsum"),
        (lambda: tg.ones(2).norm("nuc"), RuntimeError, "linalg.norm"),
        (lambda: tg.diff(tg.tensor(1.0)), RuntimeError, "diff"),
    ],
)
def test_refusals_name_the_op_and_the_fix(call, error, text):
    with pytest.raises(error, match=text):
        call()
