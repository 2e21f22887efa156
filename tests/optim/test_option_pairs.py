"""Every optimizer with every option, alone and in pairs, walks PyTorch's path for 50 steps; and so do groups and missing gradients."""

from itertools import combinations

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.optim.test_trajectories import loss_of, start

torch = pytest.importorskip("torch")

STEPS = 50
BETAS = (0.8, 0.95)
OPTIONS = {
    "SGD": {"lr": 0.05, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1, "nesterov": True, "maximize": True},
    "Adam": {"lr": 0.03, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True, "maximize": True,
             "decoupled_weight_decay": True},
    "AdamW": {"lr": 0.03, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.3, "amsgrad": True, "maximize": True},
    "RMSprop": {"lr": 0.02, "alpha": 0.97, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.5, "centered": True, "maximize": True},
    "Adagrad": {"lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3, "maximize": True},
    "Adadelta": {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
    "Adamax": {"lr": 0.03, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
    "NAdam": {"lr": 0.03, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.1, "decoupled_weight_decay": True,
              "maximize": True},
    "RAdam": {"lr": 0.03, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    "Rprop": {"lr": 0.03, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True},
    "ASGD": {"lr": 0.05, "lambd": 0.05, "alpha": 0.6, "t0": 10, "weight_decay": 0.1, "maximize": True},
    "Adafactor": {"lr": 0.05, "beta2_decay": -0.7, "eps": (1e-4, 1e-2), "d": 1.5, "weight_decay": 0.1, "maximize": True},
}  # fmt: skip


def variants(name):
    """The defaults, each option alone, and each pair; Nesterov's momentum wants momentum and no dampening."""
    options = OPTIONS[name]
    for chosen in ((), *combinations(options, 1), *combinations(options, 2)):
        given = {option: options[option] for option in chosen}
        if given.get("nesterov"):
            given.setdefault("momentum", 0.7)
            if given.pop("dampening", None):
                continue
        yield given


def walk(lib, make, steps=STEPS, skip=(), dtype=np.float64):
    """Where the weights are after every step; in the steps of `skip` the second one has no gradient."""
    weights = [lib.tensor(w).requires_grad_() for w in start(dtype)]
    data = lib.tensor(np.random.default_rng(3).normal(size=(6, 3)).astype(dtype))
    optimizer, path = make(lib, weights), []
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(lib, weights, data).backward()
        if step in skip:
            weights[1].grad = None
        optimizer.step()
        path.append(np.concatenate([np.array(w.detach().numpy()).ravel() for w in weights]))
    return np.array(path)


def assert_same_path(make, rtol=1e-11, **options):
    ours, theirs = (walk(lib, make, **options) for lib in (tg, torch))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", OPTIONS)
def test_pairs_of_options(name):
    for given in variants(name):
        try:
            assert_same_path(lambda lib, weights, given=given: getattr(lib.optim, name)(weights, **given))
        except AssertionError as error:
            raise AssertionError(f"{name}({given})") from error


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_torchs_is_tried(name):
    """Those that choose among implementations of one formula change no number."""
    import inspect

    options = set(inspect.signature(getattr(torch.optim, name)).parameters) - {"params"}
    assert options - {"foreach", "fused", "capturable", "differentiable"} == set(OPTIONS[name])


@pytest.mark.parametrize("name", OPTIONS)
def test_choices_of_implementation_change_no_number(name):
    import inspect

    known = inspect.signature(getattr(tg.optim, name)).parameters
    for option in {"foreach", "fused"} & set(known):
        for value in (False, True):
            chosen = walk(tg, lambda lib, w, o=option, v=value: getattr(lib.optim, name)(w, **{o: v}), steps=5)
            np.testing.assert_array_equal(chosen, walk(tg, lambda lib, w: getattr(lib.optim, name)(w), steps=5))


@pytest.mark.parametrize("name", OPTIONS)
def test_groups_with_options_of_their_own(name):
    own = {"lr": 0.01} if name == "Rprop" else {"lr": 0.01, "weight_decay": 0.2}

    def make(lib, weights):
        optimizer = getattr(lib.optim, name)([{"params": weights[:1]}, {"params": weights[1:2], **own}], lr=0.03)
        optimizer.add_param_group({"params": weights[2], "lr": 0.02})
        return optimizer

    assert_same_path(make)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_parameter_without_a_gradient_is_left_out(name):
    extra = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    assert_same_path(lambda lib, weights: getattr(lib.optim, name)(weights, **extra), skip=(0, 1, 7, 20, 21))


@pytest.mark.parametrize("name", OPTIONS)
def test_a_frozen_parameter_stays(name):
    def make(lib, weights):
        weights[1].requires_grad_(False)
        return getattr(lib.optim, name)(weights)

    assert_same_path(make, steps=10)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_rate_that_changes(name):
    def make(lib, weights):
        optimizer = getattr(lib.optim, name)(weights, lr=0.03)
        scheduler = lib.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
        return optimizer

    assert_same_path(make)


@pytest.mark.parametrize("name", OPTIONS)
def test_float32(name):
    """50 steps in float32 stay within rounding of PyTorch's, and both within it of float64."""
    make = lambda lib, weights: getattr(lib.optim, name)(weights, lr=0.03)  # noqa: E731 - passed three times
    ours, theirs = (walk(lib, make, dtype=np.float32) for lib in (tg, torch))
    exact = walk(tg, make)
    np.testing.assert_allclose(ours, theirs, rtol=5e-4, atol=1e-4)
    np.testing.assert_allclose(ours, exact, rtol=1e-3, atol=2e-4)
