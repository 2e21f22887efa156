"""Newton, BFGS, DFP, conjugate gradients and Levenberg-Marquardt: what theory promises, and SciPy's results."""

import itertools

import numpy as np
import pytest
import scipy.optimize

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import GraphError

SEARCHES = [
    (optim.BFGS, {}),
    (optim.DFP, {}),
    (optim.ConjugateGradient, {"beta": "polak-ribiere"}),
    (optim.ConjugateGradient, {"beta": "fletcher-reeves"}),
]
EXACT = {"c2": 1e-10, "tolerance_change": 0.0}  # a search to the very minimum along the line
RNG = np.random.default_rng(5)
A = (lambda m: m @ m.T + np.eye(5))(RNG.normal(size=(5, 5)))
B = RNG.normal(size=5)


def variable(values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def quadratic(x):
    return (x @ (tg.tensor(A) @ x)) / 2 - tg.tensor(B) @ x


def closure_for(optimizer, loss_of):
    """The closure of a method, which counts its calls."""

    def closure():
        closure.calls += 1
        if isinstance(optimizer, optim.Newton):
            return loss_of()
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    closure.calls = 0
    return closure


def run(make, options, function, start, steps):
    x = variable(start)
    optimizer = make([x], **options)
    closure = closure_for(optimizer, lambda: function(x))
    losses = [optimizer.step(closure).item() for _ in range(steps)]
    return x.detach().numpy(), losses, optimizer


@pytest.mark.parametrize(("make", "options"), [*SEARCHES, (optim.Newton, {})])
def test_rosenbrock_as_scipy(make, options):
    """The valley is walked in about as many iterations as SciPy's method of that kind needs, every one downhill."""
    method = {optim.Newton: "trust-exact", optim.ConjugateGradient: "CG"}.get(make, "BFGS")
    hessian = {"hess": scipy.optimize.rosen_hess} if make is optim.Newton else {}
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, [-1.2, 1.0], jac=scipy.optimize.rosen_der, method=method, **hessian
    )
    found, losses, _ = run(make, options, rosenbrock, [-1.2, 1.0], theirs.nit + 20)
    np.testing.assert_allclose(found, theirs.x, atol=1e-5)
    np.testing.assert_allclose(found, [1.0, 1.0], atol=1e-6)
    assert all(after <= before for before, after in itertools.pairwise(losses))


def test_newton_is_done_with_a_quadratic_in_one_step():
    found, losses, _ = run(optim.Newton, {}, quadratic, [3.0, -1.0, 2.0, 0.0, 5.0], 2)
    np.testing.assert_allclose(found, np.linalg.solve(A, B), rtol=1e-12)
    np.testing.assert_allclose(losses[1], -B @ np.linalg.solve(A, B) / 2, rtol=1e-12)


def test_newtons_hessian_is_that_of_several_parameters():
    """One undamped step of a small net equals the formula, with the Hessian from autograd.functional."""
    rng = np.random.default_rng(0)
    data, target = tg.tensor(rng.normal(size=(7, 2))), tg.tensor(rng.normal(size=(7, 1)))
    W, b = variable(rng.normal(size=(2, 1))), variable([0.3])

    def loss_of(W, b):
        return ((tg.tanh(data @ W + b) - target) ** 2).mean() + (W * W).sum() + (b * b).sum()

    def flat(v):
        return loss_of(v[:2].reshape(2, 1), v[2:])

    start = np.concatenate([W.detach().numpy().ravel(), b.detach().numpy()])
    hessian = tg.autograd.functional.hessian(flat, tg.tensor(start)).numpy()
    slope = tg.func.grad(flat)(tg.tensor(start)).numpy()
    optim.Newton([W, b], damping=0.5, line_search_fn=None).step(lambda: loss_of(W, b))
    found = np.concatenate([W.detach().numpy().ravel(), b.detach().numpy()])
    np.testing.assert_allclose(found, start - np.linalg.solve(hessian + 0.5 * np.eye(3), slope), rtol=1e-10)


def test_newton_goes_down_where_the_loss_is_not_convex():
    """At a hilltop's side an undamped step would climb to the top."""
    found, losses, _ = run(optim.Newton, {}, lambda x: (x**4 / 4 - x**2 / 2).sum(), [0.1, -0.3], 20)
    np.testing.assert_allclose(found, [1.0, -1.0], atol=1e-8)
    assert losses[1] < losses[0]


