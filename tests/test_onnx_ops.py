"""Every op of the table as an ONNX graph: the same numbers in ONNX Runtime, or a refusal that says why; and no rule without a case."""

from dataclasses import dataclass, field

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.all_cases import CASES
from tests.drawing import values
from tests.op_cases import OpCase
from tinygrad_edu import nn

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow
NAMES = sorted({case.name for case in CASES if case.args})


class Calling(nn.Module):
    """A model that calls one op."""

    def __init__(self, case: OpCase):
        super().__init__()
        self.case = case

    def forward(self, *tensors):
        return self.case.run(tg, *tensors)


def tensors_in(value):
    if isinstance(value, tg.Tensor):
        return [value]
    return [t for part in value for t in tensors_in(part)] if isinstance(value, tuple | list) else []


def drawn(case: OpCase) -> list[tg.Tensor]:
    """Inputs inside the op's domain, floats in float32."""
    rng = np.random.default_rng(0)
    arrays = (values(arg, arg.shapes[0] if arg.shapes else (2, 3), rng) for arg in case.args)
    return [tg.tensor(a.astype(np.float32) if a.dtype.kind == "f" else a) for a in arrays]


@dataclass
class Outcomes:
    """What became of each case: None if the numbers are the same, else the refusal or the difference; and the rules it took."""

    by_name: dict[str, list[str]] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)

    def add(self, case: OpCase) -> None:
        found = self.by_name.setdefault(case.name, [])
        tensors = drawn(case)
        with tg.no_grad():
            expected = tensors_in(case.run(tg, *(t.clone() for t in tensors)))
        if not expected:
            return
        try:
            proto = tg.onnx.export(Calling(case), tuple(tensors))
        except (RuntimeError, NotImplementedError) as error:
            if "onnx.export (" not in str(error) or "Fix: " not in str(error):
                found.append(f"{case}: {error!r}")
            return
        self.exported.add(case.name)
        session = runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        got = session.run(None, {i.name: t.numpy() for i, t in zip(session.get_inputs(), tensors, strict=True)})
        for mine, theirs in zip(expected, got, strict=True):
            if mine.numpy().dtype != theirs.dtype or not np.allclose(mine.numpy(), theirs, 2e-5, 2e-5, equal_nan=True):
                found.append(f"{case}: {mine.numpy()} is {theirs}")


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    from tinygrad_edu.onnx import exporter

    result = Outcomes()

    class Noting(dict):
        def __getitem__(self, name):
            result.rules.add(name)
            return super().__getitem__(name)

    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(exporter, "OPS", Noting(exporter.OPS))
        for case in CASES:
            if case.args:
                result.add(case)
    return result


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_the_same_numbers_or_a_refusal(name: str, outcomes: Outcomes):
    assert outcomes.by_name[name] == []


def test_every_rule_has_a_case(outcomes: Outcomes):
    from tinygrad_edu.onnx.op_map import OPS

    assert set(OPS) - outcomes.rules == {"RNNBase"}  # a layer: see test_onnx.py


def test_what_courses_use_has_an_onnx_form(outcomes: Outcomes):
    needed = (
        "add sub mul div neg pow matmul linear exp log sqrt abs clamp maximum minimum where sum mean amax argmax var std relu sigmoid tanh "
        "leaky_relu elu selu gelu silu softplus softmax log_softmax conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
        "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool2d batch_norm layer_norm group_norm "
        "instance_norm embedding reshape flatten transpose permute squeeze unsqueeze cat stack split chunk expand pad gather einsum "
        "scaled_dot_product_attention interpolate pixel_shuffle tril"
    )
    assert set(needed.split()) - outcomes.exported == set()
