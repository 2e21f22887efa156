"""Pooling kernels equal their twins, to the last bit where a choice is made."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_cases import normal, poolings, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import naive, pool_numpy


@given(poolings())
def test_max_pool_chooses_as_its_twin(case):
    for mine, twin in zip(kernels.max_pool2d_forward(*case), pool_numpy.max_pool2d_forward(*case), strict=True):
        np.testing.assert_array_equal(mine, twin)
        assert mine.dtype == twin.dtype


@given(poolings())
def test_twin_chooses_as_the_textbook_loop(case):
    x, *rest = case
    x = x[:1, :1, :12, :12]
    assume(min(kernels.pool_output_hw(x.shape[2:], *rest)) > 0)
    for twin, loops in zip(pool_numpy.max_pool2d_forward(x, *rest), naive.max_pool2d_forward(x, *rest), strict=True):
        np.testing.assert_array_equal(twin, loops)


@given(poolings(), st.integers(0, 99))
def test_max_pool_backward_and_gather(case, seed):
    x, kernel, stride, padding, dilation, _ = case
    y, index = pool_numpy.max_pool2d_forward(*case)
    g = normal(seed, *y.shape, dtype=x.dtype)
    expected = pool_numpy.max_pool2d_backward(g, index, x.shape[2:])
    np.testing.assert_allclose(
        kernels.max_pool2d_backward(g, index, x.shape[2:]), expected, **tolerance(x.dtype, kernel[0] * kernel[1])
    )
    if stride == kernel and padding == (0, 0) and dilation == (1, 1):
        np.testing.assert_array_equal(kernels.max_pool2d_backward(g, index, x.shape[2:], kernel), expected)
    np.testing.assert_array_equal(kernels.max_pool2d_gather(x, index), y)


@pytest.mark.parametrize("size", [(2, 3), (5, 6), (5, 37), (8, 33)])
def test_windows_over_the_edge_of_an_odd_image(size):
    x = normal(0, 3, 2, *size)
    y, index = kernels.max_pool2d_forward(x, (2, 2), (2, 2), (0, 0), (1, 1), True)
    g = normal(1, *y.shape)
    expected = pool_numpy.max_pool2d_backward(g, index, size)
    np.testing.assert_array_equal(kernels.max_pool2d_backward(g, index, size, (2, 2)), expected)


@given(poolings(dilated=False), st.booleans(), st.sampled_from([None, None, 3]), st.integers(0, 99))
def test_avg_pool_and_its_adjoint(case, include, divisor, seed):
    x, kernel, stride, padding, _, ceil_mode = case
    options = (kernel, stride, padding, ceil_mode, include, divisor)
    with np.errstate(invalid="ignore"):
        mine, twin = kernels.avg_pool2d_forward(x, *options), pool_numpy.avg_pool2d_forward(x, *options)
    assert mine.dtype == twin.dtype == x.dtype
    np.testing.assert_allclose(mine, twin, **tolerance(x.dtype, 9))
    g = normal(seed, *mine.shape, dtype=x.dtype)
    back = kernels.avg_pool2d_backward(g, x.shape[2:], *options)
    twin_back = pool_numpy.avg_pool2d_backward(g, x.shape[2:], *options)
    np.testing.assert_allclose(back, twin_back, **tolerance(x.dtype, 9))
    assert back.dtype == x.dtype
    exact, g = np.nan_to_num(x, posinf=1, neginf=1).astype(np.float64), g.astype(np.float64)
    forward, adjoint = (
        pool_numpy.avg_pool2d_forward(exact, *options),
        pool_numpy.avg_pool2d_backward(g, x.shape[2:], *options),
    )
    np.testing.assert_allclose(np.vdot(g, forward), np.vdot(adjoint, exact), rtol=1e-12, atol=1e-11)


@given(poolings())
def test_against_torch(case):
    torch = pytest.importorskip("torch")
    x, kernel, stride, padding, dilation, ceil_mode = case
    assume(x.size)
    # PyTorch itself reads outside the image where no pixel of a window lies inside it
    assume(all(size > d for size, d in zip(x.shape[2:], dilation, strict=True)))
    y, index = kernels.max_pool2d_forward(*case)
    ty, tindex = torch.nn.functional.max_pool2d(
        torch.tensor(x), kernel, stride, padding, dilation, ceil_mode, return_indices=True
    )
    np.testing.assert_array_equal(y, ty.numpy())
    np.testing.assert_array_equal(index, tindex.numpy())
    if dilation == (1, 1):
        for include in (True, False):
            mine = kernels.avg_pool2d_forward(x, kernel, stride, padding, ceil_mode, include, None)
            theirs = torch.nn.functional.avg_pool2d(torch.tensor(x), kernel, stride, padding, ceil_mode, include)
            np.testing.assert_allclose(mine, theirs.numpy(), **tolerance(x.dtype, 9))
