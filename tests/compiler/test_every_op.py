"""Every differentiable op of the table, recorded and replayed with three sets of numbers, gives what the tape gives."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.all_cases import CASES
from tests.drawing import values
from tests.op_cases import OpCase
from tinygrad_edu.compiler import fusing
from tinygrad_edu.compiler.symbols import NotFusible
from tinygrad_edu.kernels import policy
from tinygrad_edu.recorders import RecordingError

CALLS = 5  # two that are recorded, three that are replayed

UNSEEN = "computes indices or weights from numbers, with NumPy and unseen"
BY_VALUE = "the shape of its result, or the turn it takes, depends on numbers"
IN_PLACE = "writes to a part of a tensor in place"
# What cannot be recorded, by op: which of its cases (all of them without a list), and why. Nothing else may be refused.
REFUSED: dict[str, tuple[str, tuple[int, ...]]] = {
    "adaptive_max_pool1d": (UNSEEN, ()),
    "adaptive_max_pool2d": (UNSEEN, ()),
    "adaptive_max_pool3d": (UNSEEN, ()),
    "cross_entropy": (UNSEEN, (6, 7, 8, 9)),
    "ctc_loss": (UNSEEN, ()),
    "embedding_bag": (UNSEEN, ()),
    "fractional_max_pool2d": (UNSEEN, ()),
    "fractional_max_pool3d": (UNSEEN, ()),
    "gaussian_nll_loss": (UNSEEN, ()),
    "getitem": (BY_VALUE, (13, 14, 15, 16)),
    "gumbel_softmax": (UNSEEN, ()),
    "index_fill": (UNSEEN, ()),
    "masked_scatter": (BY_VALUE, ()),
    "masked_select": (BY_VALUE, ()),
    "matrix_exp": (BY_VALUE, ()),
    "max_unpool1d": (UNSEEN, ()),
    "max_unpool2d": (UNSEEN, ()),
    "max_unpool3d": (UNSEEN, ()),
    "multi_margin_loss": (UNSEEN, ()),
    "multilabel_margin_loss": (UNSEEN, ()),
    "nll_loss": (UNSEEN, (3, 4)),
    "repeat_interleave": (BY_VALUE, (2,)),
    "replace": (IN_PLACE, (1,)),
    "scatter_reduce": (UNSEEN, ()),
    "setitem": (IN_PLACE, (1,)),
}

DIFFERENTIABLE = [case for case in CASES if case.order]
NUMBERED = [(case, sum(c.name == case.name for c in DIFFERENTIABLE[:at])) for at, case in enumerate(DIFFERENTIABLE)]


def is_refused(case: OpCase, number: int) -> bool:
    return case.name in REFUSED and (not REFUSED[case.name][1] or number in REFUSED[case.name][1])


def arrays_of(case: OpCase, seed: int, kind: str) -> list[np.ndarray]:
    """Draw all arguments, in the same shapes for every seed."""
    rng = np.random.default_rng(seed)
    drawn = []
    for position, arg in enumerate(case.args):
        shape = ((2, 3), (3,), (2, 1))[position % 3] if case.elementwise else arg.shapes[0]
        array = values(arg, shape, rng)
        drawn.append(np.array(array, kind if arg.kind == "float" else array.dtype, order="C"))
    return drawn


def step_of(case: OpCase, kind: str):
    """Return a function of all arguments: value and gradients of a weighted sum of what the op returns."""
    wanted = [position for position, arg in enumerate(case.args) if arg.kind == "float" and arg.grad]
    weights: dict[tuple, tg.Tensor] = {}

    def weight(position: int, shape: tuple) -> tg.Tensor:
        if (position, shape) not in weights:
            draw = np.random.default_rng(position).standard_normal(shape)
            weights[position, shape] = tg.from_numpy(np.asarray(draw, kind))
        return weights[position, shape]

    def step(*tensors):
        leaves = list(tensors)
        for position in wanted:
            leaves[position] = tensors[position].detach().requires_grad_()
        answer = case.run(tg, *leaves)
        answers = [answer] if isinstance(answer, tg.Tensor) else list(answer)
        floats = [a for a in answers if isinstance(a, tg.Tensor) and a.is_floating_point()]
        total = sum((a * weight(i, tuple(a.shape)).to(a.dtype)).sum() for i, a in enumerate(floats))
        gradients = tg.autograd.grad(total, [leaves[p] for p in wanted], materialize_grads=True)
        return (*(a.detach() for a in floats), total.detach(), *gradients)

    return step


def compare(case: OpCase, kind: str) -> tg.compiler.RecordedStep:
    """Call the step with new numbers again and again, recorded and on the tape."""
    step = step_of(case, kind)
    run = tg.compile(step)
    for seed in range(CALLS):
        arrays = arrays_of(case, seed, kind)
        recorded, taped = (call(*map(tg.from_numpy, arrays)) for call in (run, step))
        assert len(recorded) == len(taped)
        for mine, theirs in zip(recorded, taped, strict=True):
            assert mine.dtype == theirs.dtype
            scale = max(1.0, float(np.abs(theirs.numpy()).max(initial=0.0)))
            rtol = 1e-10 if mine.dtype == tg.float64 else 2e-5
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=rtol, atol=rtol * scale)
    assert len(run.programs) == 1
    assert run.programs[0].confirmed
    return run


def never(program):
    raise NotFusible("this test wants it call by call")


@pytest.mark.parametrize(("case", "number"), NUMBERED, ids=str)
def test_call_by_call_equals_the_tape(case: OpCase, number: int, monkeypatch):
    monkeypatch.setattr(fusing, "fuse", never)
    if is_refused(case, number):
        with pytest.raises(RecordingError):
            compare(case, "float64")
    else:
        assert compare(case, "float64").programs[0].why_not == "this test wants it call by call"


FUSED = (
    "add", "cos", "cross_entropy_mean", "div", "exp", "linear", "log", "mean", "mul", "neg", "relu", "sigmoid", "sin", "sqrt", "square",
    "sub", "sum", "tanh",
)  # fmt: skip


@pytest.mark.skipif(policy.get_backend() != "numba", reason="steps are compiled by Numba")
@pytest.mark.parametrize("name", FUSED)
def test_fused_equals_the_tape(name: str):
    case = next(c for c in DIFFERENTIABLE if c.name == name)
    assert compare(case, "float32").programs[0].why_not == ""


def test_refusals_are_of_ops_that_exist():
    assert set(REFUSED) <= {case.name for case in DIFFERENTIABLE}
