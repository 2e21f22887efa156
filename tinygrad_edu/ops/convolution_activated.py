"""A convolution, the relu and the max-pooling behind it: one kernel call each way, and the graph of three ops (or two).

What lies between is as large as the convolution's output, and the joined kernels never write it down. Whoever could see it (a hook, an
observer) is asked before the ops are joined, see ``nn.Sequential``, and whoever asks later (a hook on a node, a rule that is recorded, a
picture) gets it computed again, by the kernels that the ops use by themselves. The outputs are the same to the last bit; gradients are
sums that the joined kernel adds up in another order, as it does in recorded steps.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu import codegen, kernels
from tinygrad_edu.engine import inspectors
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.graph import Node
from tinygrad_edu.memory import check_unchanged, version
from tinygrad_edu.ops.activation import relu
from tinygrad_edu.ops.convolution import convolution
from tinygrad_edu.ops.convolution_sizes import convolution_sizes
from tinygrad_edu.ops.pooling import window_max
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import new_node
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["convolution_activated"]


# ---- what the graph keeps ---------------------------------------------------------------------------------------------------
class Layer:
    """What the joined way back reads. It stands for the convolution's node where a value is checked: see `number` and `op`."""

    __slots__ = ("bias", "index", "number", "out", "pool", "rectified", "settings", "version", "w", "x")

    op: Any = convolution.op  # type: ignore[attr-defined]
    number: int
    version: int
    rectified: np.ndarray | None

    def __init__(self, x: Any, w: Any, bias: Any, settings: tuple, pool: int):
        self.x, self.w, self.bias, self.settings, self.pool, self.rectified = x, w, bias, settings, pool, None
        self.out, self.index = kernels.conv_relu_pool_forward(x, w, bias, *settings, pool)

    def is_as_it_was(self) -> bool:
        """Whether nobody has written over the output: the pooling by itself does not read it, so that is allowed."""
        return version(self.out) == self.version

    def between(self) -> np.ndarray:
        """What the pooling was given, computed now."""
        if self.rectified is None:
            for name in ("x", "w", "bias"):
                check_unchanged(getattr(self, name), self, f"`{name}`")  # type: ignore[arg-type]
            self.rectified = RELU.forward(kernels.conv2d_forward(self.x, self.w, self.bias, *self.settings))
        return self.rectified


class Between:
    """Stands for what the relu saved: the value is computed when somebody takes it out."""

    __slots__ = ("layer",)

    def __init__(self, layer: Layer):
        self.layer = layer

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator:
        return iter((self.layer.between(),))

    def __getitem__(self, position: int) -> np.ndarray:
        return (self.layer.between(),)[position]


class Places(Workspace):
    """The notes of the pooling by itself: made when they are read, for the joined kernels have their own."""

    __slots__ = ("layer",)

    layer: Layer

    def __getattr__(self, name: str) -> Any:
        # Only reached while nothing has been noted.
        if name not in ("index", "tile"):
            raise AttributeError(name)
        size = (self.layer.pool, self.layer.pool)
        POOL.forward(self.layer.between(), size, size, (0, 0), (1, 1), False, self)
        return getattr(self, name)


class Kept(tuple):
    """What a relu without a pooling saved, its output, and the layer beside it."""

    layer: Layer


class ReluNode(Node):
    """A relu's node whose value does not exist, so that nobody checks whether it was written over."""

    __slots__ = ()
    forgetful = True


# ---- the way back -----------------------------------------------------------------------------------------------------------
class BeforeRelu:
    """A gradient that still has to go through the relu (and the pooling): the convolution's kernel does it on the way."""

    __slots__ = ("gradient", "layer")

    base = None  # asked of a gradient: the array that owns its memory

    def __init__(self, gradient: np.ndarray, layer: Layer):
        self.gradient, self.layer = gradient, layer


def _goes_on(conv: Node, mark: object) -> bool:
    """Whether the gradient goes through the convolution, and nobody looks at it before."""
    return conv.op is CONVOLUTION and conv.mark is mark and conv.hooks is None and not inspectors


def _pull_pool(node: Node, g: Any) -> None:
    (rectifier,), (_, work) = node.parents, node.saved  # type: ignore[misc]
    free = rectifier.op is RELU and rectifier.hooks is None and rectifier.parents
    if free and _goes_on(rectifier.parents[0], node.mark) and work.layer.is_as_it_was():
        rectifier.grad, rectifier.owned = BeforeRelu(g, work.layer), False
    else:
        OWN_POOL.pull(node, g)


