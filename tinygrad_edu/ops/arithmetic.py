"""Arithmetic with broadcasting: + - * / ** and their relatives, and the rules of their derivatives."""

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.ops.alias import alias
from tinygrad_edu.ops.comparison import keep, need_floats, refuse_bool, same_dtypes
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.primitive import as_float, composite, constant, primitive, registry
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor

__all__ = [
    "add", "addcdiv", "addcmul", "div", "divide", "float_power", "floor_divide", "fmod", "lerp", "mul", "multiply", "neg", "negative",
    "positive", "pow", "reciprocal", "remainder", "rsub", "square", "sub", "subtract", "true_divide",
]  # fmt: skip


@primitive(elementwise=True, operators=("__add__", "__radd__"))
def add(x, y, /, *, alpha=1):
    """Sum with broadcasting, out = x + alpha * y.

    Parameters
    ----------
    input, other : Tensor or number
        Any shapes that broadcast; mixed dtypes are promoted by category.
    alpha : number
        Scale of `other`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.add(tg.tensor([1., 2.]), 3).tolist()
    [4.0, 5.0]
    """
    return x + y if alpha == 1 else x + y * alpha


add.derivative(x=lambda g: g, y=lambda g, alpha: g if alpha == 1 else g * alpha)


def _no_bools(x, y):
    refuse_bool("sub", x, "~x or x ^ y for masks, x.int() for numbers")
    refuse_bool("sub", y, "~x or x ^ y for masks, x.int() for numbers")


@primitive(elementwise=True, before_mixing=_no_bools, operators=("__sub__", "__rsub__"))
def sub(x, y, /, *, alpha=1):
    """Difference with broadcasting, out = x - alpha * y; as in PyTorch not of bool tensors: ``~mask``, not ``1 - mask``."""
    try:
        return x - y if alpha == 1 else x - y * alpha
    except TypeError:  # NumPy's own refusal of two bools
        _no_bools(x, y)
        raise


sub.derivative(x=lambda g: g, y=lambda g, alpha: -g if alpha == 1 else g * -alpha)


@primitive(elementwise=True, operators=("__mul__", "__rmul__"))
def mul(x, y, /):
    """Product with broadcasting, out = x * y."""
    return x * y


mul.derivative(x=lambda g, y: g * y, y=lambda g, x: g * x)


@primitive(elementwise=True, operators=("__neg__",))
def neg(x, /):
    """Negative, out = -x."""
    refuse_bool("neg", x, "~x or tg.logical_not(x)")
    return -x


neg.derivative(x=lambda g: -g)


@primitive(operators=("__pos__",))
def positive(x, /):
    """out = +x, a copy."""
    refuse_bool("positive", x)
    return +x


positive.derivative(x=lambda g: g)


@primitive(elementwise=True, float_result=True, operators=("__truediv__", "__rtruediv__"), node_name="DivBackward0")
@quietly
def true_divide(x, y, /):
    """Quotient with broadcasting, out = x / y; integers give the default floating type, and x / 0 is inf or nan."""
    return x / y


true_divide.derivative(x=lambda g, y: g / y, y=lambda g, y, out: -g * out / y)


@composite
def rsub(input, other, *, alpha=1):
    """Difference the other way round, out = other - alpha * input."""
    return sub(other if isinstance(other, Tensor) else constant(other, input._data), input, alpha=alpha)


