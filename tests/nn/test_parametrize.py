"""Weights made from other tensors: names, values, gradients and checks as PyTorch's."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn.utils import parametrizations, parametrize

torch = pytest.importorskip("torch")

LAYERS = {
    "Linear": lambda n: n.Linear(3, 5),
    "wide Linear": lambda n: n.Linear(5, 3),
    "square Linear": lambda n: n.Linear(4, 4),
    "Conv2d": lambda n: n.Conv2d(2, 3, 3),
    "ConvTranspose1d": lambda n: n.ConvTranspose1d(2, 3, 2),
}
INPUTS = {
    "Linear": (4, 3),
    "wide Linear": (4, 5),
    "square Linear": (2, 4),
    "Conv2d": (2, 2, 5, 5),
    "ConvTranspose1d": (2, 2, 4),
}
CASES = [
    ("weight_norm", "Linear", {}),
    ("weight_norm", "Linear", {"dim": None}),
    ("weight_norm", "Conv2d", {"dim": 1}),
    ("weight_norm", "ConvTranspose1d", {"dim": 2}),
    ("weight_norm", "Linear", {"name": "bias"}),
    ("spectral_norm", "Linear", {}),
    ("spectral_norm", "Conv2d", {"n_power_iterations": 3}),
    ("spectral_norm", "ConvTranspose1d", {}),
    ("spectral_norm", "wide Linear", {"dim": 1, "eps": 1e-6}),
    ("spectral_norm", "Linear", {"name": "bias"}),
    ("orthogonal", "Linear", {}),
    ("orthogonal", "wide Linear", {}),
    ("orthogonal", "square Linear", {}),
    ("orthogonal", "Linear", {"orthogonal_map": "matrix_exp"}),
    ("orthogonal", "wide Linear", {"orthogonal_map": "cayley"}),
    ("orthogonal", "Conv2d", {"orthogonal_map": "cayley"}),
    ("orthogonal", "Linear", {"use_trivialization": False}),
    ("orthogonal", "wide Linear", {"use_trivialization": False}),
    ("orthogonal", "square Linear", {"use_trivialization": False, "orthogonal_map": "matrix_exp"}),
]


def filled(lib, layer):
    """A float64 layer with the same weights in both libraries."""
    made = LAYERS[layer](lib.nn).double()
    rng = np.random.default_rng(3)
    with lib.no_grad():
        for p in made.parameters():
            p.copy_(lib.tensor(rng.normal(size=tuple(p.shape))))
    return made


def arrays(state):
    return {key: np.array(value.detach().numpy()) for key, value in state.items()}


def assert_same(ours, theirs, rtol=1e-9):
    assert list(ours) == list(theirs)
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=rtol, atol=1e-10, err_msg=key)


def trained(lib, kind, layer, options):
    """State at first, then states and outputs along some steps of gradient descent, and the class as printed."""
    lib.manual_seed(0)
    model = filled(lib, layer)
    same = getattr(lib.nn.utils.parametrizations, kind)(model, **options)
    assert same is model
    optimizer = lib.optim.SGD(model.parameters(), lr=0.05)
    x = lib.tensor(np.random.default_rng(8).normal(size=INPUTS[layer]))
    seen = [arrays(model.state_dict())]
    for _ in range(3):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        gradients = arrays({name: p.grad for name, p in model.named_parameters()})
        optimizer.step()
        seen += [arrays({"loss": loss}), gradients, arrays(model.state_dict())]
    model.eval()
    seen.append(arrays({"out": model(x)}))
    return seen, repr(model)


@pytest.mark.parametrize(("kind", "layer", "options"), CASES)
def test_training_goes_as_in_torch(kind, layer, options):
    ours, theirs = trained(tg, kind, layer, options), trained(torch, kind, layer, options)
    for mine, their in zip(ours[0], theirs[0], strict=True):
        assert_same(mine, their)
    assert ours[1] == theirs[1]


@pytest.mark.parametrize("options", [{}, {"orthogonal_map": "cayley"}, {"orthogonal_map": "matrix_exp"}])
@pytest.mark.parametrize("layer", ["Linear", "wide Linear", "square Linear"])
def test_orthogonal_stays_orthogonal(layer, options):
    model = parametrizations.orthogonal(filled(tg, layer), **options)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.1)
    x = tg.randn(*INPUTS[layer], dtype=tg.float64)
    before = model.weight.detach().numpy()
    for _ in range(5):
        optimizer.zero_grad()
        (model(x) ** 3).sum().backward()
        optimizer.step()
    W = model.weight.detach().numpy()
    W = W.T if W.shape[0] < W.shape[1] else W
    np.testing.assert_allclose(W.T @ W, np.eye(W.shape[1]), atol=1e-10)
    assert np.abs(model.weight.detach().numpy() - before).max() > 0.01


def test_assigning_an_orthogonal_matrix():
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    for options in ({}, {"orthogonal_map": "cayley"}):
        layer = parametrizations.orthogonal(filled(tg, "square Linear"), **options)
        layer.weight = tg.tensor(Q)
        np.testing.assert_allclose(layer.weight.detach().numpy(), Q, atol=1e-12)
    plain = parametrizations.orthogonal(filled(tg, "square Linear"), "weight", "cayley", use_trivialization=False)
    with pytest.raises(NotImplementedError, match="Cayley"):
        plain.weight = tg.tensor(Q)


def test_weight_norm_of_the_present_weight():
    layer = filled(tg, "Linear")
    before, parameter = layer.weight.detach().numpy().copy(), layer.bias
    parametrizations.weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-12)
    assert layer.bias is parameter
    layer.weight = tg.ones(5, 3, dtype=tg.float64)
    np.testing.assert_allclose(layer.parametrizations.weight.original0.detach().numpy(), np.full((5, 1), 3**0.5))
    layer.weight = nn.Parameter(2 * tg.ones(5, 3, dtype=tg.float64))
    np.testing.assert_allclose(layer.weight.detach().numpy(), np.full((5, 3), 2.0))
    assert "weight" not in layer.state_dict()


def symmetric(lib):
    class Symmetric(lib.nn.Module):
        def forward(self, X):
            return X.triu() + X.triu(1).mT

        def right_inverse(self, A):
            return A.triu()

    class Scaled(lib.nn.Module):
        def forward(self, X):
            return 2 * X

    return Symmetric(), Scaled()


def chained(lib):
    """Two parametrizations on one weight, one on the bias; then the first is taken off again."""
    model = filled(lib, "square Linear")
    P = lib.nn.utils.parametrize
    weight, bias = symmetric(lib), symmetric(lib)[1]
    P.register_parametrization(model, "weight", weight[0])
    P.register_parametrization(model, "weight", weight[1])
    P.register_parametrization(model, "bias", bias)
    seen = [arrays(model.state_dict()), arrays({"w": model.weight, "b": model.bias}), repr(model)]
    (model.weight**3).sum().backward()
    seen.append(arrays({name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    P.remove_parametrizations(model, "weight")
    seen += [arrays(model.state_dict()), repr(model)]
    P.remove_parametrizations(model, "bias", leave_parametrized=False)
    return [*seen, arrays(model.state_dict()), repr(model)], model


def test_several_and_removal_as_in_torch():
    (ours, model), (theirs, _) = chained(tg), chained(torch)
    for mine, their in zip(ours, theirs, strict=True):
        if isinstance(mine, str):
            assert mine == their
        else:
            assert_same(mine, their)
    assert type(model) is nn.Linear and not parametrize.is_parametrized(model)


def test_removal_keeps_the_parameter_that_the_optimizer_knows():
    layer = filled(tg, "square Linear")
    parameter = layer.weight
    parametrize.register_parametrization(layer, "weight", symmetric(tg)[0])
    assert layer.parametrizations.weight.original is parameter
    assert parametrize.is_parametrized(layer, "weight") and not parametrize.is_parametrized(layer, "bias")
    assert parametrize.type_before_parametrizations(layer) is nn.Linear and isinstance(layer, nn.Linear)
    value = layer.weight.detach().numpy()
    assert parametrize.remove_parametrizations(layer, "weight").weight is parameter
    np.testing.assert_array_equal(parameter.detach().numpy(), value)


def test_copies_are_independent():
    first = parametrizations.spectral_norm(parametrizations.weight_norm(filled(tg, "Linear")), "bias")
    second = copy.deepcopy(first)
    assert repr(second) == repr(first)
    x = tg.ones(2, 3, dtype=tg.float64)
    np.testing.assert_array_equal(second(x).detach().numpy(), first(x).detach().numpy())
    parametrize.remove_parametrizations(second, "weight")
    assert type(second).__name__ == "ParametrizedLinear" and parametrize.is_parametrized(first, "weight")
    assert list(second.state_dict()) == ["weight", "parametrizations.bias.original"]


def test_a_state_of_torchs_can_be_loaded():
    theirs = torch.nn.utils.parametrizations.spectral_norm(filled(torch, "Conv2d"))
    ours = parametrizations.spectral_norm(filled(tg, "Conv2d"))
    ours.load_state_dict({key: tg.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    ours.eval()
    theirs.eval()
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-12)


def test_cached_computes_once():
    class Counting(nn.Module):
        calls = 0

        def forward(self, X):
            Counting.calls += 1
            return X * 1

    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counting())
    Counting.calls = 0
    with parametrize.cached():
        with parametrize.cached():
            first = layer.weight
        assert layer.weight is first
    assert Counting.calls == 1
    assert layer.weight is not first


def test_a_recurrent_cell_with_an_orthogonal_kernel():
    cell = parametrizations.orthogonal(nn.RNNCell(2, 3), "weight_hh")
    h = cell(tg.randn(1, 2))
    with parametrize.cached():
        for _ in range(3):
            h = cell(tg.randn(1, 2), h)
    h.sum().backward()
    assert cell.parametrizations.weight_hh.original.grad.abs().sum().item() > 0


def test_wrong_use():
    layer = nn.Linear(2, 3)
    with pytest.raises(ValueError, match=r"does not have a parameter, a buffer, .* name 'kernel'"):
        parametrize.register_parametrization(layer, "kernel", nn.Identity())
    with pytest.raises(ValueError, match="no parameter or buffer with name 'kernel'"):
        parametrizations.weight_norm(layer, "kernel")
    with pytest.raises(ValueError, match=r"may not change the shape.*unsafe=True"):
        parametrize.register_parametrization(layer, "weight", nn.Flatten(0))
    with pytest.raises(ValueError, match="a parametrization on weight"):
        parametrize.remove_parametrizations(layer, "weight")
    assert list(layer.state_dict()) == ["weight", "bias"]
    with pytest.raises(ValueError, match="orthogonal_map has to be one of"):
        parametrizations.orthogonal(layer, orthogonal_map="qr")
    with pytest.raises(ValueError, match="tensor of 1 dimensions"):
        parametrizations.orthogonal(layer, "bias")
    with pytest.raises(ValueError, match="n_power_iterations to be positive"):
        parametrizations.spectral_norm(layer, n_power_iterations=0)
    with pytest.raises(IndexError, match="Dimension out of range"):
        parametrizations.spectral_norm(layer, dim=2)
    parametrizations.weight_norm(layer)
    with pytest.raises(ValueError, match="sequence of tensors"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    parametrize.register_parametrization(layer, "weight", symmetric(tg)[1])
    with pytest.raises(RuntimeError, match="Scaled does not implement right_inverse"):
        layer.weight = tg.zeros(3, 2)
    with pytest.raises(ValueError, match="may not change the dtype"):
        parametrize.register_parametrization(layer, "bias", _Halved())


class _Halved(nn.Module):
    def forward(self, x):
        return x.double() / 2
