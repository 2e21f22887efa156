"""The convolution trio: every implementation equals the twin, the twin equals textbook loops, and all are adjoint."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_cases import convolutions, normal, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import conv_numpy, naive, threads


def close(got, expected, terms):
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, **tolerance(expected.dtype, terms))


def all_three(module, x, w, bias, g, settings):
    return (
        module.conv2d_forward(x, w, bias, *settings),
        module.conv2d_input_grad(g, w, x.shape[2:], *settings),
        module.conv2d_weight_grad(x, g, w.shape[2:], *settings),
    )


def compare(case):
    x, w, bias, g, settings = case
    terms = (w[0].size + 1, w[:, 0].size, g[:, 0].size)
    fast, slow = all_three(kernels, x, w, bias, g, settings), all_three(conv_numpy, x, w, bias, g, settings)
    for got, expected, count in zip(fast, slow, terms, strict=True):
        close(got, expected, count)


@given(convolutions())
def test_any_convolution_equals_its_twin(case):
    compare(case)


@given(convolutions(plain=True))
def test_plain_convolution_equals_its_twin(case):
    compare(case)


@given(convolutions())
def test_twin_is_the_textbook_sum(case):
    x, w, bias, _, settings = case
    x, w = x[:1, :, :9, :9], w
    try:
        expected_hw = kernels.conv_output_hw(x.shape[2:], w.shape[2:], *settings[:3])
    except ValueError:
        return
    if min(expected_hw) < 1:
        return
    close(conv_numpy.conv2d_forward(x, w, bias, *settings), naive.conv2d_forward(x, w, bias, *settings), w[0].size + 1)


@given(convolutions())
def test_the_three_are_derivatives_of_one_form(case):
    """<g, conv(x, w)> = <input_grad(g, w), x> = <weight_grad(x, g), w>."""
    x, w, _, g, settings = (a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in case)
    y, gx, gw = all_three(kernels, x, w, None, g, settings)
    form = np.vdot(g, y)
    scale = 1e-13 * (1 + np.abs(g).sum() * np.abs(w).max(initial=0) * w[0].size)
    np.testing.assert_allclose([np.vdot(gx, x), np.vdot(gw, w)], form, rtol=0, atol=scale)


@given(convolutions())
def test_bias_gradient_is_a_sum(case):
    g = case[3]
    close(kernels.conv2d_bias_grad(g), conv_numpy.conv2d_bias_grad(g), g[:, 0].size)
    close(kernels.conv2d_bias_grad(g[..., 0]), g[..., 0].sum((0, 2)), g[:, 0, :, 0].size)


LARGE = [  # N, C, H, W, OC, K, padding: the course's networks, and sizes around the tiles of the vector kernels
    (20, 1, 28, 28, 20, 5, 0),
    (7, 32, 14, 14, 64, 5, 2),
    (3, 20, 12, 12, 40, 5, 0),
    (2, 3, 33, 17, 9, 3, 1),
    (2, 5, 40, 50, 33, 3, 2),
    (5, 16, 8, 8, 31, 1, 0),
    (70, 6, 4, 4, 35, 3, 1),
    (2, 40, 30, 30, 40, 3, 1),
]


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_course_sizes_equal_the_twin_on_any_number_of_threads(shape, dtype, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e5)
    n, c, h, w, oc, k, pad = shape
    settings = ((1, 1), (pad, pad), (1, 1), 1)
    x, f, b = normal(1, n, c, h, w, dtype=dtype), normal(2, oc, c, k, k, dtype=dtype), normal(3, oc, dtype=dtype)
    g = normal(4, n, oc, h + 2 * pad - k + 1, w + 2 * pad - k + 1, dtype=dtype)
    compare((x, f, b, g, settings))
    before, results = kernels.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            kernels.set_num_threads(count)
            results.append(all_three(kernels, x, f, b, g, settings))
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@given(convolutions(), st.integers(1, 3), st.booleans())
def test_fused_with_relu_and_pool_equals_its_twin(case, pool, poisoned):
    x, w, bias, slopes, settings = case
    assume(min(slopes.shape[2:]) >= pool)
    if poisoned and x.size:
        x.flat[:: max(1, x.size // 2)] = np.nan
    with np.errstate(invalid="ignore"):
        y, index = kernels.conv_relu_pool_forward(x, w, bias, *settings, pool)
        before = conv_numpy.conv2d_forward(x, w, bias, *settings)
        twin, twin_index = conv_numpy.conv_relu_pool_forward(x, w, bias, *settings, pool)
    close(y, twin, w[0].size + 1)
    assert (index is None) == (twin_index is None) == (pool == 1)
    if pool > 1:  # rounding may make another of two nearly equal pixels the largest: it must be as large
        assert index.dtype == twin_index.dtype == np.int32
        close(np.maximum(kernels.max_pool2d_gather(before, index), 0), twin, w[0].size + 1)
    g = normal(7, *y.shape, dtype=x.dtype)
    mine = kernels.conv_relu_pool_backward(g, x, w, twin, twin_index, *settings, pool)
    twins = conv_numpy.conv_relu_pool_backward(g, x, w, twin, twin_index, *settings, pool)
    for got, expected, terms in zip(mine, twins, (w[:, 0].size, g[:, 0].size, g[:, 0].size), strict=True):
        close(got, expected, terms)
    d = kernels.conv_relu_pool_slopes(g, twin, twin_index, before.shape[2:], pool)
    np.testing.assert_array_equal(
        d, conv_numpy.conv_relu_pool_slopes(g, twin, twin_index, before.shape[2:], pool), strict=True
    )


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("shape", [(20, 1, 28, 28, 20, 5, 0), (7, 32, 14, 14, 64, 5, 2), (9, 3, 7, 7, 40, 3, 1)])
def test_fused_course_sizes_on_any_number_of_threads(shape, pool, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e5)
    n, c, h, w, oc, k, pad = shape
    settings = ((1, 1), (pad, pad), (1, 1), 1)
    x, f, b = normal(1, n, c, h, w), normal(2, oc, c, k, k), normal(3, oc)
    y, index = conv_numpy.conv_relu_pool_forward(x, f, b, *settings, pool)
    g = normal(4, *y.shape)
    before, results = kernels.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            kernels.set_num_threads(count)
            forward = kernels.conv_relu_pool_forward(x, f, b, *settings, pool)
            results.append((forward, kernels.conv_relu_pool_backward(g, x, f, y, index, *settings, pool)))
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0][0] + results[0][1], other[0] + other[1], strict=True):
            np.testing.assert_array_equal(one, two)
    close(results[0][0][0], y, f[0].size + 1)
    twins = conv_numpy.conv_relu_pool_backward(g, x, f, y, index, *settings, pool)
    for got, expected, terms in zip(results[0][1], twins, (f[:, 0].size, g[:, 0].size, g[:, 0].size), strict=True):
        close(got, expected, terms)
    only = kernels.conv_relu_pool_backward(g, x, f, y, index, *settings, pool, (False, True, False))
    assert only[0] is only[2] is None
    np.testing.assert_array_equal(only[1], results[0][1][1])


@pytest.mark.parametrize("poison", [0, np.inf, np.nan])
@pytest.mark.parametrize(
    ("channels", "groups", "kernel", "stride", "padding", "dilation"),
    [
        (1, 1, (5, 5), (1, 1), (0, 0), (1, 1)),
        (3, 1, (5, 5), (1, 1), (2, 2), (1, 1)),
        (40, 2, (3, 5), (1, 1), (0, 1), (2, 1)),
        (17, 1, (5, 4), (2, 3), (1, 2), (1, 1)),
        (9, 1, (7, 6), (1, 2), (3, 0), (3, 1)),
        (9, 1, (2, 3), (1, 1), (0, 0), (1, 2)),
    ],
)
@pytest.mark.parametrize("pool", [2, 3])
def test_gradients_behind_a_pool(channels, groups, kernel, stride, padding, dilation, pool, poison):
    """Here most of the output's gradient is zero; that must not hide that zero times Inf is NaN.

    Of the input gradient it may show more: the zeros around an image meet an infinite weight, too.
    """

    def close_to_poisoned(mine, twin):
        if poison:
            assert not np.isfinite(mine[~np.isfinite(twin)]).any()
        else:
            close(mine, twin, 300)

    settings = (stride, padding, dilation, groups)
    x, w = normal(1, 3, channels, 31, 29), normal(2, 6 * groups, channels // groups, *kernel)
    y, index = conv_numpy.conv_relu_pool_forward(x, w, None, *settings, pool)
    g = normal(3, *y.shape)
    x[1, 0, 11, 13] += poison
    w[3, 0, 1, 1] += poison
    needs = (True, True, True)
    with np.errstate(invalid="ignore"):
        got = kernels.conv_relu_pool_backward(g, x, w, y, index, *settings, pool, needs)
        expected = conv_numpy.conv_relu_pool_backward(g, x, w, y, index, *settings, pool)
    close_to_poisoned(got[0], expected[0])
    close(got[1], expected[1], 300)
    close(got[2], expected[2], 300)
    with np.errstate(invalid="ignore"):
        d = conv_numpy.conv_relu_pool_slopes(g, y, index, kernels.conv_output_hw((31, 29), kernel, *settings[:3]), pool)
        close_to_poisoned(kernels.conv2d_input_grad(d, w, (31, 29), *settings), expected[0])
        close(kernels.conv2d_weight_grad(x, d, kernel, *settings), expected[1], 300)
    g[2, 1], y[2, 1] = np.nan, np.nan  # diverging networks have to show it
    x, w = normal(1, *x.shape), normal(2, *w.shape)
    got = kernels.conv_relu_pool_backward(g, x, w, y, index, *settings, pool, needs)
    assert np.isnan(got[1][1]).all()
    assert np.isfinite(got[1][[0, *range(2, 6 * groups)]]).all()
    expected = conv_numpy.conv_relu_pool_backward(g, x, w, y, index, *settings, pool)
    close(got[0], expected[0], 300)


def test_ties_nan_and_zeros_in_the_fused_pool():
    """One input channel and a filter of one weight make the convolution a copy, so that the pool's choice is visible."""
    x = np.zeros((1, 1, 6, 8), np.float32)
    x[0, 0, 0, :2] = 3
    x[0, 0, 1, 2:4] = [np.nan, 5]
    x[0, 0, 2:4] = -1
    x[0, 0, 4, 5], x[0, 0, 5, 4] = np.inf, -np.inf
    w = np.ones((1, 1, 1, 1), np.float32)
    y, index = kernels.conv_relu_pool_forward(x, w, None, (1, 1), (0, 0), (1, 1), 1, 2)
    np.testing.assert_array_equal(y[0, 0], [[3, np.nan, 0, 0], [0, 0, 0, 0], [0, 0, np.inf, 0]])
    assert index[0, 0, 0].tolist() == [0, 10, 4, 6]
    g = np.arange(1, 13, dtype=np.float32).reshape(1, 1, 3, 4)
    d = kernels.conv_relu_pool_slopes(g, y, index, (6, 8), 2)
    expected = np.zeros((6, 8), np.float32)
    expected[0, 0], expected[1, 2], expected[4, 5] = 1, 2, 11  # nothing for maxima that the relu cut off
    np.testing.assert_array_equal(d[0, 0], expected)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("settings", [((1, 1), (1, 1), (1, 1), 1), ((2, 2), (1, 1), (1, 1), 1)])