@composite
def div(input, other, *, rounding_mode=None):
    """Quotient with broadcasting, out = input / other.

    Parameters
    ----------
    rounding_mode : {None, "trunc", "floor"}
        Round the quotient towards zero or down; integers then stay integers.
    """
    if rounding_mode is None:
        return true_divide(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        return trunc_divide(input, other)
    raise RuntimeError(f"div: expected rounding_mode to be None, 'trunc' or 'floor', got {rounding_mode!r}.")


def _refuse_zero(name, x, y):
    refuse_bool(name, x)
    if x.dtype.kind in "iu" and not np.all(y):
        raise RuntimeError(
            f"{name}: ZeroDivisionError, an integer was divided by 0. Fix: divide floats, or mask the zeros."
        )


@primitive(elementwise=True, operators=("__floordiv__", "__rfloordiv__"))
@quietly
def floor_divide(x, y, /):
    """Quotient rounded down, out = floor(x / y); integers stay integers. Its derivative is zero."""
    _refuse_zero("floor_divide", x, y)
    return x // y


floor_divide.derivative(x=lambda g: g * 0.0, y=lambda g: g * 0.0)


@primitive(elementwise=True, method=False)
@quietly
def trunc_divide(x, y, /):
    """Quotient rounded towards zero; integers stay integers. Its derivative is zero."""
    if x.dtype.kind in "iub":
        _refuse_zero("div", x, y)
        quotient = x // y
        return quotient + ((quotient < 0) & (quotient * y != x)).astype(x.dtype)
    return np.trunc(x / y)


trunc_divide.derivative(x=lambda g: g * 0.0, y=lambda g: g * 0.0)


@primitive(elementwise=True, operators=("__mod__", "__rmod__"))
@quietly
def remainder(x, y, /):
    """Remainder with the sign of the divisor, out = x - floor(x / y) * y, as Python's ``%``."""
    _refuse_zero("remainder", x, y)
    return np.remainder(x, y)


remainder.derivative(x=lambda g: g, y=lambda g, x, y: -g * floor_divide(x, y))


@primitive(elementwise=True, numbers=("y",))
@quietly
def fmod(x, y, /):
    """Remainder with the sign of the dividend, out = x - trunc(x / y) * y, as C's ``fmod``."""
    _refuse_zero("fmod", x, y)
    return np.fmod(x, y)


fmod.derivative(x=lambda g: g, y=lambda g, x, y: -g * trunc_divide(x, y))


# ---- powers -----------------------------------------------------------------------------------------------------------------
@primitive(elementwise=True, method=False, node_name="PowBackward1")
@quietly
def power(x, y, /):
    """Power of two tensors, out = x ** y."""
    refuse_bool("pow", x)
    if x.dtype.kind == "i" and np.any(np.less(y, 0)):
        # as in PyTorch the quotient is rounded to 0, but for bases of 1 and -1
        return np.where(y < 0, np.where(np.abs(x) == 1, x ** np.abs(y), 0), x ** np.maximum(y, 0)).astype(x.dtype)
    return x**y


def _log_of_base(x, y):
    # d(x^y)/dy = x^y log x. At x = 0, y >= 0 the derivative is 0, as in PyTorch (not 0 * -inf).
    return log(x + (x == 0) * (y >= 0))


power.derivative(
    x=lambda g, x, y: keep(g * y * power(x, y - 1), y != 0),
    y=lambda g, x, y, out: g * out * _log_of_base(x, y),
)


@primitive(method=False, node_name="PowBackward0")
def power_of(x, /, exponent):
    """Power with a constant exponent, out = x ** exponent; small whole exponents are products."""
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    if x.dtype.kind in "iu" and not 0 <= exponent <= np.iinfo(x.dtype).max:
        raise RuntimeError(
            "pow: Integers to negative integer powers are not allowed. Fix: x.float() ** exponent."
            if exponent < 0
            else f"pow: the exponent {exponent} cannot be converted to {x.dtype} without overflow. Fix: x.long() ** exponent."
        )
    return _quiet_power(x, exponent)


@quietly
def _quiet_power(x, exponent):
    return x**exponent


def _power_rule(g, x, exponent):
    if exponent == 2:
        return g * (x + x)
    if exponent == 1:
        return g
    if exponent == 0:
        return g * 0.0
    return g * (power_of(x, exponent - 1) * exponent)


power_of.derivative(x=_power_rule)


@composite(operators=("__pow__", "__rpow__"))
def pow(input, exponent):
    """Power with broadcasting, out = input ** exponent; either one may be a number.

    Raises
    ------
    RuntimeError
        For integers to a negative integer power.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([2., 3.], requires_grad=True)
    >>> (x ** 2).sum().backward()
    >>> x.grad.tolist()
    [4.0, 6.0]
    """
    kind = exponent.__class__
    if (kind is int or kind is float) and isinstance(input, Tensor):
        if input._data.dtype.kind == "b":
            if exponent < 0 and kind is int:
                raise RuntimeError(
                    "pow: Integers to negative integer powers are not allowed. Fix: x.float() ** exponent."
                )
            return power(input, exponent)
        return power_of(input if kind is int else as_float(input), exponent)
    if isinstance(input, int | float) and isinstance(exponent, Tensor):
        input = constant(input, exponent._data)
    return power(input, exponent)


@composite
def float_power(input, exponent):
    """Power computed in float64, whatever the operands' dtypes."""
    return pow(_as_float64(input), _as_float64(exponent))


def _as_float64(value):
    if isinstance(value, Tensor):
        return registry["cast"].function(value, dtypes.float64)
    if not isinstance(value, int | float):
        raise TypeError(f"float_power(): expected a Tensor or a number, not {type(value).__name__}.")
    return float(value)


@primitive
def square(x, /):
    """Square, out = x * x; bools give int64."""
    return x * x if x.dtype.kind != "b" else x.astype(np.int64)


square.derivative(x=lambda g, x: g * (x + x))


@primitive(float_result=True)
@quietly
def reciprocal(x, /):
    """out = 1 / x; 1 / 0 is inf."""
    return 1 / x


reciprocal.derivative(x=lambda g, out: -g * (out * out))


# ---- three tensors ----------------------------------------------------------------------------------------------------------
@primitive(elementwise=True, numbers=(), names=("input", "tensor1", "tensor2"))
def addcmul(x, y, z, /, *, value=1):
    """out = input + value * tensor1 * tensor2, with broadcasting."""
    return x + y * z * value


addcmul.derivative(
    x=lambda g: g,
    y=lambda g, z, value: g * z * value,
    z=lambda g, y, value: g * y * value,
)


@primitive(elementwise=True, numbers=(), names=("input", "tensor1", "tensor2"))
@quietly
def addcdiv(x, y, z, /, *, value=1):
    """out = input + value * tensor1 / tensor2, with broadcasting; for floating-point tensors only."""
    need_floats("addcdiv", x)
    return x + y / z * value


addcdiv.derivative(
    x=lambda g: g,
    y=lambda g, z, value: g / z * value,
    z=lambda g, y, z, value: -g * y / (z * z) * value,
)


@primitive(elementwise=True, mixes=(), numbers=("w",), names=("input", "end", "weight"))
def lerp(x, y, w, /):
    """Linear interpolation, out = input + weight * (end - input) of one floating dtype; exact at weight 0 and 1.

    Parameters
    ----------
    input, end : Tensor
    weight : float or Tensor
    """
    need_floats("lerp", x)
    same_dtypes("lerp", x, y)
    same_dtypes("lerp", x, w)
    step = y - x
    return np.where(np.abs(w) < 0.5, x + w * step, y - step * (1 - w))


lerp.derivative(
    x=lambda g, w: g * (1 - w),
    y=lambda g, w: g * w,
    w=lambda g, x, y: g * (y - x),
)

multiply, negative, divide, subtract = (
    alias(mul, "multiply"),
    alias(neg, "negative"),
    alias(div, "divide"),
    alias(sub, "subtract"),
)
