"""A fully connected layer and its activation in a Sequential share a kernel; everything looks as if they ran one by one."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import kernels, nn, optim
from tinygrad_edu.graph import add_hook
from tinygrad_edu.ops import linear_prepared
from tinygrad_edu.ops.linear_prepared import PreparedLayer

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
SIZES = [(40, 7, 9), (1, 300, 257), (3, 5, 2), (130, 90, 100), (0, 4, 5), (4, 0, 70), (700, 2, 1)]


def one_by_one(model, x):
    for module in model:
        x = module(x)
    return x


def small(rows, inputs, outputs, activation="tanh", bias=True):
    tg.manual_seed(5)
    return nn.Sequential(nn.Linear(inputs, outputs, bias), ACTIVATIONS[activation]()), tg.randn(rows, inputs)


def gradients(model, x, run, **options):
    for parameter in model.parameters():
        parameter.grad = None
    x = x.detach().requires_grad_()
    out = run(x)
    (out * tg.arange(float(out.shape[-1]))).sum().backward(**options)
    wanted = [x, *(p for p in model.parameters() if p.requires_grad)]
    return [leaf.grad.numpy() for leaf in wanted]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_numbers_are_those_of_the_modules_to_the_last_bit(sizes, activation, bias):
    model, x = small(*sizes, activation, bias)
    mine, theirs = (run(x).detach().numpy() for run in (model, lambda x: one_by_one(model, x)))
    assert mine.tobytes() == theirs.tobytes()
    for mine, theirs in zip(
        gradients(model, x, model), gradients(model, x, lambda x: one_by_one(model, x)), strict=True
    ):
        assert mine.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("frozen", ["0.weight", "0.bias", "input", "nothing"])
def test_each_part_gets_its_gradient_by_itself(frozen):
    model, x = small(40, 7, 9)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name != frozen)
    x = x.requires_grad_(frozen != "input")
    results = []
    for run in (model, lambda x: one_by_one(model, x)):
        for leaf in (x, *model.parameters()):
            leaf.grad = None
        run(x).square().sum().backward()
        results.append([leaf.grad for leaf in (x, *model.parameters())])
    for mine, theirs in zip(*results, strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or mine.equal(theirs)


def test_a_small_layer_is_not_looked_at_again_until_its_weight_is_another_array(monkeypatch):
    model, x = small(40, 7, 9)
    made = []
    monkeypatch.setattr(nn.linear, "PreparedLayer", lambda *parts: made.append(parts[0]._data) or PreparedLayer(*parts))
    for _ in range(3):
        model(x)
    assert len(made) == 1
    model[0].weight.data = tg.randn(9, 7)
    expected = tg.tanh(x @ model[0].weight.T + model[0].bias)
    np.testing.assert_allclose(model(x).detach(), expected.detach(), rtol=1e-5, atol=1e-6)
    model[0].weight = nn.Parameter(tg.randn(30, 7))  # the bias no longer fits
    with pytest.raises(RuntimeError, match="linear"):
        model(x)
    assert len(made) == 4  # with the activation, and by itself to say what is wrong


def test_an_optimizer_still_joins_the_parameters():
    model, x = small(40, 7, 9)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    assert optimizer._flats[0] is not None
    first, second = model[0].weight.detach().numpy(), model[0].bias.detach().numpy()
    assert first.base is second.base is not None
    assert model(x).equal(one_by_one(model, x))


def test_what_was_found_out_is_not_copied():
    model, x = small(40, 7, 9)
    expected = model(x)
    twin = copy.deepcopy(model)
    assert twin(x).equal(expected)
    assert pickle.loads(pickle.dumps(model[0]._prepared)) == {"tanh": None}
    with tg.no_grad():
        twin[0].weight.zero_()
    assert not twin(x).equal(expected)
    assert model(x).equal(expected)


@pytest.mark.parametrize("kind", ["float64", "mixed", "vector", "stack", "strided", "wrong"])
def test_other_inputs_go_through_the_modules(kind):
    model, x = small(40, 7, 9)
    if kind == "float64":
        model, x = model.double(), x.double()
    elif kind == "mixed":
        x = x.double()
    x = {"vector": x[0], "stack": x.reshape(4, 10, 7), "strided": x.T.contiguous().T, "wrong": x[:, :5]}.get(kind, x)
    if kind in ("mixed", "wrong"):
        with pytest.raises(RuntimeError, match="linear"):
            model(x)
    else:
        out = model(x)
        assert out.equal(one_by_one(model, x))
        for mine, theirs in zip(
            gradients(model, x, model), gradients(model, x, lambda x: one_by_one(model, x)), strict=True
        ):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_second_pass_needs_retain_graph_and_then_adds_the_same():
    model, x = small(40, 7, 9)
    loss = model(x).square().sum()
    loss.backward(retain_graph=True)
    first = model[0].weight.grad.clone()
    loss.backward()
    np.testing.assert_allclose(model[0].weight.grad.numpy(), 2 * first.numpy(), rtol=1e-6)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    for last in (model, model[0]):
        out = last(x)
        out.backward(tg.ones_like(out))
        with pytest.raises(RuntimeError, match="second time"):
            out.backward(tg.ones_like(out))


def test_the_layers_saved_values_are_given_back_with_the_pass():
    model, x = small(40, 7, 9)
    out = model(x)
    layer = out.grad_fn.parents[0]
    assert layer.saved is not None
    out.sum().backward()
    assert layer.saved is None


def test_hooks_and_second_derivatives_see_what_lies_between():
    model, x = small(40, 7, 9)
    seen = []
    out = model(x)
    add_hook(out.grad_fn.parents[0], lambda g: seen.append(np.array(g)))
    out.sum().backward()
    np.testing.assert_allclose(seen[0], 1 - out.detach().numpy() ** 2, rtol=1e-6, atol=1e-7)
    x = x.requires_grad_()
    slopes = [
        tg.autograd.grad(run(x).sum(), x, create_graph=True)[0] for run in (model, lambda x: one_by_one(model, x))
    ]
    seconds = [tg.autograd.grad(slope.square().sum(), list(model.parameters()))[0] for slope in slopes]
    assert slopes[0].equal(slopes[1])
    assert seconds[0].equal(seconds[1])


def test_a_weight_overwritten_before_the_way_back_is_noticed():
    model, x = small(40, 7, 9)
    loss = model(x.requires_grad_()).sum()
    with tg.no_grad():
        model[0].weight.mul_(2.0)
    with pytest.raises(RuntimeError, match=r"E201.*`w` of linear"):
        loss.backward()


def test_a_shared_layer_adds_up():
    tg.manual_seed(1)
    layer = nn.Linear(20, 20)
    model, x = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), layer, nn.Tanh()), tg.randn(30, 20)
    for mine, theirs in zip(
        gradients(model, x, model), gradients(model, x, lambda x: one_by_one(model, x)), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["naive", "numpy"])
def test_a_layer_made_before_the_backend_changes_obeys_the_new_one(name):
    model, x = small(40, 7, 9)
    expected = model(x), *gradients(model, x, model)
    with tg.backend(name):
        run = model(x), *gradients(model, x, model)
    for mine, theirs in zip(run, expected, strict=True):
        np.testing.assert_allclose(tg.as_tensor(mine).detach(), tg.as_tensor(theirs).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    kernels.get_backend() != "numba",
    reason="Numba is not at work, and only compiled layers are called without a look at their arrays",
)
def test_small_layers_take_the_short_way(monkeypatch):
    model, x = small(40, 7, 9)
    called = []
    for name in ("linear_act_forward_into", "linear_act_backward_into"):
        own = linear_prepared.chosen[name]
        monkeypatch.setitem(
            linear_prepared.chosen, name, lambda *a, name=name, own=own: (called.append(name), own(*a))[1]
        )
    model(x).sum().backward()
    assert called == ["linear_act_forward_into", "linear_act_backward_into"]