def _pull_relu(node: Node, g: Any) -> None:
    (conv,), saved = node.parents, node.saved
    if g.__class__ is BeforeRelu:
        conv.grad, conv.owned = g, False
    elif saved.__class__ is Kept and _goes_on(conv, node.mark):
        conv.grad, conv.owned = BeforeRelu(g, saved.layer), False  # type: ignore[union-attr]
    else:
        OWN_RELU.pull(node, g)


def _pull_convolution(node: Node, g: Any) -> None:
    (JOINED if g.__class__ is BeforeRelu else OWN_CONVOLUTION).pull(node, g)


def _backward(g, needs):
    """The gradients of image, filters and bias at once."""
    layer = g.layer
    arrays = (g.gradient, layer.x, layer.w, layer.out, layer.index)
    return kernels.conv_relu_pool_backward(*arrays, *layer.settings, layer.pool, needs)


def _copied(own: Any, **changes: Any) -> Any:
    op = copy.copy(own)
    vars(op).update(changes)
    return op


OWN_CONVOLUTION: Any = convolution.op  # type: ignore[attr-defined]
OWN_RELU: Any = relu.op
OWN_POOL: Any = window_max.op  # type: ignore[attr-defined]
assert (OWN_RELU.reads, OWN_POOL.reads) == (("out",), ("x_shape", "work")), "what the joined ops save"
CONVOLUTION = _copied(OWN_CONVOLUTION, pull=_pull_convolution)
RELU = _copied(OWN_RELU, pull=_pull_relu)
POOL = _copied(OWN_POOL, pull=_pull_pool)
JOINED = _copied(OWN_CONVOLUTION, together=_backward, together_reads=(), reads=())
JOINED.pull = codegen.build_pull(JOINED)


# ---- the way ahead ----------------------------------------------------------------------------------------------------------
def convolution_activated(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int, pool: int
) -> Tensor | None:
    """Return ``max_pool2d(relu(conv2d(input, weight, bias, ...)), pool)``; pool=1 leaves the pooling out.

    Parameters
    ----------
    input : Tensor (N, C, H, W)
    weight : Tensor (OC, C/groups, KH, KW)
    bias : Tensor (OC,), optional
    stride, padding, dilation, groups
        As in ``conv2d``.
    pool : int
        The side of the pooling's windows, which touch.

    Returns
    -------
    Tensor (N, OC, OH // pool, OW // pool), or None where the ops have to run one after the other: for other shapes and types, for what
    any of them refuses, and where the image needs a gradient and the weight does not, for then nobody else keeps the image.
    """
    if input.ndim != 4 or input._data.dtype.char != "f":
        return None
    sizes: Any
    try:
        image, _, *sizes = convolution_sizes(input, weight, bias, stride, padding, dilation, groups, 2, "conv2d")
    except Exception:  # the op by itself says what is wrong, and the module where
        return None
    x, w, b = image._data, weight._data, None if bias is None else bias._data
    settings = (*sizes, groups)
    if min(kernels.conv_output_hw(x.shape[2:], w.shape[2:], *sizes)) < pool:
        return None
    parents = (image.node, weight.node, None if bias is None else bias.node)
    if parents == (None, None, None) or not mode.enabled:
        return wrap(kernels.conv_relu_pool_forward(x, w, b, *settings, pool)[0])
    if weight.node is None:
        return None
    return _recorded(Layer(x, w, b, settings, pool), parents)


def _recorded(layer: Layer, parents: tuple) -> Tensor:
    """The output with the nodes that the ops by themselves would make."""
    x, w, out = layer.x, layer.w, layer.out
    values = {"w": None if parents[0] is None else w, "x": x, "x_shape": x.shape, "w_shape": w.shape}
    values |= zip(("stride", "padding", "dilation", "groups"), layer.settings, strict=True)
    conv = new_node(CONVOLUTION, parents, tuple(values[name] for name in CONVOLUTION.reads))
    layer.number, layer.version = conv.number, version(out)
    if layer.pool == 1:
        kept = Kept((out,))
        kept.layer = layer
        return wrap(out, new_node(RELU, (conv,), kept))
    rectifier = new_node(RELU, (conv,), Between(layer))  # type: ignore[arg-type]
    rectifier.__class__ = ReluNode
    work = Places()
    work.layer = layer
    hw = kernels.conv_output_hw(x.shape[2:], w.shape[2:], *layer.settings[:3])
    return wrap(out, new_node(POOL, (rectifier,), ((*out.shape[:2], *hw), work)))