def test_not_a_number_survives(poison, settings):
    x, w = normal(1, 2, 3, 9, 17), normal(2, 9, 3, 3, 3)
    x[1, 2, 4, 4] = poison
    with np.errstate(invalid="ignore"):
        y, expected = kernels.conv2d_forward(x, w, None, *settings), conv_numpy.conv2d_forward(x, w, None, *settings)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
    assert np.isfinite(y[0]).all()
    assert not np.isfinite(y[1]).all()


def test_strided_views_and_other_dtypes_are_welcome():
    settings = ((1, 1), (0, 0), (1, 1), 1)
    x, w = normal(1, 2, 6, 8, 9)[:, ::2, :, ::-1], normal(2, 4, 3, 3, 3).transpose(0, 1, 3, 2)
    close(kernels.conv2d_forward(x, w, None, *settings), conv_numpy.conv2d_forward(x, w, None, *settings), 27)
    half = kernels.conv2d_forward(x.astype(np.float16), w.astype(np.float16), None, *settings)
    assert half.dtype == np.float16


def test_inputs_stay_as_they_were():
    x, w, b = normal(1, 2, 3, 8, 8), normal(2, 4, 3, 3, 3), normal(3, 4)
    g = normal(4, 2, 4, 8, 8)
    for array in (x, w, b, g):
        array.flags.writeable = False
    all_three(kernels, x, w, b, g, ((1, 1), (1, 1), (1, 1), 1))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_shapes_that_do_not_fit_are_refused(backend):
    if backend == "numba" and not kernels.numba_works():
        pytest.skip("Numba may not compile here")
    x, w, g = normal(1, 2, 3, 8, 8), normal(2, 4, 3, 3, 3), normal(3, 2, 4, 6, 6)
    plain = ((1, 1), (0, 0), (1, 1), 1)
    with kernels.backend(backend):
        with pytest.raises(ValueError, match=r"weight's second dimension"):
            kernels.conv2d_forward(x[:, :2], w, None, *plain)
        with pytest.raises(ValueError, match=r"should be \(2, 4, 7, 7\)"):
            kernels.conv2d_input_grad(g, w, (9, 9), *plain)
        with pytest.raises(ValueError, match="do not fit together"):
            kernels.conv2d_weight_grad(x, g[:1], (3, 3), *plain)


def test_against_torch():
    torch = pytest.importorskip("torch")
    x, w, b = normal(1, 2, 6, 11, 13), normal(2, 8, 3, 3, 4), normal(3, 8)
    for stride, padding, dilation in [((1, 1), (0, 0), (1, 1)), ((2, 3), (1, 2), (2, 1))]:
        settings = (stride, padding, dilation, 2)
        tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
        y = torch.nn.functional.conv2d(tx, tw, tb, *settings)
        g = normal(4, *y.shape)
        y.backward(torch.tensor(g))
        mine = all_three(kernels, x, w, b, g, settings)
        for got, expected in zip(mine, (y.detach(), tx.grad, tw.grad), strict=True):
            np.testing.assert_allclose(got, expected.numpy(), rtol=2e-5, atol=2e-5)
