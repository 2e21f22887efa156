"""Gradients of convolutions as functions: PyTorch's numbers, and the numbers that backward gives."""

import numpy as np
import pytest

import tinygrad_edu as tg

torch = pytest.importorskip("torch")

CASES = [
    (1, (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    (1, (1, 2, 7), (3, 2, 2), {"dilation": 2}),
    (2, (2, 3, 6, 7), (4, 3, 2, 3), {"stride": (2, 1), "padding": (1, 0)}),
    (2, (1, 4, 8, 8), (4, 1, 3, 3), {"dilation": 2, "groups": 4}),
    (3, (1, 2, 4, 5, 4), (3, 2, 2, 2, 2), {"padding": 1}),
]


@pytest.mark.parametrize(("dims", "x_shape", "w_shape", "options"), CASES)
def test_both_gradients(dims, x_shape, w_shape, options):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    g = rng.normal(size=getattr(torch.nn.functional, f"conv{dims}d")(torch.tensor(x), torch.tensor(w), **options).shape)
    results = []
    for lib in (tg, torch):
        of_input, of_weight = (getattr(lib.nn.grad, f"conv{dims}d_{which}") for which in ("input", "weight"))
        gx = of_input(x_shape, lib.tensor(w), lib.tensor(g), **options)
        gw = of_weight(lib.tensor(x), w_shape, lib.tensor(g), **options)
        results.append((gx.numpy(), gw.numpy()))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_they_can_be_differentiated():
    g = tg.randn(1, 2, 3, 3, dtype=tg.float64, requires_grad=True)
    weight = tg.randn(2, 3, 2, 2, dtype=tg.float64)
    out = tg.nn.grad.conv2d_input((1, 3, 4, 4), weight, g)
    out.sum().backward()
    ones = tg.ones(1, 3, 4, 4, dtype=tg.float64)
    np.testing.assert_allclose(g.grad.numpy(), tg.nn.functional.conv2d(ones, weight).numpy(), rtol=1e-12)
