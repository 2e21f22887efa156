"""Steps that became one compiled function: the tape's numbers in every situation a user may bring about."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.kernels import policy
from tinygrad_edu.recorders import RecordingError, recorders
from tinygrad_edu.registry import observers

ROOT = Path(__file__).resolve().parents[2]
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


# ---- nests, threads, processes ------------------------------------------------------------------------------------------------
def test_a_recorded_function_inside_another():
    inner = tg.compile(lambda x: tg.tanh(x) * 2.0)
    outer = tg.compile(lambda x: (inner(x) + inner(x * 0.5)).sum())
    for number in range(5):
        x = tg.full((3,), float(number))
        wanted = (tg.tanh(x) * 2 + tg.tanh(x * 0.5) * 2).sum().item()
        assert outer(x).item() == pytest.approx(wanted, rel=2e-5)
        assert inner(x).tolist() == pytest.approx((tg.tanh(x) * 2).tolist(), rel=2e-5)
    assert len(outer.programs) == len(inner.programs) == 1


def test_threads_take_turns():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    @tg.compile
    def step(x):
        w.grad = None
        loss = ((w * x) ** 2).sum()
        loss.backward()
        return loss

    found: dict[int, list[float]] = {}

    def work(number: int) -> None:
        found[number] = [step(tg.full((2,), float(number))).item() for _ in range(50)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(1, 5):
        np.testing.assert_allclose(found[number], [5.0 * number**2] * 50, rtol=1e-6)
    assert recorders == [] and observers == []


def test_steps_of_several_threads_are_recorded_one_by_one():
    def work(number: int) -> None:
        run = tg.compile(lambda x: (x * float(number) + tg.rand(3) * 0.0).sum())
        found[number] = [run(tg.ones(3)).item() for _ in range(20)]

    found: dict[int, list[float]] = {}
    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [3.0 * n] * 20 for n in range(1, 7)}
    assert recorders == [] and observers == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.slow
def test_after_a_fork():
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")
import tinygrad_edu as tg
step = tg.compile(lambda x: (tg.tanh(x) * x).sum())
before = [step(tg.ones(3)).item() for _ in range(4)]
child = os.fork()
if child == 0:
    fine = step(tg.ones(3)).item() == before[-1] and step(tg.ones(5)).item() != before[-1]
    os._exit(0 if fine else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=ROOT)


SCRIPT = """
import tinygrad_edu as tg, tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
tg.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
adam = optim.Adam(model.parameters(), lr=0.05)
@tg.compile
def step(x, y):
    adam.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    adam.step()
    return loss
for _ in range(5):
    print(step(tg.ones(6, 4), tg.tensor([0, 1, 2, 0, 1, 2])).item())
print(step.plan().how)
"""


def output(**environment) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=True,
        timeout=200,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return done.stdout.split("\n")[:6]


@pytest.mark.slow
def test_without_a_compiler_and_without_a_cache(tmp_path):
    compiled = output()
    assert compiled[5] == "runs as one compiled function"
    plain = output(NUMBA_DISABLE_JIT="1")
    assert plain[5].startswith("runs call by call")
    np.testing.assert_allclose([float(n) for n in plain[:5]], [float(n) for n in compiled[:5]], rtol=2e-5)
    (tmp_path / "file").write_text("no folder")
    assert output(NUMBA_CACHE_DIR=str(tmp_path / "file")) == compiled


# ---- modules and errors -------------------------------------------------------------------------------------------------------
def test_a_compiled_module_in_every_mode():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    compiled = tg.compile(model)
    x, _ = batch(0)
    for _ in range(4):  # evaluation must see the statistics that training has moved since it was recorded
        model.train()
        for seed in range(3):
            compiled(batch(seed)[0]).sum().backward()
        compiled.eval()
        for _ in range(3):
            with tg.no_grad():
                out = compiled(x)
                np.testing.assert_allclose(out.numpy(), model(x).numpy(), rtol=2e-5, atol=1e-6)
            assert out.grad_fn is None
            np.testing.assert_allclose(compiled(x).detach().numpy(), model(x).detach().numpy(), rtol=2e-5, atol=1e-6)
    other = tg.compile(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)))
    other.load_state_dict(compiled.state_dict())
    other.eval()
    np.testing.assert_allclose(other(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-6)


def test_indices_are_looked_up_anew():
    table = tg.arange(12.0).reshape(4, 3).requires_grad_()

    @tg.compile
    def step(i, j):
        table.grad = None
        loss = table[i].sum() + table[i, j].sum() * 10.0
        loss.backward()
        return loss, table.grad

    same_twice = [([0, 1], [0, 1])] * 2 + [([3, 2], [2, 0]), ([1, 1], [0, 2])]
    for i, j in same_twice:
        i, j = tg.tensor(i), tg.tensor(j)
        loss, gradient = step(i, j)
        found = loss.item(), gradient.tolist()
        loss, gradient = step.function(i, j)
        assert found == (loss.item(), gradient.tolist())


def test_what_is_computed_unseen_is_refused_even_if_it_was_equal_twice():
    run = tg.compile(lambda x: F.adaptive_max_pool2d(x, 1).sum())
    x = tg.arange(16.0).reshape(1, 1, 4, 4)
    run(x)
    with pytest.raises(RecordingError, match="not recorded"):
        run(x)


def test_an_error_inside_leaves_nothing_behind():
    calls = []

    @tg.compile
    def step(x):
        calls.append(1)
        y = x * 2
        if len(calls) <= 2:
            raise KeyError("mine")
        return y.sum()

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            step(tg.ones(3))
        assert recorders == [] and observers == []
    assert [step(tg.ones(3)).item() for _ in range(4)] == [6.0] * 4
    with pytest.raises(RuntimeError):
        tg.compile(lambda x: x @ x)(tg.ones(2, 3))
    assert recorders == [] and observers == []
