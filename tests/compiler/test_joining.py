"""Convolution, relu and max-pooling become one call where nobody looks between them, with the same numbers."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim


def names(recorded):
    program = recorded.programs[-1].program
    return [call.name for call in program.calls if call.kind == "op"]


BODIES = {
    "pool": (lambda: [nn.ReLU(), nn.MaxPool2d(2)], "convolution + relu + max_pool"),
    "no pool": (lambda: [nn.ReLU()], "convolution + relu"),
    "pool of 3": (lambda: [nn.ReLU(), nn.MaxPool2d(3)], "convolution + relu + max_pool"),
    "overlapping pool": (lambda: [nn.ReLU(), nn.MaxPool2d(3, 2)], "convolution + relu"),
    "other activation": (lambda: [nn.Tanh(), nn.MaxPool2d(2)], "convolution"),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("bias", [True, False])
def test_equal_to_the_tape(body, bias):
    make, expected = BODIES[body]

    def trained(compiled):
        tg.manual_seed(0)
        first = nn.Conv2d(2, 4, 3, padding=1, bias=bias)
        model = nn.Sequential(first, *make(), nn.Conv2d(4, 3, 3), *make(), nn.Flatten(), nn.LazyLinear(3))
        model(tg.zeros(1, 2, 16, 16))
        sgd = optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            sgd.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            sgd.step()
            return loss

        run = tg.compile(step) if compiled else step
        draw = np.random.default_rng(0)
        losses = []
        for _ in range(5):
            x = tg.tensor(draw.standard_normal((6, 2, 16, 16)).astype(np.float32))
            losses.append(run(x, tg.tensor(draw.integers(0, 3, 6))).item())
        if compiled:
            assert names(run).count(expected) == 2
        return losses, [p.grad.numpy() for p in model.parameters()]

    taped, recorded = trained(False), trained(True)
    np.testing.assert_allclose(recorded[0], taped[0], rtol=1e-5)
    for mine, theirs in zip(recorded[1], taped[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_forward_alone_and_a_module():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    x = tg.randn(3, 1, 8, 8)
    compiled = tg.compile(model)
    for _ in range(4):
        model.zero_grad()
        out = compiled(x)
        out.sum().backward()
    assert names(compiled.recorded) == ["convolution + relu + max_pool"]
    mine = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    wanted = model(x)
    wanted.sum().backward()
    np.testing.assert_allclose(out.detach().numpy(), wanted.detach().numpy(), rtol=1e-6)
    for g, p in zip(mine, model.parameters(), strict=True):
        np.testing.assert_allclose(g.numpy(), p.grad.numpy(), rtol=1e-5)
    with tg.no_grad():
        for _ in range(3):
            np.testing.assert_allclose(compiled(x).numpy(), wanted.detach().numpy(), rtol=1e-6)


def test_what_is_looked_at_stays():
    conv = nn.Conv2d(1, 2, 3)

    @tg.compile
    def step(x):
        inner = F.relu(conv(x))
        return F.max_pool2d(inner, 2).sum() + inner.mean()

    @tg.compile
    def returned(x):
        inner = conv(x)
        return inner, F.relu(inner).sum()

    x = tg.randn(2, 1, 6, 6)
    with tg.no_grad():
        for _ in range(3):
            step(x)
            returned(x)
    assert names(step)[0] == "convolution + relu"
    assert "convolution" in names(returned)
