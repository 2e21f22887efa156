"""A fully connected layer of known parameters, with the activation behind it if there is one: one kernel call each way.

In small networks looking at the arguments takes longer than the arithmetic. So what has been found out about a layer's weight is kept
as long as it is the same array, and a small layer hands its arrays to the compiled function without looking at them again.

With an activation the graph is that of two ops. No derivative rule of the two reads what lies between them, so it need not exist.
Whoever could see it (a hook, an observer) is asked before the ops are joined; see ``nn.Sequential``. The numbers are the same to the
last bit: where the activation by itself would be computed by NumPy, the two are not joined.
"""

import copy
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.engine import give, inspectors, keeping
from tinygrad_edu.grad_mode import disabled, mode
from tinygrad_edu.graph import Node
from tinygrad_edu.kernels.elementwise_numpy import NONE, RELU, SIGMOID, TANH
from tinygrad_edu.kernels.policy import ACTIVATION_PAYS, chosen
from tinygrad_edu.ops.activation import relu, sigmoid
from tinygrad_edu.ops.linear import BeforeActivation, linear
from tinygrad_edu.ops.trigonometric import tanh
from tinygrad_edu.primitive import new_node
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["PreparedLayer"]

LINEAR: Any = linear.op  # type: ignore[attr-defined]
assert LINEAR.reads == ("w", "x", "w_shape", "bias_shape"), "what a PreparedLayer saves"
KIND = np.dtype(np.float32)
NOTHING = np.empty(0, KIND)
NO_MATRIX = np.empty((0, 0), KIND)


class PreparedLayer:
    """The layer act(input weight^T + bias), called with the input.

    Parameters
    ----------
    weight : Tensor (OUT, IN)
    bias : Tensor (OUT,), optional
    activation : "relu", "sigmoid" or "tanh", optional
    """

    __slots__ = (
        "_b", "_code", "_fits", "_general", "_inputs", "_least", "_most", "_outputs", "_quick", "_w", "bias", "weight",
    )  # fmt: skip

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str | None = None):
        self.weight, self.bias = weight, bias
        w, b = weight._data, NOTHING if bias is None else bias._data
        # Weak: an optimizer joins small parameters, if nobody else holds their memory.
        self._w, self._b = _weak(w), _weak(b)
        self._fits = w.ndim == 2 and w.dtype is KIND is b.dtype and (bias is None or b.shape == w.shape[:1])
        if not self._fits:
            return
        self._code, self._quick, self._general = _KINDS[activation]
        self._outputs, self._inputs = w.shape
        self._least = -(-ACTIVATION_PAYS // max(1, len(w))) if activation in ("sigmoid", "tanh") else 0
        plain = w.flags.c_contiguous and b.flags.c_contiguous and w.size
        self._most = (kernels.small_layer() - 1) // w.size if plain else -1

    def holds(self, weight: Tensor, bias: Tensor | None) -> bool:
        """Tell whether this is still the layer of these parameters, in the same memory."""
        return (
            weight is self.weight
            and bias is self.bias
            and weight._data is self._w()
            and (bias is None or bias._data is self._b())
        )

    def __call__(self, input: Tensor) -> Tensor | None:
        """Return the result (N, OUT) for an input (N, IN).

        None where the ops have to do it one by one: for other shapes and types, and what `linear` refuses.
        """
        x = input._data
        sizes = x.shape
        if not (
            self._fits and len(sizes) == 2 and sizes[1] == self._inputs and x.dtype is KIND and sizes[0] >= self._least
        ):
            return None
        bias, w = self.bias, self.weight._data
        b = NOTHING if bias is None else bias._data
        if sizes[0] <= self._most and x.flags.c_contiguous:
            result, op = np.empty((sizes[0], self._outputs), KIND), self._quick
            chosen["linear_act_forward_into"](x, w, b, result, self._code)
        else:
            result, op = kernels.linear_act_forward(x, w, None if bias is None else b, self._code), self._general
        x_node, w_node, b_node = input.node, self.weight.node, None if bias is None else bias.node
        if (x_node is None and w_node is None and b_node is None) or (disabled and not mode.enabled):
            return wrap(result)
        parents, saved = (x_node, w_node, b_node), (w, x, w.shape, None if bias is None else b.shape)
        if self._code == NONE:
            return wrap(result, new_node(op, parents, saved))
        return wrap(result, new_node(op, (new_node(LINEAR, parents, saved),), (result,)))

    def __reduce__(self) -> tuple:
        return type(None), ()  # what was found out about one layer's memory is of no use to its copy


def _weak(data: Any) -> Any:
    """A weak reference to an array; a NumPy number, which cannot be a layer's weight anyway, has none."""
    return ref(data) if data.__class__ is np.ndarray else type(None)


# ---- the way back -----------------------------------------------------------------------------------------------------------
def _through_the_layer(own: Any, code: int) -> Any:
    """The op of an activation, except that in an ordinary backward pass it leaves its part to the layer's kernel."""

    def pull(node: Node, g: Any) -> None:
        (layer,), (out,) = node.parents, node.saved  # type: ignore[misc]
        if layer.mark is node.mark and layer.hooks is None and not inspectors:
            layer.grad, layer.owned = BeforeActivation(g, out, code), False
        else:
            own.pull(node, g)

    return _with_pull(own, pull)


def _past_the_layer(own: Any, code: int) -> Any:
    """The same for a small layer, whose part is done at once."""

    def pull(node: Node, g: Any) -> None:
        (layer,), (out,), mark = node.parents, node.saved, node.mark  # type: ignore[misc]
        if layer.mark is mark and layer.hooks is None and not inspectors and g.dtype is KIND and g.shape == out.shape:
            _backward(layer, mark, g.copy(), out, code)
            if not keeping:
                layer.saved = None
        else:
            own.pull(node, g)

    return _with_pull(own, pull)


def _small_layer() -> Any:
    """The op of a small layer without an activation."""

    def pull(node: Node, g: Any) -> None:
        if g.dtype is KIND and g.flags.carray:
            _backward(node, node.mark, g, g, NONE)
        else:
            LINEAR.pull(node, g)

    return _with_pull(LINEAR, pull)


def _backward(layer: Node, mark: object, g: np.ndarray, out: np.ndarray, code: int) -> None:
    """Hand a gradient on to the parents of a small layer, whose arrays are known to suit the compiled function."""
    w, x, w_shape, bias_shape = layer.saved  # type: ignore[misc]
    x_node, w_node, b_node = layer.parents
    x_live = x_node is not None and x_node.mark is mark
    gx = np.empty(x.shape, KIND) if x_live else NO_MATRIX
    gw = np.empty(w_shape, KIND) if w_node is not None and w_node.mark is mark else NO_MATRIX
    gb = np.empty(bias_shape, KIND) if b_node is not None and b_node.mark is mark else NOTHING
    chosen["linear_act_backward_into"](g, x, w, out, code, gx, gw, gb, x_live)
    if x_live:
        give(x_node, gx)
    if gw is not NO_MATRIX:
        give(w_node, gw)
    if gb is not NOTHING:
        give(b_node, gb)


def _with_pull(own: Any, pull: Any) -> Any:
    op = copy.copy(own)
    op.pull = pull
    return op


_KINDS: dict[str | None, tuple[int, Any, Any]] = {None: (NONE, _small_layer(), LINEAR)}
for _function, _code in ((relu, RELU), (sigmoid, SIGMOID), (tanh, TANH)):
    _own = _function.op
    assert _own.reads == ("out",), "what a PreparedLayer saves"
    _KINDS[_own.name] = _code, _past_the_layer(_own, _code), _through_the_layer(_own, _code)
