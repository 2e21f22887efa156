"""Activations, losses and optimizer steps for other compiled functions: each equals its NumPy twin, and PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import elementwise_numpy, loss_numpy, optim_numpy
from tinygrad_edu.kernels.elementwise_numpy import NONE, RELU, SIGMOID, TANH

if not kernels.numba_works():
    pytest.skip("these are compiled functions, and nothing compiles here", allow_module_level=True)

from tinygrad_edu.kernels import elementwise_numba, elementwise_scalars, loss_numba, optim_numba
from tinygrad_edu.kernels.compiler import compiled

shapes = st.lists(st.sampled_from([0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 100]), min_size=1, max_size=2).map(tuple)
seeds = st.integers(0, 2**16)
dtypes = st.sampled_from(DTYPES)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 80, -80, 100, -100, 1e-30, 3e38]


def close(got, expected, terms=1):
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, **tolerance(expected.dtype, terms))


@given(shapes, dtypes, seeds, st.sampled_from([NONE, RELU, SIGMOID, TANH]), st.booleans())
def test_activations(shape, dtype, seed, act, poison):
    x, g = 3 * normal(seed, *shape, dtype=dtype), normal(seed + 1, *shape, dtype=dtype)
    if poison:
        x.reshape(-1)[: len(SPECIAL)] = np.array(SPECIAL[: x.size], dtype)
    results = []
    for home in (elementwise_numba, elementwise_numpy):
        y, gx = np.empty_like(x), np.empty_like(g)
        with np.errstate(invalid="ignore", over="ignore"):
            home.activate_into(x, y, act)
            home.activate_grad_into(g, results[0][0] if results else y, gx, act)
        results.append((y, gx))
    for got, expected in zip(*results, strict=True):
        close(got, expected)
    y, gx = x.copy(), g.copy()
    elementwise_numba.activate(y, act)
    elementwise_numba.activate_grad(gx, y, act)
    np.testing.assert_array_equal(y, results[0][0])
    np.testing.assert_array_equal(gx, results[0][1])


@compiled()
def _apply(name, x, y):
    for i in range(x.size):
        if name == 0:
            y[i] = elementwise_scalars.exp_of(x[i])
        elif name == 1:
            y[i] = elementwise_scalars.log_of(x[i])
        elif name == 2:
            y[i] = elementwise_scalars.tanh_of(x[i])
        elif name == 3:
            y[i] = elementwise_scalars.log1p_of(x[i])
        elif name == 5:
            y[i] = elementwise_scalars.sigmoid_of(x[i])
        else:
            y[i] = elementwise_scalars.log1m_of(x[i])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "exact", "low", "high"),
    [
        (0, np.exp, -87, 88.5),
        (1, np.log, 0.3, 3),
        (1, np.log, 1e-37, 1e-30),
        (1, np.log, 1, 3e38),
        (2, np.tanh, -10, 10),
        (2, np.tanh, -1e-3, 1e-3),
        (3, np.log1p, 0, 1),
        (3, np.log1p, 0, 1e-6),
        (4, lambda p: np.log1p(-p), 0, 0.99999),
        (4, lambda p: np.log1p(-p), 0, 1e-6),
        (5, _sigmoid, -87, 100),
        (5, _sigmoid, -1e-3, 1e-3),
    ],
)
def test_functions_of_one_number_to_the_last_digits(name, exact, low, high):
    x = np.linspace(low, high, 100_001).astype(np.float32)
    y = np.empty_like(x)
    _apply(name, x, y)
    np.testing.assert_allclose(y, exact(x.astype(np.float64)), rtol=3 * np.finfo(np.float32).eps, atol=1e-44)
    x, y = x.astype(np.float64), np.empty(x.size)
    _apply(name, x, y)
    np.testing.assert_allclose(y, exact(x), rtol=1e-15)


@pytest.mark.parametrize(("name", "exact"), [(0, np.exp), (1, np.log), (2, np.tanh), (5, _sigmoid)])
def test_functions_of_one_number_at_the_edges(name, exact):
    edges = [*SPECIAL, 1e-40, -1e-40, -1, 1, 88, 89, -104, 1e-45]
    x = np.array(
        [*edges, *np.linspace(-200, 200, 100_001)], np.float32
    )  # overflow must not meet another infinity on the way
    y = np.empty_like(x)
    _apply(name, x, y)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, exact(x.astype(np.float64)).astype(np.float32), rtol=5e-7, atol=2e-38)


@given(shapes, dtypes, seeds)
def test_losses_of_two_equal_arrays(shape, dtype, seed):
    x, t = 3 * normal(seed, *shape, dtype=dtype), np.abs(np.sin(normal(seed + 1, *shape, dtype=dtype)))
    p = np.abs(np.sin(x)).astype(dtype)
    p.reshape(-1)[:3] = [0, 1, 1e-6][: p.size]
    for name, value in (("mse_into", x), ("bce_with_logits_into", x), ("bce_into", p)):
        mine, twin = np.empty_like(x), np.empty_like(x)
        loss, twin_loss = getattr(loss_numba, name)(value, t, mine), getattr(loss_numpy, name)(value, t, twin)
        rounding = 16 + value.size / 16  # running sums in as few as four lanes; the twin adds pairwise
        np.testing.assert_allclose(loss, twin_loss, rtol=rounding * np.finfo(dtype).eps)
        np.testing.assert_allclose(mine, twin, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@given(st.integers(0, 40), st.sampled_from([1, 2, 10, 16, 33]), dtypes, seeds)
def test_cross_entropy(count, classes, dtype, seed):
    x, labels = 3 * normal(seed, count, classes, dtype=dtype), np.random.default_rng(seed).integers(0, classes, count)
    mine, twin = np.empty_like(x), np.empty_like(x)
    loss, twin_loss = loss_numba.cross_entropy_into(x, labels, mine), loss_numpy.cross_entropy_into(x, labels, twin)
    close(np.asarray(loss, dtype), np.asarray(twin_loss), classes)
    close(mine, twin, classes)


@pytest.mark.parametrize("bad", [-1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_an_impossible_class(dtype, bad):
    for home in (loss_numba, loss_numpy):
        assert home.cross_entropy_into(normal(1, 2, 3, dtype=dtype), np.array([0, bad]), np.empty((2, 3), dtype)) == -1


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_keep_nan(dtype):
    x = np.abs(np.sin(normal(1, 4, 3, dtype=dtype)))
    x[2, 1] = np.nan
    for name in ("mse_into", "bce_with_logits_into", "bce_into"):
        g = np.empty_like(x)
        assert np.isnan(getattr(loss_numba, name)(x, np.zeros_like(x), g))
        assert np.isnan(g[2, 1])
        assert np.isnan(g).sum() == 1
    assert np.isnan(loss_numba.cross_entropy_into(x, np.array([0, 1, 2, 0]), g))
    assert np.isnan(g[2]).all()
    assert np.isfinite(g[[0, 1, 3]]).all()


def test_losses_equal_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    t = np.array([0, 1, 0.3, 1, 0, 1, 0, 0.5], np.float32)
    p = np.array([0, 0, 0.2, 1, 1, 1e-30, 1e-8, 0.9999999], np.float32)
    cases = {
        "bce_into": (functional.binary_cross_entropy, p),
        "bce_with_logits_into": (functional.binary_cross_entropy_with_logits, 9 * normal(1, 8)),
        "mse_into": (functional.mse_loss, normal(2, 8)),
    }
    for name, (reference, x) in cases.items():
        theirs, g = torch.tensor(x, requires_grad=True), np.empty_like(x)
        expected = reference(theirs, torch.tensor(t))
        expected.backward()
        np.testing.assert_allclose(getattr(loss_numba, name)(x, t, g), expected.item(), rtol=1e-6)
        np.testing.assert_allclose(g, theirs.grad.numpy(), rtol=2e-6, atol=1e-7)


flags = st.booleans()


@given(dtypes, seeds, st.sampled_from([0, 1, 17, 100]), st.sampled_from([0.0, 0.9]), flags, flags, flags, flags)
def test_sgd(dtype, seed, size, momentum, dampened, nesterov, decayed, maximize):
    start, grads = normal(seed, size, dtype=dtype), normal(seed + 1, 3, size, dtype=dtype)
    results = []
    for home in (optim_numba, optim_numpy):
        p, buffer = start.copy(), np.zeros(size if momentum else 0, dtype)
        for i, g in enumerate(grads):
            home.sgd_into(
                p, g, buffer, 0.1, momentum, 0.3 * dampened, nesterov, 0.1 * decayed, maximize, i == 0
            )  # fmt: skip
        results.append((p, buffer))
    for got, expected in zip(*results, strict=True):
        close(got, expected)


@given(dtypes, seeds, st.sampled_from([0, 1, 17, 100]), flags, flags, flags, flags)
def test_adam(dtype, seed, size, amsgrad, decayed, decoupled, maximize):
    start, grads = normal(seed, size, dtype=dtype), normal(seed + 1, 3, size, dtype=dtype)
    results = []
    for home in (optim_numba, optim_numpy):
        p, mean, square = start.copy(), np.zeros(size, dtype), np.zeros(size, dtype)
        largest = np.zeros(size if amsgrad else 0, dtype)
        for i, g in enumerate(grads):
            home.adam_into(
                p, g, mean, square, largest, i + 1, 0.01, 0.9, 0.999, 1e-8, 0.1 * decayed, decoupled, maximize
            )
        results.append((p, mean, square, largest))
    for got, expected in zip(*results, strict=True):
        close(got, expected)


def test_a_compiled_function_calls_them():
    numba = pytest.importorskip("numba")
    activate, slopes, loss_of = (
        elementwise_numba.activate_into,
        elementwise_numba.activate_grad_into,
        loss_numba.mse_into,
    )
    sgd, adam = optim_numba.sgd_into, optim_numba.adam_into

    @numba.njit
    def step(p, t, y, g, nothing, mean, square):
        activate(p, y, 3)
        loss = loss_of(y, t, g)
        slopes(g, y, g, 3)
        sgd(p, g, nothing, 0.5, 0.0, 0.0, False, 0.0, False, True)
        adam(p, g, mean, square, nothing, 1, 0.01, 0.9, 0.999, 1e-8, 0.0, False, False)
        return loss

    p, t = normal(1, 9), normal(2, 9)
    q, mean, square = p.copy(), np.zeros(9, np.float32), np.zeros(9, np.float32)
    loss = step(p, t, np.empty_like(p), np.empty_like(p), np.empty(0, np.float32), mean, square)
    y = np.tanh(q)
    np.testing.assert_allclose(loss, np.mean((y - t) ** 2), rtol=1e-6)
    g = 2 / 9 * (y - t) * (1 - y * y)
    np.testing.assert_allclose(p, q - 0.5 * g - 0.01 * np.sign(g), rtol=1e-5, atol=1e-6)
