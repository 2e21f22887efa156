"""Replacing all of a tensor's values: fill_, zero_, copy_ and the helper under the random fillings."""

from typing import Any

import numpy as np

from tinygrad_edu import memory
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.ops import reduction
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.primitive import broadcast_error, install, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []


@primitive(method=False, names=("input", "value"), node_name="CopyBackwards")
def replace(x, value, /):
    """Copy of `value` in the place of `x`: all of the gradient goes to `value`."""
    return np.array(value)


replace.derivative(x=lambda g: g * 0.0, value=lambda g: g)


def write(self: Tensor, values: Any, name: str) -> Tensor:
    """Write an array of this tensor's shape (or a number) over its values; recorded when this tensor is part of a graph.

    Raises
    ------
    RuntimeError
        For a leaf that requires grad outside ``no_grad`` (E208), and for an expanded tensor.
    """
    if self.node is not None and mode.enabled:
        new = np.broadcast_to(np.asarray(values, self._data.dtype), self._data.shape)
        return overwrite(self, _named(name), wrap(new))
    array = self.array()
    if not array.flags.writeable:
        raise RuntimeError(
            f"{name}: more than one element of the written-to tensor refers to a single memory location, because it was made by "
            "expand. Fix: x = x.clone() before writing."
        )
    _assign(array, values)
    memory.note_write(array, name)
    return self


def overwrite(tensor: Tensor, function: Any, value: Tensor) -> Tensor:
    """Run a recorded op and write its result into the tensor's memory."""
    from tinygrad_edu.ops import inplace  # loaded after all ops, whose in-place forms it makes

    return inplace.overwrite(tensor, function, value)


def _named(name: str) -> Any:
    """Return :func:`replace` under the name of the method that the user called, for the error messages."""

    def function(x: Tensor, value: Tensor) -> Tensor:
        return replace(x, value)

    function.__name__ = name.rstrip("_")
    return function


@quietly
def _assign(array: np.ndarray, values: Any) -> None:
    array[...] = values


def fill_(self: Tensor, value: Any) -> Tensor:
    """Fill with a number (or a 0-d tensor, through which gradients flow)."""
    if isinstance(value, Tensor):
        if value._data.ndim:
            raise RuntimeError(
                f"fill_: only supports 0-dimension value tensor but got tensor with {value._data.ndim} dimensions."
            )
        return copy_(self, value)
    return write(self, value, "fill_")


def zero_(self: Tensor) -> Tensor:
    """Fill with zeros."""
    return write(self, 0, "zero_")


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy the values of `src`, broadcast and converted to this tensor's type; gradients then flow to `src`."""
    shape = tuple(self._data.shape)
    given = tuple(src._data.shape)
    if len(given) > len(shape) or any(n not in (1, m) for n, m in zip(given[::-1], shape[::-1], strict=False)):
        raise broadcast_error("copy_", [shape, given])
    if mode.enabled and src.node is not None:
        return overwrite(self, _named("copy_"), reduction.broadcast_to(convert(src, self.dtype), shape))
    return write(self, np.broadcast_to(src._data, shape), "copy_")


install(fill_=fill_, zero_=zero_, copy_=copy_)
