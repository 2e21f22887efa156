"""Element types under PyTorch's names, and PyTorch's rule for mixing them.

The rule goes by category (bool < integer < floating): the highest category among the operands decides, and inside it the
widest type; a zero-dimensional tensor or a Python number changes the result only when it lifts the category.
"""

import builtins
import functools

import numpy as np

__all__ = [
    "bool", "double", "dtype", "finfo", "float", "float16", "float32", "float64", "get_default_dtype", "half", "iinfo", "int", "int8",
    "int16", "int32", "int64", "long", "promote_types", "set_default_dtype", "short", "uint8",
]  # fmt: skip


class dtype:
    """The type of a tensor's elements, such as ``tg.float32``.

    Attributes
    ----------
    name : str
    numpy : numpy.dtype
        The storage type.
    itemsize : int
        Bytes per element.
    is_floating_point : bool
    category : int
        0 bool, 1 integer, 2 floating.
    """

    __slots__ = ("category", "is_floating_point", "itemsize", "name", "numpy")

    def __init__(self, name: str):
        self.name = name
        self.numpy = np.dtype(name)
        self.itemsize = self.numpy.itemsize
        self.category = {"b": 0, "i": 1, "u": 1, "f": 2}[self.numpy.kind]
        self.is_floating_point = self.category == 2
        _BY_NUMPY[self.numpy] = self

    def __repr__(self) -> str:
        return f"tinygrad_edu.{self.name}"

    def __reduce__(self) -> str:
        return "bool" if self.name == "bool" else self.name

    @property
    def is_signed(self) -> builtins.bool:
        return self.numpy.kind in "if"

    is_complex = False


_BY_NUMPY: dict[np.dtype, dtype] = {}

bool = dtype("bool")
uint8, int8, int16, int32, int64 = map(dtype, ("uint8", "int8", "int16", "int32", "int64"))
float16, float32, float64 = map(dtype, ("float16", "float32", "float64"))
short, int, long = int16, int32, int64
half, float, double = float16, float32, float64

FLOATS = (float32.numpy, float64.numpy, float16.numpy)
_default = float32


def from_numpy_dtype(kind: np.dtype) -> dtype:
    """Return our name for a NumPy dtype, or refuse it with what is accepted."""
    try:
        return _BY_NUMPY[kind]
    except KeyError:
        native = np.dtype(kind).newbyteorder("=")
        if native in _BY_NUMPY:
            return _BY_NUMPY[native]
        names = ", ".join(d.name for d in _BY_NUMPY.values())
        raise TypeError(f"can't convert an array of {kind} to a tensor. The supported types are: {names}.") from None


def as_dtype(kind) -> dtype:
    """Accept ours, NumPy's or Python's name for an element type."""
    if isinstance(kind, dtype):
        return kind
    if kind is builtins.float:
        return _default
    if kind is builtins.int:
        return int64
    try:
        return from_numpy_dtype(np.dtype(kind))
    except TypeError:
        raise TypeError(f"dtype must be a tinygrad_edu dtype such as tg.float32, got {kind!r}") from None


def get_default_dtype() -> dtype:
    """Return the floating type that Python floats become (``float32`` unless changed)."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the floating type that Python floats become.

    Raises
    ------
    TypeError
        If `d` is not a floating-point dtype.
    """
    global _default
    d = as_dtype(d)
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}")
    _default = d


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """Return the smallest type that holds both by category, e.g. int64 with float32 gives float32.

    >>> import tinygrad_edu as tg
    >>> tg.promote_types(tg.int64, tg.float32)
    tinygrad_edu.float32
    """
    if type1.category != type2.category:
        return type1 if type1.category > type2.category else type2
    return _BY_NUMPY[np.promote_types(type1.numpy, type2.numpy)]


def of_number(value: object) -> dtype:
    """Return the type a Python number stands for: bool, int64 or the default floating type."""
    if isinstance(value, builtins.bool):
        return bool
    if isinstance(value, builtins.int):
        return int64
    if isinstance(value, builtins.float):
        return _default
    raise TypeError(f"expected a number, got {type(value).__name__}")


def result_numpy_dtype(*arrays) -> np.dtype:
    """Return the NumPy dtype of mixing these arrays: those with dimensions first, 0-d ones only to lift the category."""
    shaped = [from_numpy_dtype(a.dtype) for a in arrays if a.ndim]
    scalars = [from_numpy_dtype(a.dtype) for a in arrays if not a.ndim]
    if not shaped:
        return _join(scalars).numpy
    result = _join(shaped)
    if scalars and (lift := _join(scalars)).category > result.category:
        result = promote_types(result, lift)
    return result.numpy


def _join(kinds: list[dtype]) -> dtype:
    return functools.reduce(promote_types, kinds)


class finfo:
    """Machine limits of a floating type: ``eps``, ``max``, ``min``, ``tiny``, ``bits``."""

    def __init__(self, type: dtype | None = None):
        info = np.finfo((type or _default).numpy)
        self.dtype, self.bits = (type or _default).name, info.bits
        self.eps, self.max, self.min = builtins.float(info.eps), builtins.float(info.max), builtins.float(info.min)
        self.tiny = self.smallest_normal = builtins.float(info.tiny)
        self.resolution = builtins.float(info.resolution)


class iinfo:
    """Limits of an integer type: ``max``, ``min``, ``bits``."""

    def __init__(self, type: dtype):
        info = np.iinfo(type.numpy)
        self.dtype, self.bits, self.max, self.min = type.name, info.bits, builtins.int(info.max), builtins.int(info.min)
