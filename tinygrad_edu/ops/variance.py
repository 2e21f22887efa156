"""Variance and standard deviation."""

import math

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.ops.comparison import keep
from tinygrad_edu.ops.reduction import count_along, mean_along, spread, total
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly

__all__ = ["std", "std_mean", "var", "var_mean"]


def _spread_of(x, dim, correction, keepdim):
    """Return the variance along `dim` as an array."""
    if x.dtype.kind != "f":
        raise RuntimeError(
            f"var and std: the input must be floating point, got {dtypes.from_numpy_dtype(x.dtype).name}. Fix: x.float()."
        )
    centred = x - total(x, dim, True) / x.dtype.type(count_along(x.shape, dim))
    freedom = max(count_along(x.shape, dim) - correction, 0)
    return total(centred * centred, dim, keepdim) / x.dtype.type(freedom)


def _variance_rule(g, x, dim, correction, keepdim):
    freedom = count_along(x.shape, dim) - correction
    scale = 2.0 / freedom if freedom > 0 else math.inf
    return spread(g * scale, tuple(x.shape), dim, keepdim) * (x - mean_along(x, dim, True))


@primitive(method=False, node_name="VarBackward0")
@quietly
def var_along(x, /, dim, correction, keepdim):
    """Variance along `dim`, sum (x - mean)**2 / (n - correction), in two passes."""
    return _spread_of(x, dim, correction, keepdim)


var_along.derivative(x=_variance_rule)


@primitive(method=False, node_name="StdBackward0")
@quietly
def std_along(x, /, dim, correction, keepdim):
    """Standard deviation along `dim`; where it is 0 its derivative is 0."""
    return np.sqrt(_spread_of(x, dim, correction, keepdim))


std_along.derivative(
    x=lambda g, x, out, dim, correction, keepdim: _variance_rule(
        keep(g / (out + out), out != 0), x, dim, correction, keepdim
    )
)


def _variance_call(dim, unbiased, correction):
    if dim is True or dim is False:  # PyTorch's older form var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    return dim, 1 if correction is None else correction


@composite
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
    """Variance along `dim`, out = sum (x - mean)**2 / (n - correction).

    Parameters
    ----------
    dim : int, tuple of int or None
    unbiased : bool, optional
        Older spelling: True is ``correction=1``, False is ``correction=0``.
    keepdim : bool
    correction : int, optional
        1 unless given: the unbiased estimate from a sample (Bessel).
    """
    dim, correction = _variance_call(dim if axis is None else axis, unbiased, correction)
    return var_along(input, dim, correction, keepdim if keepdims is None else keepdims)


@composite
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
    """Standard deviation along `dim`, the square root of :func:`var` with the same arguments."""
    dim, correction = _variance_call(dim if axis is None else axis, unbiased, correction)
    return std_along(input, dim, correction, keepdim if keepdims is None else keepdims)


@composite(method=False)
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The pair (variance, mean) along `dim`, see :func:`var`."""
    dim, correction = _variance_call(dim, unbiased, correction)
    return var_along(input, dim, correction, keepdim), mean_along(input, dim, keepdim)


@composite(method=False)
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The pair (standard deviation, mean) along `dim`, see :func:`var`."""
    dim, correction = _variance_call(dim, unbiased, correction)
    return std_along(input, dim, correction, keepdim), mean_along(input, dim, keepdim)
