"""Where the time goes: every operation timed, forward and backward.

While :func:`profile` is active, the code of every op's function is exchanged for one that reads the clock around it, and so is what
hands gradients to its rules; afterwards all is as before. So nothing is slower when nobody measures, and what is measured is the
whole operation, recording included.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial, wraps
from time import perf_counter_ns
from types import FunctionType
from typing import Any, NamedTuple

from tinygrad_edu import codegen
from tinygrad_edu.autograd.profiler_table import EventList, average
from tinygrad_edu.primitive import Primitive, registry
from tinygrad_edu.tensor import Tensor

__all__ = ["FunctionEvent", "profile", "record_function"]


class FunctionEvent(NamedTuple):
    """One measured call; times are in nanoseconds since an arbitrary moment."""

    name: str
    start: int
    end: int
    inside: int  # how much of it was measured calls inside this one
    thread: int
    input_shapes: tuple

    @property
    def cpu_time_total(self) -> float:
        """Microseconds from start to end."""
        return (self.end - self.start) / 1000

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds without the measured calls inside."""
        return (self.end - self.start - self.inside) / 1000


class _Clock(threading.local):
    """The calls that are under way in this thread: how much time measured calls inside each have taken so far."""

    def __init__(self) -> None:
        self.inside: list[int] = []


_clock = _Clock()
_active: "profile | None" = None


class profile:
    """Measure every operation in the block, in all threads.

    Parameters
    ----------
    enabled : bool
        With False the block runs unmeasured.
    record_shapes : bool
        Note the shapes of the arguments, for ``key_averages(group_by_input_shape=True)``.
    use_cuda, use_device, use_cpu, use_kineto, with_flops, profile_memory, with_stack, with_modules, experimental_config, acc_events
        Accepted as in PyTorch, and change nothing: time on the CPU is what is measured.

    Notes
    -----
    Operations go by their names here (``mul``), and their backward by PyTorch's node names (``MulBackward0``). The measuring itself takes
    about a microsecond per operation, which counts as the self time of what is around it.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.ones(100, requires_grad=True)
    >>> with tg.autograd.profiler.profile() as prof:
    ...     for _ in range(3):
    ...         (x * x).exp().backward(x)
    >>> {row.key: row.count for row in prof.key_averages()}
    {'mul': 3, 'exp': 3, 'ExpBackward0': 3, 'MulBackward0': 3}
    >>> print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=2))     # doctest: +SKIP
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        experimental_config: Any = None,
        acc_events: bool = False,
    ):
        self.enabled, self.record_shapes = enabled, record_shapes
        self.function_events: list[FunctionEvent] = []
        self._exchanged: list[_Exchanged] = []

    def __enter__(self) -> "profile":
        global _active
        if self.enabled:
            if _active is not None:
                raise RuntimeError("profile: a profiler is already active. Fix: leave its block first.")
            _active = self
            ops = dict.fromkeys(op for op in registry.values() if isinstance(op, Primitive))  # some have two names
            self._exchanged = [_Exchanged(op, self) for op in ops]
        return self

    def __exit__(self, *exc: object) -> None:
        global _active
        if self.enabled:
            for exchanged in self._exchanged:
                exchanged.restore()
            self._exchanged = []
            _active = None

    def measured(self, name: str, arguments: tuple, function: Callable) -> Any:
        """Return ``function()`` and note how long it took."""
        inside = _clock.inside
        inside.append(0)
        start = perf_counter_ns()
        try:
            return function()
        finally:
            end = perf_counter_ns()
            shapes = tuple(map(_shape, arguments)) if self.record_shapes else ()
            self.function_events.append(FunctionEvent(name, start, end, inside.pop(), threading.get_ident(), shapes))
            if inside:
                inside[-1] += end - start

    # ---- looking at it ----------------------------------------------------------------------------------------------------
    def events(self) -> list[FunctionEvent]:
        """Return every measured call, in the order in which they ended."""
        return self.function_events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """Return the calls added up by name, or by name and shapes of the arguments."""
        return average(self.function_events, group_by_input_shape)

    def total_average(self) -> Any:
        """Return all calls added up."""
        return average([event._replace(name="Total", input_shapes=()) for event in self.function_events], False)[0]

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """Return :meth:`key_averages` as a table; see :meth:`EventList.table`."""
        return self.key_averages().table(sort_by, row_limit, **options)

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all measured calls."""
        return sum(event.self_cpu_time_total for event in self.function_events)

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write the calls to a file that chrome://tracing and ui.perfetto.dev show as a time line."""
        entries = [
            {"name": e.name, "ph": "X", "ts": e.start / 1000, "dur": (e.end - e.start) / 1000, "pid": os.getpid(), "tid": e.thread,
             "args": {"input_shapes": [list(s) for s in e.input_shapes]}}
            for e in self.function_events
        ]  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": entries}, file)


