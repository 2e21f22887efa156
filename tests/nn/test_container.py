"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict: as lists and dictionaries, and as PyTorch prints them."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.registry import observers


def test_sequential_runs_in_order():
    model = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.ReLU()))
    assert model(tg.zeros(1, 2)).shape == (1, 3)
    assert model.a is model[0]
    assert [n for n, _ in model.named_children()] == ["a", "b"]
    assert nn.Sequential()(5) == 5


def test_sequential_as_a_list():
    layers = [nn.Linear(1, 1), nn.ReLU(), nn.Tanh(), nn.Sigmoid()]
    model = nn.Sequential(*layers)
    assert list(model) == layers
    assert model[-1] is layers[-1]
    assert list(model[1:3]) == layers[1:3]
    model[1] = nn.ELU()
    assert isinstance(model[1], nn.ELU)
    del model[1]
    assert list(model._modules) == ["0", "1", "2"]
    assert model.pop(0) is layers[0]
    model.append(layers[0]).insert(1, layers[1]).extend([nn.GELU()])
    assert [type(m).__name__ for m in model] == ["Tanh", "ReLU", "Sigmoid", "Linear", "GELU"]
    assert len(model + nn.Sequential(nn.ReLU())) == 6
    assert len(nn.Sequential(nn.ReLU()) * 3) == len(3 * nn.Sequential(nn.ReLU())) == 3
    with pytest.raises(IndexError, match="index 9 is out of range: this Sequential holds 5 modules"):
        model[9]
    with pytest.raises(
        TypeError, match=r"relu is not a Module subclass\. Fix: nn\.ReLU\(\) is a layer, F\.relu is a function"
    ):
        nn.Sequential(nn.Linear(1, 1), nn.functional.relu)


def test_module_list():
    layers = [nn.Linear(1, 1) for _ in range(3)]
    held = nn.ModuleList(layers)
    assert list(held) == layers
    assert list(held[:2]) == layers[:2]
    held.insert(1, extra := nn.ReLU())
    assert list(held) == [layers[0], extra, *layers[1:]]
    held += [nn.Tanh()]
    del held[1:3]
    assert [type(m).__name__ for m in held] == ["Linear", "Linear", "Tanh"]
    assert list(held._modules) == ["0", "1", "2"]
    assert len(held + layers) == 6
    assert len(list(held.parameters())) == 4
    with pytest.raises(NotImplementedError, match="E121 in ModuleList"):
        held(tg.zeros(1))
    with pytest.raises(TypeError, match="iterable"):
        held.extend(3)


def test_module_dict():
    held = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
    held["c"] = nn.Tanh()
    held.update([("a", nn.ELU())])
    assert list(held) == list(held.keys()) == ["a", "b", "c"]
    assert isinstance(held["a"], nn.ELU)
    assert "b" in held
    assert [k for k, v in held.items() if isinstance(v, nn.Linear)] == ["b"]
    assert isinstance(held.pop("b"), nn.Linear)
    del held["a"]
    assert len(held) == 1
    with pytest.raises(KeyError):
        held["a"]
    held.clear()
    assert list(held.values()) == []


def test_parameter_containers():
    weights = nn.ParameterList([tg.zeros(2), nn.Parameter(tg.ones(3))])
    weights.append(tg.zeros(1))
    assert [type(w) for w in weights] == [nn.Parameter] * 3
    assert len(list(weights.parameters())) == 3
    assert weights[-1].shape == (1,)
    assert len(weights[1:]) == 2
    weights[0] = tg.ones(5)
    assert list(weights.state_dict()) == ["0", "1", "2"]
    assert weights[0].shape == (5,)
    with pytest.raises(TypeError, match=r"ParameterList\(\[tensor\]\)"):
        nn.ParameterList(tg.zeros(2))
    named = nn.ParameterDict({"a": tg.zeros(2)})
    named["b"] = tg.zeros(3)
    assert list(named) == ["a", "b"]
    assert named.get("z", 7) == 7
    assert named.setdefault("c", tg.zeros(1)) is named["c"]
    assert len(list(named.parameters())) == 3
    assert named.pop("a").shape == (2,)
    del named["b"]
    assert "b" not in named
    named.clear()
    assert len(named) == 0
    with pytest.raises(RuntimeError, match="not a layer"):
        named(3)


def test_printed_forms():
    torch = pytest.importorskip("torch")

    def build(nn):
        return [
            nn.Sequential(),
            nn.ModuleList(),
            nn.ModuleList([nn.Linear(1, 2), nn.Linear(1, 2), nn.ReLU(), nn.Linear(1, 2)]),
            nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Tanh())] * 2),
            nn.ModuleDict({"x": nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"y": nn.Tanh()}))}),
        ]

    for ours, theirs in zip(build(nn), build(torch.nn), strict=True):
        assert repr(ours) == repr(theirs)
    ours = repr(nn.ParameterList([tg.zeros(2, 3), 3]))
    assert ours.replace("tinygrad_edu", "torch") == repr(torch.nn.ParameterList([torch.zeros(2, 3), 3]))

    def lines(nn):
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.missing = None
                self.register_module("none", None)
                self.layer = nn.Linear(1, 1)

            def extra_repr(self):
                return "two\nlines"

        return repr(Block())

    assert lines(nn) == lines(torch.nn)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["append", "insert", "pop", "del", "set", "slice", "extend"]), st.integers(-6, 6)), max_size=12
)  # fmt: skip


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *layers: nn.ModuleList(layers)])
@given(changes=CHANGES)
def test_numbered_containers_behave_as_lists(kind, changes):
    model, twin = kind(nn.ReLU(), nn.Tanh()), []
    twin += list(model)
    for change, i in changes:
        layer, inside = nn.Identity(), -len(twin) <= i < len(twin)
        if change == "append":
            model.append(layer)
            twin.append(layer)
        elif change == "extend":
            model.extend([layer, layer])
            twin.extend([layer, layer])
        elif change == "insert" and -len(twin) <= i <= len(twin):
            model.insert(i, layer)
            twin.insert(i, layer)
        elif change == "slice":
            assert list(model[i:]) == twin[i:]
        elif change == "pop" and inside:
            assert model.pop(i) is twin.pop(i)
        elif change == "del" and inside:
            del model[i], twin[i]
        elif change == "set" and inside:
            model[i] = twin[i] = layer
        assert list(model) == twin
        assert list(model._modules) == [str(n) for n in range(len(twin))]


