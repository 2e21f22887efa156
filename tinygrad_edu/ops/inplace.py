"""In-place forms (``add_``, ``x += y``, ``x[i] = y``): the same op, its result written over the tensor's memory.

What PyTorch means by them, in three cases:

* nothing is recorded (no gradient wanted, or inside ``no_grad``): the memory changes, and the write is stamped so that a graph
  which still needs the old values refuses to give a wrong gradient (E201);
* the tensor is an interior result: the op is recorded on a snapshot of it and the tensor's node is rebound to the new result;
* the tensor is a view: the write is recorded on its base, and every living view of that base is connected anew.

A leaf that requires grad may not be written while recording (E208).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_edu.errors import GraphError, ShapeError, message
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.memory import note_write
from tinygrad_edu.primitive import primitive, registry
from tinygrad_edu.recorders import recorders
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []

# PyTorch's in-place methods; each is the op of the same name without the underscore.
NAMES = (
    "abs acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh "
    "atan atan2 atanh baddbmm bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp "
    "clamp_max clamp_min clip copysign cos cosh cumprod cumsum deg2rad digamma div divide eq erf erfc erfinv exp exp2 expm1 fix "
    "float_power floor floor_divide fmod frac ge greater greater_equal gt heaviside hypot index_add index_copy index_fill index_put "
    "le lerp less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor lt masked_fill "
    "masked_scatter mul multiply nan_to_num ne neg negative not_equal polygamma pow put rad2deg reciprocal relu remainder "
    "round rsqrt scatter scatter_add scatter_reduce sgn sigmoid sign sin sinc sinh sqrt square sub subtract tan tanh tril triu "
    "true_divide trunc xlogy"
).split()
OPERATORS = {
    "__iadd__": "add", "__isub__": "sub", "__imul__": "mul", "__itruediv__": "true_divide", "__ifloordiv__": "floor_divide",
    "__imod__": "remainder", "__ipow__": "pow", "__iand__": "bitwise_and", "__ior__": "bitwise_or", "__ixor__": "bitwise_xor",
}  # fmt: skip


def overwrite(tensor: Tensor, function: Callable, *args: Any, **kwargs: Any) -> Tensor:
    """Run ``function(tensor, *args, **kwargs)`` and write the result into the tensor's own memory.

    Parameters
    ----------
    tensor : Tensor
        What is overwritten.
    function : callable
        A public op.

    Returns
    -------
    Tensor
        The same `tensor`.

    Raises
    ------
    RuntimeError
        On a leaf that requires grad while recording (E208), a view of one (E206), a result of another shape, or a result whose
        dtype cannot be stored.
    """
    name = f"{function.__name__}_"
    tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
    recording = mode.enabled and (tensor.node is not None or any(t.node is not None for t in tensors))
    if recording:
        refuse_leaf(tensor, name)
    memory = writable(tensor, name)
    before = wrap(memory.copy(), tensor.node) if recording else tensor
    args = tuple(before if a is tensor else a for a in args)
    result = function(before, *args, **kwargs)
    check_fits(tensor, result, name)
    if result._data.dtype != memory.dtype:
        result = registry["cast"].function(result, tensor.dtype)
    if recording and result.node is None and tensor.dtype.is_floating_point:
        result = without_slope(result, before, *tensors)
    if recorders and recorders[-1].here() and not recording:
        recorders[-1].write(tensor, memory, result, name)
        return tensor
    np.copyto(memory, result._data)
    note_write(memory, name)
    if recording and result.node is not None:
        rebind(tensor, result, name)
    return tensor


def without_slope(result: Tensor, *operands: Tensor) -> Tensor:
    """Record a result that has no derivative (``x.eq_(y)``) as one whose derivative is 0: what `x` was made of is cut off."""
    for operand in operands:
        if operand._data.dtype == result._data.dtype:
            nothing = registry["keep"].function(operand, wrap(np.zeros(operand._data.shape, np.bool_)))
            result = registry["add"].function(nothing, result)
    return result


def refuse_leaf(tensor: Tensor, name: str) -> None:
    """Raise E208 or E206 where writing would lose the gradient of a leaf."""
    if tensor.node is not None and tensor.node.is_leaf:
        raise GraphError(
            message(
                "E208",
                name,
                "a leaf Variable that requires grad is being used in an in-place operation: the graph could not reach the leaf's "
                "old value any more.",
                "update parameters inside `with tg.no_grad():`, or use the out-of-place form.",
            )
        )
    base = tensor._base
    if base is not None and base.node is not None and base.node.is_leaf:
        raise GraphError(
            message(
                "E206",
                name,
                f"a view of a leaf Variable that requires grad is being used in an in-place operation: the view has shape "
                f"{tuple(tensor.shape)}, its base {tuple(base.shape)}.",
                "write to the base inside `with tg.no_grad():`, or work on base.clone().",
            )
        )


def writable(tensor: Tensor, name: str) -> np.ndarray:
    """Return the tensor's memory, refusing an expanded tensor, where one cell stands for several elements."""
    array = tensor.array()
    if array.size and any(n > 1 and step == 0 for n, step in zip(array.shape, array.strides, strict=True)):
        raise RuntimeError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory location "
            f"(an expanded tensor of shape {tuple(array.shape)}). Fix: x = x.clone() before performing the operation."
        )
    if not array.flags.writeable:
        array = tensor._data = array.copy()
    return array