def test_newton_with_a_linear_and_an_unused_parameter():
    x, free, unused = variable([2.0]), variable([1.0]), variable([7.0])
    optim.Newton([x, free, unused], damping=1.0, line_search_fn=None).step(lambda: (x * x).sum() + 3 * free.sum())
    np.testing.assert_allclose([x.item(), free.item(), unused.item()], [2 - 4 / 3, -2.0, 7.0])


@pytest.mark.parametrize("beta", ["polak-ribiere", "fletcher-reeves"])
def test_conjugate_gradients_are_done_with_a_quadratic_in_n_steps(beta):
    found, _, _ = run(optim.ConjugateGradient, {"beta": beta, **EXACT}, quadratic, np.zeros(5), 5)
    np.testing.assert_allclose(found, np.linalg.solve(A, B), rtol=1e-6)
    after_four, _, _ = run(optim.ConjugateGradient, {"beta": beta, **EXACT}, quadratic, np.zeros(5), 4)
    assert np.abs(after_four - np.linalg.solve(A, B)).max() > 1e-4


def test_conjugate_gradients_restarted_each_step_are_steepest_descent():
    """Then successive directions are orthogonal, and n steps are not enough."""
    found, _, _ = run(optim.ConjugateGradient, {"restart": 1, **EXACT}, quadratic, np.zeros(5), 5)
    assert np.abs(found - np.linalg.solve(A, B)).max() > 1e-3


@pytest.mark.parametrize("make", [optim.BFGS, optim.DFP])
def test_quasi_newton_learns_the_inverse_hessian_of_a_quadratic(make):
    found, _, optimizer = run(make, EXACT, quadratic, np.zeros(5), 5)
    np.testing.assert_allclose(found, np.linalg.solve(A, B), rtol=1e-6)
    H = next(iter(optimizer.state.values()))["inverse_hessian"].numpy()
    np.testing.assert_allclose(H, np.linalg.inv(A), rtol=1e-5, atol=1e-6)


def test_bfgs_and_dfp_updates():
    """Both satisfy the secant equation and stay symmetric; they are each other's dual: the inverse of one updates H^-1 = B with s, y exchanged."""
    s, y = RNG.normal(size=5), RNG.normal(size=5)
    y *= np.sign(s @ y)
    H = np.linalg.inv(A)
    for make in (optim.BFGS, optim.DFP):
        updated = make.updated(H, s, y)
        np.testing.assert_allclose(updated @ y, s, rtol=1e-10)
        np.testing.assert_allclose(updated, updated.T, rtol=1e-10)
    np.testing.assert_allclose(optim.DFP.updated(H, s, y), np.linalg.inv(optim.BFGS.updated(A, y, s)), rtol=1e-7)


@pytest.mark.parametrize(("make", "options"), SEARCHES)
def test_a_saved_search_goes_on_the_same_way(make, options):
    whole, _, _ = run(make, options, rosenbrock, [-1.2, 1.0], 9)
    half, _, first = run(make, options, rosenbrock, [-1.2, 1.0], 5)
    x = variable(half)
    second = make([x])
    second.load_state_dict(first.state_dict())
    closure = closure_for(second, lambda: rosenbrock(x))
    for _ in range(4):
        second.step(closure)
    np.testing.assert_allclose(x.detach().numpy(), whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "options"), [SEARCHES[0], (optim.DFP, {"c2": 0.1}), *SEARCHES[2:], (optim.Newton, {})]
)
def test_a_small_net_learns_xor(make, options):
    tg.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    x, y = tg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), tg.tensor([[0.0], [1.0], [1.0], [0.0]])
    optimizer = make(model.parameters(), **options)
    closure = closure_for(optimizer, lambda: ((model(x) - y) ** 2).mean())
    for _ in range(60):
        loss = optimizer.step(closure)
    assert loss.item() < 1e-3
    assert all(p.dtype is tg.float32 for p in model.parameters())


def test_at_the_minimum_nothing_moves():
    for make in (optim.Newton, optim.BFGS, optim.DFP, optim.ConjugateGradient):
        found, losses, _ = run(make, {}, lambda x: (x * x).sum(), [0.0, 0.0], 3)
        assert found.tolist() == [0.0, 0.0] and losses == [0.0] * 3


