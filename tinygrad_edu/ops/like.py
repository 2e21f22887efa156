"""Tensors like another one (zeros_like, x.new_zeros, ...), and the old constructors that name their type (FloatTensor, ...)."""

import builtins
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.dtypes import as_dtype
from tinygrad_edu.ops.conversion import TYPE_NAMES
from tinygrad_edu.ops.creation import as_number, empty, finish, full, ones, to_array, zeros
from tinygrad_edu.primitive import install
from tinygrad_edu.tensor import Tensor

__all__ = [
    "BoolTensor", "ByteTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor", "ShortTensor", "empty_like",
    "full_like", "ones_like", "zeros_like",
]  # fmt: skip


# ---- like another tensor ----------------------------------------------------------------------------------------------------
def _like(name: str, input: Tensor, dtype: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and the type to make."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}. Fix: tg.tensor(...) first."
        )
    return input._data.shape, input._data.dtype if dtype is None else as_dtype(dtype).numpy


def zeros_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:  # fmt: skip
    """Make zeros of the shape and type of `input`."""
    return finish(np.zeros(*_like("zeros_like", input, dtype)), None, device, requires_grad)


def ones_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:  # fmt: skip
    """Make ones of the shape and type of `input`."""
    return finish(np.ones(*_like("ones_like", input, dtype)), None, device, requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:  # fmt: skip
    """Make an uninitialised tensor of the shape and type of `input`."""
    return finish(np.empty(*_like("empty_like", input, dtype)), None, device, requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Make copies of a number in the shape and type of `input`."""
    shape, kind = _like("full_like", input, dtype)
    return finish(np.full(shape, as_number(fill_value), kind), None, device, requires_grad)


def _install_new() -> None:
    """Give Tensor its methods ``new_zeros`` and so on, which take the type from the tensor they are called on."""

    def new_tensor(
        self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        """Make a tensor from data in this tensor's type."""
        array = np.array(data._data) if isinstance(data, Tensor) else to_array(data)
        return finish(array, dtype or self.dtype, device, requires_grad)

    def new_full(
        self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        """Make copies of a number in this tensor's type."""
        return full(size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def maker(make: Any) -> Any:
        def new(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
            return make(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

        new.__name__, new.__doc__ = f"new_{make.__name__}", f"Like ``tg.{make.__name__}``, in this tensor's type."
        return new

    install(new_tensor=new_tensor, new_full=new_full)
    for make in (zeros, ones, empty):
        setattr(Tensor, f"new_{make.__name__}", maker(make))
    install(new=maker(empty))


_install_new()


# ---- the old constructors ---------------------------------------------------------------------------------------------------
def _old_constructor(name: str, kind: dtypes.dtype) -> Any:
    def make(*data: Any) -> Tensor:
        if len(data) == 1 and not isinstance(data[0], builtins.int):
            return finish(to_array(data[0]) if not isinstance(data[0], Tensor) else np.array(data[0]._data), kind)
        return zeros(*(data or (0,)), dtype=kind)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"Old constructor: a list is data of type {kind.name}, numbers are a shape. Prefer ``tg.tensor(data, dtype=...)``."
    return make


FloatTensor, DoubleTensor, HalfTensor, LongTensor, IntTensor, ShortTensor, _char, ByteTensor, BoolTensor = (
    _old_constructor(name, kind) for name, kind in TYPE_NAMES.items()
)
