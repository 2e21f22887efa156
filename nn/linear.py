"""Affine layers: Linear, Bilinear, and Identity, which does nothing."""

import math
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import require_cpu
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.ops.linear_prepared import PreparedLayer
from tinygrad_edu.recorders import recorders
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Bilinear", "Identity", "Linear"]


def empty(*shape: int, dtype: Any = None, device: Any = None) -> Tensor:
    """Return memory for a weight that its layer is about to fill."""
    require_cpu(device)
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if any(length < 0 for length in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {shape}")
    return wrap(np.empty(shape, kind.numpy))


class Identity(Module):
    """Pass the input on unchanged; all constructor arguments are ignored. It stands where a layer was removed."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return the input."""
        return input


class Linear(Module):
    """Affine map of the last dimension, y = x W^T + b.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of the last dimension of input and output.
    bias : bool
        Whether to add b.

    Attributes
    ----------
    weight : Parameter, shape (out_features, in_features)
        Starts uniform in [-k, k] with k = 1 / sqrt(in_features).
    bias : Parameter, shape (out_features,), or None
        Starts like `weight`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Linear(20, 30)
    >>> layer(tg.zeros(128, 20)).shape
    tinygrad_edu.Size([128, 30])
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # this slope makes the bound 1 / sqrt(fan_in)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """Return the affine map of the last dimension."""
        ready = None if observers or recorders or input.__class__ is not Tensor else prepared(self)
        out = None if ready is None else ready(input)
        return F.linear(input, self.weight, self.bias) if out is None else out

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def prepared(layer: Linear, activation: str | None = None) -> PreparedLayer | None:
    """Return the layer as a function that knows its weight already; None where the weight is computed anew in each call."""
    home = layer.__dict__
    weight, bias, known = home.get("weight"), home.get("bias"), home.get("_prepared")
    if weight is None:
        return None
    if known is None:
        known = home["_prepared"] = {}
    ready = known.get(activation)
    if ready is None or not ready.holds(weight, bias):
        ready = known[activation] = PreparedLayer(weight, bias, activation)
    return ready


class Bilinear(Module):
    """Bilinear map of two inputs, y_k = x1^T A_k x2 + b_k.

    Attributes
    ----------
    weight : Parameter, shape (out_features, in1_features, in2_features)
    bias : Parameter, shape (out_features,), or None
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ):  # fmt: skip
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values, uniform in [-k, k] with k = 1 / sqrt(in1_features)."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """Return the bilinear map of the last dimensions."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
