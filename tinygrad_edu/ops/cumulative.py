"""Running sums, products and extremes, the product of a line, and differences of neighbours.

The rule of a product divides by the elements. Where one of them is zero it goes the long way instead, through `running_products`:
log2(n) steps of multiplying by a shifted copy, whose pullback is exact, zeros or not, and can be differentiated again.
"""

import math
from collections import namedtuple

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.ops.comparison import keep, logical_not, logical_xor, need_floats
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.gathering import gather
from tinygrad_edu.ops.indexing import narrow
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.ops.reduction import spread
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp", "prod"]

_cummax, _cummin = namedtuple("cummax", "values indices"), namedtuple("cummin", "values indices")


# ---- sums -------------------------------------------------------------------------------------------------------------------
@primitive(method=False, node_name="CumsumBackward0")
def cumsum_along(x, /, dim, backwards):
    """Running sum along `dim`, from the front or from the end: each is the adjoint of the other."""
    kind = np.int64 if x.dtype.kind in "iub" else None
    if x.ndim == 0:
        return x.astype(kind or x.dtype)
    if backwards:
        return np.flip(np.add.accumulate(np.flip(x, dim), dim, kind), dim)
    return np.add.accumulate(x, dim, kind)


cumsum_along.derivative(x=lambda g, dim, backwards: cumsum_along(g, dim, not backwards))


@composite
def cumsum(input, dim=None, *, dtype=None, axis=None):
    """Running sum, out[i] = x[0] + ... + x[i] along `dim`; integers give int64.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.cumsum(tg.tensor([1., 2., 3.]), dim=0).tolist()
    [1.0, 3.0, 6.0]
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    dim = dim if axis is None else axis
    if dim is None:
        raise TypeError("cumsum() missing 1 required positional argument: 'dim'")
    return cumsum_along(input, normalize_dim(dim, input.ndim, "cumsum"), False)


# ---- products ---------------------------------------------------------------------------------------------------------------
@primitive(method=False)
def shift(x, /, steps, dim, fill):
    """Move along `dim` by `steps` (negative: to the front); what leaves is lost and `fill` comes in."""
    out = np.full_like(x, fill)
    n = x.shape[dim]
    steps = min(max(steps, -n), n)
    source = [slice(None)] * x.ndim
    target = list(source)
    source[dim] = slice(None, n - steps) if steps >= 0 else slice(-steps, None)
    target[dim] = slice(steps, None) if steps >= 0 else slice(None, n + steps)
    out[tuple(target)] = x[tuple(source)]
    return out


shift.derivative(x=lambda g, steps, dim: shift(g, -steps, dim, 0))


def running_products(x, dim, direction):
    """Return cumprod(x) from the front (direction 1) or the end (-1), by doubling steps: y <- y * shift(y, 1), shift(y, 2), ..."""
    step, y = 1, x
    while step < x.shape[dim]:
        y = y * shift(y, direction * step, dim, 1)
        step *= 2
    return y


def products_of_others(x, dim):
    """Return for every element the product of all others along `dim`: those before it times those after it."""
    before = shift(running_products(x, dim, 1), 1, dim, 1)
    return before * shift(running_products(x, dim, -1), -1, dim, 1)


def running_products_pullback(g, x, dim):
    """Return the gradient of cumprod(x): the chain rule back through the steps of `running_products`."""
    step, y, trail = 1, x, []
    while step < x.shape[dim]:
        trail.append((y, step))
        y = y * shift(y, step, dim, 1)
        step *= 2
    for before, step in reversed(trail):
        g = g * shift(before, step, dim, 1) + shift(g * before, -step, dim, 0)
    return g


@primitive(method=False)
def has_zero(x, /):
    """Tell whether any element is zero, as a 0-d bool."""
    return np.bool(np.size(x) != np.count_nonzero(x))


@primitive(method=False, node_name="CumprodBackward0")
@quietly
def cumprod_along(x, /, dim):
    """Running product along `dim`."""
    kind = np.int64 if x.dtype.kind in "iub" else None
    return np.multiply.accumulate(x, dim, kind) if x.ndim else x.astype(kind or x.dtype)


def _cumprod_rule(g, x, out, dim):
    if not len(x.shape):
        return g
    if has_zero(x):
        return running_products_pullback(g, x, dim)
    return cumsum_along(g * out, dim, True) / x


cumprod_along.derivative(x=_cumprod_rule)


@composite
def cumprod(input, dim, *, dtype=None):
    """Running product, out[i] = x[0] * ... * x[i] along `dim`; integers give int64."""
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    return cumprod_along(input, normalize_dim(dim, input.ndim, "cumprod"))


@primitive(method=False, node_name="ProdBackward0")
@quietly
def prod_along(x, /, dim, keepdim):
    """Product along one dimension."""
    kind = np.int64 if x.dtype.kind in "iub" else None
    return np.multiply.reduce(x, dim, kind, None, keepdim) if x.ndim else x.astype(kind or x.dtype)


def _prod_rule(g, x, out, dim, keepdim):
    shape = tuple(x.shape)
    if not shape:
        return g
    if has_zero(x):
        return spread(g, shape, dim, keepdim) * products_of_others(x, dim)
    return spread(g * out, shape, dim, keepdim) / x


prod_along.derivative(x=_prod_rule)


@composite
def prod(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=None):
    """Product of all elements, or along one dimension; of nothing it is 1. Integers give int64.

    The gradient is right where elements are zero, too: each gets the product of all others.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([2., 0., 3.], requires_grad=True)
    >>> tg.prod(x).backward()
    >>> x.grad.tolist()
    [0.0, 6.0, 0.0]
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    dim, keepdim = dim if axis is None else axis, keepdim if keepdims is None else keepdims
    if dim is not None:
        return prod_along(input, normalize_dim(dim, input.ndim, "prod"), keepdim)
    for _ in range(input.ndim - 1):
        input = prod_along(input, 0, False)
    return prod_along(input, 0, False)


