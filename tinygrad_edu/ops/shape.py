"""The same numbers under another shape: reshape, squeeze, transpose, permute. All but `reshape` are always views, without copying."""

import math
from typing import Any

import numpy as np

from tinygrad_edu.dtypes import as_dtype, dtype
from tinygrad_edu.errors import GraphError, ShapeError, message
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.ops.dims import normalize_dim, normalize_dims
from tinygrad_edu.primitive import composite, install, primitive
from tinygrad_edu.tensor import Tensor

__all__ = [
    "adjoint", "flatten", "moveaxis", "movedim", "permute", "ravel", "reshape", "squeeze", "swapaxes", "swapdims", "t", "transpose",
    "unflatten", "unsqueeze",
]  # fmt: skip


def sizes_of(sizes: tuple) -> tuple:
    """Return the lengths, given as ``f(2, 3)`` or as ``f((2, 3))``."""
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        return tuple(sizes[0])
    return sizes


# ---- reshape ----------------------------------------------------------------------------------------------------------------
def _explain_reshape(error: Exception, x: Tensor, shape: tuple) -> Exception | None:
    if type(error) is not ValueError:
        return None
    have, wanted = tuple(x.shape), tuple(int(n) for n in shape)
    known = int(np.prod([n for n in wanted if n != -1], dtype=np.int64))
    count = f"-1 with {known}" if -1 in wanted else str(known)
    if wanted.count(-1) > 1:
        facts = f"only one dimension can be inferred, the shape {wanted} has {wanted.count(-1)} of -1."
    elif any(n < -1 for n in wanted):
        facts = f"invalid shape dimension {min(wanted)}: lengths are 0 or more, or -1 for the one to work out."
    else:
        facts = f"shape '{list(wanted)}' is invalid for input of size {x.numel()}: {have} holds {x.numel()} elements, {wanted} {count}."
    fix = "choose lengths whose product is the number of elements"
    if len(have) > 1 and have[0]:
        fix += f"; x.flatten(1) keeps the first dimension (the batch) and gives {(have[0], x.numel() // have[0])}"
    return ShapeError(message("E111", "reshape", facts, fix + "."))


@primitive(view=True, method=False, names=("input",), node_name="ViewBackward0", explain=_explain_reshape)
def reshape_to(x, /, shape):
    """The same elements in row-major order under another shape; shares memory where the strides allow it."""
    if shape and min(shape) < -1:  # NumPy takes every negative number for -1
        raise ValueError("invalid shape dimension")
    return x.reshape(shape)


reshape_to.derivative(x=lambda g, x_shape: reshape_to(g, x_shape))