def _shape(argument: Any) -> tuple:
    return tuple(getattr(argument._data if isinstance(argument, Tensor) else argument, "shape", ()))


# ---- exchanging the code ----------------------------------------------------------------------------------------------------
def _trampoline(*args, **kwargs):
    return PROFILED(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821 - found among the globals of the op's function


class _Exchanged:
    """One op while it is measured: what its function was, and what hands its gradients on."""

    def __init__(self, op: Primitive, profiler: profile):
        self.op, self.profiler = op, profiler
        self.own = op.function.__code__, op.function.__defaults__, op.function.__kwdefaults__
        self.built = "build" not in self.own[0].co_names  # else written at its first call
        self.pulls = {name: op.__dict__.get(name) for name in ("pull", "pull_tensors")}
        op.function.__globals__["PROFILED"] = self.forward
        self._lead_here()
        op.pull = partial(self._backward, "pull")  # type: ignore[method-assign]
        op.pull_tensors = partial(self._backward, "pull_tensors")  # type: ignore[method-assign]

    def _lead_here(self) -> None:
        function: Any = self.op.function
        function.__code__, function.__defaults__, function.__kwdefaults__ = _trampoline.__code__, None, None
        made = FunctionType(self.own[0], function.__globals__, self.op.name, self.own[1])
        made.__kwdefaults__ = self.own[2]
        self.original = made

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the op itself and measure it."""
        if not self.built:
            function: Any = codegen.build_record(self.op)
            self.own, self.built = (function.__code__, function.__defaults__, function.__kwdefaults__), True
            self._lead_here()
        return self.profiler.measured(self.op.name, args, lambda: self.original(*args, **kwargs))

    def _backward(self, which: str, node: Any, g: Any) -> None:
        run = self.pulls[which]
        if run is None:
            if which == "pull":
                run = self.pulls[which] = codegen.build_pull(self.op)
            else:
                run = partial(Primitive.pull_tensors, self.op)
        self.profiler.measured(self.op.node_name, (g,), lambda: run(node, g))

    def restore(self) -> None:
        """Put everything back; what was written meanwhile stays written."""
        function: Any = self.op.function
        function.__code__, function.__defaults__, function.__kwdefaults__ = self.own
        del function.__globals__["PROFILED"]
        for name, before in self.pulls.items():
            if before is None:
                del self.op.__dict__[name]
            else:
                self.op.__dict__[name] = before


class record_function:
    """Give a stretch of the program a name in the profile: a context manager, and a decorator.

    >>> import tinygrad_edu as tg
    >>> with tg.autograd.profiler.profile() as prof:
    ...     with tg.autograd.profiler.record_function("two steps"):
    ...         y = tg.ones(3).exp().sum()
    >>> [event.name for event in prof.events()][-1]
    'two steps'
    """

    def __init__(self, name: str, args: str | None = None):
        self.name = name
        self._steps: list[Iterator] = []

    def __enter__(self) -> "record_function":
        steps = self._measure(_active)
        next(steps)
        self._steps.append(steps)
        return self

    def __exit__(self, *exc: object) -> None:
        next(self._steps.pop(), None)

    def _measure(self, profiler: profile | None) -> Iterator:
        """Start, wait, stop."""
        if profiler is None:
            yield
            return
        inside = _clock.inside
        inside.append(0)
        start = perf_counter_ns()
        yield
        end = perf_counter_ns()
        profiler.function_events.append(FunctionEvent(self.name, start, end, inside.pop(), threading.get_ident(), ()))
        if inside:
            inside[-1] += end - start

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return function(*args, **kwargs)

        return named
