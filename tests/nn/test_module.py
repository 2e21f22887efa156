"""Module: attributes, walking, training mode, conversion, copying and printing."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import TeachingWarning


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.act = nn.Tanh()
        self.fc2 = nn.Linear(4, 2, bias=False)
        self.scale = nn.Parameter(tg.ones(2))
        self.register_buffer("offset", tg.zeros(2))
        self.register_buffer("scratch", tg.zeros(1), persistent=False)
        self.name = "net"

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x))) * self.scale + self.offset


def test_parts_are_found_by_kind():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "fc1.weight", "fc1.bias", "fc2.weight"]
    assert [n for n, _ in net.named_buffers()] == ["offset", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "fc1", "act", "fc2"]
    assert [n for n, _ in net.named_children()] == ["fc1", "act", "fc2"]
    assert list(net.state_dict()) == ["scale", "offset", "fc1.weight", "fc1.bias", "fc2.weight"]
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert net.get_parameter("fc1.weight") is net.fc1.weight
    assert net.get_buffer("offset") is net.offset
    assert net.get_submodule("fc2") is net.fc2
    assert net(tg.zeros(5, 3)).shape == (5, 2)
    with pytest.raises(AttributeError, match="no sub-module `fc9`"):
        net.get_submodule("fc9.weight")
    with pytest.raises(AttributeError, match="Net has no parameter `offset`"):
        net.get_parameter("offset")


def test_assigning():
    net = Net()
    net.fc1 = nn.Linear(3, 4)
    assert [n for n, _ in net.named_children()] == ["fc1", "act", "fc2"]
    net.fc2 = None
    assert [n for n, _ in net.named_children()] == ["fc1", "act"]
    net.offset = tg.ones(2)
    assert net.state_dict()["offset"].tolist() == [1.0, 1.0]
    net.mean = nn.Buffer(tg.zeros(3), persistent=False)
    assert "mean" in dict(net.named_buffers())
    assert "mean" not in net.state_dict()
    net.later = None
    net.later = nn.Parameter(tg.zeros(1))
    assert net.later in set(net.parameters())
    with pytest.raises(
        TypeError, match=r"cannot assign 'Tensor' as parameter 'scale' of Net .*nn\.Parameter\(\.\.\.\)"
    ):
        net.scale = tg.ones(2)
    with pytest.raises(TypeError, match="cannot assign 'int' as module 'fc1'"):
        net.fc1 = 3
    with pytest.raises(TypeError, match="cannot assign 'str' as buffer 'offset'"):
        net.offset = "x"


def test_deleting_and_changing_kind():
    net = Net()
    del net.scale
    assert "scale" not in dict(net.named_parameters())
    assert not hasattr(net, "scale")
    net.offset = nn.Parameter(tg.zeros(2))
    assert next(n for n, _ in net.named_parameters()) == "offset"
    assert "offset" not in dict(net.named_buffers())
    with pytest.raises(AttributeError):
        del net.scale


def test_registering_by_name():
    net = nn.Module()
    net.register_parameter("empty", None)
    net.add_module("layer", nn.Linear(1, 1))
    assert net.empty is None
    assert len(list(net.parameters())) == 2
    with pytest.raises(KeyError, match="contain a dot"):
        net.register_buffer("a.b", tg.zeros(1))
    with pytest.raises(KeyError, match="'forward' already exists"):
        net.register_parameter("forward", None)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        net.add_module("x", 3)
    with pytest.raises(TypeError, match="name should be a string"):
        net.add_module(3, nn.ReLU())


def test_the_dictionaries_of_parts_can_be_changed():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net._modules["1"] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh)
    assert list(net._modules) == ["0", "1"]
    del net._modules["1"]
    assert len(net) == 1
    assert list(net[0]._parameters) == ["weight", "bias"]
    assert net[0]._buffers == {}


def test_shared_parameters_appear_once():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.weight = a.weight
    both = nn.Sequential(a, b, a)
    assert len(list(both.parameters())) == 3
    assert len(list(both.modules())) == 3
    assert len(list(both.named_parameters(remove_duplicate=False))) == 6
    assert list(both.state_dict()) == [f"{i}.{n}" for i in range(3) for n in ("weight", "bias")]


def test_training_mode_reaches_all():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")


def test_apply_visits_children_first():
    order = []
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    assert net.apply(lambda m: order.append(type(m).__name__)) is net
    assert order == ["Linear", "ReLU", "Sequential", "Sequential"]


def test_zero_grad_and_freezing():
    net = Net()
    net(tg.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0.0, 0.0]
    net.zero_grad()
    assert net.scale.grad is None
    net.requires_grad_(False)
    assert not net(tg.ones(1, 3)).requires_grad


def test_conversion_keeps_the_parameters_and_their_gradients():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weight = net[0].weight
    net(tg.randn(4, 2)).square().sum().backward()
    assert net.double() is net
    assert net[0].weight is weight
    assert weight.dtype == weight.grad.dtype == net[1].running_mean.dtype == tg.float64
    assert net[1].num_batches_tracked.dtype == tg.int64
    net.to(tg.tensor(1.0)).to("cpu").to(tg.device("cpu"), tg.float64, non_blocking=True).float()
    assert weight.dtype == tg.float32
    assert net.half()[0].weight.dtype == tg.float16
    with pytest.raises(TypeError, match="floating point dtypes"):
        net.to(tg.int64)
    with pytest.raises(RuntimeError, match="CPU only"):
        net.cuda()


def test_deepcopy_is_independent():
    net = Net()
    net.fc2.weight.requires_grad_(False)
    twin = copy.deepcopy(net)
    assert type(twin.scale) is nn.Parameter
    assert not twin.fc2.weight.requires_grad
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in net.named_parameters()]
    with tg.no_grad():
        twin.scale.array()[...] = 5
    assert net.scale.tolist() == [1.0, 1.0]
    x = tg.ones(1, 3)
    np.testing.assert_allclose(twin(x).detach().numpy(), 5 * net(x).detach().numpy(), rtol=1e-5)
    tied = nn.Sequential(layer := nn.Linear(2, 2), layer)
    twin = copy.deepcopy(tied)
    assert twin[0] is twin[1]
    assert twin[0] is not layer


def test_parameter():
    data = tg.zeros(2)
    parameter = nn.Parameter(data)
    data.array()[0] = 3.0
    assert parameter.tolist() == [3.0, 0.0]  # one memory
    assert isinstance(parameter, tg.Tensor)
    assert repr(parameter).startswith("Parameter containing:\ntensor([3., 0.]")
    assert type(copy.deepcopy(parameter)) is nn.Parameter
    assert type(parameter * 2) is tg.Tensor
    frozen = nn.Parameter(tg.arange(3), requires_grad=False)
    assert not frozen.requires_grad
    with pytest.raises(RuntimeError, match="E110"):
        nn.Parameter(tg.arange(3))
    with pytest.raises(TypeError, match="data must be a Tensor, got list"):
        nn.Parameter([1.0])


def test_constructor_arguments_are_refused():
    with pytest.raises(TypeError, match="unexpected argument: 'size'"):
        nn.Module(size=3)


# ---- what it says about mistakes ------------------------------------------------------------------------------------------
def test_e120_layers_in_a_plain_list():
    class Hidden(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.layers = kind

    with pytest.warns(
        TeachingWarning, match=r"E120 in Hidden\.layers .*layers held in a plain list.*self\.layers = nn\.ModuleList"
    ):
        assert list(Hidden([nn.Linear(1, 1)]).parameters()) == []
    with pytest.warns(TeachingWarning, match=r"self\.layers = nn\.ModuleDict"):
        list(Hidden({"a": nn.Linear(1, 1)}).parameters())
    with pytest.warns(TeachingWarning, match=r"parameters held in a plain list .*nn\.ParameterList"):
        list(Hidden([nn.Parameter(tg.zeros(1))]).parameters())
    with pytest.warns(TeachingWarning, match=r"\(0\.layers\)"):
        list(nn.Sequential(Hidden([nn.Linear(1, 1)])).parameters())


def test_e120_is_silent_when_nothing_is_lost():
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(1, 1), nn.ReLU()]
            self.add_module("first", self.layers[0])  # found under another name
            self.sizes = [1, 2, 3]
            self.losses = {"mse": nn.MSELoss()}  # nothing to train in it

    assert len(list(Held().parameters())) == 2


def test_e121_no_forward():
    class Misspelt(nn.Module):
        def foward(self, x):
            return x

    with pytest.raises(
        NotImplementedError,
        match=r'E121 in Misspelt .*missing the required "forward".*\'foward\' at test_module\.py:\d+.*rename foward to forward',
    ):
        Misspelt()(tg.zeros(1))
    with pytest.raises(NotImplementedError, match=r"E121 in Module .*def forward\(self, x\)"):
        nn.Module()(tg.zeros(1))


def test_e122_before_init():
    class Early(nn.Module):
        def __init__(self):
            self.size = 3  # plain attributes are allowed
            self.fc1 = nn.Linear(1, 1)

    with pytest.raises(
        AttributeError,
        match=r"E122 in Early\.__init__ .*cannot assign module before Module\.__init__\(\) call: self\.fc1.*super\(\)\.__init__\(\)",
    ):
        Early()

    class Never(nn.Module):
        def __init__(self):
            self.size = 3

    with pytest.raises(AttributeError, match=r"E122 in Never .*no attribute 'fc1'"):
        Never().fc1  # noqa: B018


def test_unknown_attributes_suggest_a_name():
    with pytest.raises(AttributeError, match=r"'Net' object has no attribute 'fc_1'\. Did you mean 'fc1'\?"):
        Net().fc_1  # noqa: B018


def test_errors_name_the_layer():
    net = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Linear(5, 2))
    with pytest.raises(RuntimeError) as caught:
        net(tg.zeros(1, 3))
    assert caught.value.__notes__ == ["in layer 1 = Linear(in_features=5, out_features=2, bias=True)"]
    deeper = nn.Sequential(nn.ReLU(), net)
    with pytest.raises(RuntimeError) as caught:
        deeper(tg.zeros(1, 3))
    assert caught.value.__notes__ == ["in layer 1.1 = Linear(in_features=5, out_features=2, bias=True)"]
