"""Who is writing down a training step just now, so that it can be run again without the tape; see :mod:`compiler`.

What an operation computes is seen by the observers of the registry. Everything else that must happen again at each replay says so
here: drawing random numbers, moving running statistics, an optimizer's step. And what cannot be replayed is refused here: Python
code that looks at a number while the step is recorded would decide once for all later steps.
"""

import functools
from collections.abc import Callable
from typing import Any

from tinygrad_edu.errors import GraphError, message

__all__ = ["RecordingError", "again", "changes", "drawn", "look", "recorders", "refuse_write"]


class _Changes:
    """Counts the switches between training and evaluation, so that a replay asks one number instead of every module."""

    count = 0


changes = _Changes()
recorders: list[Any] = []  # the recorder at work is the last one; empty nearly always


class RecordingError(GraphError):
    """A function that cannot be recorded, because what it does depends on the numbers it meets."""


def again(function: Callable) -> Callable:
    """Decorate a function that does more than return a result: a recorded step calls it again with the same arguments."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if recorders and recorders[-1].here():
            return recorders[-1].effect(function, args, kwargs)
        return function(*args, **kwargs)

    return run


def drawn(function: Callable) -> Callable:
    """Decorate a function that draws random numbers: a recorded step draws anew each time."""
    function.draws = True  # type: ignore[attr-defined]
    return again(function)


def look(what: str) -> None:
    """Refuse that a value is looked at while a step is recorded: the step would take the same turn ever after."""
    if recorders and recorders[-1].here():
        raise RecordingError(
            message(
                "",
                "tg.compile",
                f"{what} reads a tensor's value while the step is being recorded. What Python decides with it now would hold for "
                "every later step, whatever the values then.",
                "return the tensor and look at it outside the step; decide with tg.where(condition, a, b) inside it; or run the "
                "function without tg.compile.",
            )
        )


def refuse_write(what: str) -> None:
    """Refuse a write in place that a replay could not repeat."""
    if recorders[-1].here():
        raise RecordingError(
            message(
                "",
                "tg.compile",
                f"{what} writes to a tensor in place while the step is being recorded.",
                "use the out-of-place form (x = x + y), or an optimizer for parameters.",
            )
        )
