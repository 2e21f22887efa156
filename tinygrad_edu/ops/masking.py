"""Choosing by a mask: where, masked_fill, masked_select, nonzero, one_hot."""

import math
from numbers import Number
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.errors import DtypeError, ShapeError, message
from tinygrad_edu.ops import reduction
from tinygrad_edu.ops.comparison import same_dtypes
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.ops.expanding import broadcast_shapes, expand
from tinygrad_edu.ops.indexing import advanced_index, index_spread
from tinygrad_edu.ops.shape import reshape_to
from tinygrad_edu.primitive import composite, install, primitive
from tinygrad_edu.recorders import look
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero", "where"]


# ---- where ------------------------------------------------------------------------------------------------------------------
@primitive(
    elementwise=True, method=False, mixes=("x", "y"), names=("condition", "input", "other"), node_name="WhereBackward0"
)
def choose(condition, x, y, /):
    """Elements of `x` where the condition holds and of `y` elsewhere."""
    return np.where(condition, x, y)


# choose() also blocks nan and inf: what was not chosen gets exactly 0.
choose.derivative(x=lambda g, condition: choose(condition, g, 0.0), y=lambda g, condition: choose(condition, 0.0, g))


@composite(method=False)
def where(condition, input=None, other=None):
    """Elements of `input` where `condition` is True and of `other` elsewhere, with broadcasting; numbers are welcome.

    Called with the condition alone: the indices of its True elements, ``nonzero(condition, as_tuple=True)``.

    Notes
    -----
    The gradient of what was not chosen is 0, but an infinite derivative *before* the choice still gives nan (0 * inf): make the
    input of the dangerous function safe, ``where(x > 0, log(where(x > 0, x, 1)), 0)``.
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' must be Tensor, not {type(condition).__name__}.")
    if condition._data.dtype != np.bool_:
        if condition._data.dtype != np.uint8:
            raise DtypeError(
                message(
                    "",
                    "where",
                    f"expected condition to be a boolean tensor, but got {condition.dtype}.",
                    "where(x != 0, ...).",
                )
            )
        condition = convert(condition, dtypes.bool)
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        kind = dtypes.promote_types(dtypes.of_number(input), dtypes.of_number(other)).numpy
        input, other = wrap(np.array(input, kind)), wrap(np.array(other, kind))
    elif not isinstance(input, Tensor):
        input = _beside(input, other)
    elif not isinstance(other, Tensor):
        other = _beside(other, input)
    return choose(condition, input, other)


def _beside(number: Any, tensor: Tensor) -> Tensor:
    """Return a number as a 0-d tensor in the type of `tensor`, or of its own higher category."""
    kind = dtypes.of_number(number)
    own = tensor.dtype
    return wrap(np.array(number, (own if own.category >= kind.category else kind).numpy))


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """Keep this tensor's elements where `condition` is True and take those of `other` elsewhere."""
    return where(condition, self, other)


install(where=_where_method)


# ---- masks ------------------------------------------------------------------------------------------------------------------
def _check_mask(name: str, mask: Any) -> None:
    if not isinstance(mask, Tensor) or mask._data.dtype != np.bool_:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise DtypeError(
            message(
                "", name, f"expected a bool tensor as mask, got {got}.", "a comparison, e.g. mask == 0, or mask.bool()."
            )
        )


@primitive(method=False, names=("input", "mask"), node_name="MaskedFillBackward0")
def fill_masked(x, mask, /, value):
    """Copy of `x` with a number where the mask, which broadcasts to its shape, is True."""
    return np.where(mask, x.dtype.type(value), x)


fill_masked.derivative(x=lambda g, mask: fill_masked(g, mask, 0))


