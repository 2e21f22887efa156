"""Activations, losses and regularizers of courses, against their formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import course
from tinygrad_edu.nn.regularizers import L1, L1L2, L2, Penalty

seeds = st.integers(0, 2**16)


def array(t) -> np.ndarray:
    return np.asarray(t.detach().numpy())


def drawn(seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a target (5, 4)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 4)) * 2
    if kind == "signs":
        return x, rng.choice([-1.0, 1.0], size=(5, 4))
    if kind == "classes":
        return x, np.eye(4)[rng.integers(4, size=5)]
    return x, rng.normal(size=(5, 4)) * 2


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


LOSSES = {
    "mean_absolute_percentage_error": ("MAPELoss", "any", lambda x, y: 100 * np.abs(y - x) / np.maximum(np.abs(y), 1e-7)),
    "mean_squared_logarithmic_error": (
        "MSLELoss", "any", lambda x, y: (np.log(np.maximum(y, 1e-7) + 1) - np.log(np.maximum(x, 1e-7) + 1)) ** 2),
    "log_cosh": ("LogCoshLoss", "any", lambda x, y: np.log(np.cosh(x - y))),
    "hinge": ("HingeLoss", "signs", lambda x, y: np.maximum(0, 1 - x * y)),
    "squared_hinge": ("SquaredHingeLoss", "signs", lambda x, y: np.maximum(0, 1 - x * y) ** 2),
    "categorical_hinge": (
        "CategoricalHingeLoss", "classes", lambda x, y: np.maximum(0, 1 + ((1 - y) * x).max(-1) - (y * x).sum(-1))),
    "cosine_proximity": ("CosineProximityLoss", "any", lambda x, y: -(unit(x) * unit(y)).sum(-1)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@given(seed=seeds)
def test_losses_equal_their_formulas(name, seed):
    layer, kind, formula = LOSSES[name]
    x, y = drawn(seed, kind)
    expected = formula(x, y)
    prediction = tg.tensor(x, requires_grad=True)
    for reduction, value in (("none", expected), ("sum", expected.sum()), ("mean", expected.mean())):
        for loss in (getattr(course, name), getattr(course, layer)(reduction)):
            options = {} if isinstance(loss, nn.Module) else {"reduction": reduction}
            np.testing.assert_allclose(array(loss(prediction, tg.tensor(y), **options)), value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_losses(name):
    _, kind, _ = LOSSES[name]
    x, y = drawn(3, kind)
    assert tg.autograd.gradcheck(lambda x: getattr(course, name)(x, tg.tensor(y)), (tg.tensor(x, requires_grad=True),))


def test_log_cosh_neither_overflows_nor_loses_digits():
    x = tg.tensor([1e4, -1e4, 1e-3], dtype=tg.float64, requires_grad=True)
    loss = course.log_cosh(x, tg.zeros(3, dtype=tg.float64), reduction="none")
    np.testing.assert_allclose(array(loss), [1e4 - np.log(2), 1e4 - np.log(2), 0.5e-6], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(array(x.grad), np.tanh(array(x)), rtol=1e-9)


def test_labels_of_the_hinge():
    x = tg.tensor([0.5, -2.0])
    assert course.hinge(x, tg.tensor([0.0, 1.0])).item() == course.hinge(x, tg.tensor([-1.0, 1.0])).item()
    with pytest.raises(ValueError, match=r"targets must be -1 or 1 \(or 0 or 1\), got \[0\.0, 2\.0\]"):
        course.hinge(x, tg.tensor([0.0, 2.0]))
    with pytest.raises(TypeError, match="argument 'target' must be Tensor"):
        course.squared_hinge(x, 1.0)
    with pytest.raises(ValueError, match="'median' is not a valid value for reduction"):
        course.log_cosh(x, x, "median")


def test_activations():
    x = tg.tensor([-np.inf, -2.0, -0.0, 0.0, 3.0, np.inf], requires_grad=True)
    step = course.BinaryStep()(x)
    assert step.tolist() == [0, 0, 1, 1, 1, 1]
    step.sum().backward()
    assert x.grad.tolist() == [0] * 6
    x.grad = None
    out = course.Arctan()(x)
    np.testing.assert_allclose(array(out), np.arctan(array(x)), rtol=1e-6)
    out.sum().backward()
    np.testing.assert_allclose(array(x.grad), 1 / (1 + array(x) ** 2), rtol=1e-6)


# ---- regularizers -----------------------------------------------------------------------------------------------------------
@given(seed=seeds)
def test_regularizers_equal_their_formulas(seed):
    w = np.random.default_rng(seed).normal(size=(3, 4))
    t = tg.tensor(w, requires_grad=True)
    for regularizer, value, slope in (
        (L1(0.3), 0.3 * np.abs(w).sum(), 0.3 * np.sign(w)),
        (L2(0.2), 0.2 * (w**2).sum(), 0.4 * w),
        (L1L2(0.3, 0.2), 0.3 * np.abs(w).sum() + 0.2 * (w**2).sum(), 0.3 * np.sign(w) + 0.4 * w),
    ):
        t.grad = None
        found = regularizer(t)
        found.backward()
        np.testing.assert_allclose(found.item(), value, rtol=1e-10)
        np.testing.assert_allclose(array(t.grad), slope, rtol=1e-10)
    assert [repr(r) for r in (L1(0.5), L2(), L1L2(0.1, 0.2))] == ["L1(0.5)", "L2(0.01)", "L1L2(l1=0.1, l2=0.2)"]


def test_each_kind_of_tensor_has_its_own():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    kernels, biases = [model[0].weight, model[3].weight], [model[0].bias, model[1].bias, model[3].bias]
    x = tg.randn(6, 3)
    hidden = array(model[0](x))
    penalties = {
        "kernel": (Penalty(model, L2(0.5)), sum(0.5 * (array(p) ** 2).sum() for p in kernels)),
        "bias": (Penalty(model, bias=L1(2.0)), sum(2 * np.abs(array(p)).sum() for p in biases)),
        "activity": (Penalty(model, activity=L1(), layers=[model[0]]), 0.01 * np.abs(hidden).sum() / 6),
    }
    model(x)
    for kind, (penalty, value) in penalties.items():
        np.testing.assert_allclose(penalty().item(), value, rtol=1e-5, err_msg=kind)
    both = Penalty(model, kernel=L2(0.5), bias=L1(2.0))
    np.testing.assert_allclose(both().item(), penalties["kernel"][1] + penalties["bias"][1], rtol=1e-5)


def test_activity_is_that_of_the_last_forward_pass():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    penalty = Penalty(model, activity=L2(1.0))
    with pytest.raises(RuntimeError, match=r"no activity to penalise\. Fix: call the model first"):
        penalty()
    with tg.no_grad():
        model(tg.ones(2, 3))
    with pytest.raises(RuntimeError, match=r"outside tg\.no_grad"):
        penalty()
    model(tg.ones(2, 3))
    first = penalty().item()
    model(tg.ones(2, 3))
    assert penalty().item() == first
    penalty().backward()
    assert model[0].weight.grad is not None
    penalty.remove()
    model(tg.ones(2, 3))
    with pytest.raises(RuntimeError, match="no activity"):
        penalty()


def test_penalty_refuses():
    with pytest.raises(ValueError, match=r"nothing to do. Fix: Penalty\(model, kernel=L2"):
        Penalty(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="Linear has no bias to penalise"):
        Penalty(nn.Linear(2, 2, bias=False), bias=L1())
    with pytest.raises(ValueError, match="strength must be at least 0, got -1"):
        L2(-1)


def test_l1_makes_weights_vanish_and_l2_makes_them_small():
    """20 inputs, 3 of which matter: the count of weights below 0.02 and their total length tell the two apart."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 20))
    y = x[:, :3] @ np.array([[2.0], [-1.0], [1.5]]) + 0.5 * rng.normal(size=(100, 1))

    def fitted(regularizer) -> np.ndarray:
        tg.manual_seed(0)
        model = nn.Linear(20, 1).double()
        penalty = None if regularizer is None else Penalty(model, kernel=regularizer)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.02)
        for _ in range(600):
            loss = nn.functional.mse_loss(model(tg.tensor(x)), tg.tensor(y))
            if penalty is not None:
                loss = loss + penalty()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return array(model.weight)[0]

    free, l1, l2 = fitted(None), fitted(L1(0.3)), fitted(L2(0.3))
    small = [(np.abs(w) < 0.02).sum() for w in (free, l1, l2)]
    assert small[1] >= 15
    assert small[0] <= 8
    assert small[2] <= 8
    assert np.linalg.norm(l2) < 0.9 * np.linalg.norm(free)
    assert (np.abs(l1[:3]) > 0.5).all()
