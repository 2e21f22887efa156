"""Losses by name: the mistakes E103 to E108, ignored targets, extremes, and what stays legal."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tests.ops.test_linalg import refusal

LOGITS = tg.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [3.0, 0.0, 0.0]])


def classes(*numbers: int) -> tg.Tensor:
    return tg.tensor(numbers)


# ---- E103 -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_column_against_row_warns(name):
    with pytest.warns(tg.TeachingWarning, match="E103") as caught:
        loss = getattr(F, name)(tg.zeros(5, 1), tg.zeros(5))
    text = str(caught[0].message)
    assert loss.item() == 0  # and goes on
    assert "they broadcast to (5, 5), 25 differences for 5 values" in text
    assert "pred.squeeze(1)" in text
    assert caught[0].filename == __file__


def test_equal_shapes_do_not_warn(recwarn):
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        getattr(F, name)(tg.zeros(5, 1), tg.zeros(5, 1))
    assert not recwarn.list


def test_yes_and_no_losses_refuse_other_shapes():
    for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        text = refusal(ValueError, lambda name=name: getattr(F, name)(tg.zeros(5, 1), tg.zeros(5)))
        assert "Target size ((5,)) must be the same as input size ((5, 1))" in text
        assert "pred.squeeze(1)" in text


# ---- E105, E106 -------------------------------------------------------------------------------------------------------------
def test_softmax_before_cross_entropy():
    x = LOGITS.clone().requires_grad_()
    with pytest.warns(tg.TeachingWarning, match="E105 in cross_entropy.*softmax.*taken twice.*remove the softmax"):
        F.cross_entropy(tg.softmax(x, 1), classes(0, 1, 2, 0))


def test_probabilities_into_nll_loss():
    x = LOGITS.clone().requires_grad_()
    with pytest.warns(tg.TeachingWarning, match=r"E106 in nll_loss.*log-probabilities.*log_softmax"):
        F.nll_loss(tg.softmax(x, 1), classes(0, 1, 2, 0))


def test_the_right_ways_do_not_warn(recwarn):
    x = LOGITS.clone().requires_grad_()
    F.nll_loss(tg.log_softmax(x, 1), classes(0, 1, 2, 0))
    F.cross_entropy(x, classes(0, 1, 2, 0))
    F.cross_entropy(tg.log_softmax(x, 1), classes(0, 1, 2, 0))
    assert not recwarn.list


# ---- E107 -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            (1, 2, 3, 1),
            ["Target 3 is out of bounds", "at position 2", "for 3 classes", "go from 1 to 3", "1-based", "target - 1"],
        ),
        ((1, 2, 1, 6), ["Target 6", "position 3", "go from 1 to 6", "7 outputs"]),
        ((0, 255, 12, 0), ["looks like pixel values"]),
        ((0, -1, 2, 0), ["Target -1 is out of bounds", "position 1", "ignore_index=-1"]),
    ],
)
def test_class_out_of_range(loss, target, words):
    text = refusal(IndexError, lambda: loss(LOGITS, classes(*target)))
    assert text.startswith("E107 in " + loss.__name__)
    for word in words:
        assert word in text


# ---- E108 -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (
            tg.zeros(4),
            RuntimeError,
            ["target is float32 of shape (4,)", "class numbers (int64) of shape (4,)", "target.long()"],
        ),
        (tg.zeros(4, 3, dtype=tg.int64), RuntimeError, ["target.argmax(1)", "target.float()"]),
        (tg.zeros(4, 1, dtype=tg.int64), RuntimeError, ["target.squeeze(1)"]),
        (tg.zeros(5, dtype=tg.int64), ValueError, ["input batch_size (4) to match target batch_size (5)"]),
        (tg.zeros(4, 2), RuntimeError, ["or probabilities (float32) of shape (4, 3)"]),
        (tg.zeros(4, dtype=tg.bool), RuntimeError, ["target is bool"]),
    ],
)
def test_wrong_form_of_target(target, error, words):
    text = refusal(error, lambda: F.cross_entropy(LOGITS, target))
    assert text.startswith("E108 in cross_entropy (test_loss.py:")
    for word in words:
        assert word in text


def test_nll_loss_wants_class_numbers():
    assert "argmax" in refusal(RuntimeError, lambda: F.nll_loss(LOGITS, tg.zeros(4, 3)))


def test_labels_of_yes_and_no_must_be_floating():
    assert "target.float()" in refusal(
        RuntimeError, lambda: F.binary_cross_entropy_with_logits(tg.zeros(3), classes(0, 1, 1))
    )


def test_probabilities_outside_zero_and_one():
    text = refusal(RuntimeError, lambda: F.binary_cross_entropy(tg.tensor([2.0, 0.5]), tg.zeros(2)))
    assert "between 0 and 1" in text
    assert "from 0.5 to 2" in text
    assert "binary_cross_entropy_with_logits" in text
    assert "between 0 and 1" in refusal(
        RuntimeError, lambda: F.binary_cross_entropy(tg.tensor([math.nan]), tg.zeros(1))
    )


# ---- values at the edge -----------------------------------------------------------------------------------------------------
def test_huge_logits_do_not_overflow():
    x = tg.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    loss = F.cross_entropy(x, classes(0, 0))
    loss.backward()
    assert loss.item() == 1000
    assert x.grad.tolist() == [[0, 0], [-0.5, 0.5]]


def test_huge_logits_of_yes_and_no():
    x = tg.tensor([1000.0, -1000.0], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, tg.tensor([0.0, 1.0]))
    loss.backward()
    assert loss.item() == 1000
    assert x.grad.tolist() == [0.5, -0.5]


def test_certain_and_wrong_costs_a_hundred():
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, tg.tensor([1.0, 0.0]))
    loss.backward()
    assert loss.item() == 100
    assert np.isfinite(x.grad.numpy()).all()


def test_ignored_rows_count_nothing():
    x = LOGITS.clone().requires_grad_()
    F.cross_entropy(x, classes(0, -100, 2, 0)).backward()
    kept = LOGITS[[0, 2, 3]].clone().requires_grad_()
    F.cross_entropy(kept, classes(0, 2, 0)).backward()
    assert tg.allclose(x.grad[[0, 2, 3]], kept.grad)
    assert x.grad[1].tolist() == [0, 0, 0]


def test_an_ignored_row_may_even_hold_nan():
    x = LOGITS.clone()
    x[1] = math.nan
    assert F.cross_entropy(x, classes(0, -100, 2, 0)).item() == pytest.approx(
        F.cross_entropy(LOGITS[[0, 2, 3]], classes(0, 2, 0)).item()
    )


def test_nothing_left_is_nan_as_in_torch():
    x = LOGITS.clone().requires_grad_()
    loss = F.cross_entropy(x, classes(-100, -100, -100, -100))
    loss.backward()
    assert math.isnan(loss.item())
    assert not x.grad.any()
    assert math.isnan(F.cross_entropy(tg.zeros(0, 3), tg.zeros(0, dtype=tg.int64)).item())
    assert math.isnan(F.mse_loss(tg.zeros(0), tg.zeros(0)).item())


def test_nan_in_the_logits_shows():
    x = LOGITS.clone()
    x[0, 0] = math.nan
    assert math.isnan(F.cross_entropy(x, classes(0, 1, 2, 0)).item())


def test_class_numbers_are_int64_or_uint8():
    ids = classes(0, 1, 2, 0)
    assert F.cross_entropy(LOGITS, ids.byte()).item() == F.cross_entropy(LOGITS, ids).item()
    for dtype in (tg.int32, tg.int16, tg.bool):
        for loss in (F.cross_entropy, F.nll_loss):
            text = refusal(RuntimeError, lambda loss=loss, dtype=dtype: loss(LOGITS, ids.to(dtype)))
            assert f"the target is {dtype.name}" in text
            assert "target.long()" in text


def test_one_hot_probabilities_equal_class_numbers():
    ids = classes(0, 1, 2, 0)
    soft = F.cross_entropy(LOGITS, F.one_hot(ids, 3).float())
    assert soft.item() == pytest.approx(F.cross_entropy(LOGITS, ids).item(), rel=1e-6)


def test_gradients_do_not_share_memory_with_the_graph():
    x, y = tg.zeros(3, requires_grad=True), tg.ones(3, requires_grad=True)
    loss = F.mse_loss(x, y)
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == pytest.approx([-4 / 3] * 3)
    assert y.grad.tolist() == pytest.approx([4 / 3] * 3)


def test_old_flags_of_the_reduction():
    x, y = tg.tensor([1.0, 3.0]), tg.zeros(2)
    assert F.mse_loss(x, y, size_average=False).item() == 10
    assert F.mse_loss(x, y, reduce=False).tolist() == [1, 9]
    assert "not a valid value for reduction" in refusal(ValueError, lambda: F.mse_loss(x, y, reduction="avg"))


def test_other_refusals():
    x = tg.zeros(3)
    assert "must be Tensor, not list" in refusal(TypeError, lambda: F.mse_loss(x, [0.0, 0.0, 0.0]))
    assert "negative values for beta" in refusal(RuntimeError, lambda: F.smooth_l1_loss(x, x, beta=-1))
    assert "delta" in refusal(RuntimeError, lambda: F.huber_loss(x, x, delta=0))
    assert "label_smoothing" in refusal(
        RuntimeError, lambda: F.cross_entropy(LOGITS, classes(0, 1, 2, 0), label_smoothing=2.0)
    )
    assert "weight tensor" in refusal(RuntimeError, lambda: F.nll_loss(LOGITS, classes(0, 1, 2, 0), tg.ones(2)))
    assert "margin must be greater than 0" in refusal(ValueError, lambda: F.triplet_margin_loss(x, x, x, margin=0))
    assert "var has negative" in refusal(ValueError, lambda: F.gaussian_nll_loss(x, x, -tg.ones(3)))


def test_impossible_sequences_have_infinite_loss():
    logs = tg.log_softmax(tg.zeros(3, 1, 4), 2)
    target, lengths = tg.tensor([[1, 1, 1]]), (tg.tensor([3]), tg.tensor([3]))  # repeats need blanks between: 5 steps
    assert F.ctc_loss(logs, target, *lengths).item() == math.inf
    assert F.ctc_loss(logs, target, *lengths, zero_infinity=True).item() == 0


def test_one_label_over_two_steps():
    logs = tg.log_softmax(tg.zeros(2, 1, 2), 2)  # "a-", "-a" and "aa" of four equally likely sequences
    assert F.ctc_loss(logs, tg.tensor([[1]]), tg.tensor([2]), tg.tensor([1])).item() == pytest.approx(-math.log(3 / 4))
