"""Convolution by name: the errors about images, the ways of padding, adjointness, and a grid against torch."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tests.ops.test_linalg import refusal
from tinygrad_edu.ops.convolution_relu import _conv_relu_pool


# ---- E113, E114, E109 -------------------------------------------------------------------------------------------------------
def test_channels_last_image():
    text = refusal(RuntimeError, lambda: F.conv2d(tg.zeros(8, 28, 28, 1), tg.zeros(4, 1, 3, 3)))
    assert text.startswith("E113 in conv2d (test_convolution.py:")
    assert "to have 1 channels, but got 28 channels instead" in text
    assert "x.permute(0, 3, 1, 2)" in text
    assert "x.permute(2, 0, 1)" in refusal(RuntimeError, lambda: F.conv2d(tg.zeros(28, 28, 3), tg.zeros(4, 3, 3, 3)))


def test_missing_channel_axis():
    text = refusal(RuntimeError, lambda: F.conv2d(tg.zeros(8, 28, 28), tg.zeros(4, 1, 3, 3)))
    assert "x.unsqueeze(1) makes (8, 1, 28, 28)" in text
    text = refusal(RuntimeError, lambda: F.conv2d(tg.zeros(28, 28), tg.zeros(4, 1, 3, 3)))
    assert "expected 3D (unbatched) or 4D (batched) input" in text
    assert "x.unsqueeze(0)" in text


def test_layer_with_other_channels():
    assert "in_channels 3" in refusal(RuntimeError, lambda: F.conv2d(tg.zeros(8, 3, 9, 9), tg.zeros(4, 1, 3, 3)))
    assert "to have 4 channels" in refusal(
        RuntimeError, lambda: F.conv_transpose2d(tg.zeros(8, 3, 9, 9), tg.zeros(4, 1, 3, 3))
    )


def test_kernel_larger_than_the_input_tells_the_sizes_so_far():
    w = tg.zeros(4, 1, 5, 5, requires_grad=True)
    x = F.max_pool2d(F.conv2d(tg.zeros(2, 1, 12, 12), w), 2)
    text = refusal(RuntimeError, lambda: F.conv2d(F.avg_pool2d(x, 2), tg.zeros(4, 4, 3, 3)))
    assert text.startswith("E114 in conv2d")
    assert "Kernel size can't be greater than actual input size" in text
    assert "padded input size per channel is 2x2 and the kernel covers 3x3" in text
    assert "Sizes so far: 12x12 -> conv2d -> 8x8 -> max_pool2d -> 4x4 -> avg_pool2d -> 2x2." in text


def test_mixed_dtypes():
    text = refusal(RuntimeError, lambda: F.conv2d(tg.zeros(1, 1, 4, 4, dtype=tg.float64), tg.zeros(1, 1, 2, 2)))
    assert "E109 in conv2d" in text
    assert "input is float64, weight is float32" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stride": 0}, "non-positive stride"),
        ({"dilation": 0}, "non-positive dilation"),
        ({"padding": -1}, "negative padding"),
        ({"padding": "full"}, "Invalid padding string"),
        ({"padding": "same", "stride": 2}, "not supported for strided"),
        ({"groups": 3}, "divisible by groups"),
        ({"groups": 0}, "divisible by groups"),
        ({"bias": tg.zeros(3)}, "expected bias to be 1-dimensional with 4 elements"),
    ],
)
def test_parameters_out_of_range(options, words):
    assert words in refusal(RuntimeError, lambda: F.conv2d(tg.zeros(1, 2, 5, 5), tg.zeros(4, 2, 3, 3), **options))


def test_what_is_not_a_tensor_or_a_size():
    assert "must be Tensor, not ndarray" in refusal(
        TypeError, lambda: F.conv2d(np.zeros((1, 1, 3, 3)), tg.zeros(1, 1, 2, 2))
    )
    assert "an int or 2 ints" in refusal(
        RuntimeError, lambda: F.conv2d(tg.zeros(1, 1, 3, 3), tg.zeros(1, 1, 2, 2), stride=(1, 2, 3))
    )


def test_output_padding_below_stride_or_dilation():
    text = refusal(
        RuntimeError, lambda: F.conv_transpose2d(tg.zeros(1, 1, 3, 3), tg.zeros(1, 1, 2, 2), output_padding=1)
    )
    assert "output padding must be smaller than either stride or dilation" in text


# ---- what it computes -------------------------------------------------------------------------------------------------------
def test_a_kernel_of_one_copies_channels():
    x = tg.arange(8.0).reshape(1, 2, 2, 2)
    assert F.conv2d(x, tg.eye(2).reshape(2, 2, 1, 1)).tolist() == x.tolist()


def test_correlation_not_convolution():
    x = tg.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]])
    assert F.conv1d(x, tg.tensor([[[1.0, 2.0, 3.0]]])).tolist() == [[[3.0, 2.0, 1.0]]]


def test_empty_batch():
    w = tg.ones(4, 1, 3, 3, requires_grad=True)
    out = F.conv2d(tg.zeros(0, 1, 5, 5), w)
    out.sum().backward()
    assert out.shape == (0, 4, 3, 3)
    assert not w.grad.any()


def test_nan_stays_where_it_is():
    x = tg.zeros(1, 1, 5, 5)
    x[0, 0, 0, 0] = float("nan")
    out = F.conv2d(x, tg.ones(1, 1, 2, 2)).isnan()
    assert out.sum() == 1
    assert out[0, 0, 0, 0]


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}])
def test_the_transposed_convolution_is_the_adjoint(options):
    tg.manual_seed(0)
    x = tg.randn(2, 4, 7, 7, dtype=tg.float64)
    w = tg.randn(6, 4 // options.get("groups", 1), 3, 3, dtype=tg.float64)
    y = F.conv2d(x, w, **options)
    g = tg.randn(*y.shape, dtype=tg.float64)
    back = F.conv_transpose2d(g, w, **options)
    assert back.shape == x.shape
    assert (y * g).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-12)


def test_unfolding_makes_it_a_matrix_product():
    tg.manual_seed(0)
    x, w = tg.randn(2, 3, 6, 6), tg.randn(5, 3, 3, 3)
    product = (w.flatten(1) @ F.unfold(x, 3)).reshape(2, 5, 4, 4)
    assert tg.allclose(product, F.conv2d(x, w), atol=1e-5)


def test_folding_ones_counts_the_windows():
    ones = tg.ones(1, 1, 4, 4)
    counts = F.fold(F.unfold(ones, 2), (4, 4), 2)
    assert counts[0, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    assert "E104 in fold" in refusal(RuntimeError, lambda: F.fold(tg.zeros(1, 4, 8), (4, 4), 2))


# ---- convolution, relu and pool in one op -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("pool", "stride"), list(itertools.product((1, 2, 3), (1, 2))))
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_fused_layer_is_its_three_parts(pool, stride, dtype):
    """Values, gradients and gradients of gradients, on arrays and on tensors."""
    tg.manual_seed(0)
    shapes = ((3, 2, 14, 13), (5, 2, 3, 3), (5,))
    found = []
    for fused in (False, True):
        tg.manual_seed(1)
        x, w, b = (tg.randn(*shape, dtype=dtype, requires_grad=True) for shape in shapes)
        if fused:
            out = _conv_relu_pool(x, w, b, stride, 1, 1, 1, pool)
        else:
            out = F.max_pool2d(F.relu(F.conv2d(x, w, b, stride, 1)), pool)
        plain = tg.autograd.grad((out * out).sum(), [x, w, b], retain_graph=True)
        first = tg.autograd.grad((out * out).sum(), [x, w, b], create_graph=True)
        second = tg.autograd.grad(sum((g * g).sum() for g in first), [x, w, b])
        found.append([t.detach().numpy() for t in (out, *plain, *first, *second)])
    digits = 1e-4 if dtype == tg.float32 else 1e-11
    for parts, one in zip(*found, strict=True):
        np.testing.assert_allclose(one, parts, rtol=digits, atol=digits * np.abs(parts).max())


def test_fused_layer_accepts_and_refuses_what_its_parts_do():
    w = tg.randn(4, 1, 5, 5)
    assert _conv_relu_pool(tg.randn(1, 12, 12), w, pool=2).shape == (4, 4, 4)
    assert _conv_relu_pool(tg.randn(0, 1, 12, 12), w, padding="same", pool=2).shape == (0, 4, 6, 6)
    text = refusal(RuntimeError, lambda: _conv_relu_pool(tg.randn(2, 3, 12, 12), w))
    assert "E113 in conv2d" in text
    text = refusal(RuntimeError, lambda: _conv_relu_pool(tg.randn(2, 1, 6, 6), w.requires_grad_(), pool=3))
    assert "E114 in max_pool2d" in text
    assert "6x6 -> conv2d -> 2x2" in text


# ---- against torch over a grid of parameters --------------------------------------------------------------------------------
GRID = list(itertools.product((1, 2), (0, 1), (1, 2), (1, 2), (False, True)))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups", "bias"), GRID)
def test_grid_against_torch(stride, padding, dilation, groups, bias):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in ((2, 4, 7, 6), (6, 4 // groups, 3, 2), (6,))][: 3 if bias else 2]
    found = []
    for lib in (tg, torch):
        x, w, *b = (lib.from_numpy(a.copy()).requires_grad_() for a in arrays)
        out = lib.nn.functional.conv2d(x, w, *b, stride=stride, padding=padding, dilation=dilation, groups=groups)
        first = lib.autograd.grad((out * out).sum(), [x, w, *b], create_graph=True)
        second = lib.autograd.grad(sum((g * g).sum() for g in first), [x, w, *b])
        found.append([t.detach().numpy() for t in (out, *first, *second)])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-9)
