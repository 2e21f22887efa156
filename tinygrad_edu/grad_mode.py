"""Whether operations are recorded: context managers that are decorators too, one setting per thread."""

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
    "switch",
]


class _Mode(threading.local):
    enabled = True
    inference = False


mode = _Mode()
# One entry per thread that does not record now. While it is empty, nobody needs to look at `mode`: looking at a thread's own
# value costs a tenth of recording an operation.
disabled: list[None] = []


def switch(enabled: bool, inference: bool) -> None:
    """Set this thread's mode."""
    if mode.enabled is not enabled:
        if enabled:
            disabled.pop()
        else:
            disabled.append(None)
        mode.enabled = enabled
    mode.inference = inference


def _now() -> tuple[bool, bool]:
    return mode.enabled, mode.inference


def is_grad_enabled() -> bool:
    """Tell whether operations are being recorded in this thread."""
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    """Tell whether :class:`inference_mode` is on in this thread."""
    return mode.inference


class _Switch:
    """Set the recording mode inside a ``with`` block or a decorated function; nests and restores."""

    target = True

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def __new__(cls, function: Callable | None = None, *args: Any, **kwargs: Any):
        # `@no_grad` without parentheses is accepted, as PyTorch does.
        return cls()(function) if callable(function) else super().__new__(cls)

    def _fresh(self) -> "_Switch":
        return type(self)()

    def __enter__(self) -> None:
        self._before.append(_now())
        switch(self.target, mode.inference)

    def __exit__(self, *exc: object) -> None:
        switch(*self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args, **kwargs):
                # The mode holds while the generator's own code runs, not while its consumer's does.
                steps = function(*args, **kwargs)
                while True:
                    with self._fresh():
                        try:
                            item = next(steps)
                        except StopIteration as stop:
                            return stop.value
                    yield item

            return generator

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with self._fresh():
                return function(*args, **kwargs)

        return wrapper


class no_grad(_Switch):
    """Do not record: results have ``requires_grad=False``. Use it for evaluation and parameter updates.

    >>> import tinygrad_edu as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    target = False


class enable_grad(_Switch):
    """Record again inside a :class:`no_grad` block."""

    target = True


class inference_mode(_Switch):
    """Like :class:`no_grad`; here both cost the same, the name is kept so that PyTorch programs run."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.on = mode if isinstance(mode, bool) else True

    def _fresh(self) -> "inference_mode":
        return inference_mode(self.on)

    def __enter__(self) -> None:
        self._before.append(_now())
        switch(not self.on, self.on)


class set_grad_enabled(_Switch):
    """Turn recording on or off, at once as a function call, and until the end of the block as a context manager."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.target = bool(mode)
        self._at_call = _now()
        switch(self.target, self._at_call[1])

    def _fresh(self) -> "set_grad_enabled":
        return set_grad_enabled(self.target)

    def __enter__(self) -> None:
        self._before.append(self._at_call)
        switch(self.target, mode.inference)

    def __call__(self, function: Callable) -> Callable:
        # Used as a decorator: undo what the constructor switched.
        switch(*self._at_call)
        return super().__call__(function)
