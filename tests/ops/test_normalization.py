"""Normalization by name: running statistics, E112, dropout's bookkeeping, embeddings."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tests.ops.test_linalg import refusal


def test_batch_norm_gives_mean_zero_and_variance_one():
    tg.manual_seed(0)
    out = F.batch_norm(tg.randn(50, 3) * 4 + 7, None, None, training=True)
    assert tg.allclose(out.mean(0), tg.zeros(3), atol=1e-5)
    assert tg.allclose(out.var(0, unbiased=False), tg.ones(3), atol=1e-4)


def test_running_statistics_move_by_momentum_and_are_unbiased():
    x = tg.tensor([[1.0, 10.0], [3.0, 30.0]])
    mean, var = tg.zeros(2), tg.ones(2)
    F.batch_norm(x, mean, var, training=True, momentum=0.5)
    assert mean.tolist() == [1.0, 10.0]
    assert var.tolist() == [0.5 + 0.5 * 2.0, 0.5 + 0.5 * 200.0]


def test_evaluation_uses_and_keeps_the_running_statistics():
    mean, var = tg.tensor([1.0]), tg.tensor([4.0])
    out = F.batch_norm(tg.tensor([[3.0], [5.0]]), mean, var, eps=0.0)
    assert out.flatten().tolist() == [1.0, 2.0]
    assert (mean.item(), var.item()) == (1.0, 4.0)


def test_statistics_are_no_part_of_the_graph():
    x, mean, var = tg.ones(4, 2, requires_grad=True), tg.zeros(2), tg.ones(2)
    F.batch_norm(x, mean, var, training=True).sum().backward()
    assert not mean.requires_grad
    assert not var.requires_grad


def test_one_sample_cannot_be_normalized():
    text = refusal(ValueError, lambda: F.batch_norm(tg.zeros(1, 3), None, None, training=True))
    assert text.startswith("E112 in batch_norm (test_normalization.py:")
    assert "Expected more than 1 value per channel when training, got input size (1, 3)" in text
    assert "drop_last=True" in text
    assert "E112 in instance_norm" in refusal(ValueError, lambda: F.instance_norm(tg.zeros(2, 3, 1)))
    assert F.batch_norm(tg.zeros(1, 3, 2), None, None, training=True).shape == (1, 3, 2)


def test_refusals():
    assert "num_features=5" in refusal(RuntimeError, lambda: F.batch_norm(tg.zeros(4, 5), tg.zeros(3), tg.zeros(3)))
    assert "at least 2 dimensions" in refusal(
        RuntimeError, lambda: F.batch_norm(tg.zeros(4), None, None, training=True)
    )
    assert "running_mean" in refusal(RuntimeError, lambda: F.batch_norm(tg.zeros(4, 5), None, None))
    assert "normalized_shape=[4]" in refusal(RuntimeError, lambda: F.layer_norm(tg.zeros(2, 3), (4,)))
    assert "same shape as normalized_shape" in refusal(
        RuntimeError, lambda: F.layer_norm(tg.zeros(2, 3), (3,), tg.zeros(2))
    )
    assert "divisible by num_groups" in refusal(RuntimeError, lambda: F.group_norm(tg.zeros(2, 4), 3))


def test_empty_batch():
    w = tg.ones(3, requires_grad=True)
    out = F.layer_norm(tg.zeros(0, 3), (3,), w)
    out.sum().backward()
    assert out.shape == (0, 3)
    assert w.grad.tolist() == [0.0] * 3


def test_running_statistics_against_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    for name in ("batch_norm", "instance_norm"):
        found = []
        for lib in (tg, torch):
            mean, var = lib.zeros(3), lib.ones(3)
            flag = {"training": True} if name == "batch_norm" else {"use_input_stats": True}
            getattr(lib.nn.functional, name)(lib.from_numpy(x.copy()), mean, var, momentum=0.3, **flag)
            found.append((mean.numpy(), var.numpy()))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


# ---- dropout ----------------------------------------------------------------------------------------------------------------
def test_dropout_keeps_the_mean_and_scales_survivors():
    tg.manual_seed(0)
    x = tg.ones(10_000, requires_grad=True)
    out = F.dropout(x, 0.25)
    out.sum().backward()
    assert set(np.unique(out.detach().numpy())) == {np.float32(0), np.float32(1 / 0.75)}
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert x.grad.tolist() == out.tolist()  # the mask of the forward pass


def test_dropout_off_and_total():
    x = tg.ones(5)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).tolist() == [0.0] * 5
    assert F.alpha_dropout(x, 1.0, True).tolist() == [0.0] * 5
    assert "between 0 and 1, but got 1.5" in refusal(ValueError, lambda: F.dropout(x, 1.5))


def test_dropout_of_channels_is_all_or_nothing():
    tg.manual_seed(0)
    out = F.dropout2d(tg.ones(8, 16, 3, 3), 0.5)
    per_channel = out.flatten(2)
    assert (per_channel == per_channel[:, :, :1]).all()
    assert 0 < (out == 0).sum() < out.numel()
    assert "at least 2 dimensions" in refusal(RuntimeError, lambda: tg.feature_dropout(tg.ones(3), 0.5, True))


def test_dropout_in_place():
    tg.manual_seed(0)
    x = tg.ones(100)
    assert F.dropout(x, 0.5, inplace=True) is x
    assert (x == 0).any()


def test_alpha_dropout_keeps_mean_and_variance():
    tg.manual_seed(0)
    out = F.alpha_dropout(tg.randn(100_000), 0.3, True)
    assert out.mean().item() == pytest.approx(0, abs=0.02)
    assert out.var().item() == pytest.approx(1, abs=0.03)


# ---- embedding --------------------------------------------------------------------------------------------------------------
def test_repeated_rows_add_their_gradients_and_padding_gets_none():
    w = tg.ones(4, 2, requires_grad=True)
    F.embedding(tg.tensor([[0, 2, 2], [3, 0, 2]]), w, padding_idx=3).sum().backward()
    assert w.grad.tolist() == [[2, 2], [0, 0], [3, 3], [0, 0]]


def test_embedding_shortens_long_rows_in_place():
    w = tg.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    out = F.embedding(tg.tensor([0, 1]), w, max_norm=1.0)
    np.testing.assert_allclose(out.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-5)
    assert w[2].tolist() == [6.0, 8.0]  # not looked up, not touched


def test_embedding_refusals():
    w = tg.zeros(3, 2)
    assert "index out of range in self" in refusal(IndexError, lambda: F.embedding(tg.tensor([5]), w))
    assert "E107" in refusal(IndexError, lambda: F.embedding(tg.tensor([-1]), w))
    assert "E108" in refusal(RuntimeError, lambda: F.embedding(tg.tensor([1.0]), w))
    assert "2-D" in refusal(RuntimeError, lambda: F.embedding(tg.tensor([1]), tg.zeros(3)))


def test_bags_may_be_empty():
    out = F.embedding_bag(tg.tensor([0, 1, 1]), tg.eye(3), tg.tensor([0, 2, 2, 3]), mode="mean")
    assert out.tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert "offsets" in refusal(ValueError, lambda: F.embedding_bag(tg.tensor([0]), tg.eye(3)))
    assert "offsets[0]" in refusal(ValueError, lambda: F.embedding_bag(tg.tensor([0]), tg.eye(3), tg.tensor([1])))


def test_a_query_that_sees_nothing_gets_zeros():
    mask = tg.tensor([[True, False], [False, False]])
    out = F.scaled_dot_product_attention(tg.ones(2, 3), tg.ones(2, 3), tg.tensor([[1.0], [2.0]]), mask)
    assert out.tolist() == [[1.0], [0.0]]
