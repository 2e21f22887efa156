"""Arithmetic with broadcasting: + - * / ** and their relatives, and the rules of their derivatives."""

import numpy as np

from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly

__all__ = ["add", "div", "floor_divide", "mul", "neg", "sub", "true_divide"]


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
    return x + y if alpha == 1 else x + alpha * y


add.derivative(x=lambda g: g, y=lambda g, alpha: g if alpha == 1 else g * alpha)


@primitive(elementwise=True, operators=("__sub__", "__rsub__"))
def sub(x, y, /, *, alpha=1):
    """Difference with broadcasting, out = x - alpha * y."""
    if x.dtype.kind == "b":
        raise RuntimeError("sub: subtraction of bool tensors is not defined. Fix: x ^ y or tg.logical_xor(x, y).")
    return x - y if alpha == 1 else x - alpha * y


sub.derivative(x=lambda g: g, y=lambda g, alpha: -g if alpha == 1 else g * -alpha)


@primitive(elementwise=True, operators=("__mul__", "__rmul__"))
def mul(x, y, /):
    """Product with broadcasting, out = x * y."""
    return x * y


mul.derivative(x=lambda g, y: g * y, y=lambda g, x: g * x)


@primitive(elementwise=True, operators=("__neg__",))
def neg(x, /):
    """Negative, out = -x."""
    return -x


neg.derivative(x=lambda g: -g)


@primitive(elementwise=True, float_result=True, operators=("__truediv__", "__rtruediv__"), node_name="DivBackward0")
@quietly
def true_divide(x, y, /):
    """Quotient with broadcasting, out = x / y; integers give the default floating type, and x / 0 is inf or nan."""
    return x / y


true_divide.derivative(x=lambda g, y: g / y, y=lambda g, y, out: -g * out / y)


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


@primitive(elementwise=True, operators=("__floordiv__", "__rfloordiv__"))
@quietly
def floor_divide(x, y, /):
    """Quotient rounded down, out = floor(x / y); integers stay integers. Its derivative is zero."""
    if x.dtype.kind in "iu" and not np.all(y):
        raise RuntimeError(
            "floor_divide: ZeroDivisionError, an integer was divided by 0. Fix: divide floats, or mask the zeros."
        )
    return x // y


floor_divide.derivative(x=lambda g: g * 0.0, y=lambda g: g * 0.0)


@primitive(elementwise=True, method=False)
@quietly
def trunc_divide(x, y, /):
    """Quotient rounded towards zero; integers stay integers. Its derivative is zero."""
    if x.dtype.kind in "iu":
        if not np.all(y):
            raise RuntimeError(
                "div: ZeroDivisionError, an integer was divided by 0. Fix: divide floats, or mask the zeros."
            )
        quotient = x // y
        return quotient + ((quotient < 0) & (quotient * y != x)).astype(x.dtype)
    return np.trunc(x / y)


trunc_divide.derivative(x=lambda g: g * 0.0, y=lambda g: g * 0.0)


def _safe_base_for_log(x):
    return x + (x == 0)


@primitive(elementwise=True, method=False, node_name="PowBackward1")
@quietly
def power(x, y, /):
    """Power of two tensors, out = x ** y."""
    if x.dtype.kind in "iu" and np.any(np.asarray(y) < 0):
        raise RuntimeError("pow: Integers to negative integer powers are not allowed. Fix: x.float() ** y.")
    return x**y


power.derivative(
    x=lambda g, x, y: g * y * power(x, y - 1),
    # d(x^y)/dy = x^y log x. At x = 0 the power is 0 there, and so is the derivative (not 0 * -inf).
    y=lambda g, x, out: g * out * natural_log(_safe_base_for_log(x)),
)


@primitive(elementwise=True, method=False, float_result=True)
@quietly
def natural_log(x, /):
    """Natural logarithm as the power rule needs it; :func:`log` is the public one."""
    return np.log(x)


natural_log.derivative(x=lambda g, x: g / x)


@primitive(elementwise=True, method=False, node_name="PowBackward0")
@quietly
def power_of(x, /, exponent):
    """Power with a constant exponent, out = x ** exponent."""
    if exponent == 2:
        return x * x
    if x.dtype.kind in "iu" and exponent < 0:
        raise RuntimeError("pow: Integers to negative integer powers are not allowed. Fix: x.float() ** exponent.")
    return x**exponent


def _power_rule(g, x, exponent):
    if exponent == 2:
        return g * (x + x)
    if exponent == 1:
        return g
    if exponent == 0:
        return g * 0.0
    return g * (exponent * power_of(x, exponent - 1))


power_of.derivative(x=_power_rule)
