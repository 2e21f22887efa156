"""``x[key]`` and ``x[key] = value``, and the ops that name their indices: select, narrow, take, index_put."""

from typing import Any

import numpy as np

from tinygrad_edu import kernels, memory
from tinygrad_edu.errors import DtypeError
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.ops import reduction
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.index_keys import check_bounds, is_plain, positions, split_key
from tinygrad_edu.ops.shape import reshape_to
from tinygrad_edu.primitive import broadcast_error, composite, install, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["index_put", "narrow", "select", "take"]


# ---- views: numbers, slices, None, ... --------------------------------------------------------------------------------------
@primitive(view=True, method=False, names=("input",), node_name="SliceBackward0")
def basic_index(x, /, key):
    """Index with numbers, slices, None and ...: a view. `key` ends in ..., so that even one element is a 0-d view."""
    return np.asarray(x)[key]


basic_index.derivative(x=lambda g, x_shape, key: place(g, x_shape, key))


@primitive(method=False, names=("input",))
def place(x, /, shape, key):
    """Zeros of `shape` with `x` at `key`: the adjoint of :func:`basic_index`."""
    out = np.zeros(shape, x.dtype)
    out[key] = x
    return out


place.derivative(x=lambda g, key: basic_index(g, key))


# ---- copies: integer and bool tensors ---------------------------------------------------------------------------------------
@primitive(method=False, names=("input",), node_name="IndexBackward0")
def advanced_index(x, /, key):
    """Index with arrays: a copy. `key` has an array or ``:`` for each dimension."""
    try:
        if len(key) == 1 and key[0].dtype.kind == "i" and x.flags.c_contiguous:
            return x.take(key[0], 0)  # rows, such as a batch: the same as x[key], in two thirds of the time
        return x[key]
    except IndexError:
        check_bounds(key, x.shape)
        raise


advanced_index.derivative(x=lambda g, x_shape, key: index_spread(g, x_shape, key))


@primitive(method=False, names=("input",))
def index_spread(x, /, shape, key):
    """Zeros of `shape` to which `x` is added at `key`, repeated places adding up: the adjoint of :func:`advanced_index`."""
    if all(part.__class__ is slice or part.dtype == np.bool_ for part in key):
        out = np.zeros(shape, x.dtype)  # a mask names each place once
        out[key] = x
        return out
    arrays = [part for part in _masks_as_numbers(key) if part.__class__ is not slice]
    dims = [d for d, part in enumerate(_masks_as_numbers(key)) if part.__class__ is not slice]
    rest = [d for d in range(len(shape)) if d not in dims]
    arrays = np.broadcast_arrays(*arrays)
    # Bring the indexed dimensions to the front, of `out` and of `x`; then it is a matter of adding rows.
    adjacent = dims == list(range(dims[0], dims[-1] + 1))
    width = arrays[0].ndim
    if adjacent and dims[0]:
        x = np.moveaxis(x, range(dims[0], dims[0] + width), range(width))
    fronts, sides = [shape[d] for d in dims], [shape[d] for d in rest]
    rows = np.ravel_multi_index([a.ravel() % max(n, 1) for a, n in zip(arrays, fronts, strict=True)], fronts)
    values = x.reshape(arrays[0].size, int(np.prod(sides)))
    out = kernels.add_rows(values, rows, int(np.prod(fronts))).reshape(fronts + sides)
    return np.moveaxis(out, range(len(dims)), dims)


index_spread.derivative(x=lambda g, key: advanced_index(g, key))


def _masks_as_numbers(key: tuple) -> list:
    """Replace each bool array by the integer arrays of its True places, one per dimension."""
    parts: list = []
    for part in key:
        if part.__class__ is not slice and part.dtype == np.bool_:
            parts.extend(part.nonzero())
        else:
            parts.append(part)
    return parts


@composite(method="__getitem__")
def getitem(input, key):
    """Return ``input[key]``: a view for numbers, slices, None and ``...``; a copy where a tensor or list is among the indices.

    As in PyTorch, numbers are taken before tensors, bool tensors select the places where they are True, and slices
    have no negative steps.

    Raises
    ------
    IndexError
        For an index out of range, too many indices, or tensors that are not integer or bool.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.arange(6).reshape(2, 3)
    >>> x[:, 1].tolist(), x[x > 2].tolist(), x[[1, 0], [0, 2]].tolist()
    ([1, 4], [3, 4, 5], [3, 2])
    """
    parts = key if key.__class__ is tuple else (key,)
    if is_plain(parts):
        try:
            return basic_index(input, (*parts, ...))
        except IndexError:
            pass  # split_key says what is wrong
    if key.__class__ is Tensor and key._data.ndim and key._data.dtype == np.int64 and input._data.ndim:
        recorded = input.node is not None and mode.enabled  # then the index must outlive writes over it
        return advanced_index(input, (positions(key) if recorded else key._data,))
    basic, advanced = split_key(key, input._data.shape)
    if advanced is None:
        return basic_index(input, (*basic, ...))
    if any(part != slice(None) for part in basic):
        input = basic_index(input, (*basic, ...))
    return advanced_index(input, advanced)


# ---- writing ----------------------------------------------------------------------------------------------------------------
@primitive(method=False, names=("input", "value"))
def setitem(x, value, /, basic, advanced):
    """Copy of `x` in which the elements at the key are `value`, which has the shape of what the key names."""
    out = np.array(x)
    _assign(out, basic, advanced, value)
    return out


setitem.derivative(
    x=lambda g, basic, advanced: clear(g, basic, advanced),
    value=lambda g, basic, advanced: fetch(g, basic, advanced),
)


