"""Changing the element type, copying, and the questions programs ask about a tensor's kind and place."""

import builtins
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import device, require_cpu
from tinygrad_edu.dtypes import as_dtype, dtype
from tinygrad_edu.primitive import composite, install, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor

__all__ = ["clone", "is_complex", "is_floating_point", "numel"]


@primitive(method=False, node_name="ToCopyBackward0")
@quietly
def cast(x, /, kind):
    """Copy with elements of another *floating* type; the gradient is cast back. See :func:`convert` for every target type."""
    return x.astype(getattr(kind, "numpy", kind))


cast.derivative(x=lambda g, x_dtype: cast(g, x_dtype))


@primitive(method=False)
@quietly
def cast_away(x, /, kind):
    """Copy with integer or bool elements. A step function has no useful derivative, so the graph ends here."""
    return x.astype(kind.numpy)


def convert(input: Tensor, kind: dtype, copy: bool = False) -> Tensor:
    """Return `input` with elements of type `kind`; `input` itself when it has them already and no copy is asked for."""
    if kind.numpy == input._data.dtype:
        return clone(input) if copy else input
    return cast(input, kind) if kind.is_floating_point else cast_away(input, kind)


@primitive
def clone(x, /, *, memory_format=None):
    """Copy into memory of its own; unlike ``tg.tensor(x)`` the copy stays connected to the graph."""
    return x.copy()


clone.derivative(x=lambda g: g)


@composite
def contiguous(input, memory_format=None):
    """Return `input` with its elements in row-major order without gaps: itself if it is so already, else a copy."""
    return input if input._data.flags.c_contiguous else clone(input)


# ---- Tensor.to and its abbreviations ----------------------------------------------------------------------------------------
@composite
def to(input, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None):
    """Convert to another element type (or place, of which there is one): ``x.to(tg.float64)``, ``x.to("cpu")``, ``x.to(other)``.

    Returns `input` itself when nothing changes and `copy` is False.

    Raises
    ------
    RuntimeError
        For a device that is not the CPU.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.tensor([1.5, -2.5]).to(tg.int64).tolist()
    [1, -2]
    """
    for place, argument in enumerate(args):
        if isinstance(argument, Tensor):
            dtype = argument.dtype
        elif isinstance(argument, builtins.bool) and place:  # PyTorch's positional non_blocking, then copy
            copy = argument if isinstance(args[place - 1], builtins.bool) else copy
        elif _is_device(argument):
            require_cpu(argument)
        elif argument is not None:
            dtype = argument
    require_cpu(device)
    return convert(input, input.dtype if dtype is None else as_dtype(dtype), copy)


def _is_device(argument: Any) -> bool:
    return isinstance(argument, device | str) or type(argument) is builtins.int


def _converter(name: str, kind: dtype) -> Any:
    def method(self: Tensor) -> Tensor:
        return convert(self, kind)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Return this tensor with elements of type {kind.name}; itself if it has them already."
    return method


for _name, _kind in {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "long": dtypes.int64, "int": dtypes.int32,
    "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool,
}.items():  # fmt: skip
    setattr(Tensor, _name, _converter(_name, _kind))

TYPE_NAMES = {
    "FloatTensor": dtypes.float32, "DoubleTensor": dtypes.float64, "HalfTensor": dtypes.float16, "LongTensor": dtypes.int64,
    "IntTensor": dtypes.int32, "ShortTensor": dtypes.int16, "CharTensor": dtypes.int8, "ByteTensor": dtypes.uint8,
    "BoolTensor": dtypes.bool,
}  # fmt: skip


@composite(method="type")
def type_(input, dtype=None, non_blocking=False):
    """Convert to the named type, or without an argument return the type's old name, such as ``tinygrad_edu.FloatTensor``."""
    if dtype is None:
        return "tinygrad_edu." + next(name for name, kind in TYPE_NAMES.items() if kind is input.dtype)
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", "")
    kind = TYPE_NAMES.get(name.rpartition(".")[2])
    return convert(input, as_dtype(dtype) if kind is None else kind)


@composite
def type_as(input, other):
    """Convert to the element type of `other`."""
    return convert(input, other.dtype)


# ---- places -----------------------------------------------------------------------------------------------------------------
def _stay(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Return the tensor itself: everything is on the CPU already."""
    return self


def _no_cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """Refuse: there is no GPU here."""
    require_cpu("cuda" if device is None else device)
    return self


install(
    cpu=_stay, pin_memory=_stay, cuda=_no_cuda, is_pinned=lambda self, device=None: False, get_device=lambda self: -1
)


# ---- questions --------------------------------------------------------------------------------------------------------------
def numel(input: Tensor) -> int:
    """Return the number of elements."""
    return input.numel()


def is_floating_point(input: Tensor) -> bool:
    """Tell whether the elements are floating-point numbers."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Always False: complex numbers are not supported."""
    return False


def storage_offset(self: Tensor) -> int:
    """Return how many elements this tensor starts after the beginning of the memory that it shares."""
    owner = array = self.array()
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return (array.ctypes.data - owner.ctypes.data) // array.itemsize


install(storage_offset=storage_offset)
