"""Sign, rounding, clamping, and the larger or smaller of two: pieces of straight lines."""

import math
from numbers import Number

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.ops.alias import alias
from tinygrad_edu.ops.comparison import isfinite, isnan, keep, logical_not, need_floats, refuse_bool, same_dtypes
from tinygrad_edu.ops.conversion import cast
from tinygrad_edu.primitive import as_float, composite, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor

__all__ = [
    "abs", "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "fix", "floor", "fmax", "fmin", "frac",
    "heaviside", "maximum", "minimum", "nan_to_num", "round", "sgn", "sign", "trunc",
]  # fmt: skip


# ---- sign -------------------------------------------------------------------------------------------------------------------
@primitive(operators=("__abs__",))
def abs(x, /):
    """Absolute value. The derivative at 0 is 0."""
    refuse_bool("abs", x)
    return np.abs(x)


abs.derivative(x=lambda g, x: g * sign(x))


@primitive
def sign(x, /):
    """-1, 0 or 1; 0 for NaN, as in PyTorch. Its derivative is zero."""
    if x.dtype.kind == "b":
        return x != 0
    return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


sign.derivative(x=lambda g: g * 0.0)
absolute, sgn = alias(abs, "absolute"), alias(sign, "sgn")


@primitive(elementwise=True, float_result=True, numbers=("y",))
def copysign(x, y, /):
    """The magnitude of x with the sign of y (-0.0 counts as negative)."""
    return np.copysign(x, y)


copysign.derivative(x=lambda g, x, out: g * (out / (x + (x == 0))), y=lambda g: g * 0.0)


# ---- rounding ---------------------------------------------------------------------------------------------------------------
def _whole(function, x):
    refuse_bool(function.__name__.replace("rint", "round"), x)
    return function(x) if x.dtype.kind == "f" else +x


@primitive
def floor(x, /):
    """The largest integer not above x; integers stay as they are. Its derivative is zero."""
    return _whole(np.floor, x)


@primitive
def ceil(x, /):
    """The smallest integer not below x; integers stay as they are. Its derivative is zero."""
    return _whole(np.ceil, x)


@primitive
def trunc(x, /):
    """The integer part of x; integers stay as they are. Its derivative is zero."""
    return _whole(np.trunc, x)


@primitive
def round(x, /, *, decimals=0):
    """The nearest integer, halves to the even one: 0.5 to 0 and 1.5 to 2. Its derivative is zero.

    Parameters
    ----------
    decimals : int
        Digits to keep after the point; negative ones round to tens, hundreds, ...
    """
    if decimals == 0:
        return _whole(np.rint, x)
    need_floats("round", x)
    scale = x.dtype.type(10.0 ** math.fabs(decimals))
    return np.rint(x * scale) / scale if decimals > 0 else np.rint(x / scale) * scale


for _stepped in (floor, ceil, trunc, round):
    _stepped.derivative(x=lambda g: g * 0.0)
fix = alias(trunc, "fix")


@primitive
@quietly
def frac(x, /):
    """The fractional part, x - trunc(x), with the sign of x."""
    if x.dtype.kind != "f":
        raise NotImplementedError(f"frac: not implemented for {x.dtype}, whose fractions are all 0. Fix: x.float().")
    return x - np.trunc(x)


frac.derivative(x=lambda g: g)


# ---- the larger and the smaller of two --------------------------------------------------------------------------------------
@primitive(elementwise=True, numbers=())
def maximum(x, y, /):
    """Element by element the larger one; NaN wins. Equal elements share the gradient half and half."""
    return np.maximum(x, y)


maximum.derivative(
    x=lambda g, x, y: keep(g, logical_not(x <= y)) + keep(g * 0.5, x == y),
    y=lambda g, x, y: keep(g, logical_not(x >= y)) + keep(g * 0.5, x == y),
)


@primitive(elementwise=True, numbers=())
def minimum(x, y, /):
    """Element by element the smaller one; NaN wins. Equal elements share the gradient half and half."""
    return np.minimum(x, y)


minimum.derivative(
    x=lambda g, x, y: keep(g, logical_not(x >= y)) + keep(g * 0.5, x == y),
    y=lambda g, x, y: keep(g, logical_not(x <= y)) + keep(g * 0.5, x == y),
)


@primitive(elementwise=True, numbers=())
def fmax(x, y, /):
    """Element by element the larger one; NaN loses. The gradient of equal elements goes to `input`."""
    return np.fmax(x, y)


fmax.derivative(
    x=lambda g, x, y: keep(g, (x >= y) | isnan(y)), y=lambda g, x, y: keep(g, logical_not((x >= y) | isnan(y)))
)


