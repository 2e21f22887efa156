"""Reductions along dimensions, and broadcasting, which is the adjoint of summing.

`sum_along` and `spread` are the pair everything here is made of: each is the derivative of the other. The largest and smallest
elements are in :mod:`tinygrad_edu.ops.extremum`, running sums in :mod:`tinygrad_edu.ops.cumulative`.
"""

import math

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.ops.arithmetic import power_of
from tinygrad_edu.ops.comparison import axes_of, isnan, keep, logical_not, need_floats
from tinygrad_edu.ops.conversion import cast, convert
from tinygrad_edu.ops.dims import normalize_dims
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.rounding import abs, sign
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly

__all__ = ["broadcast_to", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "norm", "sum"]

# A product with ones adds up several times as fast as NumPy's own sum. Longer lines go in blocks, which also keeps roundings small.
BLOCK = 4096
ONES = {kind: np.ones(BLOCK, kind) for kind in "fd"}


# ---- summing and its adjoint ------------------------------------------------------------------------------------------------
@primitive(method=False)
def sum_to(x, /, shape):
    """Sum out what broadcasting added, so that the result has `shape`: the adjoint of :func:`broadcast_to`."""
    lead = x.ndim - len(shape)
    if lead:
        x = total(x, 0 if lead == 1 else tuple(range(lead)), False)
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1)
    return np.add.reduce(x, axes, keepdims=True) if axes else x


sum_to.derivative(x=lambda g, x_shape: broadcast_to(g, x_shape))


@primitive(view=True)
def broadcast_to(x, /, shape):
    """Repeat along new and length-1 dimensions without copying, as NumPy's broadcasting does."""
    return np.broadcast_to(x, shape)


broadcast_to.derivative(x=lambda g, x_shape: sum_to(g, x_shape))


def count_along(shape, dim):
    """Return how many elements a reduction along `dim` joins."""
    if dim is None:
        return math.prod(shape)
    return math.prod(shape[d] for d in normalize_dims(dim, len(shape), "mean"))


def total(x, dim, keepdim):
    """Sum an array along `dim`; integers and bools add up in int64, half precision in single."""
    kind = x.dtype.char
    if kind == "f" or kind == "d":
        if not keepdim and x.ndim and x.flags.forc:
            if dim is None:
                return _sum_of_all(x.reshape(-1))
            if x.ndim == 2 and dim.__class__ is int and -2 <= dim < 2:
                return _row_sums(x) if dim % 2 else _column_sums(x)
        return np.add.reduce(x, axes_of(dim, x.ndim, "sum"), None, None, keepdim)
    axes = axes_of(dim, x.ndim, "sum")
    if kind == "e":
        return np.add.reduce(x, axes, np.float32, None, keepdim).astype(x.dtype)
    return np.add.reduce(x, axes, np.int64, None, keepdim)


def _sum_of_all(x):
    ones, n = ONES[x.dtype.char], x.size
    if n <= BLOCK:
        return x.dot(ones[:n])
    rest = n % BLOCK
    blocks = np.add.reduce(x[: n - rest].reshape(-1, BLOCK).dot(ones))
    return blocks + x[n - rest :].dot(ones[:rest]) if rest else blocks


def _column_sums(x):
    ones, rows = ONES[x.dtype.char], len(x)
    if rows <= BLOCK:
        return ones[:rows].dot(x)
    blocks = [x[start : start + BLOCK] for start in range(0, rows, BLOCK)]
    return np.add.reduce([ones[: len(block)].dot(block) for block in blocks], 0)


def _row_sums(x):
    columns = x.shape[1]
    return x.dot(ONES[x.dtype.char][:columns]) if columns <= BLOCK else np.add.reduce(x, 1)


def best_along(ufunc, x, dim, keepdim, name):
    """Reduce by np.maximum or np.minimum; short rows are turned into columns first, where NumPy is ten times as fast."""
    axes = axes_of(dim, x.ndim, name)
    if x.ndim == 2 and axes in (1, -1) and x.shape[1] <= 64 < x.shape[0]:
        best = ufunc.reduce(np.ascontiguousarray(x.T), 0)
        return best.reshape(-1, 1) if keepdim else best
    return ufunc.reduce(x, axes, None, None, keepdim)


@primitive(method=False, node_name="SumBackward0")
def sum_along(x, /, dim, keepdim):
    """Sum along `dim` (an int, a tuple, or None for everything)."""
    return total(x, dim, keepdim)


@primitive(method=False)
def spread(x, /, shape, dim, keepdim):
    """Repeat the result of a reduction over the elements it came from: the adjoint of :func:`sum_along`. A read-only view."""
    if x.ndim == 0:
        return np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
    if keepdim or x.ndim == len(shape):
        return np.broadcast_to(x, shape)
    return np.broadcast_to(np.expand_dims(x, normalize_dims(dim, len(shape), "spread")), shape)


sum_along.derivative(x=lambda g, x_shape, dim, keepdim: spread(g, x_shape, dim, keepdim))
spread.derivative(x=lambda g, dim, keepdim: sum_along(g, dim, keepdim))


@composite
def sum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """Sum along dimensions.

    Parameters
    ----------
    dim : int, tuple of int or None
        What to sum over; None means everything. As in PyTorch, NumPy's names `axis` and `keepdims` do as well.
    keepdim : bool
        Keep the summed dimensions with length 1.
    dtype : dtype, optional
        Convert the input first. Without it integers and bools give int64.

    Raises
    ------
    IndexError
        If a dimension is out of range.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.sum(tg.tensor([[1., 2.], [3., 4.]]), dim=0).tolist()
    [4.0, 6.0]
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    return sum_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


@composite
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum along `dim` that counts NaN as zero."""
    return sum(keep(input, logical_not(isnan(input))), dim, keepdim, dtype=dtype)


