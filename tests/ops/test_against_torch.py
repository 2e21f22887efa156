"""Every op against torch: values, dtypes, shapes, first and second derivatives, in float64 and float32."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.all_cases import CASES
from tests.drawing import inputs
from tests.op_cases import OpCase

torch = pytest.importorskip("torch")

# Relative to the largest entry: a few hundred roundings of the type.
ROUNDING = {"float32": 2e-5, "float64": 1e-11}
COMPARED = [case for case in CASES if case.torch]


def same(ours, theirs, dtype: str, what: str) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, what
    if theirs.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs, err_msg=what)
        return
    scale = np.max(np.abs(theirs[np.isfinite(theirs)]), initial=1.0)
    np.testing.assert_allclose(ours, theirs, rtol=ROUNDING[dtype], atol=ROUNDING[dtype] * scale, err_msg=what)


def floats(result, lib) -> list:
    results = [result] if isinstance(result, lib.Tensor) else list(result)
    return [r for r in results if r.is_floating_point()]


def run_in(lib, case: OpCase, arrays: list[np.ndarray]):
    """Value, first and second derivatives in one library."""
    tensors = []
    for arg, array in zip(case.args, arrays, strict=True):
        t = lib.from_numpy(np.array(array))
        tensors.append(t.requires_grad_() if arg.kind == "float" and arg.grad and case.order else t)
    result = case.run(lib, *tensors)
    wanted = [t for t in tensors if t.requires_grad]
    rng = np.random.default_rng(0)

    def mix(values):
        total = 0.0
        for v in values:
            if v is not None and v.requires_grad:
                total = (
                    total
                    + (
                        v * lib.from_numpy(np.asarray(rng.normal(size=tuple(v.shape)), str(v.dtype).split(".")[1]))
                    ).sum()
                )
        return total

    first = second = []
    loss = mix(floats(result, lib)) if wanted else 0.0
    if wanted and not isinstance(loss, float):
        first = lib.autograd.grad(loss, wanted, create_graph=case.order > 1, allow_unused=True)
        mixed = mix(first) if case.order > 1 else 0.0
        if not isinstance(mixed, float):
            second = lib.autograd.grad(mixed, wanted, allow_unused=True)
    return result, first, second


def zeros_if_none(gradient, like: np.ndarray) -> np.ndarray:
    return np.zeros(like.shape) if gradient is None else np.asarray(gradient.detach())


@pytest.mark.parametrize("case", COMPARED, ids=str)
@settings(max_examples=5)
@given(data=st.data())
def test_equals_torch(case: OpCase, data):
    arrays = data.draw(inputs(case))
    for dtype in case.dtypes:
        typed = [
            np.asarray(a.astype(dtype)) if arg.kind == "float" else a for arg, a in zip(case.args, arrays, strict=True)
        ]
        ours, our_first, our_second = run_in(tg, case, typed)
        theirs, their_first, their_second = run_in(torch, case, typed)
        one = isinstance(ours, tg.Tensor)
        for mine, yours in zip([ours] if one else list(ours), [theirs] if one else list(theirs), strict=True):
            assert str(mine.dtype).split(".")[1] == str(yours.dtype).split(".")[1], f"{case}: dtype"
            same(mine.detach().numpy(), yours.detach().numpy(), dtype, f"{case}: value in {dtype}")
        differentiable = [a for arg, a in zip(case.args, typed, strict=True) if arg.kind == "float" and arg.grad]
        for name, mine, yours in (("first", our_first, their_first), ("second", our_second, their_second)):
            if not mine and not yours:
                continue
            mine = mine or [None] * len(differentiable)
            yours = yours or [None] * len(differentiable)
            for m, y, array in zip(mine, yours, differentiable, strict=True):
                same(zeros_if_none(m, array), zeros_if_none(y, array), dtype, f"{case}: {name} derivative in {dtype}")
