"""The largest and smallest elements and where they are; median and mode.

Which element wins is decided outside the graph, by index; `pick_one` then takes the winners, and its adjoint `place_one` brings their
gradients back. Where whole values are compared (``x.max()``, ``x.amax(dim)``) equal winners share the gradient evenly.
"""

from collections import namedtuple

import numpy as np

from tinygrad_edu.ops.comparison import isnan, keep, refuse_bool
from tinygrad_edu.ops.conversion import cast
from tinygrad_edu.ops.dims import normalize_dim, normalize_dims
from tinygrad_edu.ops.reduction import best_along, spread, sum_along
from tinygrad_edu.ops.rounding import maximum, minimum
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "median", "min", "mode", "nanmedian"]

_max, _min = namedtuple("max", "values indices"), namedtuple("min", "values indices")
_median, _nanmedian = namedtuple("median", "values indices"), namedtuple("nanmedian", "values indices")
_mode, _aminmax = namedtuple("mode", "values indices"), namedtuple("aminmax", "min max")


# ---- taking one element per line --------------------------------------------------------------------------------------------
@primitive(method=False, node_name="MaxBackward0")
def pick_one(x, index, /, dim, keepdim):
    """Take along `dim` the one element of each line that `index` (an integer per line) names."""
    if x.ndim == 0:
        return x.copy()
    if x.ndim == 2 and dim == 1 and not keepdim:
        return x[np.arange(len(x)), index]
    at = index if keepdim else np.expand_dims(index, dim)
    found = np.take_along_axis(x, at, dim)
    return found if keepdim else np.squeeze(found, dim)


@primitive(method=False)
def place_one(x, index, /, shape, dim, keepdim):
    """Zeros of `shape` with one element of each line set: the adjoint of :func:`pick_one`."""
    if not shape:
        return x.copy()
    out = np.zeros(shape, x.dtype)
    at, values = (index, x) if keepdim else (np.expand_dims(index, dim), np.expand_dims(x, dim))
    np.put_along_axis(out, at, values, dim)
    return out


pick_one.derivative(x=lambda g, index, x_shape, dim, keepdim: place_one(g, index, x_shape, dim, keepdim))
place_one.derivative(x=lambda g, index, dim, keepdim: pick_one(g, index, dim, keepdim))


def _check_not_empty(name, shape, dim):
    if 0 not in shape:
        return
    if dim is None or dim == ():
        raise RuntimeError(
            f"{name}: Expected reduction dim to be specified for an input without elements, shape {tuple(shape)}. "
            "Specify the reduction dim with the 'dim' argument, or check x.numel() first."
        )
    for d in normalize_dims(dim, len(shape), name):
        if not shape[d]:
            raise IndexError(
                f"{name}: Expected reduction dim {d} to have non-zero size, got shape {tuple(shape)}. "
                "Fix: reduce another dim, or check x.numel() first."
            )


# ---- where ------------------------------------------------------------------------------------------------------------------
def _position(find, name, x, dim, keepdim):
    refuse_bool(name, x)
    if dim is None:
        if not x.size:
            raise IndexError(
                f"{name}: Expected reduction dim to be specified for an input without elements, shape {x.shape}."
            )
        at = find(np.asarray(x).reshape(-1))
        return at.reshape((1,) * x.ndim) if keepdim else at
    dim = normalize_dim(dim, x.ndim, name)
    if x.ndim == 0:
        return np.int64(0)
    _check_not_empty(name, x.shape, dim)
    return find(x, dim, keepdims=keepdim)


@primitive(method=False)
def argmax_along(x, /, dim, keepdim):
    """Position of the first largest element along `dim`, or in the flattened tensor; NaN counts as largest."""
    return _position(np.argmax, "argmax", x, dim, keepdim)


@primitive(method=False)
def argmin_along(x, /, dim, keepdim):
    """Position of the first smallest element along `dim`, or in the flattened tensor; NaN counts as smallest."""
    return _position(np.argmin, "argmin", x, dim, keepdim)


