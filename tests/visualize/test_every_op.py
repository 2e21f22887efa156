"""Every op of the table can be drawn, and its numbers in the picture are the engine's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.all_cases import CASES
from tests.drawing import inputs
from tests.ops.test_derivatives import float_outputs, tensors_of
from tinygrad_edu.visualize import draw_graph, record
from tinygrad_edu.visualize.graph_picture import PARTS, Picture

DIFFERENTIABLE = [case for case in CASES if case.order]


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=[f"{i}-{case.name}" for i, case in enumerate(DIFFERENTIABLE)])
@settings(max_examples=3)
@given(data=st.data())
def test_every_op_can_be_drawn(case, data):
    tensors = tensors_of(case, data.draw(inputs(case)))
    leaves = [tensor for tensor in tensors if tensor.requires_grad]
    with record() as recording:
        out = float_outputs(case.run(tg, *tensors))[0]
    expected = tg.autograd.grad(out.sum(), leaves, retain_graph=True, allow_unused=True)
    walked = Picture([out], {}, {}, frozenset(PARTS))
    out.sum().backward()  # frees the graph: the recording must do without it
    recorded = Picture([out], {}, recording.calls, frozenset(PARTS))
    for leaf, grad in zip(leaves, expected, strict=True):
        for picture in (walked, recorded):
            found = picture.gradients.get(leaf.node)
            if grad is None:
                assert found is None or not np.any(found)
            else:
                np.testing.assert_allclose(found, grad.numpy(), rtol=1e-10, atol=1e-12)
    drawing = draw_graph(out, recording=recording)
    assert [box.kind for box in drawing.boxes.values()].count("output") == 1
    assert drawing.arrows or out.is_leaf  # some ops have nothing to do and hand back their operand
