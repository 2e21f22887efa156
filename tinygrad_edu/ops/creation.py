"""Making tensors: from data, filled with a value, counting, or like another tensor. Random ones are in :mod:`sampling`."""

import builtins
import math
import warnings
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import require_cpu
from tinygrad_edu.dtypes import as_dtype, from_numpy_dtype, get_default_dtype
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.ops.shape import sizes_of
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "eye", "from_dlpack", "from_numpy", "full", "linspace",
    "logspace", "ones", "range", "scalar_tensor", "tensor",
    "zeros",
]  # fmt: skip


def finish(
    array: np.ndarray, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None
) -> Tensor:
    """Return a new tensor around `array`: converted, checked for its place, and made a leaf when a gradient is wanted."""
    require_cpu(device)
    if dtype is not None:
        array = array.astype(as_dtype(dtype).numpy, copy=False)
    if out is not None:
        return out.copy_(wrap(array))
    made = wrap(array if array.ndim else array[()])  # a NumPy number until somebody wants to share its memory: faster
    if requires_grad:
        made.requires_grad = True
    return made


# ---- from data --------------------------------------------------------------------------------------------------------------
def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """Return a new array of nested lists, numbers or arrays; Python floats get `dtype`, or the default floating type.

    Raises
    ------
    ValueError
        For ragged lists, naming the place, and for integers beyond 64 bits.
    TypeError, RuntimeError
        For what is not numeric.
    """
    if isinstance(data, np.ndarray | np.generic):
        return np.array(data, from_numpy_dtype(data.dtype).numpy)
    leaf = _first_leaf(data)
    if isinstance(leaf, Tensor):
        data = _without_tensors(data)
    try:
        array = np.array(data)
    except ValueError:
        raise _ragged(data) from None
    if array.dtype == np.float64 and not isinstance(leaf, np.generic | np.ndarray | Tensor):
        return array.astype((get_default_dtype() if dtype is None else as_dtype(dtype)).numpy)  # rounded once
    if not array.size and not isinstance(leaf, np.generic | np.ndarray | Tensor):
        return np.zeros(array.shape, get_default_dtype().numpy)
    if array.dtype.kind not in "biuf" or array.dtype == np.uint64:
        raise _not_numeric(data)
    return array if array.dtype in dtypes._BY_NUMPY else array.astype(from_numpy_dtype(array.dtype).numpy)


def _first_leaf(data: Any) -> Any:
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return data


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.numpy(force=True)
    return [_without_tensors(item) for item in data] if isinstance(data, list | tuple) else data


def _ragged(data: Any, place: str = "data") -> ValueError:
    """Compose the error for nested lists of unequal lengths, naming the first row that differs."""
    wanted = np.shape(data[0]) if _rectangular(data[0]) else None
    for i, row in enumerate(data):
        if not _rectangular(row):
            return _ragged(row, f"{place}[{i}]")
        if wanted is not None and np.shape(row) != wanted:
            return ValueError(
                f"tensor: expected sequence of length {len(data[0]) if wanted else 0} at dim {place.count('[') + 1} (got "
                f"{len(row) if np.shape(row) else 'a number'}): {place}[0] has shape {wanted}, {place}[{i}] has {np.shape(row)}. "
                "Fix: rows of equal length; pad the shorter ones."
            )
    return ValueError(f"tensor: the nested lists of {place} are ragged. Fix: rows of equal length.")


def _rectangular(data: Any) -> bool:
    try:
        np.shape(data)
    except ValueError:
        return False
    return True


def _not_numeric(data: Any) -> Exception:
    for leaf in _leaves(data):
        if isinstance(leaf, builtins.int) and not -(2**63) <= leaf < 2**63:
            return ValueError(f"tensor: Overflow, {leaf} does not fit int64. Fix: a float, {leaf}.0.")
        if isinstance(leaf, str | bytes):
            return TypeError(f"tensor: new(): invalid data type '{type(leaf).__name__}'. Fix: numbers, e.g. int(text).")
        if not isinstance(leaf, bool | builtins.int | float | np.generic | np.ndarray):
            return RuntimeError(
                f"tensor: Could not infer dtype of {type(leaf).__name__}. Fix: pass numbers, lists of numbers, or arrays."
            )
    return TypeError("tensor: the data are not numbers a tensor can hold.")


