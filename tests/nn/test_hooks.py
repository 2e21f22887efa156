"""Hooks around forward and backward."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


def test_forward_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 2), []
    first = layer.register_forward_pre_hook(lambda module, args: seen.append(("pre", module is layer)))
    second = layer.register_forward_pre_hook(lambda module, args: args[0] * 0)
    third = layer.register_forward_hook(lambda module, args, out: seen.append(("post", args[0].tolist(), out.shape)))
    layer.register_forward_hook(lambda module, args, out: out * 0 + 7)
    assert layer(tg.ones(1, 2)).tolist() == [[7.0, 7.0]]
    assert seen == [("pre", True), ("post", [[0.0, 0.0]], (1, 2))]
    for handle in (first, second, third):
        handle.remove()
    layer(tg.ones(1, 2))
    assert len(seen) == 2


def test_order_keywords_and_errors():
    class Scaled(nn.Module):
        def forward(self, x, factor=1.0):
            if factor == 0:
                raise ValueError("zero")
            return x * factor

    module, order = Scaled(), []
    module.register_forward_pre_hook(lambda m, a, k: (a, {**k, "factor": 3.0}), with_kwargs=True)
    module.register_forward_hook(lambda m, a, k, out: order.append(("late", k)), with_kwargs=True)
    module.register_forward_hook(lambda m, a, out: order.append("early"), prepend=True)
    assert module(tg.ones(1), factor=2.0).tolist() == [3.0]
    assert order == ["early", ("late", {"factor": 3.0})]

    failing = Scaled()
    failing.register_forward_hook(lambda m, a, out: order.append("never"))
    failing.register_forward_hook(lambda m, a, out: order.append(("always", out)), always_call=True)
    with pytest.raises(ValueError, match="zero"):
        failing(tg.ones(1), factor=0)
    assert order[2:] == [("always", None)]
    with pytest.raises(TypeError, match="must be callable"):
        module.register_forward_hook(3)
    wrong = Scaled()
    wrong.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="new_args, new_kwargs"):
        wrong(tg.ones(1))


class Product(nn.Module):
    def forward(self, x, y):
        return x * y


@pytest.mark.parametrize("library", ["tinygrad_edu", "torch"])
def test_backward_hooks(library):
    lib = tg if library == "tinygrad_edu" else pytest.importorskip("torch")
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Tanh())
    with lib.no_grad():
        for p in model.parameters():
            p.fill_(0.5)
    seen = []
    for module in model:
        module.register_full_backward_hook(lambda m, gi, go: seen.append((type(m).__name__, gi, go)))
    model[1].register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    x = lib.tensor([[1.0, 2.0]], requires_grad=True)
    model(x).sum().backward()
    assert [name for name, *_ in seen] == ["Tanh", "Linear"]
    slope = 1 - np.tanh(2.0) ** 2
    np.testing.assert_allclose(seen[0][2][0].tolist(), [[2.0] * 3], rtol=1e-6)
    np.testing.assert_allclose(seen[0][1][0].tolist(), [[2 * slope] * 3], rtol=1e-5)
    np.testing.assert_allclose(seen[1][2][0].tolist(), [[2 * slope] * 3], rtol=1e-5)
    np.testing.assert_allclose(seen[1][1][0].tolist(), x.grad.tolist(), rtol=1e-6)
    seen.clear()
    model(lib.tensor([[1.0, 2.0]])).sum().backward()  # the first layer's input wants no gradient
    assert seen[1][1] == (None,)


def test_a_backward_hook_sees_only_what_flows_through_its_module():
    product, seen = Product(), []
    product.register_full_backward_hook(lambda m, gi, go: seen.append([g.item() for g in gi]))
    x, y = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    (product(x, y) + 10 * x).backward()
    assert seen == [[3.0, 2.0]]
    assert x.grad.item() == 13.0


def test_a_backward_hook_can_replace_the_gradient_of_one_input():
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 0 + 5,))
    x = tg.tensor(2.0, requires_grad=True)
    loss = layer(x)
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.item() == 10.0
    product = Product()
    product.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[1]))
    with pytest.raises(RuntimeError, match=r"use tensor\.register_hook on each input"):
        product(tg.tensor(2.0, requires_grad=True), tg.tensor(2.0, requires_grad=True)).backward()
