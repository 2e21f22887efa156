"""Layers in one call (product, bias, activation, gradients): public kernels, and those for other compiled functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import linear_numpy, threads
from tinygrad_edu.kernels.elementwise_numpy import NONE, RELU, SIGMOID, TANH

ACTS = (NONE, RELU, SIGMOID, TANH)
sizes = st.sampled_from([0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 70, 100])
seeds = st.integers(0, 2**16)
dtypes = st.sampled_from(DTYPES)
acts = st.sampled_from(ACTS)

if kernels.numba_works():
    from tinygrad_edu.kernels import linear_numba
else:  # the twins are all there is
    linear_numba = linear_numpy


def close(got, expected, terms=1):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, **tolerance(expected.dtype, terms))


def layer(seed, batch, inputs, outputs, dtype=np.float32):
    """x, weight, bias, gradient of the output."""
    x, w = normal(seed, batch, inputs, dtype=dtype), normal(seed + 1, outputs, inputs, dtype=dtype)
    return x, w, normal(seed + 2, outputs, dtype=dtype), normal(seed + 3, batch, outputs, dtype=dtype)


@given(sizes, sizes, sizes, dtypes, seeds, acts, st.booleans())
def test_a_layer_equals_its_twin(batch, inputs, outputs, dtype, seed, act, with_bias):
    x, w, b, g = layer(seed, batch, inputs, outputs, dtype)
    b = b if with_bias else None
    y = linear_numpy.linear_act_forward(x, w, b, act)
    close(kernels.linear_act_forward(x, w, b, act), y, inputs)
    before = [v.copy() for v in (g, x, w, y)]
    mine = kernels.linear_act_backward(g, x, w, y, act, True, True, True)
    for got, expected, terms in zip(
        mine, linear_numpy.linear_act_backward(g, x, w, y, act), (outputs, batch, batch), strict=True
    ):
        close(got, expected, terms)
    for now, then in zip((g, x, w, y), before, strict=True):
        np.testing.assert_array_equal(now, then)


@given(sizes, sizes, sizes, dtypes, seeds, acts, st.booleans(), st.booleans())
def test_a_layer_into_given_arrays(batch, inputs, outputs, dtype, seed, act, with_bias, need_x):
    x, w, b, g = layer(seed, batch, inputs, outputs, dtype)
    b = b if with_bias else b[:0]
    results = []
    for home in (linear_numba, linear_numpy):
        out, gx, gw, gb = (np.full(shape, np.nan, dtype) for shape in (g.shape, x.shape, w.shape, b.shape))
        home.linear_act_forward_into(x, w, b, out, act)
        given_g = g.copy()
        home.linear_act_backward_into(given_g, x, w, results[0][0] if results else out, act, gx, gw, gb, need_x)
        results.append((out, gx, gw, gb, given_g))
    for got, expected, terms in zip(*results, (inputs, outputs, batch, batch, 1), strict=True):
        close(got, expected, terms)
    assert np.isnan(results[0][1]).all() or need_x


@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True), (False,) * 3])
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("batch", [5, 300])
def test_only_what_is_needed_is_computed(batch, act, needs):
    x, w, b, g = layer(1, batch, 40, 30)
    y = linear_numpy.linear_act_forward(x, w, b, act)
    everything = kernels.linear_act_backward(g, x, w, y, act, True, True, True)
    for got, full, need in zip(kernels.linear_act_backward(g, x, w, y, act, *needs), everything, needs, strict=True):
        if need:
            np.testing.assert_array_equal(got, full)
        else:
            assert got is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ACTS)
def test_arrays_that_are_not_in_rows(dtype, act):
    x, w, b, g = layer(3, 17, 33, 15, dtype)
    x2, w2, b2, g2 = (np.repeat(v, 2, -1)[..., ::2] for v in (x, w, b, g))
    plain, y = kernels.linear_act_forward(x, w, b, act), linear_numpy.linear_act_forward(x, w, b, act)
    backward = kernels.linear_act_backward(g, x, w, y, act, True, True, True)
    for a, c, e, f in ((x2, w2, b2, g2), (np.asfortranarray(x), np.asfortranarray(w), b, np.asfortranarray(g))):
        close(kernels.linear_act_forward(a, c, e, act), plain, 33)
        strided = np.asfortranarray(y)
        for got, expected in zip(kernels.linear_act_backward(f, a, c, strided, act), backward, strict=True):
            close(got, expected, 33)
    frozen = [v.copy() for v in (x, w, b)]
    for array in frozen:
        array.flags.writeable = False
    np.testing.assert_array_equal(kernels.linear_act_forward(*frozen, act), plain)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("sizes", [(3, 2, 1), (20, 40, 30), (20, 100, 7), (40, 20, 70)])
def test_nan_and_inf_survive(sizes, act, bad):
    x, w, b, g = layer(5, *sizes)
    x[2, 1] = bad
    with np.errstate(invalid="ignore", over="ignore"):
        y = kernels.linear_act_forward(x, w, b, act)
        close(y, linear_numpy.linear_act_forward(x, w, b, act), sizes[1])
        g[1, 0] = bad
        backward = kernels.linear_act_backward(g, x, w, y, act)
        twin = linear_numpy.linear_act_backward(g, x, w, y, act)
    for got, expected, terms in zip(backward, twin, (sizes[2], sizes[0], sizes[0]), strict=True):
        close(got, expected, terms)


@pytest.mark.parametrize("act", [NONE, RELU, TANH])
@pytest.mark.parametrize(
    "sizes", [(20, 784, 30), (500, 784, 30), (128, 300, 70), (400, 2, 10), (129, 600, 130), (33, 300, 300)]
)
def test_the_same_bits_on_any_number_of_threads(sizes, act, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e6)
    x, w, b, g = layer(7, *sizes)
    before, results = kernels.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            kernels.set_num_threads(count)
            y = kernels.linear_act_forward(x, w, b, act)
            results.append((y, *kernels.linear_act_backward(g, x, w, y, act)))
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    y = linear_numpy.linear_act_forward(x, w, b, act)
    twins = (y, *linear_numpy.linear_act_backward(g, x, w, results[0][0], act))
    for got, expected, terms in zip(results[0], twins, (sizes[1], sizes[2], sizes[0], sizes[0]), strict=True):
        close(got, expected, terms)


MARGIN = 64  # numbers, more than any vector holds
EDGES = [  # batch, inputs, outputs: parts of vectors at every edge, factors that are copied, packed, turned or swapped
    (1, 1, 1), (9, 2, 10), (40, 2, 10), (40, 10, 2), (7, 15, 3), (33, 3, 9), (30, 9, 15), (2, 33, 5), (26, 40, 17), (3, 300, 9),
    (25, 17, 31), (100, 1, 100), (32, 100, 1), (70, 10, 130), (130, 33, 140), (70, 300, 90),
]  # fmt: skip


def amid(values: np.ndarray) -> np.ndarray:
    """The same array with NaN before and behind it."""
    room = np.full(values.size + 2 * MARGIN, np.nan, values.dtype)
    middle = room[MARGIN:-MARGIN].reshape(values.shape)
    middle[...] = values
    return middle


def is_amid_nan(middle: np.ndarray) -> bool:
    room = middle.base
    return bool(np.isnan(room[:MARGIN]).all() and np.isnan(room[-MARGIN:]).all())


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("sizes", EDGES)
def test_what_lies_around_the_arrays_is_neither_used_nor_overwritten(sizes, with_bias):
    batch, inputs, outputs = sizes
    x, w, b, g = map(amid, layer(11, *sizes))
    bias = b if with_bias else b[:0]
    out, gx, gw, gb = (amid(np.zeros(shape, np.float32)) for shape in (g.shape, x.shape, w.shape, b.shape))
    linear_numba.linear_act_forward_into(x, w, bias, out, NONE)
    linear_numba.linear_act_backward_into(g, x, w, out, NONE, gx, gw, gb, True)
    exact = linear_numpy.linear_act_forward(x, w, b if with_bias else None, NONE)
    expected = exact, *linear_numpy.linear_act_backward(g, x, w, None, NONE)
    for got, twin, terms in zip((out, gx, gw, gb), expected, (inputs, outputs, batch, batch), strict=True):
        close(got, twin, terms)
        assert is_amid_nan(got)


@pytest.mark.parametrize("sizes", [(128, 200, 300), (60, 1024, 90), (300, 64, 257), (97, 530, 70)])
def test_large_products_with_bias_by_blocks(sizes, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e5)
    x, w, b, g = layer(13, *sizes)
    close(kernels.linear_act_forward(x, w, b, NONE), linear_numpy.linear_act_forward(x, w, b, NONE), sizes[1])
    close(kernels.linear_act_forward(x, w, None, RELU), linear_numpy.linear_act_forward(x, w, None, RELU), sizes[1])
    twins = linear_numpy.linear_act_backward(g, x, w, None, NONE)
    for got, twin, terms in zip(
        kernels.linear_act_backward(g, x, w, None, NONE), twins, (sizes[2], sizes[0], sizes[0]), strict=True
    ):
        close(got, twin, terms)


def test_two_dtypes_go_to_numpy():
    x, w, b, g = layer(9, 4, 3, 5)
    y = kernels.linear_act_forward(x, w.astype(np.float64), b, RELU)
    np.testing.assert_allclose(y, linear_numpy.linear_act_forward(x, w.astype(np.float64), b, RELU))
    assert y.dtype == np.float64
    half = [v.astype(np.float16) for v in (x, w, b)]
    assert kernels.linear_act_forward(*half, TANH).dtype == np.float16
    gx, _, _ = kernels.linear_act_backward(g.astype(np.float64), x, w, y, RELU)
    assert gx.dtype == np.float64


def test_what_does_not_fit_is_refused():
    x, w, b, _ = layer(1, 4, 3, 5)
    for wrong in ((x, w.T, b, RELU), (x, w, b[:4], RELU), (x[0], w, b, RELU), (x, w, b[:1], RELU), (x, w, w, RELU)):
        with pytest.raises(ValueError, match=r"expected \(N, IN\), \(OUT, IN\) and \(OUT,\)"):
            kernels.linear_act_forward(*wrong)
    with pytest.raises(ValueError, match="activation must be one of"):
        kernels.linear_act_forward(x, w, b, 7)


def test_a_compiled_function_calls_them():
    numba = pytest.importorskip("numba")
    if linear_numba is linear_numpy:
        pytest.skip("Numba does not compile here")
    forward, backward = linear_numba.linear_act_forward_into, linear_numba.linear_act_backward_into

    @numba.njit
    def two_layers(x, w1, b1, h, w2, b2, y, gh, gw1, gb1, gw2, gb2):
        forward(x, w1, b1, h, 1)
        forward(h, w2, b2, y, 0)
        backward(y.copy(), h, w2, y, 0, gh, gw2, gb2, True)
        backward(gh, x, w1, h, 1, x, gw1, gb1, False)

    x, w1, b1, h = layer(1, 20, 50, 30)
    _, w2, b2, y = layer(2, 20, 30, 10)
    grads = [np.empty_like(v) for v in (h, w1, b1, w2, b2)]
    two_layers(x, w1, b1, h, w2, b2, y, *grads)
    h2 = linear_numpy.linear_act_forward(x, w1, b1, RELU)
    y2 = linear_numpy.linear_act_forward(h2, w2, b2, NONE)
    close(y, y2, 80)
    gh, gw2, gb2 = linear_numpy.linear_act_backward(y2, h2, w2, y2, NONE)
    _, gw1, gb1 = linear_numpy.linear_act_backward(gh, x, w1, h2, RELU)
    for got, expected in zip(grads[1:], (gw1, gb1, gw2, gb2), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)
