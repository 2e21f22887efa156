"""A fully connected layer and the activation behind it: one kernel call each way, and the graph of two ops.

No derivative rule of the two reads what lies between them, so it need not exist. Whoever could see it (a hook, an observer) is asked
before the ops are joined; see ``nn.Sequential``. The numbers are the same to the last bit: where the activation by itself would be
computed by NumPy, the two are not joined.
"""

import copy
from typing import Any

from tinygrad_edu import kernels
from tinygrad_edu.engine import inspectors
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.graph import Node
from tinygrad_edu.kernels.elementwise_numpy import RELU, SIGMOID, TANH
from tinygrad_edu.kernels.policy import ACTIVATION_PAYS
from tinygrad_edu.ops.activation import relu, sigmoid
from tinygrad_edu.ops.linear import BeforeActivation, linear
from tinygrad_edu.ops.trigonometric import tanh
from tinygrad_edu.primitive import new_node
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["linear_activated"]

LINEAR: Any = linear.op  # type: ignore[attr-defined]
assert LINEAR.reads == ("w", "x", "w_shape", "bias_shape"), "what linear_activated saves"


def _behind_a_layer(own: Any, code: int) -> Any:
    """The op of an activation, except that in an ordinary backward pass it leaves its part to the layer's kernel."""
    assert own.reads == ("out",), "what linear_activated saves"

    def pull(node: Node, g: Any) -> None:
        (layer,), (out,) = node.parents, node.saved or (None,)
        if layer.op is LINEAR and layer.mark is node.mark and layer.hooks is None and not inspectors:
            layer.grad, layer.owned = BeforeActivation(g, out, code), False
        else:
            own.pull(node, g)

    op = copy.copy(own)
    op.pull = pull
    return op


_CODES = {"relu": RELU, "sigmoid": SIGMOID, "tanh": TANH}
_OPS = {function.op.name: _behind_a_layer(function.op, _CODES[function.op.name]) for function in (relu, sigmoid, tanh)}


def linear_activated(input: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor | None:
    """Return the activation ("relu", "sigmoid" or "tanh") of a fully connected layer, act(input weight^T + bias).

    Parameters
    ----------
    input : Tensor (N, IN)
    weight : Tensor (OUT, IN)
    bias : Tensor (OUT,), optional

    Returns
    -------
    Tensor (N, OUT), or None where the two have to run one after the other: for other shapes and types, and what `linear` refuses.
    """
    x, w, b = input._data, weight._data, None if bias is None else bias._data
    kind = x.dtype
    if not (
        x.ndim == 2 == w.ndim
        and kind.char == "f"
        and (activation == "relu" or len(x) * len(w) >= ACTIVATION_PAYS)
        and x.shape[1] == w.shape[1]
        and w.dtype is kind
        and (b is None or (b.dtype is kind and b.shape == w.shape[:1]))
    ):
        return None
    result = kernels.linear_act_forward(x, w, b, _CODES[activation])
    parents = (input.node, weight.node, None if bias is None else bias.node)
    if parents == (None, None, None) or not mode.enabled:
        return wrap(result)
    layer = new_node(LINEAR, parents, (w, x, w.shape, None if b is None else b.shape))
    return wrap(result, new_node(_OPS[activation], (layer,), (result,)))