@composite
def reshape(input, *shape, **keyword):
    """The same elements, in row-major order, under another shape; one length may be -1 and is worked out.

    Shares the memory of `input` where possible and copies otherwise.

    Raises
    ------
    RuntimeError
        If the counts differ (E111).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.arange(6).reshape(2, -1).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    if not shape:
        if "shape" not in keyword:
            raise TypeError(
                "reshape() missing the argument 'shape'. Fix: x.reshape(2, -1), or x.reshape(()) for a 0-d tensor."
            )
        return reshape_to(input, tuple(keyword["shape"]))
    return reshape_to(input, sizes_of(shape))


@composite
def view(input, *shape):
    """Like :func:`reshape`, but never copies: the result shares the memory of `input`. With a dtype: the same bytes read as that type.

    Raises
    ------
    RuntimeError
        If the elements do not lie in memory in the order the new shape needs; use ``reshape`` then.
    """
    if len(shape) == 1 and isinstance(shape[0], dtype):
        return reinterpret(input, shape[0])
    wanted = sizes_of(shape)
    data = input.array()
    if not data.flags.c_contiguous:
        refuse_copy(data, wanted)
    return reshape_to(input, wanted)


def refuse_copy(data: np.ndarray, shape: tuple) -> None:
    """Raise unless `data` can be seen under `shape` without copying."""
    try:
        seen = data.reshape(shape)
    except ValueError:
        return  # another mistake, which reshape_to explains
    if seen.size and not np.may_share_memory(seen, data):
        strides = tuple(step // data.itemsize for step in data.strides)
        raise ShapeError(
            message(
                "",
                "view",
                f"view size {tuple(shape)} is not compatible with input tensor's size {data.shape} and stride {strides} (at least one "
                "dimension spans across two contiguous subspaces).",
                "use .reshape(...) instead, which copies when it must.",
            )
        )


@primitive(view=True, method=False, names=("input",))
def reinterpret(x, /, kind):
    """The same bytes read as elements of another type; not differentiable."""
    kind = as_dtype(kind).numpy
    if x.dtype.itemsize != kind.itemsize and (not x.ndim or x.strides[-1] != x.dtype.itemsize):
        raise RuntimeError(
            f"view: elements of {x.dtype.itemsize} bytes can be read as {kind.itemsize} bytes only when they are neighbours in "
            "memory along the last dimension. Fix: x.contiguous() first."
        )
    return np.asarray(x).view(kind)


@composite
def view_as(input, other):
    """View with the shape of `other`."""
    return view(input, tuple(other._data.shape))


@composite
def reshape_as(input, other):
    """Reshape to the shape of `other`."""
    return reshape_to(input, other._data.shape)


@primitive(view=True, names=("input",), node_name="ViewBackward0")
def flatten(x, /, start_dim=0, end_dim=-1):
    """Merge the dimensions from `start_dim` to `end_dim` into one; ``flatten(x, 1)`` keeps the batch."""
    if not x.ndim:
        return x.reshape(1)
    start, end = normalize_dim(start_dim, x.ndim, "flatten"), normalize_dim(end_dim, x.ndim, "flatten")
    if start > end:
        raise RuntimeError(f"flatten: start_dim cannot come after end_dim, got {start_dim} and {end_dim}.")
    shape = x.shape
    return x.reshape((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


flatten.derivative(x=lambda g, x_shape: reshape_to(g, x_shape))


@composite
def ravel(input):
    """Flatten to one dimension."""
    return reshape_to(input, (-1,) if input._data.size else (0,))


@composite
def unflatten(input, dim, sizes):
    """Split dimension `dim` into the lengths `sizes`, of which one may be -1.

    Raises
    ------
    RuntimeError
        If the product of `sizes` is not the length of `dim`.
    """
    shape = tuple(input._data.shape)
    dim, sizes = normalize_dim(dim, len(shape), "unflatten"), tuple(sizes)
    known = int(np.prod([n for n in sizes if n != -1], dtype=np.int64))
    fits = (known and shape[dim] % known == 0) if -1 in sizes else known == shape[dim]
    if not fits:
        raise ShapeError(
            f"unflatten: provided sizes {sizes} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input tensor. "
            "Fix: sizes with that product, or one -1."
        )
    sizes = tuple(shape[dim] // known if n == -1 else n for n in sizes)
    return reshape_to(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


@primitive(view=True, names=("input",), node_name="SqueezeBackward1")
def squeeze(x, /, dim=None, *, axis=None):
    """Remove dimensions of length 1: all of them, or those in `dim` (a number or a tuple) that have length 1."""
    dim = dim if axis is None else axis
    if dim is None:
        return x.reshape([n for n in x.shape if n != 1])
    chosen = normalize_dims(dim, x.ndim, "squeeze") if dim != () else ()
    return x.reshape([n for d, n in enumerate(x.shape) if n != 1 or d not in chosen])


squeeze.derivative(x=lambda g, x_shape: reshape_to(g, x_shape))


@primitive(view=True, names=("input",))
def unsqueeze(x, /, dim):
    """Insert a dimension of length 1 at position `dim`, which runs from -ndim-1 to ndim."""
    place = normalize_dim(dim, x.ndim + 1, "unsqueeze")
    return x.reshape(x.shape[:place] + (1,) + x.shape[place:])


unsqueeze.derivative(x=lambda g, x_shape: reshape_to(g, x_shape))


# ---- the order of dimensions ------------------------------------------------------------------------------------------------
@primitive(view=True, names=("input",))
def transpose(x, /, dim0, dim1):
    """Exchange two dimensions, without copying."""
    first, second = normalize_dim(dim0, x.ndim, "transpose"), normalize_dim(dim1, x.ndim, "transpose")
    return x.swapaxes(first, second) if x.ndim else x.reshape(())


transpose.derivative(x=lambda g, dim0, dim1: transpose(g, dim0, dim1))


def _explain_permute(error: Exception, x: Tensor, dims: tuple) -> None:
    normalize_dims(dims, x._data.ndim, "permute")  # raises what is wrong


@primitive(view=True, method=False, names=("input",), node_name="PermuteBackward0", explain=_explain_permute)
def permute_dims(x, /, dims):
    """Dimensions in the order `dims`, without copying."""
    return x.transpose(dims)


permute_dims.derivative(x=lambda g, dims: permute_dims(g, _inverse(dims)))


def _inverse(dims):
    """Return the permutation that undoes `dims`."""
    return tuple(sorted(range(len(dims)), key=lambda i: dims[i] % len(dims)))


@composite
def permute(input, *dims):
    """Put the dimensions in the order `dims`: ``out.shape[i] = input.shape[dims[i]]``, without copying.

    Raises
    ------
    RuntimeError
        If `dims` does not name every dimension once.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.zeros(8, 28, 28, 3).permute(0, 3, 1, 2).shape       # channels last to channels first
    tinygrad_edu.Size([8, 3, 28, 28])
    """
    if not dims:
        raise TypeError("permute() missing the argument 'dims'. Fix: every dimension once, e.g. x.permute(1, 0).")
    dims, ndim = sizes_of(dims), input._data.ndim
    if len(dims) != ndim:
        raise ShapeError(
            f"permute: number of dimensions in the tensor input does not match the length of the desired ordering of dimensions "
            f"i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}. Fix: name each of the {ndim} dimensions once."
        )
    return permute_dims(input, dims)


@composite
def movedim(input, source, destination):
    """Move the dimensions `source` to the positions `destination`; the others keep their order."""
    ndim = input._data.ndim
    from_dims = normalize_dims((source,) if isinstance(source, int) else source, ndim, "movedim")
    to_dims = normalize_dims((destination,) if isinstance(destination, int) else destination, ndim, "movedim")
    if isinstance(source, int) != isinstance(destination, int):
        raise TypeError(f"movedim(): expected two ints or two tuples, got {source!r} and {destination!r}.")
    if len(from_dims) != len(to_dims):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({source}) should contain the same number of dims as "
            f"destination ({destination})."
        )
    order = [d for d in range(ndim) if d not in from_dims]
    for place, dim in sorted(zip(to_dims, from_dims, strict=True)):
        order.insert(place, dim)
    return permute_dims(input, tuple(order))


@composite
def moveaxis(input, source, destination):
    """Another name of :func:`movedim`."""
    return movedim(input, source, destination)


@composite
def swapaxes(input, axis0, axis1):
    """Another name of :func:`transpose`."""
    return transpose(input, axis0, axis1)


@composite
def swapdims(input, dim0, dim1):
    """Another name of :func:`transpose`."""
    return transpose(input, dim0, dim1)


@composite
def t(input):
    """Transpose of a matrix; vectors and 0-d tensors stay as they are.

    Raises
    ------
    RuntimeError
        For more than two dimensions.
    """
    if input._data.ndim > 2:
        raise ShapeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input._data.ndim}D. Fix: x.mT, or x.transpose(dim0, dim1)."
        )
    return transpose(input, 0, 1) if input._data.ndim == 2 else reshape_to(input, input._data.shape)


@composite
def adjoint(input):
    """Transpose the last two dimensions; a 0-d tensor stays as it is."""
    if not input._data.ndim:
        return input
    if input._data.ndim < 2:
        raise ShapeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {input._data.ndim}-D tensor. Fix: x.unsqueeze(0)."
        )
    return transpose(input, -2, -1)


def _reverse_dims(self: Tensor) -> Tensor:
    """The transpose: dimensions in reverse order."""
    return permute_dims(self, tuple(range(self._data.ndim))[::-1])


_last_two = property(adjoint, doc="The transpose of the last two dimensions.")
install(T=property(_reverse_dims), H=property(t, doc="The transpose of a matrix."), mT=_last_two, mH=_last_two)


# ---- in place ---------------------------------------------------------------------------------------------------------------
def _shape_in_place(function: Any) -> Any:
    """Return the method that gives a tensor itself the shape that `function` would give a view of it."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        from tinygrad_edu.ops.inplace import refuse_leaf  # loaded after all ops, whose in-place forms it makes

        if mode.enabled:
            refuse_leaf(self, method.__name__)
        seen = function(self, *args, **kwargs)
        self._data, self.node = seen._data, seen.node
        return self

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"In-place form of :func:`{function.__name__}`: this tensor gets the new shape."
    return method


for _function in (squeeze, unsqueeze, transpose, t, swapaxes, swapdims):
    setattr(Tensor, f"{_function.__name__}_", _shape_in_place(_function))


def resize_(self: Tensor, *sizes: Any) -> Tensor:
    """Give this tensor another shape, keeping its first elements in row-major order; elements that are new are 0.

    An old habit; :func:`reshape` says more clearly what is meant.

    Raises
    ------
    RuntimeError
        For a tensor that requires grad.
    """
    if self.node is not None:
        raise GraphError(message("", "resize_", "cannot resize variables that require grad.", "x.reshape(...)."))
    shape = sizes_of(sizes)
    wanted, flat = math.prod(shape), self.array().reshape(-1)
    if wanted > flat.size:
        flat = np.concatenate([flat, np.zeros(wanted - flat.size, flat.dtype)])
    self._data = flat[:wanted].reshape(shape)
    return self


install(resize_=resize_)