# ---- mean -------------------------------------------------------------------------------------------------------------------
@primitive(method=False, node_name="MeanBackward0")
def mean_along(x, /, dim, keepdim):
    """Mean along `dim` (an int, a tuple, or None for everything); of nothing it is NaN."""
    if x.dtype.kind != "f":
        raise NotImplementedError(
            f"mean: the input dtype must be floating point, got {dtypes.from_numpy_dtype(x.dtype).name}. Fix: x.float().mean()."
        )
    count = count_along(x.shape, dim)
    joined = total(x, dim, keepdim)
    return joined / x.dtype.type(count) if count else joined * x.dtype.type(math.nan)


mean_along.derivative(
    x=lambda g, x_shape, dim, keepdim: spread(g / (count_along(x_shape, dim) or math.nan), x_shape, dim, keepdim)
)


@composite
def mean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """Arithmetic mean along `dim` (an int, a tuple, or None for everything); `dtype` converts the input first.

    Raises
    ------
    RuntimeError
        For integers, as in PyTorch: ``x.float().mean()``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.tensor([[1., 2.], [3., 4.]]).mean(dim=1).tolist()
    [1.5, 3.5]
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    return mean_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


@composite
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """Mean along `dim` of the elements that are not NaN."""
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    need_floats("nanmean", input._data)
    known = logical_not(isnan(input))
    return sum_along(keep(input, known), dim, keepdim) / sum_along(known, dim, keepdim)


@primitive(method=False)
def count_nonzero_along(x, /, dim):
    """Number of nonzero elements along `dim`."""
    return np.asarray(np.count_nonzero(x, axis=axes_of(dim, x.ndim, "count_nonzero")), np.int64)


@composite
def count_nonzero(input, dim=None):
    """Number of nonzero elements along `dim` (an int, a tuple, or None for everything), int64."""
    return count_nonzero_along(input, dim)


# ---- log-sum-exp and norms --------------------------------------------------------------------------------------------------
@primitive(method=False, float_result=True, node_name="LogsumexpBackward0")
@quietly
def logsumexp_along(x, /, dim, keepdim):
    """log(sum(exp(x))) along `dim`, shifted by the largest element so that nothing overflows."""
    axes = axes_of(dim, x.ndim, "logsumexp")
    top = (
        best_along(np.maximum, x, dim, True, "logsumexp")
        if x.size
        else np.maximum.reduce(x, axes, None, None, True, -np.inf)
    )
    top = np.where(np.isinf(top), x.dtype.type(0), top)
    joined = total(np.exp(x - top), dim, keepdim)
    return np.log(joined) + top.reshape(joined.shape)


logsumexp_along.derivative(
    x=lambda g, x, out, x_shape, dim, keepdim: (
        spread(g, x_shape, dim, keepdim) * exp(x - spread(out, x_shape, dim, keepdim))
    )
)


@composite
def logsumexp(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """out = log(sum(exp(x))) along `dim`, without overflow: the smooth maximum."""
    dim = dim if axis is None else axis
    if dim is None:
        raise TypeError("logsumexp() missing 1 required positional argument: 'dim'")
    return logsumexp_along(input, dim, keepdim if keepdims is None else keepdims)


@primitive(method=False, float_result=True, node_name="LinalgVectorNormBackward0")
@quietly
def norm_along(x, /, p, dim, keepdim):
    """The p-norm along `dim`; infinity is the largest magnitude, 0 counts the nonzero elements."""
    axes, size = axes_of(dim, x.ndim, "norm"), np.abs(x)
    if p == math.inf:
        return np.maximum.reduce(size, axes, None, None, keepdim)
    if p == -math.inf:
        return np.minimum.reduce(size, axes, None, None, keepdim)
    if p == 0:
        return total((x != 0).astype(x.dtype), dim, keepdim)
    if p == 1 or x.size == 1:
        return total(size, dim, keepdim)
    if p == 2:
        return np.sqrt(total(x * x, dim, keepdim))
    return total(size**p, dim, keepdim) ** (1 / p)


def _norm_rule(g, x, out, x_dtype, p, dim, keepdim):
    shape = tuple(x.shape)
    if p == 0:
        return spread(g * 0.0, shape, dim, keepdim)
    if p == 1:
        return spread(g, shape, dim, keepdim) * sign(x)
    if p in (math.inf, -math.inf):  # shared evenly by the elements that attain it
        attained = abs(x) == spread(out, shape, dim, keepdim)
        share = g / sum_along(cast(attained, x_dtype), dim, keepdim)
        return keep(spread(share, shape, dim, keepdim) * sign(x), attained)
    zero = out == 0  # the derivative at 0 is 0, as in PyTorch
    if p == 2:
        return x * spread(keep(g / (out + zero), logical_not(zero)), shape, dim, keepdim)
    scale = keep(g / power_of(out + zero, p - 1), logical_not(zero))
    size = abs(x) + (x == 0)
    return keep(x * power_of(size, p - 2), x != 0) * spread(scale, shape, dim, keepdim)


norm_along.derivative(x=_norm_rule)


@composite
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """Vector norm of all elements, or along `dim`: (sum |x| ** p) ** (1 / p).

    Parameters
    ----------
    p : float or "fro"
        The order; "fro" and None mean 2, infinity the largest magnitude, 0 the number of nonzero elements.
    dim : int, tuple of int or None
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    need_floats("norm", input._data)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(
            f"norm: p must be a number or 'fro', got {p!r}. Fix: tg.linalg.norm(x, {p!r}) for matrix norms."
        )
    return norm_along(input, 2.0 if p in ("fro", None) else float(p), dim, keepdim)
