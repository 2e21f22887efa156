"""Starting values: PyTorch's own numbers under one seed, the promised statistics, and refusals."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import init

CASES = [
    ("uniform_", (-1.0, 2.0)), ("normal_", (1.0, 2.0)), ("trunc_normal_", ()), ("trunc_normal_", (0.0, 1.0, 1.0, 1.5)),
    ("constant_", (0.3,)), ("ones_", ()), ("zeros_", ()), ("eye_", ()), ("xavier_uniform_", (2.0,)), ("xavier_normal_", ()),
    ("kaiming_uniform_", (math.sqrt(5),)), ("kaiming_uniform_", (0, "fan_out", "relu")), ("kaiming_normal_", (0.1,)),
    ("kaiming_normal_", (0, "fan_out", "tanh")), ("orthogonal_", (2.0,)), ("sparse_", (0.3,)),
]  # fmt: skip
ROUNDING = {np.float32: 5e-7, np.float64: 1e-15}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (40, 30), (3, 2)])
@pytest.mark.parametrize(("name", "args"), CASES)
def test_numbers_are_torchs(name, args, shape, dtype):
    torch = pytest.importorskip("torch")
    ours, theirs = tg.tensor(np.ones(shape, dtype)), torch.ones(shape, dtype=getattr(torch, np.dtype(dtype).name))
    tg.manual_seed(3)
    torch.manual_seed(3)
    assert getattr(init, name)(ours, *args) is ours
    getattr(torch.nn.init, name)(theirs, *args)
    # sine, cosine and QR may differ in the last digit; uniform numbers may not
    exact = "uniform" in name and "trunc" not in name
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=0 if exact else 4 * ROUNDING[dtype])


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_layers_start_with_torchs_very_numbers(seed):
    torch = pytest.importorskip("torch")
    make = [
        lambda nn: nn.Linear(3, 2), lambda nn: nn.Linear(784, 30), lambda nn: nn.Conv2d(1, 20, 5),
        lambda nn: nn.ConvTranspose2d(4, 6, 3, groups=2), lambda nn: nn.Bilinear(3, 4, 5),
        lambda nn: nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 2)),
    ]  # fmt: skip
    for build in make:
        tg.manual_seed(seed)
        torch.manual_seed(seed)
        for mine, their in zip(build(nn).parameters(), build(torch.nn).parameters(), strict=True):
            np.testing.assert_array_equal(mine.detach().numpy(), their.detach().numpy())


def test_statistics():
    tg.manual_seed(0)
    w = tg.zeros(400, 300)
    for fill, std in [
        (lambda: init.kaiming_normal_(w), math.sqrt(2 / 300)),
        (lambda: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 400)),
        (lambda: init.xavier_normal_(w), math.sqrt(2 / 700)),
        (lambda: init.xavier_uniform_(w, gain=3.0), 3 * math.sqrt(2 / 700)),
    ]:
        fill()
        assert abs(w.numpy().mean()) < 4 * std / math.sqrt(w.numel())
        np.testing.assert_allclose(w.numpy().std(), std, rtol=0.01)
    init.trunc_normal_(w, std=2.0, a=-1.0, b=3.0)
    assert -1 <= w.numpy().min() < -0.99 and 2.98 < w.numpy().max() <= 3
    init.orthogonal_(w)
    np.testing.assert_allclose(w.numpy().T @ w.numpy(), np.eye(300), atol=1e-5)
    init.sparse_(w, 0.9)
    np.testing.assert_array_equal((w.numpy() == 0).sum(0), 360)


def test_dirac_passes_channels_through():
    for shape, groups in [((4, 3, 3), 1), ((4, 2, 3, 5), 2), ((2, 2, 1, 3, 3), 1)]:
        weight = init.dirac_(tg.ones(*shape), groups)
        torch = pytest.importorskip("torch")
        np.testing.assert_array_equal(weight.numpy(), torch.nn.init.dirac_(torch.ones(*shape), groups).numpy())
    layer = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    init.dirac_(layer.weight)
    image = tg.randn(1, 3, 5, 5)
    np.testing.assert_allclose(layer(image).detach().numpy(), image.numpy(), rtol=1e-6)


def test_gains():
    assert init.calculate_gain("conv_transpose2d") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.calculate_gain("selu") == 0.75


def test_weights_that_want_gradients_are_filled_outside_the_graph():
    layer = nn.Linear(2, 2)
    init.ones_(layer.weight)
    assert layer.weight.is_leaf
    assert layer.weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_refusals():
    with pytest.raises(ValueError, match=r"fewer than 2 dimensions, got shape \(3,\)"):
        init.xavier_normal_(tg.zeros(3))
    with pytest.raises(ValueError, match="Mode sideways not supported"):
        init.kaiming_normal_(tg.zeros(3, 3), mode="sideways")
    with pytest.raises(ValueError, match="Unsupported nonlinearity gelu"):
        init.calculate_gain("gelu")
    with pytest.raises(ValueError, match="negative_slope True not a valid number"):
        init.calculate_gain("leaky_relu", True)
    with pytest.raises(ValueError, match="divisible by groups"):
        init.dirac_(tg.zeros(3, 1, 1), 2)
    for fill in (init.eye_, init.orthogonal_, lambda t: init.sparse_(t, 0.1), init.dirac_):
        with pytest.raises(ValueError, match="dimensions"):
            fill(tg.zeros(2))
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_uniform_(tg.zeros(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(tg.zeros(3), mean=0.0, std=0.1, a=0.5, b=0.6)
