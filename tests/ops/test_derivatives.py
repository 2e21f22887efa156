"""Every op's value against its reference, and its first and second derivatives against differences, over the op table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.all_cases import CASES
from tests.drawing import inputs
from tests.op_cases import OpCase

STEP = 1e-5
EXAMPLES = 6


def tensors_of(case: OpCase, arrays: list[np.ndarray], requires_grad: bool = True) -> list[tg.Tensor]:
    made = []
    for arg, array in zip(case.args, arrays, strict=True):
        t = tg.from_numpy(array)
        made.append(t.requires_grad_() if requires_grad and arg.kind == "float" and arg.grad and case.order else t)
    return made


def float_outputs(result) -> list[tg.Tensor]:
    results = [result] if isinstance(result, tg.Tensor) else list(result)
    return [r for r in results if isinstance(r, tg.Tensor) and r.is_floating_point()]


def weights_like(outputs, seed: int = 0) -> list[tg.Tensor]:
    rng = np.random.default_rng(seed)
    return [tg.from_numpy(np.asarray(rng.normal(size=tuple(out.shape)))) for out in outputs]


def scalar(case: OpCase, tensors, seed: int = 0) -> tg.Tensor:
    """A random weighting of all outputs: one number that depends on everything."""
    outputs = float_outputs(case.run(tg, *tensors))
    return sum(
        ((out * w).sum() for out, w in zip(outputs, weights_like(outputs, seed), strict=True)),
        tg.tensor(0.0, dtype=tg.float64),
    )


def directions(case: OpCase, arrays, seed: int) -> list[np.ndarray | None]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=a.shape) if arg.kind == "float" and arg.grad else None
        for arg, a in zip(case.args, arrays, strict=True)
    ]


def moved(arrays, along, step: float) -> list[np.ndarray]:
    return [a if d is None else np.asarray(a + step * d) for a, d in zip(arrays, along, strict=True)]


def slope(function, arrays, along) -> float:
    """Central difference of `function` along a direction."""
    return (function(moved(arrays, along, STEP)) - function(moved(arrays, along, -STEP))) / (2 * STEP)


def dot(gradients, along) -> float:
    pairs = [(g, d) for g, d in zip(gradients, [d for d in along if d is not None], strict=True) if g is not None]
    return float(sum((np.asarray(g.detach().numpy()) * d).sum() for g, d in pairs))


def close(analytic: float, numerical: float, case: OpCase) -> bool:
    return abs(analytic - numerical) <= case.tolerance * (1 + abs(numerical) + abs(analytic))


REFERENCED = [case for case in CASES if case.reference is not None]
FIRST = [case for case in CASES if case.order >= 1]
SECOND = [case for case in CASES if case.order >= 2]


@pytest.mark.parametrize("case", REFERENCED, ids=str)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_value_equals_the_reference(case: OpCase, data):
    arrays = data.draw(inputs(case))
    before = [a.copy() for a in arrays]
    result = case.run(tg, *tensors_of(case, arrays))
    expected = case.reference(*arrays, **({} if case.call else case.params))
    results = [result] if isinstance(result, tg.Tensor) else list(result)
    expecteds = list(expected) if isinstance(expected, tuple | list) else [expected]
    for got, want in zip(results, expecteds, strict=True):
        assert tuple(got.shape) == np.shape(want)
        np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-7, atol=1e-9)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg=f"{case.name} changed an input")


@pytest.mark.parametrize("case", FIRST, ids=str)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_first_derivative_equals_differences(case: OpCase, data):
    arrays = data.draw(inputs(case))
    tensors = tensors_of(case, arrays)
    wanted = [t for t in tensors if t.requires_grad]
    gradients = tg.autograd.grad(scalar(case, tensors), wanted, materialize_grads=True)
    for tensor, gradient in zip(wanted, gradients, strict=True):
        assert gradient.shape == tensor.shape
        assert gradient.dtype == tensor.dtype
    along = directions(case, arrays, seed=1)

    def value(at) -> float:
        with tg.no_grad():
            return scalar(case, tensors_of(case, at, requires_grad=False)).item()

    numerical = slope(value, arrays, along)
    assert close(dot(gradients, along), numerical, case), (
        f"{case}: {dot(gradients, along)} by rules, {numerical} by differences"
    )


@pytest.mark.parametrize("case", FIRST, ids=str)
@settings(max_examples=3)
@given(data=st.data())
def test_rules_on_arrays_equal_rules_on_tensors(case: OpCase, data):
    arrays = data.draw(inputs(case))
    found = []
    for create_graph in (False, True):
        tensors = tensors_of(case, arrays)
        wanted = [t for t in tensors if t.requires_grad]
        found.append(tg.autograd.grad(scalar(case, tensors), wanted, create_graph=create_graph, materialize_grads=True))
    for plain, recorded in zip(*found, strict=True):
        np.testing.assert_allclose(plain.numpy(), recorded.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", SECOND, ids=str)
@settings(max_examples=4)
@given(data=st.data())
def test_second_derivative_equals_differences(case: OpCase, data):
    arrays = data.draw(inputs(case))

    def first(at, create_graph: bool) -> tuple[tg.Tensor, list[tg.Tensor]]:
        tensors = tensors_of(case, at)
        wanted = [t for t in tensors if t.requires_grad]
        gradients = tg.autograd.grad(scalar(case, tensors), wanted, create_graph=create_graph, materialize_grads=True)
        mixed = sum(
            ((g * w).sum() for g, w in zip(gradients, weights_like(gradients, 2), strict=True)),
            tg.tensor(0.0, dtype=tg.float64),
        )
        return mixed, wanted

    mixed, wanted = first(arrays, create_graph=True)
    along = directions(case, arrays, seed=3)
    if mixed.requires_grad:
        analytic = dot(tg.autograd.grad(mixed, wanted, materialize_grads=True), along)
    else:
        analytic = 0.0  # linear in every argument
    numerical = slope(lambda at: first(at, create_graph=False)[0].item(), arrays, along)
    assert close(analytic, numerical, case), f"{case}: {analytic} by rules, {numerical} by differences"


@pytest.mark.parametrize("case", FIRST, ids=str)
@settings(max_examples=2)
@given(data=st.data())
def test_a_second_pass_adds_the_same_again(case: OpCase, data):
    """Gradients are added up in place, so no rule may hand out memory that it, or the graph, still needs."""
    arrays = data.draw(inputs(case))
    tensors = tensors_of(case, arrays)
    wanted = [t for t in tensors if t.requires_grad]
    loss = scalar(case, tensors)
    if not loss.requires_grad:
        return
    loss.backward(retain_graph=True)
    once = [None if t.grad is None else t.grad.numpy().copy() for t in wanted]
    loss.backward()
    for tensor, first in zip(wanted, once, strict=True):
        if first is not None:
            np.testing.assert_allclose(tensor.grad.numpy(), 2 * first, rtol=1e-12, atol=1e-12)
