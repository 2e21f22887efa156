"""Every schedule gives PyTorch's rates, alone, chained, in sequence and after loading a saved state."""

import copy
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim
from tinygrad_edu.errors import TeachingWarning

torch = pytest.importorskip("torch")

CASES = [
    ("LambdaLR", (lambda e: 0.95**e,), {}),
    ("LambdaLR", ([lambda e: 0.95**e, lambda e: 1 / (1 + e)],), {}),
    ("MultiplicativeLR", (lambda e: 0.9,), {}),
    ("StepLR", (3,), {"gamma": 0.5}),
    ("MultiStepLR", ([2, 5, 5, 9],), {"gamma": 0.3}),
    ("ConstantLR", (), {"factor": 0.4, "total_iters": 6}),
    ("LinearLR", (), {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 7}),
    ("ExponentialLR", (0.8,), {}),
    ("PolynomialLR", (), {"total_iters": 9, "power": 2.0}),
    ("CosineAnnealingLR", (6,), {"eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", (3,), {"T_mult": 2, "eta_min": 0.001}),
    ("CosineAnnealingWarmRestarts", (4,), {}),
    ("CyclicLR", (0.01, 0.5), {"step_size_up": 3, "step_size_down": 5}),
    ("CyclicLR", (0.01, 0.5), {"step_size_up": 4, "mode": "triangular2"}),
    ("CyclicLR", (0.01, [0.5, 0.7]), {"step_size_up": 2, "mode": "exp_range", "gamma": 0.9, "cycle_momentum": False}),
    ("CyclicLR", (0.01, 0.5), {"step_size_up": 3, "scale_fn": lambda x: 0.5**x, "scale_mode": "iterations"}),
    ("OneCycleLR", (0.5,), {"total_steps": 101}),
    (
        "OneCycleLR",
        ([0.5, 0.2],),
        {"epochs": 26, "steps_per_epoch": 4, "three_phase": True, "anneal_strategy": "linear"},
    ),
]


NUMBERS = {"base_lrs", "T_cur"}  # entries that may differ by rounding


def optimizer_of(lib, optimizers, name="SGD"):
    groups = [{"params": [lib.zeros(2, requires_grad=True)]}, {"params": [lib.zeros(2, requires_grad=True)], "lr": 0.3}]
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(optimizers, name)(groups, lr=0.1, **options)


def rates(optimizers, make, optimizer, steps):
    """The rates (and momenta) of both groups, step by step."""
    scheduler = make(optimizers.lr_scheduler, optimizer)
    seen = []
    for _ in range(steps):
        now = [group["lr"] for group in optimizer.param_groups]
        seen.append([*now, *(group.get("momentum", group.get("betas", (0,))[0]) for group in optimizer.param_groups)])
        assert scheduler.get_last_lr() == now
        optimizer.step()
        scheduler.step()
    return np.array(seen)


def compare(make, steps=100, name="SGD"):
    ours = rates(optim, make, optimizer_of(tg, optim, name), steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = rates(torch.optim, make, optimizer_of(torch, torch.optim, name), steps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_rates(name, args, kwargs, optimizer):
    compare(lambda lib, o: getattr(lib, name)(o, *args, **kwargs), name=optimizer)


def test_sequence():
    compare(lambda lib, o: lib.SequentialLR(o, [lib.LinearLR(o, 0.1, 1.0, 5), lib.CosineAnnealingLR(o, 20)], [5]))
    compare(
        lambda lib, o: lib.SequentialLR(
            o, [lib.ConstantLR(o, 0.1), lib.ExponentialLR(o, 0.9), lib.StepLR(o, 2)], [4, 9]
        )
    )
    compare(lambda lib, o: lib.SequentialLR(o, [lib.ConstantLR(o, 0.1), lib.CosineAnnealingWarmRestarts(o, 3, 2)], [4]))


def test_chain():
    compare(lambda lib, o: lib.ChainedScheduler([lib.ConstantLR(o, 0.1, 4), lib.ExponentialLR(o, 0.9)]))
    compare(lambda lib, o: lib.ChainedScheduler([lib.LinearLR(o), lib.CosineAnnealingLR(o, 10, 0.01)], o))


@pytest.mark.parametrize(
    "options",
    [
        {"factor": 0.5, "patience": 1},
        {"mode": "max", "patience": 2, "threshold_mode": "abs", "threshold": 0.05, "min_lr": [0.05, 0.001]},
        {"patience": 0, "cooldown": 2, "threshold": 0.1, "eps": 0.002},
    ],
)
def test_plateau(options):
    measures = np.abs(np.random.default_rng(1).normal(1.0, 0.2, size=30)).tolist()
    seen = []
    for lib, optimizers in ((tg, optim), (torch, torch.optim)):
        optimizer = optimizer_of(lib, optimizers)
        scheduler = optimizers.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        path = []
        for measure in measures:
            scheduler.step(measure)
            path.append(scheduler.get_last_lr())
        seen.append(path)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-12)


@pytest.mark.parametrize("through", ["file", "copy"])
@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_a_saved_state_continues(name, args, kwargs, through, tmp_path):
    def make(optimizer):
        return getattr(optim.lr_scheduler, name)(optimizer, *args, **kwargs)

    def advance(optimizer, scheduler, steps):
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
        return scheduler.get_last_lr()

    optimizer = optimizer_of(tg, optim)
    scheduler = make(optimizer)
    advance(optimizer, scheduler, 5)
    state = (optimizer.state_dict(), scheduler.state_dict())
    state = copy.deepcopy(state) if through == "copy" else tg.load(tg.save(state, tmp_path / "state.safetensors"))
    expected = advance(optimizer, scheduler, 5)
    second = optimizer_of(tg, optim)
    resumed = make(second)
    second.load_state_dict(state[0])
    resumed.load_state_dict(state[1])
    assert advance(second, resumed, 5) == expected


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_a_state_of_torchs_continues(name, args, kwargs):
    """Public entries have PyTorch's names and values, and its state goes on here as it does there."""
    optimizer, rates = optimizer_of(torch, torch.optim), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, *args, **kwargs)
        ours = getattr(optim.lr_scheduler, name)(optimizer_of(tg, optim), *args, **kwargs)
        for _ in range(5):
            optimizer.step()
            theirs.step()
        ours.optimizer.load_state_dict(optimizer.state_dict())
        ours.load_state_dict(theirs.state_dict())
        for _ in range(20):
            for scheduler in (ours, theirs):
                scheduler.optimizer.step()
                scheduler.step()
            rates.append((ours.get_last_lr(), theirs.get_last_lr()))
    np.testing.assert_allclose(*zip(*rates, strict=True), rtol=1e-12)
    for key, value in theirs.state_dict().items():
        if not key.startswith("_") and key != "use_beta1":
            assert ours.state_dict()[key] == (pytest.approx(value, rel=1e-12) if key in NUMBERS else value)


def test_stepping_before_the_optimizer_is_noticed():
    scheduler = optim.lr_scheduler.StepLR(optimizer_of(tg, optim), 2)
    with pytest.warns(TeachingWarning, match=r"E307 in StepLR\.step .*optimizer\.step\(\), then scheduler\.step\(\)"):
        scheduler.step()


def test_going_to_an_epoch():
    for name, args, kwargs in [("StepLR", (3,), {}), ("CosineAnnealingLR", (6,), {}), ("ExponentialLR", (0.5,), {})]:
        ours = getattr(optim.lr_scheduler, name)(optimizer_of(tg, optim), *args, **kwargs)
        theirs = getattr(torch.optim.lr_scheduler, name)(optimizer_of(torch, torch.optim), *args, **kwargs)
        ours.optimizer.step()
        theirs.optimizer.step()
        ours.step(4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.step(4)
        np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-12)


def test_mistakes():
    optimizer, schedules = optimizer_of(tg, optim), optim.lr_scheduler
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        schedules.StepLR(3, 2)
    with pytest.raises(ValueError, match="expected 2 values, got 1"):
        schedules.LambdaLR(optimizer, [lambda e: 1.0])
    with pytest.raises(KeyError, match="initial_lr"):
        schedules.StepLR(optimizer, 2, last_epoch=3)
    with pytest.raises(ValueError, match="one milestone fewer"):
        schedules.SequentialLR(optimizer, [schedules.StepLR(optimizer, 2)], [3])
    with pytest.raises(ValueError, match="another one"):
        schedules.ChainedScheduler([schedules.StepLR(optimizer_of(tg, optim), 2)], optimizer)
    with pytest.raises(ValueError, match="its step\\(\\) needs a metric"):
        schedules.ChainedScheduler([schedules.ReduceLROnPlateau(optimizer)])
    with pytest.raises(ValueError, match="either total_steps OR"):
        schedules.OneCycleLR(optimizer, 0.1)
    one_cycle = schedules.OneCycleLR(optimizer, 0.1, total_steps=2)
    optimizer.step()
    one_cycle.step()
    one_cycle.step()
    with pytest.raises(ValueError, match="tried to step 3 times"):
        one_cycle.step()
    with pytest.raises(ValueError, match=r"cycle_momentum=False"):
        schedules.CyclicLR(optim.Adagrad([tg.zeros(1, requires_grad=True)]), 0.1, 0.2)
