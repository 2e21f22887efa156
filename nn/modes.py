"""Evaluation in training mode (E305) and training in evaluation mode (E306), noticed by the layers that have two modes.

A layer whose mode fits what is going on (training while recording, evaluating while not) only says so in one line. In the other two
cases there is often a good reason: fake images are drawn from a generator in training mode, dropout is sampled at test time, batch
norm is frozen, an attack needs the gradient of an evaluated network. So the evidence is followed until it allows one reading only.
"""

import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from tinygrad_edu.errors import teach
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.graph import add_hook
from tinygrad_edu.mistakes import suspicions
from tinygrad_edu.recorders import recorders
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor

__all__ = ["watch"]

# Ops that compare predictions with targets: losses, as the public functions reach them.
LOSSES = {
    "cross_entropy_mean": "cross_entropy",
    "class_pick": "a loss of classes",
    "mse_mean": "mse_loss",
    "binary_entropy": "binary_cross_entropy",
    "logits_entropy_mean": "binary_cross_entropy_with_logits",
}
ENOUGH = 16  # layers to ask about after the next step


def watch(layer: Any, input: Tensor, out: Tensor) -> None:
    """Compare the mode of a dropout or batch norm layer that has just run with what the program is doing."""
    if recorders:  # a hook or an observer of ours would become part of the recording
        return
    training = layer.training
    if training is mode.enabled:
        if training:
            layer.__dict__["_has_trained"] = True
    elif training:
        _noise_unrecorded(layer, input, out)
    elif out.node is not None and not out.node.is_leaf and "_has_trained" in layer.__dict__:
        _recorded_in_evaluation(layer, out)


def _outermost() -> Any:
    """Return the outermost module that is being called now."""
    from tinygrad_edu.nn.module import Module

    call, found = Module.__call__.__code__, None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is call:
            found = frame
        frame = frame.f_back
    return None if found is None else found.f_locals["self"]


# ---- E306: a step was made with what a layer in evaluation mode computed ----------------------------------------------------
def _recorded_in_evaluation(layer: Any, out: Tensor) -> None:
    """A layer that has trained before runs in evaluation mode while recording: wait for backward, then for the step."""
    root = _outermost()
    if root is None or root.training:  # the network trains, this layer is frozen on purpose
        return
    layers = weakref.ref(layer), weakref.ref(root)

    def backward_came_here(_: Any) -> None:
        if len(suspicions) < ENOUGH:  # saliency maps and attacks call backward for ever, and no step comes
            suspicions.append(lambda optimizer: _step_in_evaluation(optimizer, *layers))

    add_hook(out.grad_fn, backward_came_here)  # type: ignore[arg-type]


def _step_in_evaluation(optimizer: Any, layer_reference: Callable, root_reference: Callable) -> None:
    """Warn if the step that was just made changed the network, which is still in evaluation mode."""
    layer, root = layer_reference(), root_reference()
    if layer is None or root is None or layer.training or root.training:
        return
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if any(id(p) in held for _, p in root._named_members("parameter", "", True, True)):
        teach(
            "E306",
            f"{type(optimizer).__name__}.step",
            f"{type(root).__name__} is trained in evaluation mode, where {layer!r} does not do its work. It was in training mode before: "
            "eval() came in between, and no train() after it.",
            "model.train() at the start of every epoch.",
        )


# ---- E305: what a noisy layer gave is compared with targets, and nothing is recorded ----------------------------------------
_evaluation: "_Evaluation | None" = None


def _noise_unrecorded(layer: Any, input: Tensor, out: Tensor) -> None:
    """A layer in training mode runs under ``no_grad``: follow its output to the loss or the accuracy."""
    global _evaluation
    if "_told" in layer.__dict__:
        return
    if _evaluation is None or not _evaluation.watching:
        root = _outermost()
        if root is None or not root.training:  # only this layer was switched to training mode: it is sampled on purpose
            return
        _evaluation = _Evaluation(root)
    _evaluation.layer_ran(layer, input, out)


class _Evaluation:
    """Follows the values that came from layers in training mode through the operations of one thread."""

    def __init__(self, root: Any):
        self.root, self.thread = type(root).__name__, threading.get_ident()
        self.noisy: dict[int, weakref.ref] = {}
        self.met: list[weakref.ref] = []
        self.sampling = False
        self.watching = True
        observers.append(self.operation)

    def layer_ran(self, layer: Any, input: Tensor, out: Tensor) -> None:
        if threading.get_ident() != self.thread:
            return
        if not any(layer is one() for one in self.met):
            self.met.append(weakref.ref(layer))
        elif id(input) not in self.noisy:
            self.sampling = True  # a second pass before anything was compared: the noise is wanted
        self._follow(out)

    def operation(self, name: str, arguments: tuple, parameters: dict, out: Any) -> None:
        """Observe one executed op."""
        if threading.get_ident() != self.thread:
            return
        if mode.enabled:
            self._stop()
            return
        tensors = [a for a in arguments if isinstance(a, Tensor)]
        noisy = [t for t in tensors if id(t) in self.noisy]
        if not noisy:
            return
        if name in LOSSES:
            self._judge(LOSSES[name])
        elif name in ("eq", "ne") and noisy[0]._data.dtype.kind == "i" and len(noisy) < len(tensors):
            self._judge("the accuracy")  # predicted classes beside given ones
        elif isinstance(out, Tensor):
            self._follow(out)

    def _judge(self, where: str) -> None:
        layers = [layer for reference in self.met if (layer := reference()) is not None]
        self._stop()
        if self.sampling or not layers:
            return
        layer = layers[0]
        for one in layers:
            one.__dict__["_told"] = True
        teach(
            "E305",
            where,
            f"{self.root} is evaluated in training mode: {layer!r} {_what_it_does(layer)}, although nothing is recorded here.",
            "model.eval() before the evaluation, model.train() before the next epoch.",
        )

    def _follow(self, tensor: Tensor) -> None:
        key = id(tensor)
        self.noisy[key] = weakref.ref(tensor, lambda _: self.noisy.pop(key, None))

    def _stop(self) -> None:
        self.watching = False
        self.noisy.clear()
        self.met.clear()
        if self.operation in observers:
            observers.remove(self.operation)


def _what_it_does(layer: Any) -> str:
    return (
        "drops values at random"
        if "Dropout" in type(layer).__name__
        else "uses this batch's statistics and changes its own"
    )
