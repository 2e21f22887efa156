"""Comparing results with what they should be."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np

from tinygrad_edu.tensor import Tensor

__all__ = ["assert_close"]

# Relative and absolute tolerance by element type; every other type must agree exactly.
TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise unless ``|actual - expected| <= atol + rtol * |expected|`` holds everywhere.

    Parameters
    ----------
    actual, expected : Tensor, ndarray, number, bool, None, or a mapping or sequence of them
    rtol, atol : float, optional
        Both or none; by default they fit the element type (float32: 1.3e-6 and 1e-5), and integers must be equal.
    equal_nan : bool
        Whether NaN equals NaN.
    check_dtype, check_stride : bool
        Whether element types, and distances in memory, must agree.
    msg : str or callable, optional
        The error's text, or a function that makes it from the usual one.

    Raises
    ------
    AssertionError
        With the number of mismatches and the largest differences.
    ValueError
        If only one of `rtol` and `atol` is given.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.testing.assert_close(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 2.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            f"assert_close: rtol and atol must be given both or not at all, got rtol={rtol} and atol={atol}"
        )
    options = (rtol, atol, equal_nan, check_dtype, check_stride)
    fault = _difference(actual, expected, options, "")
    if fault:
        raise AssertionError(msg(fault) if callable(msg) else msg or fault)


def _difference(actual: Any, expected: Any, options: tuple, place: str) -> str:
    """Return what is wrong, or an empty string."""
    where = f"\n\nThe failure occurred for item {place}" if place else ""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return f"The keys of the mappings do not match: {sorted(actual, key=str)} and {sorted(expected, key=str)}{where}"
        pairs = [(key, actual[key], expected[key]) for key in expected]
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{where}"
        pairs = [(i, a, e) for i, (a, e) in enumerate(zip(actual, expected, strict=True))]
    elif actual is None or expected is None:
        return "" if actual is expected else f"None mismatch: {actual} is not {expected}{where}"
    else:
        fault = _array_difference(actual, expected, options)
        return fault + where if fault else ""
    for key, a, e in pairs:
        fault = _difference(a, e, options, f"{place}[{key!r}]")
        if fault:
            return fault
    return ""


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.detach().numpy()
    if isinstance(value, np.ndarray | Number):
        return np.asarray(value)
    raise TypeError(f"assert_close: no pair to compare can be made of a {type(value).__name__}")


def _array_difference(actual: Any, expected: Any, options: tuple) -> str:
    rtol, atol, equal_nan, check_dtype, check_stride = options
    if isinstance(actual, Tensor) != isinstance(expected, Tensor) and check_dtype:
        raise TypeError(
            f"assert_close: cannot compare a {type(actual).__name__} with a {type(expected).__name__}. Fix: tg.as_tensor both."
        )
    a, e = _array(actual), _array(expected)
    numbers = isinstance(actual, Number) and isinstance(expected, Number)
    if a.shape != e.shape:
        return f"The values for attribute 'shape' do not match: {a.shape} != {e.shape}."
    if check_dtype and not numbers and a.dtype != e.dtype:
        return f"The values for attribute 'dtype' do not match: {a.dtype} != {e.dtype}."
    if check_stride and a.strides != e.strides:
        return f"The values for attribute 'stride()' do not match: {a.strides} != {e.strides} bytes."
    if rtol is None:
        kinds = [TOLERANCES.get(x.dtype.name, (0.0, 0.0)) for x in (a, e)]
        rtol, atol = max(k[0] for k in kinds), max(k[1] for k in kinds)
    a, e = (x.astype(np.float64) if x.dtype.kind in "fb" else x for x in (a, e))
    close = np.isclose(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan)
    return "" if close.all() else _describe(a, e, close, rtol, atol)


def _describe(a: np.ndarray, e: np.ndarray, close: np.ndarray, rtol: float, atol: float) -> str:
    """Say how many elements differ, and where the difference is largest."""
    with np.errstate(all="ignore"):
        absolute = np.where(close, 0.0, np.abs(a.astype(np.float64) - e))
        relative = np.where(close, 0.0, absolute / np.abs(e))
    wrong, lines = int((~close).sum()), []
    what = "Scalars are not close!" if not a.ndim else "Tensor-likes are not close!"
    for name, difference, allowed in (("absolute", absolute, atol), ("relative", relative, rtol)):
        worst = np.unravel_index(int(np.argmax(difference)), difference.shape)
        index = f" at index {tuple(int(i) for i in worst)}" if a.ndim else ""
        lines.append(f"Greatest {name} difference: {difference[worst]:.6g}{index} (up to {allowed:g} allowed)")
    count = [f"Mismatched elements: {wrong} / {a.size} ({wrong / a.size:.1%})"] if a.ndim else []
    return "\n".join([what, "", *count, *lines])
