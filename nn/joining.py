"""Modules behind each other that share one kernel call each way: a layer and its activation.

They are joined only where nobody can see what lies between them; the graph is that of the modules one by one.
"""

from typing import Any

from tinygrad_edu.nn.activation import ReLU, Sigmoid, Tanh
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.linear_activated import linear_activated
from tinygrad_edu.recorders import recorders
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor

__all__ = ["JOINS"]

_FUSED = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh"}


def _activated(layer: Linear, activation: Module, input: Any) -> Any:
    """The two modules' result by one kernel call; None where somebody wants to see what lies between, or it does not fit."""
    name = _FUSED.get(activation.__class__)
    if (
        name is None
        or activation.inplace
        or layer._hooks is not None
        or activation._hooks is not None
        or observers
        or recorders
        or input.__class__ is not Tensor
    ):
        return None
    weight = layer.__dict__.get("weight")
    return None if weight is None else linear_activated(input, weight, layer.__dict__.get("bias"), name)


JOINS: dict[type, Any] = {Linear: _activated}
"""By what waits for the module behind it: ``join(waiting, module, input)``. It returns the output of both, or both to wait on, or None."""