def check_fits(tensor: Tensor, result: Tensor, name: str) -> None:
    """Refuse a result that has another shape or a higher category of dtype than the memory it goes to."""
    if result._data.shape != tensor._data.shape:
        raise ShapeError(
            f"{name}: output with shape {list(tensor.shape)} doesn't match the broadcast shape {list(result.shape)}. "
            f"Fix: the out-of-place {name[:-1]}."
        )
    if name == "float_power_" and result.dtype != tensor.dtype:
        raise RuntimeError(
            f"{name}: the operation's result requires dtype float64, the base given has {tensor.dtype.name}. Fix: x.pow_(y)."
        )
    if result.dtype.category > tensor.dtype.category:
        raise RuntimeError(
            f"{name}: result type {result.dtype.name} can't be cast to the desired output type {tensor.dtype.name}. "
            "Fix: make the tensor floating-point first, x = x.float()."
        )


# ---- rebinding --------------------------------------------------------------------------------------------------------------
@primitive(method=False, node_name="CopySlices")
def write_region(x, value, /, cells):
    """Return `x` with `value` written to the flat positions `cells`: what a write through a view does to the base."""
    out = np.array(x, order="C")
    out.reshape(-1)[cells] = value
    return out


@primitive(method=False, node_name="AsStridedBackward0")
def read_region(x, /, cells):
    """Return the elements of `x` at the flat positions `cells`."""
    return np.asarray(x).reshape(-1)[cells]


def _without_region(g, cells):
    return write_region(g, read_region(g, cells) * 0.0, cells)


write_region.derivative(x=lambda g, cells: _without_region(g, cells), value=lambda g, cells: read_region(g, cells))


@primitive(method=False)
def add_region(x, /, cells, shape):
    """Return zeros of `shape` with `x` added at the flat positions `cells`: the adjoint of :func:`read_region`."""
    out = np.zeros(shape, x.dtype)
    np.add.at(out.reshape(-1), cells, x)
    return out


read_region.derivative(x=lambda g, cells, x_shape: add_region(g, cells, x_shape))
add_region.derivative(x=lambda g, cells: read_region(g, cells))


def cells_of(view: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return for every element of `view` its flat position in `base`, whose memory it shares."""
    numbers = np.arange(base.size, dtype=np.int64).reshape(base.shape)
    laid_out = np.empty_like(base, dtype=np.int64)  # the same order in memory as the base
    laid_out[...] = numbers
    offset = (view.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // base.itemsize
    start = laid_out.ravel(order="K")[offset:] if view.size else laid_out.ravel()
    steps = [step // view.itemsize * laid_out.itemsize for step in view.strides]
    return as_strided(start, view.shape, steps).copy() if view.size else np.empty(view.shape, np.int64)


def rebind(tensor: Tensor, result: Tensor, name: str) -> None:
    """Make the recorded `result` the tensor's new history, through its base when it is a view."""
    root = tensor._base
    if root is None:
        tensor.node = result.node
        reconnect_views(tensor)
        return
    cells = cells_of(tensor.array(), root.array())
    root.node = write_region(wrap(root.array(), root.node), result, cells).node
    tensor.node = read_region(wrap(root.array(), root.node), cells).node
    reconnect_views(root, but=tensor)


def reconnect_views(root: Tensor, but: Tensor | None = None) -> None:
    """Derive every living view of `root` from its new history."""
    for reference in tuple(root._views):
        view = reference()
        if view is None:
            root._views.remove(reference)
        elif view is not but:
            view.node = read_region(wrap(root.array(), root.node), cells_of(view.array(), root.array())).node


# ---- the methods ------------------------------------------------------------------------------------------------------------
def in_place(function: Callable) -> Callable:
    """Return the in-place method of a public op."""

    @wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return overwrite(self, function, *args, **kwargs)

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"In-place form of :func:`{function.__name__}`: the result is written over this tensor."
    return method


def install() -> None:
    """Put the in-place methods and operators on Tensor, once every op is declared."""
    for name in NAMES:
        setattr(Tensor, f"{name}_", in_place(registry[name].function))
    for operator, name in OPERATORS.items():
        setattr(Tensor, operator, in_place(registry[name].function))
