"""Recorded steps among other things: nests, threads, processes, modules in several modes, and errors on the way."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tests.compiler.test_fused_steps import batch
from tinygrad_edu import nn
from tinygrad_edu.kernels import policy
from tinygrad_edu.recorders import RecordingError, recorders
from tinygrad_edu.registry import observers

ROOT = Path(__file__).resolve().parents[2]
compiled_only = pytest.mark.skipif(policy.get_backend() != "numba", reason="steps are compiled by Numba")


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


@compiled_only
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


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("norm", [nn.Identity, lambda: nn.LayerNorm(4)])  # compiled as one, and call by call
def test_labels_that_are_ignored_or_no_class(options, norm):
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), norm(), nn.Linear(4, 3))

    def step(x, y):
        model.zero_grad()
        loss = F.cross_entropy(model(x), y, **options)
        loss.backward()
        return loss

    run = tg.compile(step)
    for seed in range(8):
        x, y = batch(seed)
        if seed > 3:
            y[2] = -100
        assert run(x, y).item() == pytest.approx(step(x, y).item(), rel=2e-5)
    assert len(run.programs) == 1
    y[1] = 7
    with pytest.raises(IndexError, match=r"E107.*Target 7 is out of bounds"):
        run(x, y)
    assert recorders == [] and observers == []
