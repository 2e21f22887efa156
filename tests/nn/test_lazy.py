"""Lazy layers: they take their sizes from the first batch and are then what PyTorch's become."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

CASES = [
    ("LazyLinear", (3,), {}, (4, 5)),
    ("LazyLinear", (3,), {"bias": False}, (2, 4, 5)),
    ("LazyConv1d", (6, 3), {"stride": 2}, (2, 4, 9)),
    ("LazyConv1d", (6, 3), {}, (4, 9)),
    ("LazyConv2d", (6, 3), {"padding": 1, "groups": 2}, (2, 4, 5, 6)),
    ("LazyConv3d", (2, 2), {"bias": False}, (2, 4, 3, 4, 3)),
    ("LazyConvTranspose1d", (6, 3), {"stride": 2, "output_padding": 1}, (2, 4, 5)),
    ("LazyConvTranspose2d", (6, 3), {"groups": 2}, (2, 4, 5, 6)),
    ("LazyConvTranspose3d", (2, 2), {}, (2, 4, 3, 4, 3)),
    ("LazyBatchNorm1d", (), {}, (6, 4)),
    ("LazyBatchNorm1d", (), {"momentum": 0.5}, (6, 4, 3)),
    ("LazyBatchNorm2d", (), {"affine": False}, (6, 4, 3, 2)),
    ("LazyBatchNorm3d", (), {"track_running_stats": False}, (6, 4, 3, 2, 2)),
    ("LazyInstanceNorm1d", (), {"affine": True}, (6, 4, 3)),
    ("LazyInstanceNorm2d", (), {"affine": True, "track_running_stats": True}, (6, 4, 3, 2)),
    ("LazyInstanceNorm3d", (), {}, (6, 4, 3, 2, 2)),
]


def array(t) -> np.ndarray:
    return np.asarray(t.detach().numpy())


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize(("name", "args", "options", "shape"), CASES, ids=str)
def test_equals_pytorch(name, args, options, shape):
    torch = pytest.importorskip("torch")
    x, results = np.random.default_rng(0).normal(size=shape).astype(np.float32), []
    for lib in (tg, torch):
        layer = getattr(lib.nn, name)(*args, **options)
        before = repr(layer)
        lib.manual_seed(3)
        fed = lib.tensor(x, requires_grad=True)
        out = layer(fed)
        (out * out * out).sum().backward()
        parts = dict(layer.state_dict())
        found = [out, fed.grad, *parts.values(), *(p.grad for p in layer.parameters())]
        results.append(([before, repr(layer), type(layer).__name__, list(parts)], [array(t) for t in found]))
    assert results[0][0] == results[1][0]
    for mine, theirs in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-5)


def test_an_optimizer_may_be_made_before_the_first_batch():
    tg.manual_seed(0)
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    x, y = tg.randn(8, 1, 6, 6), tg.tensor([0, 1] * 4)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert [type(layer) for layer in model] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Flatten, nn.Linear]
    assert all(type(p) is nn.Parameter for p in model.parameters())
    assert losses[-1] < 0.2 * losses[0]


def test_what_has_no_shape_yet_says_so():
    layer = nn.LazyLinear(3)
    assert isinstance(layer, nn.Linear)
    assert repr(layer.weight) == "<UninitializedParameter>"
    for ask in (lambda: layer.weight.shape, lambda: layer.weight.numel(), lambda: layer.state_dict()):
        with pytest.raises(
            RuntimeError, match=r"not known before the first batch\. Fix: run one batch through the model first"
        ):
            ask()
    with pytest.raises(
        RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input, but got input of size \(4, 5\)"
    ):
        nn.LazyConv2d(3, 3)(tg.zeros(4, 5))


@pytest.mark.parametrize("name", sorted({case[0] for case in CASES} | {"DataParallel"}))
def test_signatures(name):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(getattr(lib.nn, name)).parameters.values()]
        for lib in (tg, torch)
    )
    assert ours == theirs


def test_data_parallel_passes_everything_on():
    inner = nn.Linear(4, 3)
    model = nn.DataParallel(inner)
    x = tg.randn(2, 4)
    np.testing.assert_array_equal(array(model(x)), array(inner(x)))
    assert model.module is inner
    assert list(model.state_dict()) == ["module.weight", "module.bias"]
