"""The end of a recording: what the function returned, and the way back from it where gradients are still wanted."""

from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Gradient, Program, replaced
from tinygrad_edu.compiler.recorder import Recorder
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.tensor import Tensor

__all__ = ["finished"]


def finished(recorder: Recorder, answer: Any) -> Program | None:
    """Return the program, with values in the place of the tensors that the function returned.

    One of them may be the end of a graph that is still to be differentiated: then the way back is recorded as well. Of several
    such tensors there is no program.
    """
    tensors: list[Tensor] = []
    replaced(answer, lambda leaf: tensors.append(leaf) if isinstance(leaf, Tensor) else None)
    program = recorder.program
    program.result = replaced(answer, lambda leaf: recorder.value_of(leaf) if isinstance(leaf, Tensor) else leaf)
    ends = {
        t.node: t for t in tensors if t.node is not None and t.node in recorder.made_by and t.node.saved is not None
    }
    if len(ends) > 1:
        return None
    for node, tensor in ends.items():
        if any(call.kind == "rule" for call in program.calls):
            break  # the step has gone back already; what it returns is to be looked at
        program.gradient = _way_back(recorder, node, tensor)
    return program


def _way_back(recorder: Recorder, node: Node, tensor: Tensor) -> Gradient:
    """Record the rules from a returned tensor down to the parameters and arguments."""
    program = recorder.program
    seed = np.ones(tensor._data.shape, tensor._data.dtype) if tensor._data.shape else tensor._data.dtype.type(1)
    start = recorder.seed(seed)
    wanted = [v for v in (*program.inputs, *program.held) if v.node is not None]
    forward = len(program.calls)
    with recorder:
        found = recorder.backpropagate([(node, seed)], {v.node for v in wanted}, True, _nowhere)
    calls = program.calls[forward:]
    del program.calls[forward:]
    pairs = [(v, recorder.known(found[v.node])) for v in wanted if v.node in found]
    return Gradient(start, recorder.value_of(tensor), calls, pairs)


def _nowhere(leaf: Leaf, gradient: Any, owned: bool) -> None:
    """Where no gradient is to be kept."""
