"""Profiling training loops under PyTorch's newer names; what measures is :mod:`tinygrad_edu.autograd.profiler`."""

import os
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from tinygrad_edu.autograd import profiler
from tinygrad_edu.autograd.profiler import record_function

__all__ = ["ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule", "tensorboard_trace_handler"]


class ProfilerActivity(Enum):
    """What to measure. The CPU always is; other devices are accepted, and nothing runs on them."""

    CPU = "cpu"
    CUDA = "cuda"
    XPU = "xpu"


class ProfilerAction(Enum):
    """What is done with one step of the program."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0
) -> Callable[[int], ProfilerAction]:
    """Return the rule by which steps are measured: after `skip_first` steps, in turn `wait`, `warmup` and `active` steps.

    Only the active steps are measured. With `repeat` the rounds end after so many; 0 goes on for ever.

    >>> from tinygrad_edu.profiler import schedule
    >>> [schedule(wait=1, warmup=0, active=2)(step).name for step in range(4)]
    ['NONE', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active < 1:
        raise AssertionError(
            "schedule: Invalid profiler schedule arguments. Fix: active at least 1, the others at least 0."
        )
    length = wait + warmup + active

    def action_of(step: int) -> ProfilerAction:
        round_, place = divmod(step - skip_first, length)
        if step < skip_first or (repeat and round_ >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action_of


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False) -> Callable:
    """Return a function that writes each finished round to a trace file in `dir_name`, see ``export_chrome_trace``."""
    if use_gzip:
        raise NotImplementedError("tensorboard_trace_handler: use_gzip=True is not supported. Fix: use_gzip=False.")

    def save(prof: "profile") -> None:
        folder = Path(dir_name)
        folder.mkdir(parents=True, exist_ok=True)
        prof.export_chrome_trace(folder / f"{worker_name or os.getpid()}.{prof.step_num}.pt.trace.json")

    return save


class profile:
    """Measure the operations in the block, step by step where a schedule is given.

    Parameters
    ----------
    activities : iterable of ProfilerActivity, optional
        Accepted; the CPU is measured.
    schedule : callable, optional
        Gets a step's number and returns its :class:`ProfilerAction`; steps end with :meth:`step`. Without it everything is measured.
    on_trace_ready : callable, optional
        Called with this object at the end of every round of measured steps.
    record_shapes : bool
        Note the shapes of the arguments.
    profile_memory, with_stack, with_flops, with_modules, experimental_config
        Accepted, and change nothing.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> with tg.profiler.profile(activities=[tg.profiler.ProfilerActivity.CPU]) as prof:
    ...     y = tg.ones(3).exp()
    >>> [row.key for row in prof.key_averages()]
    ['exp']
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[["profile"], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
    ):
        self.activities = set(activities or [ProfilerActivity.CPU])
        self.on_trace_ready, self.record_shapes, self.step_num = on_trace_ready, record_shapes, 0
        self._schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self._current: profiler.profile | None = None  # while steps are being measured
        self._last = profiler.profile(enabled=False)  # what was measured last

    def start(self) -> None:
        """Begin; a ``with`` block does it."""
        self._go_on(self._schedule(self.step_num))

    def stop(self) -> None:
        """End; a ``with`` block does it."""
        if self._current is not None:
            self._finish()

    def step(self) -> None:
        """Tell that a step of the program is over."""
        if self._schedule(self.step_num) is ProfilerAction.RECORD_AND_SAVE:
            self.step_num += 1
            self._finish()
        else:
            self.step_num += 1
        self._go_on(self._schedule(self.step_num))

    def _go_on(self, action: ProfilerAction) -> None:
        wanted = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and self._current is None:
            self._current = self._last = profiler.profile(record_shapes=self.record_shapes).__enter__()
        elif not wanted and self._current is not None:
            self._finish()

    def _finish(self) -> None:
        if self._current is not None:
            self._current.__exit__()
            self._current = None
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def __enter__(self) -> "profile":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def events(self) -> list[profiler.FunctionEvent]:
        """Return every call of the round that was measured last."""
        return self._last.events()

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> Any:
        """Return the calls of that round, added up by name; see :meth:`EventList.table`."""
        return self._last.key_averages(group_by_input_shape)

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write that round to a file for chrome://tracing and ui.perfetto.dev."""
        self._last.export_chrome_trace(path)
