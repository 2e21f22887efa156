"""Which implementation of a kernel runs: the Numba one, its NumPy twin, or the naive loops.

Every kernel exists twice under one name and one signature: ``conv_numpy.conv2d_forward`` is the readable twin (and the
oracle of the tests), ``conv_numba.conv2d_forward`` the fast one. A few exist a third time in ``naive``, as the plain
Python loops of a textbook. This file picks one; Numba is imported by the first kernel that runs.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

BACKENDS = ("numba", "numpy", "naive")
FAST_DTYPES = "fd"  # float32 and float64: what the Numba kernels are compiled for
KERNEL_PAYS = 800  # elements; from here on a compiled elementwise kernel beats NumPy, its call included
ACTIVATION_PAYS = 256  # the same for sigmoid and tanh, for which NumPy needs several passes there or back
BLAS_BELOW = (
    400_000  # multiplications: a smaller product of matrices is done before a kernel has looked at its arguments
)

_twins: dict[str, Callable] = {}  # name -> NumPy twin
_inner: dict[str, Callable] = {}  # the same of functions that are no kernels by themselves, see `unchecked`
chosen: dict[str, Callable] = {}  # name -> what runs now
_backend: str | None = None  # None until somebody chooses or the first kernel runs
_numba_works: bool | None = None  # None until we have tried
blas_below = BLAS_BELOW  # what holds now: the naive backend hands nothing to BLAS


def kernel(twin: Callable) -> Callable:
    """Make the public kernel of a NumPy twin: the same name, signature and docstring, run by the chosen backend."""
    name = twin.__name__
    _twins[name] = twin
    chosen[name] = functools.partial(_choose_and_run, name)
    world: dict[str, Any] = {
        "write": _write,
        "twin": twin,
        "chosen": chosen,
        "FAST": FAST_DTYPES,
        "__name__": __name__,
    }
    function = FunctionType(_unwritten.__code__, world, name)
    world["this"] = function
    return functools.update_wrapper(function, twin)


def unchecked(twin: Callable) -> None:
    """Let a function be run as ``chosen[name](...)`` that trusts its arguments blindly: row-major arrays of one dtype whose sizes fit."""
    name = twin.__name__
    _inner[name] = twin
    chosen[name] = functools.partial(_choose_and_run, name)


def _unwritten(*args, **options):
    """What a public kernel does at its first call: write its body, with the twin's own parameters, and run it."""
    return write(this, twin)(*args, **options)  # type: ignore[name-defined]  # noqa: F821 - found in the kernel's world


def _write(function: Any, twin: Any) -> Callable:
    """Give a public kernel its body. Handing on parameters one by one takes a third of the time of ``*args``."""
    code, name = twin.__code__, twin.__name__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    free, words = names[: code.co_argcount], names[code.co_argcount :]
    head = ", ".join([*free, *(["*"] if words else []), *words])
    call = ", ".join([*free, *(f"{word}={word}" for word in words)])
    source = f"""
def {name}({head}):
    if {free[0]}.dtype.char in FAST:
        return chosen[{name!r}]({call})
    return twin({call})
"""
    made: dict[str, Any] = {}
    exec(compile(source, f"<tinygrad_edu {name}>", "exec"), made)
    function.__defaults__, function.__kwdefaults__ = twin.__defaults__, twin.__kwdefaults__
    function.__code__ = made[name].__code__
    return function


def get_backend() -> str:
    """The backend in use: "numba", "numpy" or "naive"."""
    if _backend is None:
        return "numba" if numba_works() else "numpy"
    return _backend


class backend:
    """Choose what computes: at once as a function call, and until the end of the block as a context manager.

    The choice holds for all threads. Results are the same to rounding; only the time differs.

    Parameters
    ----------
    name : {"numba", "numpy", "naive"}
        "numba" runs compiled kernels, and is the default where Numba is installed. "numpy" runs their readable twins: a
        convolution unfolds the image into columns and multiplies by BLAS. "naive" runs a textbook's loops where they are
        written down (convolution, matrix products and linear layers, max-pooling, forward and backward) and NumPy
        elsewhere: thousands of times slower, and the clearest to step through with a debugger.

    Raises
    ------
    ValueError
        For another name.
    RuntimeError
        For "numba" where Numba cannot be used.

    Example
    -------
    >>> import tinygrad_edu as tg
    >>> image, filters = tg.ones(1, 1, 4, 4), tg.ones(1, 1, 3, 3)
    >>> with tg.backend("naive"):
    ...     print(tg.get_backend(), tg.conv2d(image, filters).tolist())
    naive [[[[9.0, 9.0], [9.0, 9.0]]]]
    """

    def __init__(self, name: str):
        if name not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}, got {name!r}")
        self.name, self._before = name, _backend
        _use(name)

    def __enter__(self) -> None:
        _use(self.name)  # a second `with` of the same object means it again

    def __exit__(self, *exc: object) -> None:
        _use(self._before)

    def __repr__(self) -> str:
        return f"backend({self.name!r})"


def _use(name: str | None) -> None:
    """Make a backend the current one; None leaves the choice to the first kernel that runs."""
    global _backend, blas_below
    if name == "numba" and not numba_works():
        raise RuntimeError('Numba cannot be used here (not installed, broken, or NUMBA_DISABLE_JIT=1); use "numpy"')
    _backend = name
    blas_below = 0 if name == "naive" else BLAS_BELOW
    for each in chosen:
        chosen[each] = functools.partial(_choose_and_run, each)


def numba_works() -> bool:
    """Whether Numba can be imported and may compile; says so once if it is installed but broken."""
    global _numba_works
    if _numba_works is None:
        _numba_works = _try_numba()
    return _numba_works


def _try_numba() -> bool:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return False  # Python would run the kernels' loops one step at a time: the twins do the same, sooner
    try:
        importlib.import_module("numba")
    except ModuleNotFoundError as error:
        if error.name != "numba":
            _note(error)
        return False
    except Exception as error:  # a NumPy it does not know, a missing system library, ...: any of them must not stop us
        _note(error)
        return False
    return True


def _note(error: Exception) -> None:
    warnings.warn(
        f"Numba is installed but cannot be used ({type(error).__name__}: {error}); tinygrad_edu runs on its slower "
        "NumPy kernels. Reinstall it with `pip install --force-reinstall numba`.",
        RuntimeWarning,
        stacklevel=2,
    )


def _choose_and_run(name: str, /, *args, **options):
    """The first call of a kernel under a backend: find the implementation, remember it, run it."""
    chosen[name] = implementation = _find(name, get_backend())
    return implementation(*args, **options)


def _find(name: str, wanted: str) -> Callable:
    twin = _twins.get(name) or _inner[name]
    if wanted == "naive":
        from tinygrad_edu.kernels import naive

        return getattr(naive, name, twin)
    if wanted == "numba":
        try:
            home = importlib.import_module(twin.__module__.replace("_numpy", "_numba"))
        except Exception as error:
            global _numba_works
            _numba_works = False
            _note(error)
            return twin
        return getattr(home, name, twin)
    return twin


def small_layer() -> int:
    """The multiply-adds from which on a layer is no longer left to ``linear_act_forward_into``, whatever its arrays' sizes."""
    if get_backend() != "numba":
        return 0
    return importlib.import_module("tinygrad_edu.kernels.linear_numba").SMALL


def numba_is_loaded() -> bool:
    """Whether this process has imported Numba yet."""
    return "numba" in sys.modules
