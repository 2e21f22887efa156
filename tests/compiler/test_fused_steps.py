"""Steps that became one compiled function: the tape's numbers in every situation a user may bring about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.kernels import policy
from tinygrad_edu.recorders import recorders

pytestmark = pytest.mark.skipif(policy.get_backend() != "numba", reason="steps are compiled by Numba")


def batch(seed: int, rows: int = 6, dtype=np.float32):
    draw = np.random.default_rng(seed)
    return tg.from_numpy(draw.standard_normal((rows, 4)).astype(dtype)), tg.from_numpy(draw.integers(0, 3, rows))


class Training:
    """A small network with an optimizer; two of the same seed are equal."""

    def __init__(self, compiled: bool, make=lambda p: optim.SGD(p, lr=0.1), drop: float = 0.0):
        tg.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(drop), nn.Linear(5, 3))
        self.optimizer = make(self.model.parameters())
        self.run = tg.compile(self.step) if compiled else self.step

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        return [p.detach().numpy().copy() for p in self.model.parameters()]


def pair(*args, **options) -> tuple[Training, Training]:
    return Training(True, *args, **options), Training(False, *args, **options)


def same(recorded: Training, taped: Training, seeds) -> None:
    for seed in seeds:
        losses = [each.run(*batch(seed)).item() for each in (recorded, taped)]
        assert losses[0] == pytest.approx(losses[1], rel=2e-5)
    for mine, theirs in zip(recorded.state(), taped.state(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)


def is_fused(step) -> bool:
    return step.programs[-1].confirmed and step.programs[-1].why_not == ""


# ---- random programs --------------------------------------------------------------------------------------------------------
UNARY = [tg.exp, tg.tanh, tg.sigmoid, tg.relu, tg.sin, tg.cos, tg.square, tg.neg, lambda x: x * 0.5, lambda x: 1.5 - x]
BINARY = [tg.add, tg.sub, tg.mul, lambda x, y: x / (y * y + 1.0)]
SHAPES = [(3, 4), (4,), (3, 1), (1, 4), (1,)]


@st.composite
def programs(draw):
    """A list of steps on a stack of values, that ends in a sum, a mean, or a linear layer before it."""
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, len(UNARY) - 1), st.integers(0, len(BINARY) - 1), st.booleans()),
            min_size=1,
            max_size=5,
        )
    )
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3))
    return steps, shapes, draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from([np.float32, np.float64]))


@settings(max_examples=8)
@given(programs())
def test_random_programs(program):
    steps, shapes, layer, mean, kind = program
    draw = np.random.default_rng(0)
    weights = [tg.from_numpy(draw.uniform(-1, 1, shape).astype(kind)).requires_grad_() for shape in shapes]
    matrix = tg.from_numpy(draw.uniform(-1, 1, (2, 4)).astype(kind)).requires_grad_()

    def step(x):
        for w in (*weights, matrix):
            w.grad = None
        value = x
        for number, (unary, binary, first) in enumerate(steps):
            other = weights[number % len(weights)]
            value = (
                BINARY[binary](tg.tanh(value), other) if first else UNARY[unary](BINARY[binary](other, tg.tanh(value)))
            )
        if layer:
            value = F.linear(value, matrix)
        loss = value.mean() if mean else value.sum()
        loss.backward()
        return loss, [w.grad for w in weights if w.grad is not None]

    run = tg.compile(step)
    for _ in range(4):
        x = tg.from_numpy(draw.uniform(-1, 1, (3, 4)).astype(kind))
        found, gradients = run(x)
        found, gradients = found.item(), [g.numpy().copy() for g in gradients]
        wanted, theirs = step(x)
        assert found == pytest.approx(wanted.item(), rel=2e-5, abs=2e-5)
        for mine, other in zip(gradients, theirs, strict=True):
            np.testing.assert_allclose(mine, other.numpy(), rtol=2e-5, atol=2e-5)
    assert is_fused(run), run.programs[-1].why_not


@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy_with_logits])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_losses_and_products(loss, scale):
    draw = np.random.default_rng(1)
    first, second = (
        tg.from_numpy(draw.standard_normal(s).astype(np.float32)).requires_grad_() for s in ((4, 5), (5, 2))
    )

    def step(x, target):
        first.grad = second.grad = None
        value = loss(tg.relu(x @ first).reshape(-1, 5) @ second, target) * scale
        value.backward()
        return value, first.grad, second.grad

    run = tg.compile(step)
    for seed in range(4):
        x, target = batch(seed)[0], tg.from_numpy(draw.random((6, 2)).astype(np.float32))
        found = [t.tolist() for t in run(x, target)]
        for mine, theirs in zip(found, step(x, target), strict=True):
            np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=2e-5, atol=1e-6)
    assert is_fused(run)


# ---- what users keep and change ---------------------------------------------------------------------------------------------
def test_gradients_that_were_kept_are_not_overwritten():
    recorded, _ = pair()
    kept, copies = [], []
    for seed in range(6):
        recorded.run(*batch(seed))
        kept.append([p.grad for p in recorded.model.parameters()])
        copies.append([g.numpy().copy() for g in kept[-1]])
    assert is_fused(recorded.run)
    for tensors, arrays in zip(kept, copies, strict=True):
        for tensor, array in zip(tensors, arrays, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), array)


def test_losses_that_were_kept_are_not_overwritten():
    recorded, _ = pair()
    losses = [recorded.run(*batch(seed)) for seed in range(6)]
    numbers = [loss.item() for loss in losses]
    assert len(set(numbers)) == 6


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.Adam(p, lr=0.01)])
def test_labels_that_are_no_class(make):
    recorded, taped = pair(make)
    same(recorded, taped, range(4))
    assert is_fused(recorded.run)
    x, y = batch(9)
    wrong = y.clone()
    wrong[2] = 7
    messages = []
    for each in (recorded, taped):
        with pytest.raises(IndexError) as caught:
            each.run(x, wrong)
        messages.append(str(caught.value).split(": ", 1)[1])
    assert messages[0] == messages[1]
    assert recorders == []
    same(recorded, taped, range(10, 14))  # neither parameters nor what the optimizer remembers have moved


def test_options_that_change_between_steps_count():
    for make, changes in (
        (
            lambda p: optim.SGD(p, lr=0.1, momentum=0.5),
            {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1, "dampening": 0.2},
        ),
        (lambda p: optim.Adam(p, lr=0.1), {"lr": 0.01, "betas": (0.5, 0.7), "weight_decay": 0.1, "eps": 1e-3}),
    ):
        recorded, taped = pair(make)
        same(recorded, taped, range(4))
        for key, value in changes.items():
            for each in (recorded, taped):
                each.optimizer.param_groups[0][key] = value
            same(recorded, taped, range(4, 7))
        assert len(recorded.run.programs) == 1


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.AdamW(p, lr=0.01)])
def test_states_that_are_loaded_between_steps(make):
    recorded, taped = pair(make)
    saved = [(each.model.state_dict(), each.optimizer.state_dict()) for each in (recorded, taped)]
    saved = [({k: v.clone() for k, v in model.items()}, rest) for model, rest in saved]
    same(recorded, taped, range(5))
    for each, (model, _) in zip((recorded, taped), saved, strict=True):
        each.model.load_state_dict(model)
    same(recorded, taped, range(5, 9))
    for each, (_, rest) in zip((recorded, taped), saved, strict=True):
        each.optimizer.load_state_dict(rest)
    same(recorded, taped, range(9, 13))
    assert is_fused(recorded.run)


def test_parameters_in_another_layout():
    recorded, taped = pair()
    same(recorded, taped, range(4))
    for each in (recorded, taped):
        weight = each.model[0].weight
        weight.data = tg.from_numpy(np.asfortranarray(weight.detach().numpy()))
    same(recorded, taped, range(4, 9))


def test_gradients_are_added_where_nobody_forgets_them():
    recorded, taped = nn.Linear(4, 3), nn.Linear(4, 3)
    taped.load_state_dict(recorded.state_dict())

    def step_of(model):
        def step(x, y):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        return step

    run, plain = tg.compile(step_of(recorded)), step_of(taped)
    for seed in range(12):
        assert run(*batch(seed)).item() == pytest.approx(plain(*batch(seed)).item(), rel=2e-5)
        np.testing.assert_allclose(recorded.weight.grad.numpy(), taped.weight.grad.numpy(), rtol=2e-5, atol=1e-6)
        if seed % 3 == 2:
            recorded.zero_grad()
            taped.zero_grad()
    assert len(run.programs) == 1


def test_a_gradient_that_was_added_up_is_read_inside_the_step():
    def losses(compiled):
        w = tg.tensor([1.0, 2.0], requires_grad=True)

        def step(x):
            nonlocal w
            (w * x).sum().backward()
            loss = ((w * x) ** 2).sum()
            loss.backward()
            with tg.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            return loss

        run = tg.compile(step) if compiled else step
        return [run(tg.tensor([1.0, 0.1 * number])).item() for number in range(6)]

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-6)


def test_dropout_draws_as_the_tape_does():
    states = []
    for compiled in (True, False):
        training = Training(compiled, drop=0.5)
        tg.manual_seed(7)
        for seed in range(6):
            training.run(*batch(seed))
        states.append(training.state())
    for mine, theirs in zip(*states, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)