class TestALayerAndItsActivationShareAKernel:
    """The numbers, gradients and graph are those of the modules one by one."""

    KINDS = (nn.ReLU, nn.Sigmoid, nn.Tanh)

    @staticmethod
    def one_by_one(model, x):
        for module in model:
            x = module(x)
        return x

    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
    @pytest.mark.parametrize("kind", KINDS)
    def test_equal(self, kind, dtype, bias):
        tg.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 40, bias=bias), kind(), nn.Linear(40, 5), kind()).to(dtype)
        x = tg.randn(30, 3, dtype=dtype, requires_grad=True)
        wanted = [x, *model.parameters()]
        together, apart = model(x), self.one_by_one(model, x)
        assert together.dtype is apart.dtype
        assert together.tolist() == apart.tolist()
        first = tg.autograd.grad(together.pow(2).sum(), wanted, create_graph=True)
        second = tg.autograd.grad(apart.pow(2).sum(), wanted, create_graph=True)
        for a, b in zip(first, second, strict=True):
            np.testing.assert_allclose(a.tolist(), b.tolist(), rtol=1e-5, atol=1e-6)
        again = [tg.autograd.grad(sum(g.sum() for g in grads), x)[0] for grads in (first, second)]
        np.testing.assert_allclose(again[0].tolist(), again[1].tolist(), rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("size", [6, 400, 20_000])  # results of the last have memory that is used again
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_ordinary_backward_pass(self, kind, size):
        tg.manual_seed(2)
        model = nn.Sequential(nn.Linear(3, size), kind(), nn.Linear(size, 5), kind())
        x = tg.randn(30, 3, requires_grad=True)
        wanted = [x, *model.parameters()]
        found = []
        for out in (model(x), self.one_by_one(model, x)):
            for leaf in wanted:
                leaf.grad = None
            loss = out.pow(2).sum()
            loss.backward(retain_graph=True)
            loss.backward()
            found.append([leaf.grad.tolist() for leaf in wanted])
            with pytest.raises(RuntimeError, match="E204"):
                loss.backward()
        assert found[0] == found[1]  # to the last bit

    def test_an_anomaly_is_found_in_a_graph_that_was_there_before(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        model[0].weight.data = tg.full((2, 2), float("inf"))
        loss = model(tg.ones(1, 2, requires_grad=True)).sum()
        with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="backward of linear"):
            loss.backward()

    def test_the_graph_names_both(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        node = model(tg.ones(2, 3)).grad_fn
        assert node.name() == "TanhBackward0"
        (inner, _), *_ = node.next_functions
        assert inner.name() == "AddmmBackward0"
        assert [type(parent).__name__ for parent, _ in inner.next_functions] == ["NoneType", "Leaf", "Leaf"]

    def test_nothing_is_recorded_where_nothing_is_wanted(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        with tg.no_grad():
            assert model(tg.ones(2, 3)).grad_fn is None
        assert model.requires_grad_(False)(tg.ones(2, 3)).grad_fn is None

    @pytest.mark.parametrize("place", [0, 1])
    def test_a_hook_sees_what_lies_between(self, place):
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        seen = []
        model[place].register_forward_hook(lambda module, args, out: seen.append((args[0].shape, out.shape)))
        model(tg.ones(2, 3))
        assert seen == [((2, 3), (2, 4))] if place == 0 else [((2, 4), (2, 4))]

    def test_an_observer_sees_both(self):
        model, seen = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), []
        observers.append(lambda name, *rest: seen.append(name))
        try:
            model(tg.ones(2, 3))
        finally:
            observers.pop()
        assert seen == ["linear", "relu"]

    @pytest.mark.parametrize("shape", [(3,), (2, 5, 3), (0, 3)])
    def test_other_shapes(self, shape):
        model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid())
        x = tg.ones(*shape)
        np.testing.assert_allclose(model(x).tolist(), self.one_by_one(model, x).tolist(), rtol=1e-6)

    def test_a_wrong_size_names_the_layer(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        with pytest.raises(RuntimeError, match=r"E101.*the weight \(4, 3\) wants 3"):
            model(tg.ones(2, 5))

    def test_a_layer_of_ones_own_is_called(self):
        class Doubled(nn.Linear):
            def forward(self, input):
                return super().forward(input) * 2

        model = nn.Sequential(Doubled(3, 4), nn.ReLU())
        x = tg.ones(2, 3)
        np.testing.assert_allclose(model(x).tolist(), self.one_by_one(model, x).tolist(), rtol=1e-6)