@composite
def argmax(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Position (int64) of the first largest element along `dim`, or in the flattened tensor.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.tensor([[1., 5., 2.], [7., 0., 7.]]).argmax(dim=1).tolist()
    [1, 0]
    """
    return argmax_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


@composite
def argmin(input, dim=None, keepdim=False, *, axis=None, keepdims=None):
    """Position (int64) of the first smallest element along `dim`, or in the flattened tensor."""
    return argmin_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


# ---- values, equal ones sharing the gradient --------------------------------------------------------------------------------
def _share_evenly(g, x, out, x_dtype, dim, keepdim):
    best = spread(out, tuple(x.shape), dim, keepdim)
    attained = (x == best) | (isnan(x) & isnan(best))
    share = g / sum_along(cast(attained, x_dtype), dim, keepdim)
    return keep(spread(share, tuple(x.shape), dim, keepdim), attained)


@primitive(method=False, node_name="AmaxBackward0")
def amax_along(x, /, dim, keepdim):
    """Largest element along `dim`; NaN wins."""
    _check_not_empty("amax", x.shape, dim)
    return best_along(np.maximum, x, dim, keepdim, "amax")


@primitive(method=False, node_name="AminBackward0")
def amin_along(x, /, dim, keepdim):
    """Smallest element along `dim`; NaN wins."""
    _check_not_empty("amin", x.shape, dim)
    return best_along(np.minimum, x, dim, keepdim, "amin")


amax_along.derivative(x=_share_evenly)
amin_along.derivative(x=_share_evenly)


@primitive(method=False, node_name="MaxBackward1")
def max_of_all(x, /):
    """Largest of all elements; NaN wins."""
    _check_not_empty("max", x.shape, None)
    return np.maximum.reduce(x, None)


@primitive(method=False, node_name="MinBackward1")
def min_of_all(x, /):
    """Smallest of all elements; NaN wins."""
    _check_not_empty("min", x.shape, None)
    return np.minimum.reduce(x, None)


max_of_all.derivative(x=lambda g, x, out, x_dtype: _share_evenly(g, x, out, x_dtype, None, False))
min_of_all.derivative(x=lambda g, x, out, x_dtype: _share_evenly(g, x, out, x_dtype, None, False))


@composite
def amax(input, dim=(), keepdim=False, *, axis=None, keepdims=None):
    """Largest element along `dim` (an int, a tuple, or () for everything); equal ones share the gradient evenly."""
    return amax_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


@composite
def amin(input, dim=(), keepdim=False, *, axis=None, keepdims=None):
    """Smallest element along `dim` (an int, a tuple, or () for everything); equal ones share the gradient evenly."""
    return amin_along(input, dim if axis is None else axis, keepdim if keepdims is None else keepdims)


@composite
def aminmax(input, *, dim=None, keepdim=False):
    """The named pair (min, max) along `dim`, or of everything."""
    if dim is not None:
        dim = normalize_dim(dim, input.ndim, "aminmax")
    return _aminmax(amin_along(input, dim, keepdim), amax_along(input, dim, keepdim))


def _best(name, result, input, dim, keepdim, other, both, whole, where):
    """The three forms of max and min: of two tensors, of everything, along one dimension."""
    if isinstance(dim, Tensor):
        dim, other = None, dim
    if other is not None:
        return both(input, other)
    if dim is None:
        return whole(input)
    dim = normalize_dim(dim, input.ndim, name)
    _check_not_empty(name, input.shape, dim)
    index = where(input, dim, keepdim)
    return result(pick_one(input, index, dim, keepdim), index)


@composite
def max(input, dim=None, keepdim=False, *, other=None, axis=None, keepdims=None):
    """The largest elements, in three forms.

    ``max(x)`` is the largest of all (equal ones share the gradient); ``max(x, dim)`` a named pair (values, indices) of the first
    largest along one dimension; ``max(x, other)`` element by element the larger of two tensors.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> values, indices = tg.max(tg.tensor([[1., 4.], [3., 2.]]), dim=1)
    >>> values.tolist(), indices.tolist()
    ([4.0, 3.0], [1, 0])
    """
    dim, keepdim = dim if axis is None else axis, keepdim if keepdims is None else keepdims
    return _best("max", _max, input, dim, keepdim, other, maximum, max_of_all, argmax_along)


@composite
def min(input, dim=None, keepdim=False, *, other=None, axis=None, keepdims=None):
    """The smallest elements, in the three forms of :func:`max`."""
    dim, keepdim = dim if axis is None else axis, keepdim if keepdims is None else keepdims
    return _best("min", _min, input, dim, keepdim, other, minimum, min_of_all, argmin_along)


# ---- median and mode --------------------------------------------------------------------------------------------------------
@primitive(method=False)
def median_position(x, /, dim, keepdim, skip_nan):
    """Position of the lower median along `dim`; a NaN is the median unless NaNs are skipped."""
    if x.ndim == 0:
        return np.int64(0)
    order = np.argsort(x, dim, kind="stable")  # NaN last
    unknown = np.count_nonzero(x != x, axis=dim, keepdims=True)
    length = x.shape[dim]
    middle = np.maximum(length - unknown - 1, 0) // 2
    if not skip_nan:
        middle = np.where(unknown > 0, length - unknown, middle)
    at = np.take_along_axis(order, middle, dim)
    return at if keepdim else np.squeeze(at, dim)


@primitive(method=False, node_name="MedianBackward0")
def median_of_all(x, /, skip_nan):
    """The lower median of all elements."""
    if not x.size:
        return x.dtype.type(np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    flat = np.asarray(x).reshape(-1)
    return flat[median_position.op.forward(flat, 0, False, skip_nan)]


median_of_all.derivative(x=lambda g, x, out, x_dtype: _share_evenly(g, x, out, x_dtype, None, False))


def _middle(name, result, input, dim, keepdim, skip_nan):
    refuse_bool(name, input._data)
    if dim is None:
        return median_of_all(input, skip_nan)
    dim = normalize_dim(dim, input.ndim, name)
    _check_not_empty(name, input.shape, dim)
    index = median_position(input, dim, keepdim, skip_nan)
    return result(pick_one(input, index, dim, keepdim), index)


@composite
def median(input, dim=None, keepdim=False):
    """The median; of an even number of elements the lower one, as in PyTorch. With `dim` a named pair (values, indices)."""
    return _middle("median", _median, input, dim, keepdim, False)


@composite
def nanmedian(input, dim=None, keepdim=False):
    """The median of the elements that are not NaN, see :func:`median`."""
    return _middle("nanmedian", _nanmedian, input, dim, keepdim, True)


@primitive(method=False)
def mode_position(x, /, dim, keepdim):
    """Position of the last occurrence of the most frequent element along `dim`; of equally frequent ones the smallest."""
    if x.ndim == 0:
        return np.int64(0)
    x = np.moveaxis(x, dim, -1)
    lines = x.reshape(-1, x.shape[-1])
    at = np.empty(len(lines), np.int64)
    for i, line in enumerate(lines):
        _, which, counts = np.unique(line, return_inverse=True, return_counts=True, equal_nan=False)
        at[i] = np.flatnonzero(which == np.argmax(counts))[-1]
    at = at.reshape(x.shape[:-1])
    return np.expand_dims(at, dim) if keepdim else at


@composite
def mode(input, dim=-1, keepdim=False):
    """The most frequent element along `dim` and a position of it, a named pair (values, indices)."""
    dim = normalize_dim(dim, input.ndim, "mode")
    _check_not_empty("mode", input.shape, dim)
    index = mode_position(input, dim, keepdim)
    return _mode(pick_one(input, index, dim, keepdim), index)
