"""How a kernel is compiled: Numba's ``njit`` with one set of flags and a cache on disk that never gets in the way.

This is the only file that decorates with ``njit``. Importing it imports Numba, so only the ``*_numba`` files do.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

# What a kernel may do to floating-point arithmetic. "reassoc" lets a sum be split over the lanes of a vector register,
# "contract" lets x * y + z become one instruction. Never "nnan" or "ninf": those let the compiler assume that NaN and
# Inf do not occur, and a NaN that disappears in a kernel is a diverging network that looks healthy.
EXACT: set[str] = {"contract", "nsz"}
# Without "contract" every product is rounded, in vectors and in what is left over: a number's result is the same wherever it stands.
ROUNDED: set[str] = {"nsz"}
REORDER: set[str] = {"contract", "nsz", "arcp", "reassoc"}

PATIENCE = 2.0  # seconds of compiling before we say why nothing seems to happen


def _source_stamp() -> str:
    """A digest that changes when any kernel file changes.

    Numba looks only at the file that holds the function, but our kernels call helpers from other files.
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    text = repr([(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files])
    return hashlib.sha256(text.encode()).hexdigest()


class KernelCache(FunctionCache):
    """Numba's cache on disk, except that a folder that cannot be read or written means "not cached", not an error."""

    stamp = _source_stamp()

    def __init__(self, function: Callable):
        super().__init__(function)
        self._cache_file._source_stamp = self.stamp

    def load_overload(self, signature, target_context):
        try:
            found = self._load_kept(signature, target_context)
        except Exception:  # unreadable, cut short by a full disk, from another version: what was kept can be made again
            found = None
        if found is None:
            waiting.begin()
        return found

    def _load_kept(self, signature, target_context):
        """Load machine code without what only a compiler needs.

        Numba would first import all that it can compile, SciPy's linear algebra included: a quarter of a second. Running
        kept code takes no more than Numba's memory manager; whatever is compiled later brings the rest in by itself.
        """
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, target_context)

    def save_overload(self, signature, data):
        waiting.end()
        with contextlib.suppress(OSError):
            super().save_overload(signature, data)


class _Waiting:
    """Tells the user once, on stderr, when compilations have made them wait for PATIENCE seconds altogether."""

    def __init__(self):
        self.depth = 0  # compiling one kernel compiles the helpers that it calls
        self.spent = 0.0
        self.began = 0.0
        self.told = False
        self.timer: threading.Timer | None = None

    def begin(self) -> None:
        self.depth += 1
        if self.depth == 1 and not self.told:
            self.began = time.perf_counter()
            self.timer = threading.Timer(max(0.0, PATIENCE - self.spent), self.tell)
            self.timer.daemon = True
            self.timer.start()

    def end(self) -> None:
        self.depth -= 1
        if self.depth == 0 and self.timer is not None:
            self.timer.cancel()
            self.timer = None
            self.spent += time.perf_counter() - self.began

    def tell(self) -> None:
        self.told = True
        print("tinygrad_edu: compiling kernels; this happens once and is then kept on disk ...", file=sys.stderr)


waiting = _Waiting()
functions: list[Any] = []  # everything that `compiled` has decorated so far, as Numba's dispatchers


def compiled(flags: set[str] = EXACT, inline: Literal["never", "always"] = "never") -> Callable:
    """Compile a module-level function with Numba: no GIL, NumPy's rules for division by zero, kept on disk.

    Parameters
    ----------
    flags : set of str
        Which liberties the compiler may take: `ROUNDED`, `EXACT` or `REORDER`.
    inline : "never" or "always"
        "always" copies the body into the caller, which lets a helper take part in the caller's vector loop.
    """

    def decorate(function: Callable):
        dispatcher: Any = numba.njit(nogil=True, error_model="numpy", fastmath=flags, inline=inline)(function)
        with contextlib.suppress(RuntimeError):  # no folder can be written: compile afresh in every process
            dispatcher._cache = KernelCache(function)
        functions.append(dispatcher)
        return dispatcher

    return decorate


def cache_folder() -> Path | None:
    """The folder that compiled kernels are kept in; None if there is none that can be written to."""
    try:
        return Path(KernelCache(cache_folder).cache_path)
    except RuntimeError:
        return None