@composite
def masked_fill(input, mask, value):
    """Copy of `input` with `value` where `mask` is True: attention scores with -inf at the places not to look at.

    Parameters
    ----------
    mask : Tensor of bool
        Broadcasts with `input`.
    value : number or 0-d Tensor

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> scores = tg.zeros(2, 2).masked_fill(tg.tensor([[False, True], [False, False]]), float("-inf"))
    >>> scores.softmax(-1).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    _check_mask("masked_fill", mask)
    if not isinstance(value, Tensor | Number):
        raise TypeError(
            f"masked_fill(): argument 'value' must be a number or a 0-d Tensor, not {type(value).__name__}."
        )
    if mask._data.ndim > input._data.ndim or mask._data.shape != input._data.shape:
        shape = tuple(broadcast_shapes(input._data.shape, mask._data.shape))
        if shape != input._data.shape:
            input = reduction.broadcast_to(input, shape)
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(
                f"masked_fill: only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} dimension(s). "
                "Fix: tg.where(mask, value, x)."
            )
        return choose(mask, convert(value, input.dtype), input)
    if input._data.dtype.kind != "f" and not math.isfinite(value):
        raise RuntimeError(
            f"masked_fill: value {value} cannot be converted to type {input.dtype.name} without overflow. Fix: x.float()."
        )
    return fill_masked(input, mask, value)


@composite
def masked_select(input, mask):
    """The elements of `input` where `mask` is True, as a vector; both are broadcast first."""
    _check_mask("masked_select", mask)
    shape = tuple(broadcast_shapes(input._data.shape, mask._data.shape))
    if shape != input._data.shape:
        input = reduction.broadcast_to(input, shape)
    if not shape:
        input, shape = reshape_to(input, (1,)), (1,)
    return advanced_index(input, (np.broadcast_to(np.asarray(mask._data), shape).copy(),))


@composite
def masked_scatter(input, mask, source):
    """Copy of `input` with the first elements of `source`, in order, where `mask` is True."""
    _check_mask("masked_scatter", mask)
    same_dtypes("masked_scatter", input._data, source._data)
    shape = tuple(broadcast_shapes(input._data.shape, mask._data.shape))
    mask, input = expand(mask, *shape), expand(input, *shape)
    count = int(np.count_nonzero(mask._data))
    if source._data.size < count:
        raise ShapeError(
            f"masked_scatter: the mask is True at {count} places, but source has {source._data.size} elements. Fix: a longer source."
        )
    flat = reshape_to(source, (source._data.size,))
    first = advanced_index(flat, (np.arange(count),))
    spread_out = index_spread(first, shape, (np.array(mask._data),)) if shape else reshape_to(first, ())
    return choose(mask, spread_out, input)


# ---- positions --------------------------------------------------------------------------------------------------------------
@composite
def nonzero(input, *, out=None, as_tuple=False):
    """The indices of the elements that are not 0: one row for each, or with `as_tuple` one vector for each dimension.

    The tuple form can index: ``x[x.nonzero(as_tuple=True)]``.
    """
    look("nonzero()")
    if as_tuple:
        return tuple(wrap(a) for a in np.nonzero(np.atleast_1d(np.asarray(input._data))))
    return wrap(np.argwhere(np.asarray(input._data)))


@composite
def argwhere(input):
    """The indices of the elements that are not 0, one row for each."""
    return nonzero(input)


@primitive(method=False, names=("input",))
def one_hot(x, /, num_classes=-1):
    """Rows with a single 1: class ids of any shape (int64) give int64 of shape (*, num_classes), ``out[..., input[...]] = 1``.

    Parameters
    ----------
    num_classes : int
        -1 means one more than the largest id.

    Raises
    ------
    RuntimeError
        For an id below 0 or not below `num_classes` (E107), or ids that are not int64.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> import tinygrad_edu.ops.masking as masking
    >>> masking.one_hot(tg.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    if x.dtype != np.int64:
        raise DtypeError(
            f"one_hot is only applicable to index tensor of type int64, got {x.dtype}. Fix: labels.long()."
        )
    if num_classes < -1:
        raise RuntimeError(
            f"one_hot: Class values must be smaller than num_classes, got {num_classes}. Fix: -1 to count them."
        )
    if not x.size and num_classes < 0:
        raise RuntimeError("one_hot: can not infer total number of classes from empty tensor. Fix: num_classes=10.")
    count = int(np.max(x)) + 1 if num_classes < 0 else num_classes
    if x.size and np.min(x) < 0:
        raise RuntimeError(f"one_hot: Class values must be non-negative, got {np.min(x)}.")
    if x.size and np.max(x) >= count:
        raise RuntimeError(
            f"one_hot: Class values must be smaller than num_classes, got {np.max(x)} with num_classes={count}. "
            f"Fix: num_classes={np.max(x) + 1}"
            + (", or labels - 1 if they count from 1." if np.max(x) == count else ".")
        )
    return (np.asarray(x)[..., None] == np.arange(count)).astype(np.int64)
