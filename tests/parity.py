"""One call written once, run in this library and in torch: do both refuse it, or both give the same?

A call is a line of Python such as ``"lib.add(f, i)"``. The names in it are tensors made afresh for each run from the same NumPy
arrays, so that in-place writes stay inside one run.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
# Relative to the largest finite entry: some ten roundings of the type.
ROUNDING = {"float16": 4e-3, "float32": 4e-6, "float64": 2e-12}


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)

    def floats(*shape: int) -> np.ndarray:
        return np.asarray(rng.uniform(-2.0, 2.0, shape), np.float32)

    whole = np.array([[3, -1, 2], [0, 5, -4]])
    return {
        "f": floats(2, 3), "g": floats(2, 3), "wide": floats(2, 4), "v": floats(3), "w": floats(4), "m": floats(3, 4),
        "s": floats(), "c": floats(2, 3, 4), "square": floats(3, 3), "empty": floats(0, 3), "none": floats(0),
        "image": floats(2, 3, 8, 8), "sequence": floats(2, 3, 8), "volume": floats(1, 2, 4, 4, 4), "p": np.abs(floats(2, 3)) / 4 + 0.1,
        "i": whole, "b": whole > 0, "d": floats(2, 3).astype(np.float64), "h": floats(2, 3).astype(np.float16),
        "ids": np.array([0, 2, 1]), "far": np.array([0, 3, 1]), "below": np.array([0, -4, 1]), "labels": np.array([2, 0]),
        "u": np.abs(whole).astype(np.uint8), "i32": whole.astype(np.int32), "zero": np.array(0), "flag": np.array(True),
    }  # fmt: skip


ARRAYS = _arrays()


def names(lib: Any) -> dict[str, Any]:
    """What a call may mention: the library, its functions of networks, and the tensors."""
    tensors = {name: lib.from_numpy(array.copy()) for name, array in ARRAYS.items()}
    return {"lib": lib, "F": lib.nn.functional, "np": np, "inf": np.inf, "nan": np.nan, **tensors}


def attempt(call: str | Callable[[Any], Any], lib: Any) -> Any:
    """Run a call in one library and return its result or the exception it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(call, names(lib)) if isinstance(call, str) else call(lib)
        except Exception as error:
            return error


def builtin_class(error: Exception) -> type:
    """The class of Python's own that catches an exception."""
    return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")


def plain(value: Any) -> Any:
    """Turn a result into arrays, numbers and lists of them, which compare alike in both libraries."""
    if hasattr(value, "detach"):
        return np.asarray(value.detach().numpy())
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    return value


def unequal(ours: Any, theirs: Any) -> str | None:
    """Say how two plain results differ, or None."""
    if isinstance(theirs, list):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            return f"{ours} against {theirs}"
        return next(filter(None, map(unequal, ours, theirs)), None)
    if not isinstance(theirs, np.ndarray):
        if isinstance(ours, np.ndarray):
            return f"an array against {theirs!r}"
        same = ours == theirs or (ours != ours and theirs != theirs)
        return None if same else f"{ours!r} against {theirs!r}"
    if not isinstance(ours, np.ndarray):
        return f"{type(ours).__name__} against an array"
    if ours.dtype != theirs.dtype:
        return f"dtype {ours.dtype} against {theirs.dtype}"
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} against {theirs.shape}"
    if theirs.dtype.kind != "f":
        return None if np.array_equal(ours, theirs) else f"{ours.tolist()} against {theirs.tolist()}"
    tolerance = ROUNDING[str(theirs.dtype)]
    scale = float(np.max(np.abs(theirs[np.isfinite(theirs)]), initial=1.0))
    close = np.allclose(
        ours.astype(float), theirs.astype(float), rtol=tolerance, atol=tolerance * scale, equal_nan=True
    )
    return None if close else f"{ours.tolist()} against {theirs.tolist()}"


def difference(call: str | Callable[[Any], Any], torch: Any) -> str | None:
    """Say how the two libraries differ over a call, or None: the same result, or a refusal that the same `except` catches."""
    ours, theirs = attempt(call, tg), attempt(call, torch)
    if isinstance(theirs, Exception):
        kind = builtin_class(theirs)
        if isinstance(ours, kind) or (kind is AttributeError and isinstance(ours, TypeError)):
            return None  # torch's Python code stumbles over an attribute of what is no tensor; we say what was expected
        ours_said = f"raises {type(ours).__name__}: {ours}" if isinstance(ours, Exception) else f"gives {plain(ours)!r}"
        return f"torch raises {kind.__name__}: {str(theirs).splitlines()[0]}; this library {ours_said}"
    if isinstance(ours, Exception):
        return f"torch gives {plain(theirs)!r}; this library raises {type(ours).__name__}: {ours}"
    return unequal(plain(ours), plain(theirs))
