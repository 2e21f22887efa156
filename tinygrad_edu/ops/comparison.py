"""Comparisons, tests of numbers, logic and bits. Their results are not differentiable; `keep` is what masks are for."""

from numbers import Number

import numpy as np

from tinygrad_edu.errors import DtypeError
from tinygrad_edu.ops.alias import alias
from tinygrad_edu.ops.dims import normalize_dims
from tinygrad_edu.primitive import composite, install, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.recorders import look
from tinygrad_edu.tensor import Tensor

__all__ = [
    "all", "allclose", "any", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "le", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal", "signbit",
]  # fmt: skip

_SAME_WIDTH = {"e": np.dtype(np.int16), "f": np.dtype(np.int32), "d": np.dtype(np.int64)}


@primitive(method=False)
def keep(x, mask, /):
    """Return x where the bool `mask` is True, else 0 (also where x is inf or nan); the mask broadcasts to x's shape. Linear in x.

    The bits are multiplied by 0 or 1 as integers, several times faster than a selection.
    """
    bits = _SAME_WIDTH.get(x.dtype.char)
    return x * mask if bits is None else (x.view(bits) * mask).view(x.dtype)


keep.derivative(x=lambda g, mask: keep(g, mask))


# ---- comparing two tensors --------------------------------------------------------------------------------------------------
@primitive(elementwise=True, numbers=("y",))
def eq(x, y, /):
    """Element by element x == y, a bool tensor; NaN equals nothing."""
    return x == y


@primitive(elementwise=True, numbers=("y",))
def ne(x, y, /):
    """Element by element x != y, a bool tensor."""
    return x != y


def _operator(function):
    """Return the operator of `function`: compared with something that is no number, a tensor is just another object."""

    def compare(self, other):
        try:
            return function(self, other)
        except TypeError:
            if isinstance(other, Tensor | Number | np.ndarray):
                raise
            return NotImplemented

    return compare


install(__eq__=_operator(eq), __ne__=_operator(ne))


@primitive(elementwise=True, numbers=("y",), operators=("__lt__",))
def lt(x, y, /):
    """Element by element x < y, a bool tensor; False where either is NaN."""
    return x < y


@primitive(elementwise=True, numbers=("y",), operators=("__le__",))
def le(x, y, /):
    """Element by element x <= y, a bool tensor; False where either is NaN."""
    return x <= y


@primitive(elementwise=True, numbers=("y",), operators=("__gt__",))
def gt(x, y, /):
    """Element by element x > y, a bool tensor; False where either is NaN."""
    return x > y


@primitive(elementwise=True, numbers=("y",), operators=("__ge__",))
def ge(x, y, /):
    """Element by element x >= y, a bool tensor; False where either is NaN."""
    return x >= y


not_equal = alias(ne, "not_equal")
less, less_equal = alias(lt, "less"), alias(le, "less_equal")
greater, greater_equal = alias(gt, "greater"), alias(ge, "greater_equal")


