"""Averaged models, batch norms seen again, and the rate that anneals: equal to PyTorch's."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.optim import swa_utils

torch = pytest.importorskip("torch")
DATA = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def make(lib):
    """The same net with a batch norm, and its optimizer."""
    n = lib.nn
    model = n.Sequential(n.Linear(3, 4), n.BatchNorm1d(4), n.Tanh(), n.Linear(4, 1))
    rng = np.random.default_rng(1)
    with lib.no_grad():
        for p in model.parameters():
            p.copy_(lib.tensor(rng.normal(size=tuple(p.shape)).astype(np.float32)))
    return model, lib.optim.SGD(model.parameters(), lr=0.1)


def train(lib, average, steps=4):
    model, optimizer = make(lib)
    averaged = average(lib.optim.swa_utils, model)
    for number in range(steps):
        optimizer.zero_grad()
        (model(lib.tensor(DATA[number * 4 : number * 4 + 4])) ** 2).mean().backward()
        optimizer.step()
        averaged.update_parameters(model)
    return averaged


def assert_same_state(ours, theirs, rtol=1e-5):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert list(ours) == list(theirs)
    for key in ours:
        np.testing.assert_allclose(ours[key].numpy(), theirs[key].numpy(), rtol=rtol, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(
    "average",
    [
        lambda u, m: u.AveragedModel(m),
        lambda u, m: u.AveragedModel(m, avg_fn=u.get_ema_avg_fn(0.7)),
        lambda u, m: u.AveragedModel(m, avg_fn=u.get_swa_avg_fn()),
        lambda u, m: u.AveragedModel(m, multi_avg_fn=u.get_swa_multi_avg_fn()),
        lambda u, m: u.AveragedModel(m, multi_avg_fn=u.get_ema_multi_avg_fn(0.6), use_buffers=True),
    ],
    ids=["equal", "ema", "swa", "swa of all", "ema of all with buffers"],
)
def test_averaged_model(average):
    ours, theirs = train(tg, average), train(torch, average)
    assert_same_state(ours, theirs)
    x = DATA[:5]
    ours.eval()
    theirs.eval()
    np.testing.assert_allclose(ours(tg.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4)


def test_the_average_is_the_mean_and_leaves_the_model_alone():
    model = nn.Linear(2, 1)
    average, seen = swa_utils.AveragedModel(model), []
    for number in range(5):
        nn.init.constant_(model.weight, float(number**2))
        average.update_parameters(model)
        seen.append(model.weight.detach().numpy().copy())
    np.testing.assert_allclose(average.module.weight.detach().numpy(), np.mean(seen, 0))
    assert average.n_averaged.item() == 5
    assert model.weight.tolist() == [[16.0, 16.0]]
    again = swa_utils.AveragedModel(nn.Linear(2, 1))
    again.load_state_dict(copy.deepcopy(average.state_dict()))
    again.update_parameters(model)
    assert again.n_averaged.item() == 6


@pytest.mark.parametrize("training", [True, False])
def test_update_bn(training):
    results = []
    for lib in (tg, torch):
        model, _ = make(lib)
        model.train(training)
        batches = [(lib.tensor(DATA[i : i + 6]), None) for i in range(0, 24, 6)]
        lib.optim.swa_utils.update_bn(batches, model)
        assert model.training is training
        assert model[1].momentum == 0.1
        results.append(model)
    assert_same_state(*results)
    hidden = DATA @ results[0][0].weight.detach().numpy().T + results[0][0].bias.detach().numpy()
    np.testing.assert_allclose(results[0][1].running_mean.numpy(), hidden.mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"swa_lr": 0.05},
        {"swa_lr": 0.2, "anneal_epochs": 4, "anneal_strategy": "linear"},
        {"swa_lr": [0.05, 0.5], "anneal_epochs": 0},
        {"swa_lr": [0.01, 0.02], "anneal_epochs": 3},
    ],
)
def test_swalr(options):
    paths, states = [], []
    for lib in (tg, torch):
        weights = [lib.zeros(1, requires_grad=True) for _ in range(2)]
        optimizer = lib.optim.SGD([{"params": [weights[0]], "lr": 0.3}, {"params": [weights[1]], "lr": 1.0}], lr=0.1)
        schedule = lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        swa = lib.optim.swa_utils.SWALR(optimizer, **options)
        path = [schedule.get_last_lr()]
        for epoch in range(14):
            optimizer.step()
            (schedule if epoch < 3 else swa).step()
            path.append([group["lr"] for group in optimizer.param_groups])
        paths.append(path)
        states.append(swa.state_dict())
    np.testing.assert_allclose(*paths, rtol=1e-12)
    assert states[0]["anneal_epochs"] == states[1]["anneal_epochs"]
    assert states[0]["_anneal_strategy"] == states[1]["_anneal_strategy"]


def test_wrong_use():
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"Invalid decay value: 1\.5"):
        swa_utils.get_ema_avg_fn(1.5)
    with pytest.raises(AssertionError, match="Only one of"):
        swa_utils.AveragedModel(model, avg_fn=max, multi_avg_fn=max)
    with pytest.raises(ValueError, match="'cos' or 'linear'"):
        swa_utils.SWALR(optimizer, 0.1, anneal_strategy="square")
    with pytest.raises(ValueError, match="greater than 0, got -1"):
        swa_utils.SWALR(optimizer, 0.1, anneal_epochs=-1)
    with pytest.raises(ValueError, match="same length"):
        swa_utils.SWALR(optimizer, [0.1, 0.2])
