"""Kernels of the fully connected part: layers, activations, losses, batch normalization. Each equals its twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import elementwise_numpy, linear_numpy, loss_numpy, naive, norm_numpy, softmax_numpy, threads

shapes = st.lists(st.integers(0, 19), min_size=0, max_size=3).map(tuple)
sizes = st.sampled_from([0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 70])
seeds = st.integers(0, 2**16)
dtypes = st.sampled_from(DTYPES)


def close(got, expected, terms=1):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, **tolerance(expected.dtype, terms))


def poisoned(x, seed):
    """Some elements become NaN, infinite, huge or tiny."""
    rng = np.random.default_rng(seed)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 80, -80, 100, -100, 1e-30, 3e38], x.dtype)
    return np.where(rng.random(x.shape) < 0.5, rng.choice(special, x.shape), x).astype(x.dtype)


@given(shapes, dtypes, seeds, st.booleans())
def test_activations(shape, dtype, seed, poison):
    x, g = np.asarray(normal(seed, *shape, dtype=dtype)), np.asarray(normal(seed + 1, *shape, dtype=dtype))
    x = np.asarray(poisoned(x, seed)) if poison else x
    np.testing.assert_array_equal(kernels.relu(x), elementwise_numpy.relu(x))
    np.testing.assert_array_equal(kernels.relu_grad(g, x), elementwise_numpy.relu_grad(g, x))
    y = elementwise_numpy.sigmoid(x)
    np.testing.assert_allclose(kernels.sigmoid(x), y, rtol=4 * np.finfo(dtype).eps, atol=1e-38)
    close(kernels.sigmoid_grad(g, y), elementwise_numpy.sigmoid_grad(g, y))
    with np.errstate(invalid="ignore"):
        y = np.tanh(x)
    close(kernels.tanh_grad(g, y), elementwise_numpy.tanh_grad(g, y))
    for name in ("relu", "sigmoid"):
        assert getattr(kernels, name)(x).shape == shape
        assert getattr(kernels, name)(x.T).shape == x.T.shape
    np.testing.assert_array_equal(kernels.relu(x.T), elementwise_numpy.relu(x).T)


def test_sigmoid_and_exp_to_the_last_digit():
    x = np.linspace(-87, 88, 200_001, dtype=np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(kernels.sigmoid(x), exact, rtol=3 * np.finfo(np.float32).eps)
    logits = np.stack([x, np.zeros_like(x)], 1)
    np.testing.assert_allclose(kernels.softmax(logits)[:, 0], exact, rtol=4 * np.finfo(np.float32).eps)


@given(sizes, sizes, sizes, dtypes, seeds, st.sampled_from(linear_numpy.ACTIVATIONS), st.booleans())
def test_linear(batch, inputs, outputs, dtype, seed, activation, with_bias):
    x, w = normal(seed, batch, inputs, dtype=dtype), normal(seed + 1, outputs, inputs, dtype=dtype)
    bias = normal(seed + 2, outputs, dtype=dtype) if with_bias else None
    y = linear_numpy.linear_forward(x, w, bias, activation)
    close(kernels.linear_forward(x, w, bias, activation), y, inputs)
    close(kernels.matmul(x, w.T), x @ w.T, inputs)
    g = normal(seed + 3, batch, outputs, dtype=dtype)
    mine = kernels.linear_backward(g, x, w, y, activation)
    twin = linear_numpy.linear_backward(g, x, w, y, activation)
    for got, expected, terms in zip(mine, twin, (outputs, batch, batch), strict=True):
        close(got, expected, terms)
    one = kernels.linear_backward(g, x, w, y, activation, (False, True, False))
    assert one[0] is None
    assert one[2] is None
    np.testing.assert_array_equal(one[1], mine[1])


PRODUCTS = [  # batch, inputs, outputs: the course's layers, and sizes around tiles and panels
    (20, 784, 30), (500, 784, 30), (128, 300, 70), (70, 513, 9), (33, 257, 65), (41, 129, 33), (300, 17, 40),
    (47, 1100, 203), (23, 700, 133),
]  # fmt: skip


@pytest.mark.parametrize("sizes", PRODUCTS)
def test_products_of_course_sizes_on_any_number_of_threads(sizes, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e5)
    batch, inputs, outputs = sizes
    x, w, b, g = normal(1, batch, inputs), normal(2, outputs, inputs), normal(3, outputs), normal(4, batch, outputs)
    x[1, 2], w[3, 4] = np.nan, np.inf
    before, results = kernels.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            kernels.set_num_threads(count)
            y = kernels.linear_forward(x, w, b, "relu")
            results.append(
                (y, *kernels.linear_backward(g, x, w, y, None), kernels.matmul(g, w), kernels.matmul(x, w.T))
            )
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    with np.errstate(invalid="ignore"):
        y = linear_numpy.linear_forward(x, w, b, "relu")
        twins = (y, *linear_numpy.linear_backward(g, x, w, y, None), g @ w, x @ w.T)
    terms = (inputs, outputs, batch, batch, outputs, inputs)
    for got, expected, count in zip(results[0], twins, terms, strict=True):
        close(got, expected, count)


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh"])
def test_linear_lets_nan_through(activation):
    x, w = normal(1, 20, 40), normal(2, 30, 40)
    x[3, 5] = np.nan
    y = kernels.linear_forward(x, w, None, activation)
    assert np.isnan(y[3]).all()
    assert np.isfinite(np.delete(y, 3, 0)).all()


def test_linear_refuses_what_does_not_fit():
    x, w = normal(1, 4, 3), normal(2, 5, 3)
    with pytest.raises(ValueError, match=r"expected \(N, IN\), \(OUT, IN\) and \(OUT,\)"):
        kernels.linear_forward(x, w.T, None, None)
    with pytest.raises(ValueError, match="do not fit together"):
        kernels.linear_forward(x, w, normal(3, 4), None)
    with pytest.raises(ValueError, match="activation must be one of"):
        kernels.linear_forward(x, w, None, "swish")


@pytest.mark.parametrize("shapes", [((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 1, 3, 4), (6, 4, 5))])
def test_matmul_has_numpys_meaning(shapes):
    a, b = normal(1, *shapes[0]), normal(2, *shapes[1])
    close(np.asarray(kernels.matmul(a, b)), np.asarray(a @ b), 4)
    close(np.asarray(naive.matmul(a, b)), np.asarray(a @ b), 4)


@given(st.integers(1, 9), st.sampled_from([1, 2, 10, 15, 16, 64, 70, 200]), dtypes, seeds, st.booleans())
def test_softmax_and_its_logarithm(rows, classes, dtype, seed, poison):
    x = 5 * normal(seed, rows, classes, dtype=dtype)
    x[0] += 1000
    x = poisoned(x, seed) if poison else x
    with np.errstate(all="ignore"):
        for name in ("softmax", "log_softmax"):
            y = getattr(softmax_numpy, name)(x)
            close(getattr(kernels, name)(x), y, classes)
            g = normal(seed + 1, *x.shape, dtype=dtype)
            close(getattr(kernels, f"{name}_grad")(g, y), getattr(softmax_numpy, f"{name}_grad")(g, y), classes)
        np.testing.assert_array_equal(kernels.softmax(np.stack([x, x]))[1], kernels.softmax(x))


def test_softmax_of_many_rows_and_of_very_long_ones():
    for shape in ((1000, 10), (300, 33), (3, 5000), (70, 256), (9, 48)):  # several blocks, the last one shorter
        x, g = 5 * normal(1, *shape), normal(2, *shape)
        for name in ("softmax", "log_softmax"):
            y = getattr(softmax_numpy, name)(x)
            close(getattr(kernels, name)(x), y, shape[1])
            close(getattr(kernels, f"{name}_grad")(g, y), getattr(softmax_numpy, f"{name}_grad")(g, y), shape[1])


@given(st.integers(1, 3), st.integers(1, 40), st.sampled_from([1, 2, 7, 8, 33, 300]), dtypes, seeds, st.booleans())
def test_softmax_along_another_dimension(groups, terms, columns, dtype, seed, poison):
    x, g = (3 * normal(seed + i, groups, terms, columns, dtype=dtype) for i in range(2))
    if poison:
        places = np.random.default_rng(seed).random(x.shape)
        x[places < 0.06], x[places < 0.04], x[places < 0.02] = np.nan, np.inf, -np.inf
    for name in ("softmax", "log_softmax"):
        with np.errstate(invalid="ignore"):
            y = getattr(softmax_numpy, name)(x, 1)
        close(getattr(kernels, name)(x, 1), y, terms)
        expected = getattr(softmax_numpy, f"{name}_grad")(g, y, -2)
        close(getattr(kernels, f"{name}_grad")(g, y, -2), expected, 4 * terms)


@pytest.mark.parametrize("shape", [(1000, 10), (301, 33), (67, 256), (5, 2001)])
def test_softmax_on_any_number_of_threads(shape, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e5)
    x, g = 5 * normal(1, *shape), normal(2, *shape)
    before, results = kernels.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            kernels.set_num_threads(count)
            y, log = kernels.softmax(x), kernels.log_softmax(x)
            results.append((y, log, kernels.softmax_grad(g, y), kernels.log_softmax_grad(g, log)))
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    y, log = softmax_numpy.softmax(x), softmax_numpy.log_softmax(x)
    twins = (y, log, softmax_numpy.softmax_grad(g, y), softmax_numpy.log_softmax_grad(g, log))
    for got, expected in zip(results[0], twins, strict=True):
        close(got, expected, shape[1])


@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
def test_softmax_loses_no_nan(classes, bad):
    x = normal(1, 4, classes)
    x[1, 2] = bad
    for name in ("softmax", "log_softmax"):
        y = getattr(kernels, name)(x)
        assert np.isnan(y[1]).any()
        assert np.isfinite(y[[0, 2, 3]]).all()
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(np.isnan(y), np.isnan(getattr(softmax_numpy, name)(x)))
    x[1] = -np.inf
    x[1, 0] = -3e38
    np.testing.assert_array_equal(kernels.softmax(x)[1], np.eye(classes, dtype=np.float32)[0])


@given(st.integers(0, 40), st.sampled_from([1, 2, 10, 33, 100]), dtypes, seeds)
def test_cross_entropy(count, classes, dtype, seed):
    x, target = 3 * normal(seed, count, classes, dtype=dtype), np.random.default_rng(seed).integers(0, classes, count)
    loss, grad = kernels.cross_entropy_forward(x, target)
    twin_loss, twin_grad = loss_numpy.cross_entropy_forward(x, target)
    close(np.asarray(loss), np.asarray(twin_loss), classes)
    close(grad, twin_grad, classes)
    if count:
        step = normal(seed + 1, count, classes, dtype=np.float64)
        ahead, _ = loss_numpy.cross_entropy_forward(x.astype(np.float64) + 1e-6 * step, target)
        behind, _ = loss_numpy.cross_entropy_forward(x.astype(np.float64) - 1e-6 * step, target)
        np.testing.assert_allclose(np.vdot(twin_grad, step), (ahead - behind) / 2e-6, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("bad", [-1, 3, -7])
def test_cross_entropy_names_the_impossible_class(bad):
    for dtype in DTYPES:
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds.*0 to 2"):
            kernels.cross_entropy_forward(normal(1, 4, 3, dtype=dtype), np.array([0, bad, 2, 1]))


def test_losses_keep_nan():
    x = normal(1, 4, 3)
    x[2, 1] = np.nan
    loss, grad = kernels.cross_entropy_forward(x, np.array([0, 1, 2, 0]))
    assert np.isnan(loss)
    assert np.isnan(grad[2]).all()
    assert np.isfinite(grad[[0, 1, 3]]).all()
    assert np.isnan(kernels.mse_forward(x, np.zeros_like(x))[0])
    assert np.isnan(kernels.bce_with_logits_forward(x, np.zeros_like(x))[0])


@given(shapes, dtypes, seeds)
def test_regression_losses(shape, dtype, seed):
    x, t = np.asarray(9 * normal(seed, *shape, dtype=dtype)), np.asarray(normal(seed + 1, *shape, dtype=dtype))
    for name, target in (("mse_forward", t), ("bce_with_logits_forward", np.abs(np.sin(t)))):
        (loss, grad), (twin_loss, twin_grad) = getattr(kernels, name)(x, target), getattr(loss_numpy, name)(x, target)
        eps, size = 8 * np.finfo(dtype).eps, np.abs(x) * (1 + np.abs(target)) + 1  # what max(x, 0) - x * t cancels
        np.testing.assert_allclose(loss, twin_loss, rtol=eps, atol=eps * size.mean() if x.size else 0)
        close(grad, twin_grad)


@given(
    st.integers(1, 5), st.integers(1, 4), st.sampled_from([(), (3,), (4, 4), (7, 9), (24, 24)]), dtypes, seeds,
    st.booleans(),
)  # fmt: skip
def test_batch_norm(n, c, rest, dtype, seed, affine):
    x, g = 3 + normal(seed, n, c, *rest, dtype=dtype), normal(seed + 1, n, c, *rest, dtype=dtype)
    w, b = (normal(seed + 2, c, dtype=dtype), normal(seed + 3, c, dtype=dtype)) if affine else (None, None)
    mine, twin = kernels.batch_norm_forward(x, w, b, 1e-5), norm_numpy.batch_norm_forward(x, w, b, 1e-5)
    exact = norm_numpy.batch_norm_forward(*(v if v is None else v.astype(np.float64) for v in (x, w, b)), 1e-5)
    _, mean, _, rstd = exact
    sensitive = np.finfo(dtype).eps * (64 + 64 * np.abs(mean).max() * rstd.max())  # x - mean cancels when n is small
    for got, expected, truth in zip(mine, twin, exact, strict=True):
        assert got.dtype == expected.dtype == dtype
        assert got.shape == expected.shape
        scale = 1 + np.abs(truth).max()
        np.testing.assert_allclose(got, truth, rtol=sensitive, atol=sensitive * scale)
    saved = mean.astype(dtype), rstd.astype(dtype)
    back, twin_back = kernels.batch_norm_backward(g, x, w, *saved), norm_numpy.batch_norm_backward(g, x, w, *saved)
    for got, expected in zip(back, twin_back, strict=True):
        assert got.dtype == expected.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=sensitive, atol=sensitive * (rstd.max() + x.size / c) * 4)


def test_batch_norm_of_large_numbers_with_a_small_spread():
    x = (1000 + 0.01 * normal(1, 8, 2, 10, 10)).astype(np.float32)
    x[0, :, 0, 0] = 0  # one zero corner must not spoil the variance either
    _, mean, var, _ = kernels.batch_norm_forward(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.float64).var((0, 2, 3)), rtol=1e-5)
