"""The convolution trio: every implementation equals the twin, the twin equals textbook loops, and all are adjoint."""

import numpy as np
import pytest
from hypothesis import given
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