def _leaves(data: Any) -> Any:
    if isinstance(data, list | tuple):
        for item in data:
            yield from _leaves(item)
    else:
        yield data


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """Make a tensor from a number, nested lists or an array; the data are copied.

    Python floats become the default floating type (float32), integers int64, arrays keep their type.

    Parameters
    ----------
    dtype : dtype, optional
    device : only the CPU
    requires_grad : bool
        Make the tensor a leaf whose gradient backward() computes.

    Raises
    ------
    ValueError
        For ragged lists; the message names the row.
    RuntimeError
        For `requires_grad` with integers (E110).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.tensor([[1., 2.], [3., 4.]])
    tensor([[1., 2.],
            [3., 4.]], shape=(2, 2), dtype=float32)
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() rather than tg.tensor(sourceTensor).",
            stacklevel=2,
        )
        return finish(np.array(data._data), dtype, device, requires_grad)
    return finish(to_array(data, dtype), dtype, device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Make a tensor without copying where possible: a Tensor is returned as it is, an array shares its memory."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return convert(data, data.dtype if dtype is None else as_dtype(dtype))
    if isinstance(data, np.ndarray) and data.dtype in dtypes._BY_NUMPY:
        return finish(data, dtype)
    return finish(to_array(data), dtype)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """Make a tensor that shares memory with `obj` where possible; `copy` forces or forbids a copy."""
    made = as_tensor(obj, dtype, device)
    shares = isinstance(obj, Tensor | np.ndarray) and np.shares_memory(made._data, getattr(obj, "_data", obj))
    if copy is False and not shares:
        raise ValueError("asarray: can't alias obj with copy=False. Fix: leave copy out.")
    made = wrap(np.array(made._data)) if copy and shares else made
    if requires_grad:
        made = made.detach().requires_grad_()
    return made


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """Make a tensor that shares the memory of an array and keeps its type (NumPy's default is float64; see ``.float()``).

    Raises
    ------
    TypeError
        If it is not an array, or its type is not supported.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected np.ndarray (got {type(ndarray).__name__}). Fix: tg.tensor(data).")
    if ndarray.dtype not in dtypes._BY_NUMPY:
        from_numpy_dtype(ndarray.dtype)
        raise TypeError(f"from_numpy: an array of foreign byte order, {ndarray.dtype}. Fix: array.astype(np.float32).")
    return wrap(ndarray)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """Make a tensor that shares the memory of another library's array, through the DLPack protocol.

    Raises
    ------
    TypeError
        If it does not speak the protocol.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack: expected an array with __dlpack__, got {type(ext_tensor).__name__}. Fix: tg.tensor(data)."
        )
    array = np.from_dlpack(ext_tensor)
    from_numpy_dtype(array.dtype)
    return wrap(array)


def scalar_tensor(value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a 0-d tensor of a number, of the default floating type."""
    if np.ndim(value):
        raise TypeError(
            f"scalar_tensor(): argument 's' must be Number, not {type(value).__name__}. Fix: tg.tensor(...)."
        )
    return finish(np.array(value), dtype or get_default_dtype(), device, requires_grad)


# ---- filled -----------------------------------------------------------------------------------------------------------------
def checked_sizes(name: str, sizes: tuple, size: Any = None) -> tuple[int, ...]:
    """Return the lengths, given as ``f(2, 3)``, ``f((2, 3))`` or ``f(size=(2, 3))``, as a tuple of ints."""
    lengths = sizes_of(sizes) if size is None else tuple(size)
    for n in lengths:
        if not hasattr(n, "__index__") or isinstance(n, builtins.bool):
            raise TypeError(f"{name}(): size must be ints, got {type(n).__name__} in {lengths}. Fix: {name}(2, 3).")
        if n < 0:
            raise RuntimeError(f"{name}: Trying to create tensor with negative dimension {n}: {list(lengths)}.")
    return tuple(builtins.int(n) for n in lengths)


def _kind(dtype: Any) -> np.dtype:
    return (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy


def zeros(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of zeros, of the default floating type unless `dtype` is given: ``zeros(2, 3)`` or ``zeros((2, 3))``."""
    return finish(np.zeros(checked_sizes("zeros", sizes, size), _kind(dtype)), None, device, requires_grad, out)


def ones(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of ones, of the default floating type unless `dtype` is given."""
    return finish(np.ones(checked_sizes("ones", sizes, size), _kind(dtype)), None, device, requires_grad, out)


def empty(
    *sizes: Any, size: Any = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Make a tensor whose values are whatever the memory held; write before you read."""
    return finish(np.empty(checked_sizes("empty", sizes, size), _kind(dtype)), None, device, requires_grad, out)


def full(
    size: Any, fill_value: Any, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:  # fmt: skip
    """Make a tensor of copies of a number; its type follows the number (int64, bool or the default floating type)."""
    value = fill_value.item() if isinstance(fill_value, Tensor | np.generic) else fill_value
    kind = dtypes.of_number(value) if dtype is None else as_dtype(dtype)
    if isinstance(size, builtins.int):
        raise TypeError(f"full(): argument 'size' must be tuple of ints, not int. Fix: full(({size},), {value}).")
    shape = checked_sizes("full", tuple(size))
    return finish(np.full(shape, value, kind.numpy), None, device, requires_grad, out)


def eye(
    n: int, m: int | None = None, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:  # fmt: skip
    """Make a matrix with ones on the diagonal."""
    if min(n, n if m is None else m) < 0:
        raise RuntimeError(f"eye: n and m must be greater or equal to 0, got {n} and {m}.")
    return finish(np.eye(n, m, dtype=_kind(dtype)), None, device, requires_grad, out)


# ---- counting ---------------------------------------------------------------------------------------------------------------
def as_number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor | np.generic) else value


def arange(
    start: Any, end: Any = None, step: Any = 1, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Make a vector of start, start + step, ... below `end`; ``arange(5)`` counts 0 to 4. int64 if all numbers are integers.

    Raises
    ------
    RuntimeError
        If `step` is 0 or leads away from `end`.
    """
    start, end, step = (as_number(v) for v in ((0, start, step) if end is None else (start, end, step)))
    return finish(_count("arange", start, end, step, dtype, 0), None, device, requires_grad, out)


def _count(name: str, start: Any, end: Any, step: Any, dtype: Any, inclusive: int) -> np.ndarray:
    if step == 0:
        raise RuntimeError(f"{name}: step must be nonzero.")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"{name}: upper bound and lower bound inconsistent with step sign: from {start} to {end} by {step}. Fix: step={-step}."
        )
    whole = all(isinstance(v, builtins.int) for v in (start, end, step))
    kind = as_dtype(dtype).numpy if dtype is not None else np.dtype(np.int64) if whole else get_default_dtype().numpy
    if whole and not inclusive:
        return np.arange(start, end, step).astype(kind, copy=False)
    number = math.floor((end - start) / step) + 1 if inclusive else math.ceil((end - start) / step)
    return (start + step * np.arange(number)).astype(kind)


def range(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Make a vector of floats from start to `end`, which is *included*. Kept for old programs; :func:`arange` is the usual one."""
    start, end = (0, start) if end is None else (start, end)
    array = _count("range", as_number(start), as_number(end), as_number(step), dtype or get_default_dtype(), 1)
    return finish(array, None, device, requires_grad)


def _evenly(start: Any, end: Any, steps: int, kind: np.dtype, name: str) -> np.ndarray:
    if steps < 0:
        raise RuntimeError(f"{name}: number of steps must be non-negative, got {steps}.")
    work = kind if kind.kind == "f" else np.dtype(np.float64)
    first, last = work.type(start), work.type(end)
    if steps == 1:
        return np.array([first], work)
    step = (last - first) / work.type(max(steps - 1, 1))
    i = np.arange(steps)
    # From both ends to the middle, so that the two ends are exact.
    return np.where(i < steps // 2, first + step * i.astype(work), last - step * (steps - 1 - i).astype(work))


def linspace(
    start: Any, end: Any, steps: int, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Make a vector of `steps` evenly spaced numbers from `start` to `end`, both included."""
    kind = _kind(dtype)
    array = _evenly(as_number(start), as_number(end), steps, kind, "linspace").astype(kind)
    return finish(array, None, device, requires_grad, out)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Make a vector of `steps` numbers from base**start to base**end, evenly spaced on a logarithmic scale."""
    kind = _kind(dtype)
    exponents = _evenly(as_number(start), as_number(end), steps, kind, "logspace")
    return finish(np.power(exponents.dtype.type(base), exponents).astype(kind), None, device, requires_grad, out)