@primitive(elementwise=True, numbers=())
def fmin(x, y, /):
    """Element by element the smaller one; NaN loses. The gradient of equal elements goes to `input`."""
    return np.fmin(x, y)


fmin.derivative(
    x=lambda g, x, y: keep(g, (x <= y) | isnan(y)), y=lambda g, x, y: keep(g, logical_not((x <= y) | isnan(y)))
)


# ---- clamping ---------------------------------------------------------------------------------------------------------------
@primitive(
    method=False, elementwise=True, numbers=("low", "high"), node_name="ClampBackward1", names=("input", "min", "max")
)
def clamp_between(x, low, high, /):
    """Clamp to bounds that are tensors: min(max(x, low), high). A bound gets the gradient where it decides."""
    return np.minimum(np.maximum(x, low), high)


clamp_between.derivative(
    x=lambda g, x, low, high: keep(g, (x >= low) & (x <= high)),
    low=lambda g, x, low, high: keep(g, (x < low) & (low < high)),
    high=lambda g, x, low, high: keep(g, (x > high) | (high < low)),
)


@primitive(method=False, elementwise=True, numbers=("low",), node_name="ClampBackward0")
def clamp_above(x, low, /):
    """Clamp from below: max(x, low). At equality the gradient goes to x."""
    return np.maximum(x, low)


clamp_above.derivative(x=lambda g, x, low: keep(g, x >= low), low=lambda g, x, low: keep(g, x < low))


@primitive(method=False, elementwise=True, numbers=("high",), node_name="ClampBackward0")
def clamp_below(x, high, /):
    """Clamp from above: min(x, high). At equality the gradient goes to x."""
    return np.minimum(x, high)


clamp_below.derivative(x=lambda g, x, high: keep(g, x <= high), high=lambda g, x, high: keep(g, x > high))


@primitive(method=False, node_name="ClampBackward1")
def clamp_to(x, /, low, high):
    """Clamp to bounds that are numbers, or None for none. At a bound the gradient passes."""
    refuse_bool("clamp", x)
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        for bound in (low, high):
            if bound is not None and not limits.min <= bound <= limits.max:
                raise RuntimeError(
                    f"clamp: the bound {bound} cannot be converted to {x.dtype} without overflow. Fix: x.long()."
                )
    return x.clip(low, high)


def _clamp_rule(g, x, low, high):
    if low is None:
        return keep(g, x <= high)
    return keep(g, x >= low if high is None else (x >= low) & (x <= high))


clamp_to.derivative(x=_clamp_rule)


@composite
def clamp(input, min=None, max=None):
    """Limit every element to [min, max]; either bound may be missing, a number or a tensor. NaN stays NaN.

    Raises
    ------
    RuntimeError
        Without any bound.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.clamp(tg.tensor([-2., 0.5, 3.]), 0, 1).tolist()
    [0.0, 0.5, 1.0]
    """
    for bound in (min, max):
        if not (bound is None or isinstance(bound, Tensor | Number)):
            raise TypeError(
                f"clamp(): a bound must be a number or a Tensor, not {type(bound).__name__}. Fix: x.clamp(0, 1)."
            )
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None. Fix: x.clamp(min=0).")
    if not (isinstance(min, Tensor) or isinstance(max, Tensor)):
        kinds = (min.__class__, max.__class__)
        if float in kinds:
            input = as_float(input)
        elif int in kinds and input.dtype is dtypes.bool:
            input = cast(input, dtypes.int64)
        return clamp_to(input, min, max)
    if max is None:
        return clamp_above(input, min)
    return clamp_below(input, max) if min is None else clamp_between(input, min, max)


@composite
def clamp_min(input, min):
    """Limit from below, :func:`clamp` with `min` only."""
    return clamp(input, min, None)


@composite
def clamp_max(input, max):
    """Limit from above, :func:`clamp` with `max` only."""
    return clamp(input, None, max)


clip = alias(clamp, "clip")


# ---- repairing, stepping ----------------------------------------------------------------------------------------------------
@primitive
def nan_to_num(x, /, nan=0.0, posinf=None, neginf=None):
    """Replace NaN and infinities by finite numbers (0, and the largest and smallest of the dtype unless given)."""
    if x.dtype.kind != "f":
        return x.copy()
    return np.nan_to_num(x, copy=True, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


nan_to_num.derivative(x=lambda g, x: keep(g, isfinite(x)))


@primitive(elementwise=True, mixes=(), numbers=(), names=("input", "values"))
def heaviside(x, values, /):
    """The step function: 0 below zero, 1 above, `values` (of the same dtype) at zero. Not differentiable."""
    same_dtypes("heaviside", x, values)
    return np.where(x == 0, values, (x > 0).astype(x.dtype))