@primitive(method=False, names=("input",))
def clear(x, /, basic, advanced):
    """Copy of `x` with zeros at the key; its own adjoint."""
    out = np.array(x)
    _assign(out, basic, advanced, 0)
    return out


clear.derivative(x=lambda g, basic, advanced: clear(g, basic, advanced))


def fetch(x, basic, advanced):
    """Index with both halves of a key."""
    x = basic_index(x, basic)
    return x if advanced is None else advanced_index(x, advanced)


def _shape_at(shape: tuple, basic: tuple, advanced: tuple | None) -> tuple:
    part = np.broadcast_to(np.False_, shape)[basic]
    if advanced is None:
        return part.shape
    check_bounds(advanced, part.shape)
    return part[advanced].shape


def _set_item(self: Tensor, key: Any, value: Any) -> None:
    """Write `value`, broadcast and converted to this tensor's type, to the places ``self[key]`` names; recorded where a gradient flows.

    Raises
    ------
    RuntimeError
        If the shapes do not fit, or this is a leaf that requires grad (E208).
    """
    if not isinstance(value, Tensor | int | float | np.generic):
        raise TypeError(f"setitem: can't assign a {type(value).__name__} to a Tensor. Fix: x[...] = tg.tensor(values).")
    basic, advanced = split_key(key, self._data.shape)
    basic = (*basic, ...)
    recorded = mode.enabled and (self.node is not None or (isinstance(value, Tensor) and value.node is not None))
    if recorded:
        from tinygrad_edu.ops.inplace import overwrite  # loaded after all ops, whose in-place forms it makes

        given = convert(value if isinstance(value, Tensor) else wrap(np.asarray(value)), self.dtype)
        shape = _shape_at(self._data.shape, basic, advanced)
        overwrite(self, setitem, _broadcast_value(given, shape), basic=basic, advanced=advanced)
        return
    array = self.array()
    values = value._data if isinstance(value, Tensor) else value
    try:
        _assign(array, basic, advanced, values)
    except ValueError as error:
        raise _explain_assignment(error, self, array, basic, advanced, values) from None
    memory.note_write(array, "x[...] = value")


install(__setitem__=_set_item)


@quietly
def _assign(array: np.ndarray, basic: tuple, advanced: tuple | None, values: Any) -> None:
    if advanced is None:
        array[basic] = values
        return
    part = array[basic]
    try:
        part[advanced] = values
    except IndexError:
        check_bounds(advanced, part.shape)
        raise


def _broadcast_value(value: Tensor, shape: tuple) -> Tensor:
    while value._data.ndim > len(shape) and value._data.shape[0] == 1:  # leading lengths of 1 may be too many
        value = reshape_to(value, value._data.shape[1:])
    try:
        return reduction.broadcast_to(value, shape)
    except RuntimeError:
        raise broadcast_error("setitem", [tuple(value._data.shape), shape]) from None


def _explain_assignment(
    error: Exception, self: Tensor, array: Any, basic: Any, advanced: Any, values: Any
) -> Exception:
    if not array.flags.writeable:
        return RuntimeError(
            "setitem: more than one element of the written-to tensor refers to a single memory location, because it was made by "
            "expand. Fix: x = x.clone() before writing."
        )
    shape = _shape_at(self._data.shape, basic, advanced)
    given = np.shape(values)
    if given != shape:
        return broadcast_error("setitem", [given, shape])
    return error


@composite
def index_put(input, indices, values, accumulate=False):
    """Copy of `input` with `values` at ``input[indices]``; with `accumulate`, values are added, repeated places adding up.

    Parameters
    ----------
    indices : sequence of Tensor (int64 or bool) or None
    values : Tensor
        Broadcast to the shape of ``input[indices]``.
    """
    key = tuple(slice(None) if index is None else index for index in indices)
    basic, advanced = split_key(key, input._data.shape)
    basic = (*basic, ...)
    values = _broadcast_value(values, _shape_at(input._data.shape, basic, advanced))
    if advanced is None:
        raise IndexError("index_put: indices hold no tensor. Fix: x[...] = values writes everywhere.")
    if not accumulate:
        return setitem(input, convert(values, input.dtype), basic, advanced)
    return input + index_spread(convert(values, input.dtype), input._data.shape, advanced)


# ---- by name ----------------------------------------------------------------------------------------------------------------
@composite
def select(input, dim, index):
    """View of `input` at position `index` of dimension `dim`, which disappears."""
    dim = normalize_dim(dim, input._data.ndim, "select")
    return getitem(input, (slice(None),) * dim + (int(index),))


@composite
def narrow(input, dim, start, length):
    """View of the `length` positions from `start` on along dimension `dim`.

    Raises
    ------
    RuntimeError
        If they reach beyond the end.
    """
    dim, start = normalize_dim(dim, input._data.ndim, "narrow"), int(start)
    size = input._data.shape[dim]
    if not -size <= start <= size:
        raise IndexError(f"narrow: start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    start = start + size if start < 0 else start
    if length < 0 or not 0 <= start <= size or start + length > size:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({size}) of dim {dim}. "
            f"Fix: start and length with 0 <= start and start + length <= {size}."
        )
    return basic_index(input, (slice(None),) * dim + (slice(start, start + length), ...))


@composite
def take(input, index):
    """Elements of `input`, seen as one row, at the positions `index`: ``out = input.flatten()[index]``."""
    if index._data.dtype.kind not in "iu":
        raise DtypeError(f"take: expected a long tensor for index, but got {index.dtype}. Fix: index.long().")
    return getitem(reshape_to(input, (input._data.size,)), index)
