"""Small parameters are joined from the second step on; nobody can tell."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "adadelta": optim.Adadelta,
    "adamax": lambda p: optim.Adamax(p, lr=0.01),
    "rprop": lambda p: optim.Rprop(p, lr=0.01),
    "radam": lambda p: optim.RAdam(p, lr=0.01),
}


def network():
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def step(model, optimizer, seed):
    x = tg.tensor(np.random.default_rng(seed).standard_normal((4, 5)).astype(np.float32))
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_joined_equals_one_by_one(name, monkeypatch):
    joined, apart = network(), network()
    one, other = OPTIMIZERS[name](joined.parameters()), OPTIMIZERS[name](apart.parameters())
    monkeypatch.setattr(other, "elementwise", False, raising=False)
    for seed in range(6):
        step(joined, one, seed)
        step(apart, other, seed)
    assert one._flats[0] is not None and len(one._flats[0].params) == 4
    assert not other._flats
    for p, q in zip(joined.parameters(), apart.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-7)
    mine, theirs = one.state_dict()["state"], other.state_dict()["state"]
    for number, kept in theirs.items():
        assert kept.keys() == mine[number].keys()
        for key, value in kept.items():
            np.testing.assert_allclose(np.asarray(mine[number][key]), np.asarray(value), rtol=1e-5, atol=1e-8)


def test_memory_that_somebody_looks_at_stays_where_it_is():
    model = network()
    adam = optim.Adam(model.parameters())
    watched = model[0].bias.detach()
    for seed in range(4):
        step(model, adam, seed)
    assert adam._flats[0] is not None
    assert all(p is not model[0].bias for p in adam._flats[0].params)
    assert watched.tolist() == model[0].bias.tolist()
    view = model[2].bias.detach().numpy()
    step(model, adam, 9)
    assert view.tolist() == model[2].bias.tolist()


def test_a_missing_gradient_ends_the_joint_steps():
    def trained(elementwise):
        model = network()
        adam = optim.Adam(model.parameters(), lr=0.1)
        adam.elementwise = elementwise
        for seed in range(6):
            adam.zero_grad()
            x = tg.tensor(np.random.default_rng(seed).standard_normal((4, 5)).astype(np.float32))
            (model[0](x) if seed == 3 else model(x)).square().mean().backward()
            adam.step()
        return [p.detach().numpy() for p in model.parameters()]

    for p, q in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-6, atol=1e-7)


def test_other_memory_and_loaded_states_count():
    model = network()
    adam = optim.Adam(model.parameters(), lr=0.1)
    for seed in range(3):
        step(model, adam, seed)
    kept = adam.state_dict()
    model.load_state_dict(network().state_dict())
    adam.load_state_dict(kept)
    model[0].bias.data = tg.zeros(7)
    again = network()
    with tg.no_grad():
        again[0].bias.zero_()
    other = optim.Adam(again.parameters(), lr=0.1)
    other.load_state_dict(kept)
    for seed in range(4):
        step(model, adam, seed)
        step(again, other, seed)
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-7)
