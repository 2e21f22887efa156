"""Checkpointing: the same gradients with less memory."""

import gc
import tracemalloc

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


def network():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))


def gradients(run):
    """The gradients of a freshly seeded network whose output `run` computes."""
    tg.manual_seed(0)
    model, x = network(), tg.randn(5, 4)
    run(model, x).pow(2).sum().backward()
    return [p.grad for p in model.parameters()]


@pytest.mark.parametrize("segments", [1, 2, 3, 6])
def test_gradients_are_the_same_dropout_included(segments):
    plain = gradients(lambda model, x: model(x))
    for run in (checkpoint, lambda model, x: checkpoint_sequential(model, segments, x)):
        for a, b in zip(gradients(run), plain, strict=True):
            assert bool((a == b).all())


def test_gradients_of_gradients_pass_through():
    x = tg.tensor([0.3, -0.7], requires_grad=True)

    def curvature(call):
        (slope,) = tg.autograd.grad(call(lambda v: (v * v).sin() * v, x).sum(), x, create_graph=True)
        return tg.autograd.grad(slope.sum(), x)[0].tolist()

    assert curvature(checkpoint) == curvature(lambda f, v: f(v))


def test_nested_checkpoints():
    x = tg.tensor([0.3, -0.7], requires_grad=True)
    checkpoint(lambda v: checkpoint(lambda u: (u * u).exp(), v).sin(), x).sum().backward()
    y = x.detach().requires_grad_()
    (y * y).exp().sin().sum().backward()
    assert x.grad.tolist() == y.grad.tolist()


def test_memory_is_really_less():
    x = tg.ones(100_000, requires_grad=True)

    def stretch(v):
        return v.sin().cos().tanh().exp().sin().cos().tanh()

    def peak(call):
        gc.collect()
        tracemalloc.start()
        value = x
        for _ in range(6):
            value = call(stretch, value)
        value.sum().backward()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most / x.nbytes

    assert peak(lambda f, v: f(v)) > 30
    assert peak(checkpoint) < 16


def test_the_function_runs_again_only_when_it_must():
    calls = []

    def f(x):
        calls.append(tg.is_grad_enabled())
        return (x * x).exp()

    with tg.no_grad():
        checkpoint(f, tg.ones(2, requires_grad=True))
    assert calls == [False]
    y = checkpoint(f, tg.ones(2, requires_grad=True))
    assert calls == [False, True]
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert calls == [False, True, True]


def test_a_function_that_does_something_else_the_second_time():
    calls = []

    def f(x):
        calls.append(1)
        return x.exp().exp() if len(calls) == 1 else x.exp()

    y = checkpoint(f, tg.ones(2, requires_grad=True))
    with pytest.raises(CheckpointError, match="2 the first time, 1 now"):
        y.sum().backward()


def test_an_argument_that_was_overwritten_in_between():
    x = tg.ones(2, requires_grad=True)
    h = x * 1
    y = checkpoint(lambda v: v.exp(), h)
    with tg.no_grad():
        h.add_(1)
    with pytest.raises(RuntimeError, match="E201"):
        y.sum().backward()


def test_writes_elsewhere_do_not_run_everything_again():
    calls = []

    def f(x):
        calls.append(1)
        return x.exp()

    y = checkpoint(f, tg.ones(2, requires_grad=True))
    tg.zeros(3).add_(1)  # now the engine looks for overwritten values
    y.sum().backward()
    assert len(calls) == 2


def test_the_random_stream_goes_on_as_if_nothing_had_been_repeated():
    tg.manual_seed(0)
    x = tg.ones(20, requires_grad=True)
    checkpoint(lambda v: nn.functional.dropout(v * v, 0.5), x).sum().backward()
    after = tg.rand(3)
    tg.manual_seed(0)
    nn.functional.dropout(tg.ones(20), 0.5)
    assert tg.rand(3).tolist() == after.tolist()


def test_contexts_and_wrong_arguments():
    from contextlib import contextmanager

    entered = []

    @contextmanager
    def noting(name):
        entered.append(name)
        yield

    y = checkpoint(lambda v: v.exp(), tg.ones(1, requires_grad=True), context_fn=lambda: (noting("a"), noting("b")))
    y.backward()
    assert entered == ["a", "b"]
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(lambda v: v, tg.ones(1), determinism_check="often")
    with pytest.raises(ValueError, match="segments must be between 1 and 6"):
        checkpoint_sequential(network(), 7, tg.ones(1, 4))
