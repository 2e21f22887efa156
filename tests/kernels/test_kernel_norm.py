"""Normalization kernels against their twins and against float64: rows with a weight per element or per stretch, columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal

from tinygrad_edu import kernels
from tinygrad_edu.kernels import norm_numpy

dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**16)
lengths = st.sampled_from([1, 2, 3, 7, 8, 16, 33, 100])


def compare(mine, twin, dtype, slack):
    for got, expected in zip(mine, twin, strict=True):
        assert got.dtype == expected.dtype == dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=slack, atol=slack * (1 + np.abs(expected).max(initial=0)))


@given(
    st.integers(0, 5),
    st.integers(1, 3),
    st.integers(1, 5),
    lengths,
    dtypes,
    seeds,
    st.sampled_from(["", "w", "b", "wb"]),
)
def test_rows(samples, groups, pieces, length, dtype, seed, given_affine):
    rows, size = samples * groups, pieces * length
    x, g = 3 + normal(seed, rows, size, dtype=dtype), normal(seed + 1, rows, size, dtype=dtype)
    w = normal(seed + 2, groups, pieces, dtype=dtype) if "w" in given_affine else None
    b = normal(seed + 3, groups, pieces, dtype=dtype) if "b" in given_affine else None
    mine, twin = kernels.row_norm_forward(x, w, b, 1e-2), norm_numpy.row_norm_forward(x, w, b, 1e-2)
    slack = (
        np.finfo(dtype).eps * 64 * (1 + 3 * twin[2].max(initial=0))
    )  # x - mean cancels, and rstd magnifies what is left
    compare(mine, twin, dtype, slack)
    mean, rstd = twin[1:]
    back = kernels.row_norm_backward(g, x, w, mean, rstd, (groups, pieces))
    twin_back = norm_numpy.row_norm_backward(g, x, w, mean, rstd, (groups, pieces))
    compare(back, twin_back, dtype, slack * (1 + rstd.max(initial=0)) * max(1, samples))


@pytest.mark.parametrize("groups", [(1, 12), (2, 3), (3, 1), (2, 12)])
def test_the_gradient_of_rows_is_the_slope(groups):
    x, w, b = normal(1, 6, 12, dtype=np.float64), *(normal(i, *groups, dtype=np.float64) for i in (2, 3))
    g, steps = (
        normal(4, 6, 12, dtype=np.float64),
        [normal(i, *a.shape, dtype=np.float64) for i, a in ((5, x), (6, w), (7, b))],
    )
    mean, rstd = kernels.row_norm_forward(x, w, b, 1e-3)[1:]
    slopes = kernels.row_norm_backward(g, x, w, mean, rstd, groups)
    ahead = kernels.row_norm_forward(*(a + 1e-6 * d for a, d in zip((x, w, b), steps, strict=True)), 1e-3)[0]
    behind = kernels.row_norm_forward(*(a - 1e-6 * d for a, d in zip((x, w, b), steps, strict=True)), 1e-3)[0]
    expected = np.vdot(g, ahead - behind) / 2e-6
    np.testing.assert_allclose(sum(np.vdot(s, d) for s, d in zip(slopes, steps, strict=True)), expected, rtol=1e-6)


@pytest.mark.parametrize("groups", [(1, 400), (1, 4), (1, 1)])
def test_rows_of_large_numbers_with_a_small_spread(groups):
    x = (1000 + 0.01 * normal(1, 5, 400)).astype(np.float32)
    exact = x.astype(np.float64)
    w, b = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    _, mean, rstd = kernels.row_norm_forward(x, w, b, 1e-5)
    np.testing.assert_allclose(mean, exact.mean(1), rtol=1e-6)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(exact.var(1) + 1e-5), rtol=1e-4)


@pytest.mark.parametrize("pixels", [1, 4, 300])
def test_channels_of_large_numbers_with_a_small_spread(pixels):
    x = (1000 + 0.01 * normal(1, 50, 3, pixels)).astype(np.float32)
    x[0, :, 0] = 999  # the first number may be far from the others
    exact = x.astype(np.float64)
    _, mean, var, rstd = kernels.batch_norm_forward(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, exact.mean((0, 2)), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var((0, 2)), rtol=2e-5)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(exact.var((0, 2)) + 1e-5), rtol=1e-5)


def test_channels_whose_first_picture_is_unlike_the_others():
    x = normal(1, 400, 2, 50)
    x[0] += 1e5
    exact = x.astype(np.float64)
    _, mean, var, _ = kernels.batch_norm_forward(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, exact.mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 2)), rtol=1e-6)


@pytest.mark.parametrize(("first", "last"), [(np.inf, 0), (0, -np.inf), (np.inf, -np.inf), (np.nan, 0), (0, np.nan)])
def test_channels_with_numbers_that_are_not_finite(first, last):
    x = normal(1, 3, 2, 20)
    x[0, 0, 5], x[2, 0, 5] = first, last
    with np.errstate(invalid="ignore"):
        mine, twin = kernels.batch_norm_forward(x, None, None, 1e-5), norm_numpy.batch_norm_forward(x, None, None, 1e-5)
    for got, expected in zip(mine, twin, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not kernels.numba_works(), reason="NumPy's mean is rounded as its sum is")
@pytest.mark.parametrize("groups", [(1, 400), (1, 4)])
def test_equal_numbers_have_no_spread(groups):
    x = np.full((2, 400), 1000.1, np.float32)
    y, mean, rstd = kernels.row_norm_forward(x, np.ones(groups, np.float32), np.zeros(groups, np.float32), 1e-12)
    np.testing.assert_array_equal(mean, x[:, 0])
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_allclose(rstd, 1e6, rtol=1e-3)
    _, mean, var, _ = kernels.batch_norm_forward(x.reshape(2, 1, 400), None, None, 0.0)
    assert mean[0] == x[0, 0]
    assert var[0] == 0


@pytest.mark.parametrize("groups", [(1, 20), (2, 5), (1, 1)])
def test_a_nan_spoils_its_own_row_only(groups):
    x = normal(1, 4, 20)
    x[2, 7] = np.nan
    y, _, rstd = kernels.row_norm_forward(x, np.ones(groups, np.float32), None, 1e-5)
    assert np.isnan(y[2]).all()
    assert np.isnan(rstd[2])
    assert np.isfinite(y[[0, 1, 3]]).all()


@given(st.integers(1, 40), st.sampled_from([1, 2, 16, 33, 100]), st.integers(1, 9), dtypes, seeds, st.booleans())
def test_batch_norm_of_short_channels(n, channels, pixels, dtype, seed, affine):
    shape = (n, channels) if pixels == 1 else (n, channels, pixels)
    x, g = 3 + normal(seed, *shape, dtype=dtype), normal(seed + 1, *shape, dtype=dtype)
    w, b = normal(seed + 2, 2, channels, dtype=dtype) if affine else (None, None)
    mine, twin = kernels.batch_norm_forward(x, w, b, 1e-2), norm_numpy.batch_norm_forward(x, w, b, 1e-2)
    slack = np.finfo(dtype).eps * 64 * (1 + 3 * twin[3].max())
    compare(mine, twin, dtype, slack)
    _, mean, _, rstd = twin
    back, twin_back = (
        kernels.batch_norm_backward(g, x, w, mean, rstd),
        norm_numpy.batch_norm_backward(g, x, w, mean, rstd),
    )
    compare(back, twin_back, dtype, slack * (1 + rstd.max()) * 4)


def test_batch_norm_columns_of_a_large_batch_are_exact():
    x = (100 + normal(1, 20_000, 7)).astype(np.float32)
    _, mean, var, _ = kernels.batch_norm_forward(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=2e-7)
    np.testing.assert_allclose(var, x.astype(np.float64).var(0), rtol=2e-6)