@primitive(elementwise=True, mixes=(), numbers=())
@quietly
def isclose(x, y, /, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Element by element |x - y| <= atol + rtol * |y|, a bool tensor; infinities are close to themselves only.

    Raises
    ------
    RuntimeError
        If the dtypes differ.
    """
    same_dtypes("isclose", x, y)
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must be greater than or equal to zero, got {rtol} and {atol}.")
    close = (x == y) | ((np.abs(x - y) <= atol + rtol * np.abs(y)) & np.isfinite(y)) if x.dtype.kind != "b" else x == y
    return close | ((x != x) & (y != y)) if equal_nan else close


@composite
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Tell whether all elements are close, see :func:`isclose`. Returns a Python bool.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.allclose(tg.tensor([1., 2.]), tg.tensor([1., 2. + 1e-7]))
    True
    """
    look("allclose()")
    return bool(np.all(isclose(input, other, rtol, atol, equal_nan)._data))


@composite
def equal(input, other):
    """Tell whether two tensors have the same shape and the same elements. Returns a Python bool."""
    look("equal()")
    return input._data.shape == other._data.shape and bool(np.all(eq(input, other)._data))


# ---- testing one tensor -----------------------------------------------------------------------------------------------------
@primitive
def isnan(x, /):
    """True where an element is NaN."""
    return x != x


@primitive
def isinf(x, /):
    """True where an element is infinite."""
    return np.isinf(x)


@primitive
def isfinite(x, /):
    """True where an element is neither infinite nor NaN."""
    return np.isfinite(x)


@primitive
def isposinf(x, /):
    """True where an element is positive infinity."""
    return np.isinf(x) & (x > 0)


@primitive
def isneginf(x, /):
    """True where an element is negative infinity."""
    return np.isinf(x) & (x < 0)


@primitive
def signbit(x, /):
    """True where the sign is negative, -0.0 included."""
    return x < 0 if x.dtype.kind in "iub" else np.signbit(x)


# ---- logic ------------------------------------------------------------------------------------------------------------------
@primitive(elementwise=True, numbers=())
def logical_and(x, y, /):
    """True where both are nonzero."""
    return np.logical_and(x, y)


@primitive(elementwise=True, numbers=())
def logical_or(x, y, /):
    """True where at least one is nonzero."""
    return np.logical_or(x, y)


@primitive(elementwise=True, numbers=())
def logical_xor(x, y, /):
    """True where exactly one is nonzero."""
    return np.logical_xor(x, y)


@primitive
def logical_not(x, /):
    """True where an element is zero."""
    return np.logical_not(x)


def refuse_bool(name, x, instead="x.int()"):
    """Raise where PyTorch does not define an arithmetic op on bool tensors."""
    if x.dtype.kind == "b":
        raise NotImplementedError(f"{name}: not implemented for bool tensors. Fix: {instead}.")


def need_floats(name, x):
    """Raise where PyTorch defines an op on floating-point tensors only."""
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{name}: not implemented for {x.dtype} tensors. Fix: x.float().")


def same_dtypes(name, x, y):
    """Raise where PyTorch does not promote two tensors to a common type."""
    if x.dtype != y.dtype:
        raise DtypeError(f"{name}: the dtypes {x.dtype} and {y.dtype} did not match. Fix: other.to(input.dtype).")


def _refuse_floats(name, x):
    if x.dtype.kind == "f":
        raise NotImplementedError(
            f"{name}: not implemented for {x.dtype}: a float has no meaningful bits. Fix: compare first, (x > 0), or use x.int()."
        )


@primitive(elementwise=True, operators=("__and__", "__rand__"))
def bitwise_and(x, y, /):
    """Bits set in both; on bool tensors the logical and."""
    _refuse_floats("bitwise_and", x)
    return x & y


@primitive(elementwise=True, operators=("__or__", "__ror__"))
def bitwise_or(x, y, /):
    """Bits set in either; on bool tensors the logical or."""
    _refuse_floats("bitwise_or", x)
    return x | y


@primitive(elementwise=True, operators=("__xor__", "__rxor__"))
def bitwise_xor(x, y, /):
    """Bits set in exactly one; on bool tensors the logical exclusive or."""
    _refuse_floats("bitwise_xor", x)
    return x ^ y


@primitive(operators=("__invert__",))
def bitwise_not(x, /):
    """Every bit flipped; on bool tensors the logical not."""
    _refuse_floats("bitwise_not", x)
    return ~x


@primitive(elementwise=True, operators=("__lshift__", "__rlshift__"))
def bitwise_left_shift(x, y, /):
    """Bits moved up, x * 2**y for integers."""
    _refuse_floats("bitwise_left_shift", x)
    refuse_bool("bitwise_left_shift", x)
    return x << y


@primitive(elementwise=True, operators=("__rshift__", "__rrshift__"))
def bitwise_right_shift(x, y, /):
    """Bits moved down, floor(x / 2**y) for integers."""
    _refuse_floats("bitwise_right_shift", x)
    refuse_bool("bitwise_right_shift", x)
    return x >> y


# ---- reducing ---------------------------------------------------------------------------------------------------------------
def axes_of(dim, ndim, name):
    """Return `dim` as NumPy's `axis` for a reduction: an int in range and None pass as they are, others are checked."""
    if dim is None or (dim.__class__ is int and -ndim <= dim < ndim):
        return dim
    if dim.__class__ is int:
        dim = (dim,)
    return normalize_dims(dim, ndim, name)


@primitive(method=False)
def any_along(x, /, dim, keepdim):
    """Logical or along `dim` (None: all of them)."""
    result = np.any(x, axis=axes_of(dim, x.ndim, "any"), keepdims=keepdim) if dim != () else x != 0
    return result.astype(x.dtype) if x.dtype.char == "B" else result


@primitive(method=False)
def all_along(x, /, dim, keepdim):
    """Logical and along `dim` (None: all of them)."""
    result = np.all(x, axis=axes_of(dim, x.ndim, "all"), keepdims=keepdim) if dim != () else x != 0
    return result.astype(x.dtype) if x.dtype.char == "B" else result


@composite
def any(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """True where any element along `dim` (an int, a tuple, or None for all) is nonzero. uint8 gives uint8, as in PyTorch."""
    return any_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


@composite
def all(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """True where all elements along `dim` (an int, a tuple, or None for all) are nonzero. uint8 gives uint8, as in PyTorch."""
    return all_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)
