"""What is saved for backward, passed through the user's functions: the same gradients, and the calls that PyTorch makes."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, registry
from tinygrad_edu.autograd.graph import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from tinygrad_edu.errors import GraphError
from tinygrad_edu.utils.checkpoint import checkpoint


def loss_of(lib, x, w):
    hidden = lib.nn.functional.linear(x, w).tanh()
    return (lib.cat([hidden, hidden * hidden], 1).softmax(1) ** 2).sum() + hidden.max(1).values.exp().sum()


def leaves(lib):
    rng = np.random.default_rng(0)
    return [lib.tensor(rng.normal(size=s), requires_grad=True) for s in ((4, 3), (5, 3))]


def to_disk(folder):
    files = iter(range(10**6))

    def pack(t):
        path = folder / f"{next(files)}.npy"
        np.save(path, t.numpy())
        return path

    return pack, lambda path: tg.from_numpy(np.load(path))


def test_gradients_are_the_same_from_files(tmp_path):
    plain, packed = leaves(tg), leaves(tg)
    loss_of(tg, *plain).backward()
    with saved_tensors_hooks(*to_disk(tmp_path)):
        loss = loss_of(tg, *packed)
    assert list(tmp_path.iterdir())
    loss.backward()
    for a, b in zip(plain, packed, strict=True):
        np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_what_unpack_returns_is_what_the_rules_read():
    torch = pytest.importorskip("torch")

    def run(lib, hooks):
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        with hooks(lambda t: t * 10, lambda t: t):
            y = (x * x).exp()
        y.sum().backward()
        return x.grad.numpy()

    np.testing.assert_allclose(
        run(tg, saved_tensors_hooks), run(torch, torch.autograd.graph.saved_tensors_hooks), rtol=1e-6
    )


@pytest.mark.parametrize("passes", [1, 3])
def test_hooks_are_called_as_often_as_torch_calls_them(passes):
    torch = pytest.importorskip("torch")

    def run(lib, hooks):
        calls = []
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        with hooks(lambda t: calls.append("pack") or t, lambda t: calls.append("unpack") or t):
            y = ((x * x).exp() * x).sum()
        for i in range(passes):
            y.backward(retain_graph=i < passes - 1)
        return calls

    assert run(tg, saved_tensors_hooks) == run(torch, torch.autograd.graph.saved_tensors_hooks)


def test_gradients_of_gradients_pass_through(tmp_path):
    def curvature(hooked):
        x = tg.tensor([0.3, -0.7], requires_grad=True)
        if hooked:
            with saved_tensors_hooks(*to_disk(tmp_path)):
                (slope,) = tg.autograd.grad(((x * x).sin() * x).sum(), x, create_graph=True)
        else:
            (slope,) = tg.autograd.grad(((x * x).sin() * x).sum(), x, create_graph=True)
        return tg.autograd.grad(slope.sum(), x)[0].tolist()

    assert curvature(True) == curvature(False)


def test_the_innermost_pair_counts():
    calls = []
    x = tg.ones(2, requires_grad=True)

    def pair(name):
        return saved_tensors_hooks(lambda t: calls.append(name) or t, lambda t: t)

    with pair("outer"):
        a = x.exp()
        with pair("inner"):
            b = a.exp()
        c = b.exp()
    c.exp()
    assert calls == ["outer", "inner", "outer"]


def test_tensors_of_a_function_pass_through():
    class Cube(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, None)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            x, nothing = ctx.saved_tensors
            assert nothing is None
            return grad * 3 * x**2

    kept = []
    x = tg.tensor(2.0, requires_grad=True)
    with saved_tensors_hooks(lambda t: kept.append(t.item()) or t.item(), tg.tensor):
        y = Cube.apply(x)
    y.backward()
    assert kept == [2.0]
    assert x.grad.item() == 12.0


def test_a_whole_network_trains_the_same():
    def trained(context):
        tg.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
        )
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        x, y = tg.randn(4, 1, 6, 6), tg.tensor([0, 1, 2, 0])
        for _ in range(3):
            optimizer.zero_grad()
            with context():
                loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        return [p.detach().numpy().copy() for p in model.parameters()]

    plain = trained(tg.enable_grad)
    for context in (save_on_cpu, lambda: saved_tensors_hooks(lambda t: t.numpy().copy(), tg.from_numpy)):
        for a, b in zip(trained(context), plain, strict=True):
            np.testing.assert_array_equal(a, b)


def test_together_with_checkpoint():
    x = tg.tensor([0.3, -0.7], requires_grad=True)
    with save_on_cpu(pin_memory=True):
        out = checkpoint(lambda v: (v * v).exp().sin(), x) * x
    out.sum().backward()
    y = x.detach().requires_grad_()
    ((y * y).exp().sin() * y).sum().backward()
    assert x.grad.tolist() == y.grad.tolist()


def test_memory_is_freed_without_the_garbage_collector():
    x = tg.ones(3, requires_grad=True)
    with saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        y = (x * 2).exp()
    node = weakref.ref(y.grad_fn)
    gc.disable()
    try:
        del y
        assert node() is None
    finally:
        gc.enable()


def test_only_this_thread_and_only_the_block():
    calls = []
    with saved_tensors_hooks(lambda t: calls.append(1) or t, lambda t: t):
        other = threading.Thread(target=lambda: tg.ones(2, requires_grad=True).exp())
        other.start()
        other.join()
    tg.ones(2, requires_grad=True).exp()
    assert not calls
    assert not registry.observers


def test_a_tensor_that_was_only_looked_at_is_still_watched():
    w, v = tg.ones(2, requires_grad=True), tg.ones(2)
    with saved_tensors_hooks(lambda t: t, lambda t: t):
        y = w * v
    v.add_(1)
    with pytest.raises(GraphError, match="modified by an inplace operation"):
        y.sum().backward()
    with saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        z = w * v
    v.add_(1)
    z.sum().backward()  # the copy is as it was
    assert w.grad.tolist() == [2.0, 2.0]


def test_mistakes_are_named():
    x = tg.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = x.exp()
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor but got result of type int"):
        y.sum().backward()
    with saved_tensors_hooks(lambda t: t, lambda t: t[:1]):
        y = x.exp()
    with pytest.raises(RuntimeError, match=r"unpack_hook returned shape \(1,\)"):
        y.sum().backward()
    with (
        pytest.raises(RuntimeError, match="pack hook is modifying its input in place"),
        saved_tensors_hooks(lambda t: t.add_(1), lambda t: t),
    ):
        (x * 2).exp()
    assert (x * 2).tolist() == [2.0, 2.0]  # the hook could not write to the number that all programs share


def test_hooks_can_be_refused():
    pair = saved_tensors_hooks(lambda t: t, lambda t: t)
    with disable_saved_tensors_hooks("none here"), pytest.raises(RuntimeError, match="none here"), pair:
        pass
    with pair:
        pass
