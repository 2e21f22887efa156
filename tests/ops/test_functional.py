"""nn.functional: PyTorch's names and argument orders, and activations that write over their input."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

X = np.linspace(-4, 7, 12, dtype=np.float32)
IN_PLACE = {
    "relu": (), "relu6": (), "leaky_relu": (0.2,), "rrelu": (0.1, 0.3, False), "elu": (0.7,), "selu": (), "celu": (0.7,),
    "silu": (), "mish": (), "hardtanh": (-2.0, 3.0), "hardsigmoid": (), "hardswish": (), "threshold": (0.5, -3.0),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_activations_write_over_their_input(name):
    x = tg.from_numpy(X.copy())
    wanted = getattr(F, name)(x, *IN_PLACE[name])
    assert x.tolist() == X.tolist()
    assert getattr(F, name)(x, *IN_PLACE[name], True) is x
    assert x.tolist() == wanted.tolist()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "rrelu", "elu", "selu", "celu", "hardtanh", "threshold"])
def test_underscore_names_are_the_in_place_ones(name):
    x = tg.from_numpy(X.copy())
    assert getattr(F, name + "_")(x, *IN_PLACE[name]) is x
    assert x.tolist() == getattr(F, name)(tg.from_numpy(X.copy()), *IN_PLACE[name]).tolist()


def test_gradients_pass_an_in_place_activation():
    x = tg.from_numpy(X.copy()).requires_grad_()
    y = x * 1.0
    F.relu(y, inplace=True)
    y.sum().backward()
    assert x.grad.tolist() == (X > 0).astype(float).tolist()


@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_against_torch(name):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)(torch.from_numpy(X.copy()), *IN_PLACE[name])
    np.testing.assert_allclose(
        getattr(F, name)(tg.from_numpy(X.copy()), *IN_PLACE[name]).numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6
    )


def test_signatures_follow_torch():
    theirs = pytest.importorskip("torch").nn.functional
    for name in F.__all__:
        try:
            wanted = [p for p in inspect.signature(getattr(theirs, name)).parameters if p not in ("_stacklevel", "out")]
        except ValueError:  # a built-in without a signature
            continue
        if wanted in (["args", "kwargs"], ["input"]):
            continue
        ours = [p for p in inspect.signature(getattr(F, name)).parameters if p != "axis"]
        assert ours[: len(wanted)] == wanted, name


def test_every_name_is_there_and_explained():
    for name in F.__all__:
        assert (getattr(F, name).__doc__ or "").strip(), name
