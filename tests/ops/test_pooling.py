"""Pooling by name: ties, NaN, indices, sizes, and what is refused."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tests.ops.test_linalg import refusal

NAN = float("nan")


def test_the_first_of_equal_maxima_gets_the_gradient():
    x = tg.zeros(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]


def test_overlapping_windows_add_their_gradients():
    x = tg.tensor([[[0.0, 5.0, 1.0, 2.0]]], requires_grad=True)
    F.max_pool1d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[[0.0, 2.0, 0.0, 1.0]]]


def test_nan_is_never_hidden():
    x = tg.tensor([[[1.0, NAN, 3.0, 4.0]]])
    values, indices = F.max_pool1d(x, 2, return_indices=True)
    assert np.isnan(values.numpy()[0, 0, 0])
    assert indices.tolist() == [[[1, 3]]]
    assert np.isnan(F.adaptive_max_pool1d(x, 1).item())


def test_padding_is_never_chosen():
    x = tg.full((1, 1, 2, 2), -5.0)
    assert F.max_pool2d(x, 2, 2, 1).flatten().tolist() == [-5.0] * 4
    assert F.avg_pool2d(x, 2, 2, 1).flatten().tolist() == [-1.25] * 4
    assert F.avg_pool2d(x, 2, 2, 1, count_include_pad=False).flatten().tolist() == [-5.0] * 4


def test_indices_count_rows_of_the_whole_image():
    x = tg.arange(16.0).reshape(1, 1, 4, 4)
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    assert values.flatten().tolist() == [5, 7, 13, 15] == indices.flatten().tolist()
    assert indices.dtype == tg.int64


def test_unpooling_puts_the_maxima_back():
    x = tg.arange(16.0).reshape(1, 1, 4, 4)
    back = F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)
    assert back.sum() == 5 + 7 + 13 + 15
    assert back[0, 0, 3, 3] == 15
    assert "invalid max index" in refusal(
        RuntimeError, lambda: F.max_unpool2d(tg.zeros(1, 1, 1, 1), tg.full((1, 1, 1, 1), 9), 2)
    )


def test_infinity_stays_in_its_own_window():
    x = tg.tensor([[[1.0, float("inf"), 3.0, 4.0, 5.0]]])
    assert F.adaptive_avg_pool1d(x, 2).tolist() == [[[float("inf"), 4.0]]]


def test_adaptive_to_one_is_the_mean():
    x = tg.arange(12.0).reshape(1, 2, 2, 3)
    assert F.adaptive_avg_pool2d(x, 1).flatten().tolist() == [2.5, 8.5]
    assert F.adaptive_avg_pool2d(x, (None, 1)).shape == (1, 2, 2, 1)


def test_the_graph_keeps_its_index_for_one_backward_only():
    x = tg.zeros(1, 1, 4, 4, requires_grad=True)
    out = F.max_pool2d(x, 2).sum()
    out.backward()
    assert "E204" in refusal(RuntimeError, lambda: out.backward())


@pytest.mark.parametrize("dtype", [tg.float16, tg.float64])
def test_other_floating_types(dtype):
    x = tg.arange(16.0).reshape(1, 1, 4, 4).to(dtype).requires_grad_()
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.sum() == 4


def test_refusals():
    x = tg.zeros(1, 1, 4, 4)
    assert "at most half" in refusal(RuntimeError, lambda: F.max_pool2d(x, 2, padding=2))
    assert "E114 in max_pool2d" in refusal(RuntimeError, lambda: F.max_pool2d(x, 5))
    assert "non-positive stride" in refusal(RuntimeError, lambda: F.avg_pool2d(x, 2, 0))
    assert "divisor must be not zero" in refusal(RuntimeError, lambda: F.avg_pool2d(x, 2, divisor_override=0))
    assert "E113 in max_pool2d" in refusal(RuntimeError, lambda: F.max_pool2d(tg.zeros(4, 4), 2))
    assert "output_size" in refusal(RuntimeError, lambda: F.adaptive_avg_pool2d(x, (1, 2, 3)))


def test_interpolation_refusals():
    x = tg.zeros(1, 1, 4, 4)
    assert "exactly one" in refusal(ValueError, lambda: F.interpolate(x))
    assert "align_corners" in refusal(ValueError, lambda: F.interpolate(x, 2, align_corners=True))
    assert "E113" in refusal(NotImplementedError, lambda: F.interpolate(x, 2, mode="linear"))


def test_pixels_and_channels_move_back_and_forth():
    x = tg.arange(48.0).reshape(1, 3, 4, 4)
    assert F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2).tolist() == x.tolist()
    assert "divisible by the square" in refusal(RuntimeError, lambda: F.pixel_shuffle(x, 2))