# ---- log-sum-exp ------------------------------------------------------------------------------------------------------------
@primitive(method=False, float_result=True, node_name="LogcumsumexpBackward0")
@quietly
def logcumsumexp_along(x, /, dim, backwards):
    """Running log(sum(exp(x))) along `dim`, from the front or from the end, without overflow."""
    if x.ndim == 0:
        return x.copy()
    if backwards:
        return np.flip(np.logaddexp.accumulate(np.flip(x, dim), dim), dim)
    return np.logaddexp.accumulate(x, dim)


@primitive(method=False)
def log_where(x, mask, /):
    """log(x) where the mask is True, elsewhere -inf, which no later exp or its derivative brings back."""
    return np.where(mask, np.log(np.where(mask, x, 1)), -np.inf).astype(x.dtype)


log_where.derivative(x=lambda g, x, mask: keep(g, mask) / (x + logical_not(mask)))


def _logcumsumexp_rule(g, x, out, dim, backwards):
    # sum_j g_j exp(x_i - out_j) over the outputs j that x_i is part of: in logarithms, since out_j may lie far below x_i's
    # companions; positive and negative g apart, since only positive numbers have logarithms.
    level = keep(out, out != -math.inf)  # where all is -inf, exp(x) is 0 whatever the level
    positive = exp(logcumsumexp_along(log_where(g, logical_not(g <= 0)) - level, dim, not backwards) + x)
    negative = exp(logcumsumexp_along(log_where(-g, g < 0) - level, dim, not backwards) + x)
    return positive - negative


logcumsumexp_along.derivative(x=_logcumsumexp_rule)


@composite
def logcumsumexp(input, dim):
    """Running log-sum-exp, out[i] = log(exp(x[0]) + ... + exp(x[i])) along `dim`; for floating-point tensors only."""
    if input._data.ndim:
        need_floats("logcumsumexp", input._data)
    return logcumsumexp_along(input, normalize_dim(dim, input.ndim, "logcumsumexp"), False)


# ---- extremes ---------------------------------------------------------------------------------------------------------------
def _latest_record(running, x, dim):
    """Return for every element the position of the latest one that equals the running extreme; a NaN stays the extreme."""
    if x.ndim == 0:
        return np.int64(0)
    position = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    record = (x == running.accumulate(x, dim)) | (x != x)
    return np.maximum.accumulate(np.where(record, position, 0), dim)


@primitive(method=False)
def cummax_position(x, /, dim):
    """Position of the running maximum along `dim`, of equal ones the latest."""
    return _latest_record(np.maximum, x, dim)


@primitive(method=False)
def cummin_position(x, /, dim):
    """Position of the running minimum along `dim`, of equal ones the latest."""
    return _latest_record(np.minimum, x, dim)


@composite
def cummax(input, dim):
    """Running maximum along `dim`, a named pair (values, indices); of equal elements the latest is meant."""
    dim = normalize_dim(dim, input.ndim, "cummax")
    index = cummax_position(input, dim)
    return _cummax(gather(input, dim, index), index)


@composite
def cummin(input, dim):
    """Running minimum along `dim`, a named pair (values, indices); of equal elements the latest is meant."""
    dim = normalize_dim(dim, input.ndim, "cummin")
    index = cummin_position(input, dim)
    return _cummin(gather(input, dim, index), index)


# ---- differences ------------------------------------------------------------------------------------------------------------
@composite
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """Differences of neighbours, out[i] = x[i + 1] - x[i] along `dim`, taken `n` times.

    Parameters
    ----------
    n : int
    dim : int
    prepend, append : Tensor, optional
        What to join to the input's ends first.

    Raises
    ------
    RuntimeError
        For a 0-d tensor or a negative n.
    """
    if input.ndim == 0 or n < 0:
        raise RuntimeError(
            f"diff: expects a tensor of at least one dimension and n >= 0, got {input.ndim} dimensions and n={n}."
        )
    dim = normalize_dim(dim, input.ndim, "diff")
    parts = [part for part in (prepend, input, append) if part is not None]
    joined = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, joined.size(dim))):
        length = joined.size(dim) - 1
        ahead, behind = narrow(joined, dim, 1, length), narrow(joined, dim, 0, length)
        joined = logical_xor(ahead, behind) if joined._data.dtype.kind == "b" else ahead - behind
    return joined
