"""What all optimizers share: groups, state, closures, hooks, and what they say about mistakes."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import TeachingWarning

ALL = [getattr(optim, n) for n in optim.__dict__ if isinstance(getattr(optim, n), type) and n != "Optimizer"]


def weight(*values):
    return tg.tensor(values, requires_grad=True)


def test_an_exhausted_generator_is_named():
    model = nn.Linear(2, 1)
    parameters = model.parameters()
    optim.SGD(parameters, lr=0.1)
    with pytest.raises(ValueError, match=r"E303 in Adam .*empty parameter list.*list\(model\.parameters\(\)\)"):
        optim.Adam(parameters)


@pytest.mark.parametrize("make", ALL)
def test_wrong_options(make):
    if make is not optim.LevenbergMarquardt:  # it has a damping in the place of a rate
        with pytest.raises(ValueError, match="Invalid learning rate: -1"):
            make([weight(1.0)], lr=-1)
    with pytest.raises(TypeError, match=r"Fix: \w+\(\[w\]"):
        make(weight(1.0))
    with pytest.raises(TypeError, match=r"Fix: \w+\(model\.parameters\(\)"):
        make(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="can only optimize Tensors, but parameter 0 is int"):
        make([3])
    with pytest.raises(ValueError, match=r"non-leaf Tensor: parameter 0 is a result of mul"):
        make([weight(1.0) * 2])


def test_more_wrong_options():
    w = weight(1.0)
    with pytest.raises(ValueError, match="Nesterov momentum requires a momentum and zero dampening"):
        optim.SGD([w], nesterov=True)
    with pytest.raises(ValueError, match=r"Invalid beta parameter at index 1: 1\.0"):
        optim.Adam([w], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match=r"Invalid eta values: 0\.5, 0\.9"):
        optim.Rprop([w], etas=(0.5, 0.9))
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        optim.SGD([{"params": [w]}, {"params": [w]}])
    with pytest.raises(TypeError, match="ordered collections"):
        optim.SGD([{"params": {w}}])
    with pytest.raises(NotImplementedError, match="differentiable"):
        optim.SGD([w], differentiable=True)
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([w]).step()
    with pytest.raises(RuntimeError, match="strong_wolfe"):
        optim.LBFGS([w], line_search_fn="golden").step(lambda: (w * w).sum())


def test_groups_have_their_own_options():
    a, b = weight(1.0), weight(1.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c := weight(1.0)], "lr": 1.0})
    (a + b + c).sum().backward()
    optimizer.step()
    np.testing.assert_allclose([a.item(), b.item(), c.item()], [0.9, 0.5, 0.0], rtol=1e-6)
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    np.testing.assert_allclose(a.item(), -0.1, rtol=1e-5)


def test_named_parameters_are_accepted():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == [model.weight, model.bias]


def test_parameters_without_gradient_stay():
    used, unused = weight(1.0), weight(1.0)
    optimizer = optim.Adam([used, unused])
    used.sum().backward()
    optimizer.step()
    assert unused.item() == 1.0
    assert unused not in optimizer.state


def test_a_step_changes_the_memory_in_place_and_is_seen_by_old_graphs():
    w = weight(2.0)
    values = w.detach().numpy()
    optimizer = optim.SGD([w], lr=0.5)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    assert values[0] == 0.0
    with pytest.raises(RuntimeError, match=r"E201 .*SGD\.step"):
        loss.backward()


def test_zero_grad():
    w = weight(1.0, 2.0)
    optimizer = optim.SGD([w], lr=0.5)
    w.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert w.grad is None


def test_forgotten_gradients_are_noticed():
    w = weight(1.0)
    optimizer = optim.SGD([w], lr=0.5)
    optimizer.step()  # nothing was computed yet: no reason to complain
    w.sum().backward()
    optimizer.zero_grad()
    with pytest.warns(TeachingWarning, match=r"E302 in SGD\.step .*zero_grad\(\) came between"):
        optimizer.step()
    for _ in range(2):  # the right order is silent
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()


def test_closure_and_hooks():
    w = weight(3.0)
    optimizer = optim.SGD([w], lr=0.1)
    calls = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("before", w.item())))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("after", w.item())))

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tg.no_grad():  # the closure is recorded all the same
        assert optimizer.step(closure).item() == 9.0
    before.remove()
    optimizer.step(closure)
    assert [name for name, _ in calls] == ["before", "after", "after"]


def test_load_state_dict_refuses_other_shapes_of_groups():
    optimizer = optim.SGD([weight(1.0)], lr=0.1)
    with pytest.raises(ValueError, match="different number of parameter groups: 2, here 1"):
        optimizer.load_state_dict(optim.SGD([{"params": [weight(1.0)]}, {"params": [weight(1.0)]}]).state_dict())
    with pytest.raises(ValueError, match="group 0 has 2 parameters there and 1 here"):
        optimizer.load_state_dict(optim.SGD([weight(1.0), weight(1.0)]).state_dict())


def test_loading_copies():
    w = weight(1.0)
    optimizer = optim.Adam([w])
    w.sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    other = optim.Adam([v := weight(1.0)])
    other.load_state_dict(saved)
    before = copy.deepcopy(saved["state"][0]["exp_avg"].tolist())
    v.sum().backward()
    other.step()
    assert saved["state"][0]["exp_avg"].tolist() == before
    assert saved["state"][0]["step"].item() == 1.0
    assert saved["param_groups"][0]["lr"] == 0.001


def test_an_optimizer_of_ones_own():
    class SignDescent(optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def update(self, p, g, state, group):
            p -= group["lr"] * np.sign(g)

    class AsInPyTorch(optim.Optimizer):
        @tg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["calls"] = self.state[p].get("calls", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])

    for optimizer_class in (SignDescent, lambda params: AsInPyTorch(params, {"lr": 0.1})):
        w = weight(1.0, -1.0)
        optimizer = optimizer_class([w])
        w.abs().sum().backward()
        optimizer.step()
        np.testing.assert_allclose(w.tolist(), [0.9, -0.9], rtol=1e-6)


def test_lbfgs_finds_the_minimum_of_rosenbrocks_valley():
    x = tg.tensor([-1.2, 1.0], dtype=tg.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=100, tolerance_change=1e-15, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(x.tolist(), [1.0, 1.0], rtol=1e-6)