class TestLevenbergMarquardt:
    t = np.linspace(0, 4, 30)
    y = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.02 * np.random.default_rng(2).normal(size=30)

    @staticmethod
    def curve(t, a, b, c):
        return a * np.exp(-b * t) + c

    def fitted(self, start, steps=30, **options):
        v = [variable(value) for value in start]
        optimizer = optim.LevenbergMarquardt(v, **options)
        t, y = tg.tensor(self.t), tg.tensor(self.y)
        costs = [optimizer.step(lambda: v[0] * tg.exp(-v[1] * t) + v[2] - y).item() for _ in range(steps)]
        return [value.item() for value in v], costs

    def test_a_curve_fit_equals_scipys(self):
        start = [1.0, 0.1, 0.0]
        found, costs = self.fitted(start)
        theirs, _ = scipy.optimize.curve_fit(self.curve, self.t, self.y, p0=start, method="lm", ftol=1e-14, xtol=1e-14)
        np.testing.assert_allclose(found, theirs, rtol=1e-7)
        np.testing.assert_allclose(costs[-1], 0.5 * ((self.curve(self.t, *theirs) - self.y) ** 2).sum(), rtol=1e-12)
        assert all(after <= before for before, after in itertools.pairwise(costs))

    def test_one_undamped_step_is_gauss_newtons(self):
        start = np.array([2.0, 1.0, 0.3])
        found, _ = self.fitted(start, 1, damping=0.0)
        e = np.exp(-start[1] * self.t)
        J = np.stack([e, -start[0] * self.t * e, np.ones(30)], 1)
        step, *_ = np.linalg.lstsq(J, self.y - self.curve(self.t, *start), rcond=None)
        np.testing.assert_allclose(found, start + step, rtol=1e-9)

    def test_linear_least_squares_in_one_step(self):
        X, y = RNG.normal(size=(12, 3)), RNG.normal(size=12)
        w = variable(np.zeros(3))
        cost = optim.LevenbergMarquardt([w], damping=0.0).step(lambda: tg.tensor(X) @ w - tg.tensor(y))
        np.testing.assert_allclose(w.detach().numpy(), np.linalg.lstsq(X, y, rcond=None)[0], rtol=1e-9)
        np.testing.assert_allclose(cost.item(), y @ y / 2)

    def test_rosenbrock_as_residuals(self):
        x = variable([-1.2, 1.0])
        optimizer = optim.LevenbergMarquardt([x])
        for _ in range(40):
            optimizer.step(lambda: tg.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]))
        np.testing.assert_allclose(x.detach().numpy(), [1.0, 1.0], rtol=1e-7)

    def test_a_parameter_without_influence_stays(self):
        x, idle = variable([3.0]), variable([5.0])
        optim.LevenbergMarquardt([x, idle], damping=0.0).step(lambda: 2 * x - 4)
        np.testing.assert_allclose([x.item(), idle.item()], [2.0, 5.0])

    def test_a_scalar_cost_is_refused(self):
        x = variable([3.0])
        optimizer = optim.LevenbergMarquardt([x])
        with pytest.raises(TypeError, match=r"vector of residuals.*got a scalar loss.*Fix: return model\(x\) - y"):
            optimizer.step(lambda: (x * x).sum())
        with pytest.raises(TypeError, match="got list"):
            optimizer.step(lambda: [1.0])
        with pytest.raises(ValueError, match=r"Invalid factor: 1\.0"):
            optim.LevenbergMarquardt([x], factor=1.0)


def test_wrong_use():
    x = variable([1.0])
    for make in (optim.Newton, optim.BFGS, optim.DFP, optim.ConjugateGradient, optim.LevenbergMarquardt):
        with pytest.raises(TypeError, match=rf"{make.__name__}\.step\(\) needs a closure"):
            make([x]).step()
        with pytest.raises(ValueError, match=f"{make.__name__} doesn't support per-parameter options"):
            make([{"params": [x]}, {"params": [variable([2.0])]}])
    with pytest.raises(ValueError, match="beta must be one of"):
        optim.ConjugateGradient([x], beta="hestenes")
    with pytest.raises(ValueError, match="line_search_fn must be"):
        optim.Newton([x], line_search_fn="golden")
    with pytest.raises(RuntimeError, match="leave the frozen ones out"):
        optim.Newton([x, tg.zeros(1)]).step(lambda: (x * x).sum())

    def calls_backward():
        loss = (x**3).sum()
        loss.backward()
        return loss

    with pytest.raises(GraphError, match="without calling backward"):
        optim.Newton([x]).step(calls_backward)
