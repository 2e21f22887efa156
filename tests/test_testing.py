"""assert_close: what it lets pass, what it refuses, and what it says."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.testing import assert_close

nan, inf = float("nan"), float("inf")

# Pairs with options, and whether they are close; PyTorch must agree.
PAIRS = [
    (lambda t: (t.tensor([1.0, 2.0]), t.tensor([1.0, 2.0 + 1e-6])), {}, True),
    (lambda t: (t.tensor([1.0, 2.0]), t.tensor([1.0, 2.001])), {}, False),
    (lambda t: (t.tensor([1.0, 2.0]), t.tensor([1.0, 2.001])), {"rtol": 1e-2, "atol": 0.0}, True),
    (lambda t: (t.tensor([1.0], dtype=t.float64), t.tensor([1.0 + 1e-6], dtype=t.float64)), {}, False),
    (lambda t: (t.tensor([1.0], dtype=t.float64), t.tensor([1.0])), {}, False),
    (lambda t: (t.tensor([1.0], dtype=t.float64), t.tensor([1.0 + 1e-6])), {"check_dtype": False}, True),
    (lambda t: (t.tensor([1, 2]), t.tensor([1, 3])), {}, False),
    (lambda t: (t.tensor([1, 2]), t.tensor([1, 3])), {"rtol": 0.0, "atol": 1.0}, True),
    (lambda t: (t.tensor([True]), t.tensor([False])), {}, False),
    (lambda t: (t.tensor([nan]), t.tensor([nan])), {}, False),
    (lambda t: (t.tensor([nan, inf]), t.tensor([nan, inf])), {"equal_nan": True}, True),
    (lambda t: (t.tensor([inf]), t.tensor([-inf])), {}, False),
    (lambda t: (t.zeros(2, 3), t.zeros(3, 2)), {}, False),
    (lambda t: (t.zeros(3), t.zeros(1, 3)), {}, False),
    (lambda t: (t.zeros(0), t.zeros(0)), {}, True),
    (lambda t: (t.zeros(2, 3).t(), t.zeros(3, 2)), {}, True),
    (lambda t: (t.zeros(2, 3).t(), t.zeros(3, 2)), {"check_stride": True}, False),
    (lambda t: (1.0, 1.0 + 1e-8), {}, True),
    (lambda t: (1.0, 1.001), {}, False),
    (lambda t: (3, 3), {}, True),
    (lambda t: (3, 4), {}, False),
    (lambda t: (None, None), {}, True),
    (lambda t: (None, 1.0), {}, False),
    (lambda t: ([t.ones(1), 2.0], [t.ones(1), 2.0]), {}, True),
    (lambda t: ((t.ones(1),), (t.ones(1), t.ones(1))), {}, False),
    (lambda t: ({"a": t.ones(1)}, {"a": t.ones(1)}), {}, True),
    (lambda t: ({"a": t.ones(1)}, {"b": t.ones(1)}), {}, False),
    (lambda t: ({"a": [t.ones(1), t.zeros(2)]}, {"a": [t.ones(1), t.ones(2)]}), {}, False),
]


def passes(check, pair, options):
    try:
        check(*pair, **options)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(("make", "options", "expected"), PAIRS)
def test_the_verdict(make, options, expected):
    assert passes(assert_close, make(tg), options) is expected


@pytest.mark.parametrize(("make", "options", "expected"), PAIRS)
def test_pytorch_judges_alike(make, options, expected):
    torch = pytest.importorskip("torch")
    assert passes(torch.testing.assert_close, make(torch), options) is expected


def test_the_message_counts_and_locates():
    with pytest.raises(AssertionError) as caught:
        assert_close({"w": tg.tensor([[1.0, 2.0], [3.0, 4.0]])}, {"w": tg.tensor([[1.0, 2.0], [3.5, 4.0]])})
    text = str(caught.value)
    assert "Mismatched elements: 1 / 4 (25.0%)" in text
    assert "Greatest absolute difference: 0.5 at index (1, 0) (up to 1e-05 allowed)" in text
    assert "Greatest relative difference: 0.142857 at index (1, 0)" in text
    assert "item ['w']" in text


def test_a_message_of_ones_own():
    with pytest.raises(AssertionError, match=r"^my words$"):
        assert_close(1.0, 2.0, msg="my words")
    with pytest.raises(AssertionError, match=r"^In short: Scalars"):
        assert_close(1.0, 2.0, msg=lambda usual: f"In short: {usual}")


def test_arrays_are_compared_with_arrays():
    assert_close(np.ones(2), np.ones(2))
    with pytest.raises(TypeError, match="cannot compare a Tensor with a ndarray"):
        assert_close(tg.ones(2), np.ones(2))
    with pytest.raises(TypeError, match="of a object"):
        assert_close(object(), object())


def test_one_tolerance_alone_is_refused():
    with pytest.raises(ValueError, match="both or not at all"):
        assert_close(1.0, 1.0, rtol=0.1)
