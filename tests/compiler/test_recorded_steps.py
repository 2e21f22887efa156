"""Recorded steps give the numbers of the tape, notice what changes, and refuse what they cannot repeat."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.recorders import RecordingError


def batches(count, *shape, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    for _ in range(count):
        yield tg.tensor(draw.standard_normal(shape).astype(np.float32)), tg.tensor(draw.integers(0, classes, shape[0]))


NETWORKS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)), (10, 8)),
    "dropout": (lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)), (10, 8)),
    "batch norm": (lambda: nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Sigmoid(), nn.Linear(16, 3)), (10, 8)),
    "cnn": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)),
        (5, 1, 8, 8),
    ),
    "layer norm": (lambda: nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)), (4, 8)),
    "attention": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(40, 3)),
        (4, 5, 8),
    ),
}  # fmt: skip
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01),
}


def trained(network, optimizer, compiled, steps=6):
    """Losses and parameters after some steps, with the step recorded or not."""
    make, shape = NETWORKS[network]
    tg.manual_seed(3)
    model = make()
    stepper = OPTIMIZERS[optimizer](model.parameters())

    def step(x, y):
        stepper.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        stepper.step()
        return loss

    run = tg.compile(step) if compiled else step
    losses = [run(x, y).item() for x, y in batches(steps, *shape)]
    return (
        losses,
        [value.numpy() for value in model.state_dict().values()],
        [p.grad.numpy() for p in model.parameters()],
    )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_equal_to_the_tape(network, optimizer):
    taped, recorded = trained(network, optimizer, False), trained(network, optimizer, True)
    np.testing.assert_allclose(recorded[0], taped[0], rtol=1e-6)
    for kind in (1, 2):
        for mine, theirs in zip(recorded[kind], taped[kind], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_kind_of_optimizer(optimizer):
    np.testing.assert_allclose(trained("mlp", optimizer, True)[0], trained("mlp", optimizer, False)[0], rtol=1e-6)


def test_a_schedule_is_asked_at_each_step():
    def losses(compiled):
        tg.manual_seed(0)
        model = nn.Linear(8, 3)
        sgd = optim.SGD(model.parameters(), lr=1.0)
        schedule = optim.lr_scheduler.StepLR(sgd, 2, 0.5)

        def step(x, y):
            sgd.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            sgd.step()
            schedule.step()
            return loss

        run = tg.compile(step) if compiled else step
        return [run(x, y).item() for x, y in batches(8, 4, 8)] + [sgd.param_groups[0]["lr"]]

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)


def test_shapes_modes_and_frozen_parameters_get_programs_of_their_own():
    model = nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    run = tg.compile(lambda x: model(x).sum())
    x = tg.ones(5, 8)
    for _ in range(3):
        run(x)
    assert len(run.programs) == 1
    for _ in range(3):
        run(tg.ones(6, 8))
    assert len(run.programs) == 2
    model.eval()
    wanted = model(x).sum()
    assert [run(x).item() for _ in range(4)] == [wanted.item()] * 4
    assert len(run.programs) == 3
    model[0].weight.data = model[0].weight.data * 2  # another array in the same place: taken over, not recorded anew
    assert run(x).item() == model(x).sum().item()
    assert len(run.programs) == 3
    model[2].requires_grad_(False)
    for _ in range(3):
        out = run(x)
    assert len(run.programs) == 4
    out.backward()
    assert model[0].weight.grad is not None and model[2].weight.grad is None


def test_a_module_is_differentiated_as_one_node():
    def losses(compiled):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
        called = tg.compile(model) if compiled else model
        adam = optim.Adam(called.parameters(), lr=0.01)
        found = []
        for x, y in batches(6, 10, 8):
            adam.zero_grad()
            loss = F.cross_entropy(called(x), y)
            loss.backward()
            adam.step()
            found.append(loss.item())
        return found

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)
    compiled = tg.compile(nn.Linear(2, 2))
    for _ in range(3):
        out = compiled(tg.ones(1, 2))
    assert out.grad_fn.name() == "RecordedBackward0"
    out.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.sum().backward()
    assert [name for name, _ in compiled.named_parameters()] == ["_orig_mod.weight", "_orig_mod.bias"]


def test_gradients_reach_an_input_that_requires_them():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    run = tg.compile(lambda x: (w * x**2).sum())
    for number in range(4):
        x = tg.tensor([float(number), 3.0], requires_grad=True)
        run(x).backward()
        assert x.grad.tolist() == [2.0 * number, 12.0]


def test_double_backward_inside_the_step():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def penalty(x):
        x = x.detach().requires_grad_(True)
        (slope,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
        value = ((slope * w).sum() - 1) ** 2
        w.grad = None
        value.backward()
        return value, w.grad

    run = tg.compile(penalty)
    for number in range(5):
        x = tg.tensor([1.0 + number, 2.0])
        value, gradient = run(x)
        value_then, gradient_then = penalty(x)
        assert value.item() == value_then.item()
        assert gradient.tolist() == gradient_then.tolist()


def test_a_hand_written_step_under_no_grad():
    def losses(compiled):
        w = tg.tensor([1.0, 2.0], requires_grad=True)

        def step(x):
            nonlocal w
            loss = ((w * x) ** 2).sum()
            loss.backward()
            with tg.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            return loss

        run = tg.compile(step) if compiled else step
        return [run(tg.ones(2)).item() for _ in range(5)]

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)


def test_random_numbers_are_drawn_anew():
    run = tg.compile(lambda x: x + tg.randn(3) * tg.rand(3))
    tg.manual_seed(0)
    recorded = [run(tg.zeros(3)).tolist() for _ in range(5)]
    tg.manual_seed(0)
    assert recorded == [(tg.zeros(3) + tg.randn(3) * tg.rand(3)).tolist() for _ in range(5)]


def _branch(x):
    return x * 2 if x.sum() > 0 else x


def _number(x):
    return x * x.mean().item()


def _array(x):
    return x + tg.tensor(x.numpy() * 2)


def _write(x):
    y = x * 2
    y[0] = 1.0
    return y


@pytest.mark.parametrize(
    ("function", "what"),
    [(_branch, "a condition"), (_number, r"item\(\)"), (_array, r"numpy\(\)"), (_write, "in place")],
)
def test_what_looks_at_numbers_is_refused_with_its_line(function, what):
    line = function.__code__.co_firstlineno + (2 if function is _write else 1)
    with pytest.raises(RecordingError, match=rf"test_recorded_steps\.py:{line}\).*{what}"):
        tg.compile(function)(tg.ones(2))
    assert tg.ones(1).item() == 1.0  # nothing is being recorded any more


@pytest.mark.parametrize(
    "function",
    [
        tg.unique, tg.unique_consecutive, tg.nonzero, tg.histc, tg.histogram,
        lambda x: tg.bincount(x.long()), lambda x: tg.searchsorted(x, x), lambda x: tg.bucketize(x, x),
        lambda x: x * tg.equal(x, x), lambda x: x * tg.allclose(x, x),
    ],
)  # fmt: skip
def test_what_is_computed_unseen_is_refused(function):
    """Equal results of the two recordings would be taken for constants."""
    with pytest.raises(RecordingError, match="reads a tensor's value"):
        tg.compile(function)(tg.ones(3))


def test_what_python_changes_between_calls_is_noticed():
    calls = []

    @tg.compile
    def scaled(x):
        calls.append(1)
        return x * float(len(calls))

    scaled(tg.ones(2))
    with pytest.raises(RecordingError, match="did different things"):
        scaled(tg.ones(2))

    @tg.compile
    def longer(x):
        calls.append(1)
        for _ in calls:
            x = x + 1
        return x

    longer(tg.ones(2))
    with pytest.raises(RecordingError, match="in one of them only"):
        longer(tg.ones(2))


def test_plain_arguments_and_nests():
    @tg.compile
    def mixed(pair, *, scale, names=None):
        return {"sum": pair[0] + pair[1] * scale, "rest": [pair[0], names]}

    for scale in (2, 3):
        for _ in range(4):
            answer = mixed((tg.ones(2), tg.ones(2)), scale=scale, names="ab")
            assert answer["sum"].tolist() == [1.0 + scale] * 2
            assert answer["rest"][1] == "ab"
    assert len(mixed.programs) == 2
    with pytest.raises(TypeError, match="from_numpy"):
        mixed(np.ones(2), scale=1)


def test_too_many_programs_run_as_written():
    run = tg.compile(lambda x, k: x * k)
    for k in range(8):
        run(tg.ones(1), k)
    with pytest.warns(UserWarning, match="8 programs"):
        assert run(tg.ones(1), 8).item() == 8.0


def test_whoever_watches_sees_every_operation():
    run = tg.compile(lambda x: (x * 2).sum())
    x = tg.ones(3, requires_grad=True)
    for _ in range(3):
        run(x)
    with tg.visualize.record() as recording:
        run(x)
    assert len(recording) == 2
    with pytest.raises(RuntimeError, match="E401"), tg.autograd.detect_anomaly():
        run(tg.tensor([float("inf"), 1.0, -float("inf")]))


def test_hooks_are_refused():
    w = tg.ones(2, requires_grad=True)
    w.register_hook(lambda g: g * 2)

    @tg.compile
    def step(x):
        (w * x).sum().backward()

    with pytest.raises(RecordingError, match="hook"):
        step(tg.ones(2))
