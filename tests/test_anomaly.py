"""Anomaly mode names the operation, the line and the cause, in both directions."""

import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import detect_anomaly


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (
            lambda: tg.log(leaf(1.0, 0.0)),
            r"E401 in log \(test_anomaly.py:\d+\): -inf appeared at index \(1,\).*logarithm of 0",
        ),
        (lambda: leaf(1.0) / tg.tensor([0.0]), r"E401 in true_divide .*inf appeared.*division by 0"),
        (lambda: tg.sqrt(leaf(-1.0, 4.0)), r"E401 in sqrt.*nan appeared at index \(0,\).*from -1 to 4.*negative"),
        (lambda: tg.exp(leaf(100.0)), r"E401 in exp.*inf appeared.*overflow"),
        (lambda: leaf(3e38) * 10, r"E401 in mul.*overflow"),
    ],
)
def test_forward(bad, says):
    with detect_anomaly(), pytest.raises(RuntimeError, match=says):
        bad()


def test_backward_behind_a_mask():
    x = leaf(0.0, 4.0)
    with detect_anomaly():
        y = tg.where(x > 0, tg.sqrt(x), tg.zeros(2)).sum()
        with pytest.raises(RuntimeError, match=r"E402.*backward of sqrt.*recorded at test_anomaly.py:\d+.*0 \* inf"):
            y.backward()


def test_the_fix_it_shows_works():
    x = leaf(0.0, 4.0)
    with detect_anomaly():
        tg.where(x > 0, tg.sqrt(tg.where(x > 0, x, 1.0)), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_given_infinities_are_not_anomalies():
    scores, mask = leaf(1.0, 2.0, 3.0), tg.tensor([False, False, True])
    with detect_anomaly():
        masked = scores.masked_fill(mask, float("-inf"))
        (masked.softmax(0) * tg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert scores.grad[2] == 0


def test_it_is_off_again_afterwards():
    with detect_anomaly():
        pass
    assert tg.log(leaf(0.0)).item() == float("-inf")
