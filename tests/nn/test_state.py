"""state_dict and load_state_dict: all or nothing, and what is said when they do not fit."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def net(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def test_a_copy_has_the_same_values():
    a, b = net(), net()
    assert repr(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    for mine, their in zip(b.state_dict().values(), a.state_dict().values(), strict=True):
        np.testing.assert_array_equal(mine.numpy(), their.numpy())
    assert b[0].weight.requires_grad
    assert not a.state_dict()["0.weight"].requires_grad
    assert a.state_dict(keep_vars=True)["0.weight"] is a[0].weight
    assert list(a[0].state_dict(prefix="first.")) == ["first.weight", "first.bias"]


def test_arrays_are_accepted_and_converted():
    a, b = net().double(), net()
    b.load_state_dict({k: v.numpy() for k, v in a.state_dict().items()})
    assert b[0].weight.dtype == tg.float32
    np.testing.assert_allclose(b[0].weight.detach().numpy(), a[0].weight.detach().numpy(), rtol=1e-6)
    with pytest.raises(RuntimeError, match=r"the value of '0\.weight' must be a Tensor or an array, got str"):
        b.load_state_dict({"0.weight": "x"})
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        b.load_state_dict([1])


def test_loading_writes_in_place_and_old_graphs_notice():
    model = nn.Linear(2, 1)
    values = model.weight.detach().numpy()
    x = tg.ones(1, 2, requires_grad=True)
    loss = model(x).sum()
    model.load_state_dict({"weight": tg.ones(1, 2) * 7, "bias": tg.zeros(1)})
    assert values.tolist() == [[7.0, 7.0]]
    with pytest.raises(RuntimeError, match=r"E201 .*load_state_dict"):
        loss.backward()


def test_assign_takes_the_tensors_over():
    model, weight = nn.Linear(2, 1), tg.ones(1, 2, dtype=tg.float64)
    model.load_state_dict({"weight": weight, "bias": tg.zeros(1)}, assign=True)
    assert model.weight.dtype == tg.float64
    weight.array()[...] = 3
    assert model.weight.tolist() == [[3.0, 3.0]]
    assert isinstance(model.weight, nn.Parameter)


def test_missing_and_unexpected_names():
    model, state = net(), net().state_dict()
    del state["0.bias"]
    state["fc9.weight"] = tg.zeros(1)
    before = model[0].weight.tolist()
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state)
    text = str(caught.value)
    assert text.startswith("E503 in load_state_dict (test_state.py:")
    assert "Missing key(s) in state_dict: '0.bias'." in text
    assert "Unexpected key(s) in state_dict: 'fc9.weight'." in text
    assert model[0].weight.tolist() == before
    keys = model.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["0.bias"]
    assert keys.unexpected_keys == ["fc9.weight"]
    assert model[0].weight.tolist() == state["0.weight"].tolist()


def test_wrong_shapes_are_refused_even_when_not_strict():
    model, before = net(), net().state_dict()
    for strict in (True, False):
        with pytest.raises(
            RuntimeError, match=r"size mismatch: 0\.weight has shape \(5, 3\) there and \(4, 3\) here; 0\.bias"
        ):
            model.load_state_dict(net(5).state_dict(), strict=strict)
    assert model[0].weight.shape == before["0.weight"].shape


def test_long_lists_are_cut():
    many = nn.ModuleList(nn.Linear(1, 1) for _ in range(9))
    with pytest.raises(RuntimeError, match=r"'4\.bias', and 8 more\.") as caught:
        many.load_state_dict({"x": tg.zeros(1)})
    assert len(str(caught.value).splitlines()) <= 12


@pytest.mark.parametrize("there", [True, False])
def test_a_common_prefix_is_told_as_such(there):
    model = net()
    state = {("module." if there else "") + k: v for k, v in model.state_dict().items()}
    target = model if there else nn.ModuleDict({"module": model})
    with pytest.raises(
        RuntimeError, match=r"E503 .*starts with 'module\.'.*Fix: (model\.load_state_dict\(.*\))"
    ) as caught:
        target.load_state_dict(state)
    fix = str(caught.value).split("Fix: ")[1]
    assert repr(eval(fix, {"model": target, "state_dict": state})) == "<All keys matched successfully>"


def test_extra_state():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"]

    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].calls = 3
    assert a.state_dict() == {"0._extra_state": {"calls": 3}}
    b.load_state_dict(a.state_dict())
    assert b[0].calls == 3


def test_state_dicts_pass_between_the_libraries():
    torch = pytest.importorskip("torch")
    ours = net()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(
        ours(tg.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
