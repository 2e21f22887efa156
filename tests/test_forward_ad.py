"""Forward mode: tangents equal PyTorch's, and can themselves be differentiated."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.autograd.forward_ad as fw
from tinygrad_edu import nn

torch = pytest.importorskip("torch")
fw_torch = pytest.importorskip("torch.autograd.forward_ad")

FUNCTIONS = {
    "product": lambda lib, x: x * x * 3 + x,
    "sin of matmul": lambda lib, x: (x @ x.T).sin(),
    "softmax": lambda lib, x: lib.softmax(x, 1).log(),
    "reduction": lambda lib, x: (x.exp().sum(1) - x.max(1).values).mean(),
    "stacking": lambda lib, x: lib.cat([x, x.tanh()], 0)[1:, ::2].var(0),
    "conv": lambda lib, x: lib.nn.functional.conv1d(x.reshape(1, 1, -1), x.reshape(1, 1, -1)[..., :3]),
}


def slopes(lib, forward, function, x, t):
    with forward.dual_level():
        dual = forward.make_dual(lib.tensor(x), lib.tensor(t))
        out = forward.unpack_dual(function(lib, dual))
    return out.primal, out.tangent


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tangents_equal_torch(name):
    x, t = np.random.default_rng(0).normal(size=(2, 3, 4))
    for ours, theirs in zip(
        slopes(tg, fw, FUNCTIONS[name], x, t), slopes(torch, fw_torch, FUNCTIONS[name], x, t), strict=True
    ):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-12)


def test_several_dual_tensors_and_an_in_place_operation():
    def run(lib, forward):
        with forward.dual_level():
            x = forward.make_dual(lib.tensor([1.0, 2.0]), lib.tensor([0.5, -1.0]))
            y = forward.make_dual(lib.tensor([3.0, 4.0]), lib.tensor([2.0, 1.0]))
            x *= y
            first = forward.unpack_dual(x * x / y).tangent
            return (
                first.tolist(),
                forward.unpack_dual(x + 1).tangent.tolist(),
                forward.unpack_dual(y * 2).tangent.tolist(),
            )

    for ours, theirs in zip(run(tg, fw), run(torch, fw_torch), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)


def test_the_directional_derivative_of_a_network_by_its_parameters():
    rng = np.random.default_rng(1)
    values = [rng.normal(size=s) for s in ((5, 3), (5,), (2, 5), (2,))]
    directions = [rng.normal(size=v.shape) for v in values]
    x = rng.normal(size=(4, 3))

    def run(lib, forward):
        model = lib.nn.Sequential(lib.nn.Linear(3, 5), lib.nn.Tanh(), lib.nn.Linear(5, 2))
        layers = [(model[0], "weight"), (model[0], "bias"), (model[2], "weight"), (model[2], "bias")]
        with forward.dual_level():
            for (layer, name), value, direction in zip(layers, values, directions, strict=True):
                delattr(layer, name)
                setattr(layer, name, forward.make_dual(lib.tensor(value), lib.tensor(direction)))
            return forward.unpack_dual(model(lib.tensor(x))).tangent.numpy()

    np.testing.assert_allclose(run(tg, fw), run(torch, fw_torch), rtol=1e-10)


def test_a_tangent_can_be_differentiated_backwards():
    def run(lib, forward):
        x = lib.tensor([0.3, -0.7], requires_grad=True, dtype=lib.float64)
        t = lib.tensor([1.0, 2.0], requires_grad=True, dtype=lib.float64)
        with forward.dual_level():
            value, slope = forward.unpack_dual(forward.make_dual(x, t).sin() ** 2)
            (value.sum() + (slope * slope).sum()).backward()
        return x.grad.numpy(), t.grad.numpy()

    for ours, theirs in zip(run(tg, fw), run(torch, fw_torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_what_has_no_tangent():
    plain = tg.ones(2)
    assert fw.unpack_dual(plain).tangent is None  # outside a level
    with fw.dual_level():
        dual = fw.make_dual(plain, plain)
        assert fw.unpack_dual(plain).tangent is None
        assert fw.unpack_dual(tg.ones(2, requires_grad=True) * 2).tangent is None
        assert fw.unpack_dual(dual.detach()).tangent is None
        assert fw.unpack_dual(dual > 0).tangent is None
        linear = fw.unpack_dual(dual)
        assert linear.tangent.tolist() == [1.0, 1.0]
        assert not linear.primal.requires_grad
        assert not linear.tangent.requires_grad
    assert fw.unpack_dual(dual).tangent is None  # the level is gone


def test_a_level_records_inside_no_grad_and_leaves_the_mode_as_it_was():
    with tg.no_grad():
        with fw.dual_level():
            x = fw.make_dual(tg.tensor(2.0), tg.tensor(1.0))
            assert fw.unpack_dual(x**3).tangent.item() == 12.0
        assert not tg.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), fw.dual_level():
        raise ZeroDivisionError
    with fw.dual_level():  # the one before was closed
        pass


def test_parameters_get_no_gradient_from_unpacking():
    layer = nn.Linear(2, 2)
    with fw.dual_level():
        out = layer(fw.make_dual(tg.ones(1, 2), tg.ones(1, 2)))
        tangent = fw.unpack_dual(out).tangent
    assert layer.weight.grad is None
    np.testing.assert_allclose(tangent.detach().numpy()[0], layer.weight.detach().numpy().sum(1), rtol=1e-6)


def mistakes(lib, forward):
    one, whole = lib.ones(2), lib.ones(2).long()
    return {
        "outside": lambda: forward.make_dual(one, one),
        "shape": lambda: forward.make_dual(one, lib.ones(3)),
        "integer primal": lambda: forward.make_dual(whole, one),
        "integer tangent": lambda: forward.make_dual(one, whole),
        "twice": lambda: forward.make_dual(forward.make_dual(one, one), one),
        "nested": forward.enter_dual_level,
        "number": lambda: forward.unpack_dual(3),
    }


@pytest.mark.parametrize("name", mistakes(tg, fw))
def test_mistakes_have_torchs_classes(name):
    raised = []
    for lib, forward in ((torch, fw_torch), (tg, fw)):
        if name == "outside":
            with pytest.raises(Exception) as info:
                mistakes(lib, forward)[name]()
        else:
            with forward.dual_level(), pytest.raises(Exception) as info:
                mistakes(lib, forward)[name]()
        raised.append(info.type)
    assert issubclass(raised[1], raised[0])


def test_a_level_that_was_not_entered_cannot_be_left():
    with pytest.raises(RuntimeError, match="not entered"):
        fw.exit_dual_level()
