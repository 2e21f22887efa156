"""Functions of functions: derivatives, batches, modules as functions; and the products at a point of autograd.functional."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import func
from tinygrad_edu.autograd import functional
from tinygrad_edu.autograd.trees import flatten, map_leaves


def double(*shape):
    return tg.randn(*shape, dtype=tg.float64)


@pytest.fixture(autouse=True)
def seeded():
    tg.manual_seed(0)


def close(a, b):
    np.testing.assert_allclose(np.asarray(a.detach()), np.asarray(b.detach()), rtol=1e-12, atol=1e-14)


# ---- against PyTorch ----------------------------------------------------------------------------------------------------
def transforms(torch):
    """Everything of func once, on the same numbers in either library."""
    f = torch.func
    torch.manual_seed(0)
    x, y, matrix = (torch.randn(*shape, dtype=torch.float64) for shape in ((3,), (3,), (2, 3)))

    def layer(v):
        return torch.tanh(matrix @ v)

    yield f.grad(lambda v: (v.sin() * y).sum())(x)
    yield f.grad(lambda v: f.grad(lambda u: (u**3).sum())(v).sum())(x)
    yield f.grad(lambda tree: (tree["w"] * tree["b"][0]).sum())({"w": x, "b": (y,)})
    yield f.grad_and_value(lambda a, b: ((a * b).sum(), a + 1), argnums=(0, 1), has_aux=True)(x, y)
    yield f.jacrev(layer)(x), f.jacfwd(layer)(x)
    yield f.jacrev(lambda a, b: (a * b, a.sum()), argnums=(0, 1))(x, y)
    yield f.jacfwd(lambda a, b: {"product": a * b}, argnums=1)(x, y)
    yield f.hessian(lambda v: (v**3).prod())(x)
    yield f.hessian(lambda a, b: (a * b * a).sum(), argnums=(0, 1))(x, y)
    yield f.jvp(layer, (x,), (y,))
    yield f.jvp(lambda v: f.jvp(layer, (v,), (y,))[1], (x,), (y,))
    value, pull = f.vjp(layer, x)
    yield value, pull(torch.ones(2, dtype=torch.float64)), pull(value)
    value, pull, aux = f.vjp(lambda a, b: ((a * b, a.sum()), b), x, y, has_aux=True)
    yield value, pull((y, x[0])), aux
    yield f.jacrev(f.jacfwd(f.jacrev(lambda v: (v**4).sum())))(x)
    yield f.jacrev(lambda v: torch.ones(2, dtype=torch.float64))(x)
    yield f.vmap(lambda a, b: a @ b)(matrix, torch.stack([x, y])[:2])
    yield f.vmap(f.jacrev(layer))(torch.stack([x, y]))
    yield f.vmap(lambda a: a * 2, in_dims=1, out_dims=1)(matrix)
    yield f.vmap(lambda a, b: (a.sum(), a * b), in_dims=(0, None), out_dims=(0, 1))(matrix, x)
    yield f.vmap(f.vmap(lambda a: a * a))(matrix)
    yield f.vmap(lambda tree: {"s": tree["a"] + tree["b"][0]}, in_dims=({"a": 0, "b": None},))({"a": matrix, "b": [x]})
    yield f.vmap(lambda a: a * torch.rand(3, dtype=torch.float64), randomness="same")(matrix)

    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    slope = f.grad(lambda v: ((v * w) ** 2).sum())(x)
    slope.sum().backward()
    yield w.grad, slope.requires_grad, f.grad(lambda v: (v**2).sum())(x).requires_grad
    v = x.clone().requires_grad_()
    f.grad(lambda u: (u**3).sum())(v).sum().backward()
    yield v.grad

    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)).double()
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(weights, sample):
        return (f.functional_call(net, weights, (sample,)) ** 2).sum()

    yield f.vmap(f.grad(loss), in_dims=(None, 0))(weights, torch.stack([x, y]))
    models = [torch.nn.Linear(3, 2).double() for _ in range(3)]
    parameters, buffers = f.stack_module_state(models)
    yield parameters["weight"].requires_grad
    call = f.vmap(lambda p, b, s: f.functional_call(models[0], (p, b), (s,)), in_dims=(0, 0, None))
    yield call(parameters, buffers, x)


def at_a_point(torch):
    """Everything of autograd.functional once."""
    f = torch.autograd.functional
    torch.manual_seed(0)
    x, y, matrix = (torch.randn(*shape, dtype=torch.float64) for shape in ((3,), (3,), (2, 3)))
    ones = torch.ones(2, dtype=torch.float64)

    def layer(v):
        return torch.tanh(matrix @ v)

    def scalar(a, b):
        return (a * a * b).sum()

    for strategy in ({}, {"strategy": "forward-mode", "vectorize": True}):
        yield f.jacobian(layer, x, **strategy), f.jacobian(lambda a, b: (a * b, a.sum()), (x, y), **strategy)
    yield f.hessian(scalar, (x, y)), f.hessian(lambda a: (a**3).prod(), x), f.hessian(lambda a: (3 * a).sum(), x)
    yield f.vjp(layer, x, ones), f.vjp(scalar, (x, y)), f.jacobian(lambda a: ones, x)
    yield f.jvp(layer, x, y), f.jvp(lambda a, b: (a * b, a), (x, y), (y, x))
    yield f.vhp(scalar, (x, y), (y, x)), f.hvp(scalar, (x, y), (y, x)), f.hvp(lambda a: (a**4).sum(), x, y)
    for again in (
        lambda v: f.hessian(lambda a: (a**4).sum(), v, create_graph=True),
        lambda v: f.vhp(lambda a: (a**4).sum(), v, y, create_graph=True)[1],
        lambda v: f.jvp(layer, v, y, create_graph=True)[1],
        lambda v: f.jacobian(layer, v, create_graph=True),
    ):
        v = x.clone().requires_grad_()
        again(v).sum().backward()
        yield v.grad


@pytest.mark.parametrize("everything", [transforms, at_a_point])
def test_pytorch_has_the_same_numbers(everything):
    torch = pytest.importorskip("torch")
    for number, (ours, theirs) in enumerate(zip(everything(tg), everything(torch), strict=True)):
        mine, other = flatten(ours)[0], flatten(theirs)[0]
        assert type(ours) is type(theirs) or not isinstance(theirs, tuple | dict), number
        for a, b in zip(mine, other, strict=True):
            if isinstance(b, bool):
                assert a is b, number
                continue
            assert (tuple(a.shape), a.requires_grad) == (tuple(b.shape), b.requires_grad), number
            np.testing.assert_allclose(
                a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=str(number)
            )


# ---- without PyTorch ----------------------------------------------------------------------------------------------------
def test_rows_and_columns_give_one_jacobian():
    x, matrix = double(4), double(3, 4)

    def f(v):
        return (matrix @ v).exp() * v[0]

    close(func.jacrev(f)(x), func.jacfwd(f)(x))
    close(functional.jacobian(f, x), func.jacrev(f)(x))


def test_a_transform_leaves_no_trace_on_its_arguments():
    x = double(3).requires_grad_()
    func.grad(lambda v: (v**2).sum())(x)
    assert x.grad is None
    with tg.no_grad():
        slope = func.grad(lambda v: (v**2).sum())(x)
    assert not slope.requires_grad
    close(slope, 2 * x)


def test_results_die_without_the_garbage_collector():
    gc.disable()
    try:
        x = double(3)
        result = func.hessian(lambda v: (v**3).sum())(x)
        seen = weakref.ref(result)
        alive = weakref.ref(x)
        del result, x
        assert seen() is None
        assert alive() is None
    finally:
        gc.enable()


def test_no_samples_no_sizes_no_surprises():
    x = double(2, 3)
    with pytest.raises(ValueError, match="same size in the mapped dimension"):
        func.vmap(lambda a, b: a + b)(x, double(3, 3))
    with pytest.raises(ValueError, match="nothing to map over"):
        func.vmap(lambda a: a, in_dims=None)(x)
    with pytest.raises(ValueError, match="in_dim 2 is out of range"):
        func.vmap(lambda a: a, in_dims=2)(x)
    with pytest.raises(ValueError, match="2 entries for 1 positional"):
        func.vmap(lambda a: a, in_dims=(0, 0))(x)
    with pytest.raises(ValueError, match="cannot map over a float"):
        func.vmap(lambda a, b: a * b)(x, 2.0)
    with pytest.raises(ValueError, match="must return Tensors"):
        func.vmap(lambda a: 1)(x)
    with pytest.raises(ValueError, match="empty"):
        func.vmap(lambda a: a)(double(0, 3))
    with pytest.raises(RuntimeError, match="randomness must be one of"):
        func.vmap(lambda a: a, randomness="never")


def test_randomness_under_vmap():
    x = double(3, 2)
    with pytest.raises(RuntimeError, match="draws random numbers"):
        func.vmap(lambda a: a + tg.rand(2, dtype=tg.float64))(x)
    same = func.vmap(lambda a: a * 0 + tg.rand(2, dtype=tg.float64), randomness="same")(x)
    different = func.vmap(lambda a: a * 0 + tg.rand(2, dtype=tg.float64), randomness="different")(x)
    assert bool((same == same[0]).all())
    assert len(different.unique(dim=0)) == 3


def test_what_cannot_be_differentiated_is_named():
    x = double(3)
    with pytest.raises(RuntimeError, match=r"return a scalar, got shape \(3,\)"):
        func.grad(lambda v: v)(x)
    with pytest.raises(RuntimeError, match="only floating-point tensors"):
        func.grad(lambda v: v.sum())(tg.arange(3))
    with pytest.raises(RuntimeError, match="argnums 1 is out of range"):
        func.grad(lambda v: v.sum(), argnums=1)(x)
    with pytest.raises(RuntimeError, match="must return a pair"):
        func.grad(lambda v: v.sum(), has_aux=True)(x)
    with pytest.raises(RuntimeError, match="only tensors"):
        func.jacrev(lambda v: 3.0)(x)
    with pytest.raises(RuntimeError, match="not those of the primals"):
        func.jvp(lambda v: v, (x,), (double(2),))
    with pytest.raises(RuntimeError, match="not those of the outputs"):
        func.vjp(lambda v: v, x)[1](double(2))
    with pytest.raises(RuntimeError, match="tuples"):
        func.jvp(lambda v: v, x, x)


def test_products_at_a_point_ask_for_their_vector():
    x = double(3)
    with pytest.raises(RuntimeError, match="can only be left out"):
        functional.vjp(lambda v: v * 2, x)
    with pytest.raises(RuntimeError, match="not those of the output"):
        functional.vjp(lambda v: v * 2, x, double(2))
    with pytest.raises(RuntimeError, match="must return a scalar"):
        functional.hessian(lambda v: v, x)
    with pytest.raises(RuntimeError, match="independent of an input"):
        functional.jacobian(lambda v: tg.ones(2), x, strict=True)
    with pytest.raises(RuntimeError, match="independent of an input"):
        functional.vjp(lambda a, b: a.sum(), (x, double(2)), strict=True)
    with pytest.raises(ValueError, match="strategy"):
        functional.jacobian(lambda v: v, x, strategy="sideways")
    with pytest.raises(TypeError, match="Tensor or a tuple"):
        functional.jacobian(lambda v: v, 3.0)


def test_a_batch_of_vectors_gives_the_jacobian():
    x = double(3).requires_grad_()
    unused = double(2).requires_grad_()
    y = x.exp() * x[0]
    rows, nothing = tg.autograd.grad(
        y, [x, unused], tg.eye(3, dtype=tg.float64), is_grads_batched=True, allow_unused=True, retain_graph=True
    )
    close(rows, functional.jacobian(lambda v: v.exp() * v[0], x))
    assert nothing is None
    with pytest.raises(RuntimeError, match="first dimension counts the vectors"):
        tg.autograd.grad(y, x, is_grads_batched=True)
    tg.autograd.grad(y, x, tg.eye(3, dtype=tg.float64), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="E204"):
        tg.autograd.grad(y, x, tg.eye(3, dtype=tg.float64), is_grads_batched=True)


# ---- modules ------------------------------------------------------------------------------------------------------------
def test_a_module_gets_its_own_tensors_back():
    layer = tg.nn.Linear(2, 1)
    own = layer.weight
    with pytest.raises(RuntimeError):
        func.functional_call(layer, {"weight": tg.ones(1, 3)}, tg.ones(2))  # shapes that do not fit
    assert layer.weight is own


def test_tied_weights_are_replaced_together():
    class Tied(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = tg.nn.Linear(2, 2, bias=False)
            self.b = tg.nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    twice = func.functional_call(Tied(), {"a.weight": 2 * tg.eye(2)}, tg.ones(2))
    assert twice.tolist() == [4.0, 4.0]
    model = Tied()
    once = func.functional_call(model, {"a.weight": 2 * tg.eye(2)}, tg.ones(2), tie_weights=False)
    assert tg.allclose(once, model.b(2 * tg.ones(2)))


def test_names_that_do_not_fit_a_module():
    layer = tg.nn.Linear(2, 1)
    with pytest.raises(RuntimeError, match=r"missing names \['bias'\]"):
        func.functional_call(layer, {"weight": tg.ones(1, 2)}, tg.ones(2), strict=True)
    with pytest.raises(ValueError, match="more than one"):
        func.functional_call(layer, ({"weight": tg.ones(1, 2)}, {"weight": tg.ones(1, 2)}), tg.ones(2))
    with pytest.raises(RuntimeError, match="at least one model"):
        func.stack_module_state([])
    with pytest.raises(RuntimeError, match="same class"):
        func.stack_module_state([layer, tg.nn.ReLU()])


def test_trees_keep_their_form():
    from collections import OrderedDict, namedtuple

    Pair = namedtuple("Pair", "a b")
    tree = OrderedDict(x=Pair(1, [2, (3,)]), y={})
    leaves, rebuild = flatten(tree)
    assert leaves == [1, 2, 3]
    assert rebuild(leaves) == tree
    assert type(rebuild(leaves)) is OrderedDict
    assert map_leaves(lambda leaf: leaf * 10, tree)["x"] == Pair(10, [20, (30,)])
