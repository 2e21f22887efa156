"""The ladder: plain Python loops, NumPy and Numba compute the same, forward and backward."""

import contextlib

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel_cases import DTYPES, convolutions, normal, poolings, tolerance

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import kernels, nn, optim
from tinygrad_edu.kernels import naive, policy

RUNGS = [name for name in policy.BACKENDS if name != "numba" or kernels.numba_works()]
FEW = settings(max_examples=15)
sizes = st.integers(0, 7)


def on_every_rung(call) -> list[tuple]:
    """What `call` returns under each backend, always as a tuple."""
    results = []
    for name in RUNGS:
        with kernels.backend(name):
            out = call()
        results.append(out if isinstance(out, tuple) else (out,))
    return results


def assert_rungs_agree(call, terms: int) -> None:
    first, *others = on_every_rung(call)
    for other in others:
        for one, two in zip(first, other, strict=True):
            assert (one is None) == (two is None)
            if one is not None:
                assert one.dtype == two.dtype
                assert one.shape == two.shape
                rounding = tolerance(one.dtype, terms) if one.dtype.kind == "f" else {"rtol": 0}
                np.testing.assert_allclose(two, one, **rounding)


@FEW
@given(convolutions())
def test_convolution_and_its_gradients(case):
    x, w, bias, g, settings = case
    assume(g.size * w[0].size < 20_000)
    x_hw, w_hw = x.shape[2:], w.shape[2:]
    depth, pixels = w[0].size, g[:, 0].size
    assert_rungs_agree(lambda: kernels.conv2d_forward(x, w, bias, *settings), depth)
    assert_rungs_agree(lambda: kernels.conv2d_input_grad(g, w, x_hw, *settings), depth * len(w))
    assert_rungs_agree(lambda: kernels.conv2d_weight_grad(x, g, w_hw, *settings), pixels)
    assert_rungs_agree(lambda: kernels.conv2d_bias_grad(g), pixels)


@FEW
@given(poolings())
def test_max_pooling_and_its_gradient(case):
    x, kernel, stride, padding, dilation, ceil_mode = case
    assume(x.size < 4_000)
    geometry = (kernel, stride, padding, dilation, ceil_mode)
    assert_rungs_agree(lambda: kernels.max_pool2d_forward(x, *geometry), 1)
    y, index = kernels.max_pool2d_forward(x, *geometry)
    g = normal(1, *y.shape, dtype=x.dtype)
    assert_rungs_agree(lambda: kernels.max_pool2d_backward(g, index, x.shape[2:]), 9)
    assert_rungs_agree(lambda: kernels.max_pool2d_gather(x, index), 1)


@FEW
@given(sizes, sizes, sizes, st.sampled_from(DTYPES), st.sampled_from([None, "relu", "sigmoid", "tanh"]), st.booleans())
def test_products_and_linear_layers(batch, inputs, outputs, dtype, activation, with_bias):
    x, w = normal(1, batch, inputs, dtype=dtype), normal(2, outputs, inputs, dtype=dtype)
    bias = normal(3, outputs, dtype=dtype) if with_bias else None
    g, y = normal(4, batch, outputs, dtype=dtype), kernels.linear_forward(x, w, bias, activation)
    assert_rungs_agree(lambda: kernels.matmul(x, w.T), inputs)
    assert_rungs_agree(lambda: kernels.linear_forward(x, w, bias, activation), inputs)
    assert_rungs_agree(lambda: kernels.linear_backward(g, x, w, y, activation), batch + outputs)
    assert_rungs_agree(lambda: kernels.linear_backward(g, x, w, y, activation, (False, True, False)), batch)


@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,)), ((3,), (3, 4)), ((3, 4), (4,)), ((2, 1, 3, 4), (5, 4, 2)), ((3,), (2, 3, 4)), ((2, 4, 3), (3,))],
)
def test_products_of_vectors_and_stacks(shapes):
    a, b = normal(1, *shapes[0]), normal(2, *shapes[1])
    np.testing.assert_allclose(naive.matmul(a, b), a @ b, **tolerance(a.dtype, 4))


def test_shapes_that_do_not_fit_are_refused_on_every_rung():
    x, w = normal(1, 1, 3, 5, 5), normal(2, 2, 4, 3, 3)
    for name in RUNGS:
        with kernels.backend(name):
            with pytest.raises(ValueError, match="do not fit together"):
                kernels.conv2d_forward(x, w, None, (1, 1), (0, 0), (1, 1), 1)
            with pytest.raises(ValueError, match="do not fit together"):
                kernels.linear_forward(x[0, 0], w[0, 0], None, None)
            with pytest.raises(ValueError):
                kernels.matmul(x[0, 0], w[0, 0])
            with pytest.raises(RuntimeError, match="cannot be multiplied"):
                tg.ones(2, 3) @ tg.ones(2, 3)


def small_cnn() -> nn.Module:
    tg.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 4)
    )


def train_a_little(steps: int = 3) -> list[np.ndarray]:
    net = small_cnn()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    images, labels = tg.randn(4, 1, 6, 6), tg.tensor([0, 1, 2, 3])
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return [p.detach().numpy() for p in net.parameters()]


def test_a_network_trains_to_the_same_parameters_on_every_rung():
    trained = []
    for name in RUNGS:
        with tg.backend(name):
            trained.append(train_a_little())
    for other in trained[1:]:
        for one, two in zip(trained[0], other, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_the_naive_rung_hands_no_product_to_blas(monkeypatch):
    """A network runs through the loops alone: each of them is called, and NumPy's products are not."""
    called = set()

    def note(name, function):
        def wrapper(*args):
            called.add(name)
            return function(*args)

        return wrapper

    names = [
        "conv2d_forward", "conv2d_weight_grad", "conv2d_bias_grad", "max_pool2d_forward", "max_pool2d_backward", "matmul",
    ]  # fmt: skip
    for name in names:
        monkeypatch.setattr(naive, name, note(name, getattr(naive, name)))

    def forbidden(*args, **options):
        raise AssertionError("the naive backend called BLAS")

    with tg.backend("naive"):
        for product in ("matmul", "dot", "tensordot"):
            monkeypatch.setattr(np, product, forbidden)
        train_a_little(steps=1)
    assert called == set(names)


# ---- choosing ---------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def restored():
    with tg.backend(tg.get_backend()):
        yield


def test_a_call_sets_and_a_block_restores():
    with restored():
        tg.backend("numpy")
        assert tg.get_backend() == "numpy"
        with tg.backend("naive") as nothing:
            assert nothing is None
            assert tg.get_backend() == "naive"
            with tg.backend("numpy"):
                assert tg.get_backend() == "numpy"
            assert tg.get_backend() == "naive"
        assert tg.get_backend() == "numpy"
        with pytest.raises(ZeroDivisionError), tg.backend("naive"):
            raise ZeroDivisionError
        assert tg.get_backend() == "numpy"


def test_one_choice_may_open_several_blocks():
    with restored():
        tg.backend("numpy")
        loops = tg.backend("naive")
        for _ in range(2):
            with loops:
                assert tg.get_backend() == "naive"
            assert tg.get_backend() == "numpy"
        assert repr(loops) == "backend('naive')"


@pytest.mark.parametrize("bad", ["cuda", "", None, 3])
def test_an_unknown_backend_is_refused_and_changes_nothing(bad):
    before = tg.get_backend()
    with pytest.raises(ValueError, match="backend must be one of 'numba', 'numpy', 'naive', got"):
        tg.backend(bad)
    assert tg.get_backend() == before
