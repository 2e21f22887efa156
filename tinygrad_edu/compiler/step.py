"""``tg.compile``: a function that is recorded at its first two calls and replayed afterwards."""

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

from tinygrad_edu import engine
from tinygrad_edu.compiler.finishing import finished
from tinygrad_edu.compiler.plan import Plan, plan_of
from tinygrad_edu.compiler.program import Program, difference
from tinygrad_edu.compiler.recorder import Recorder
from tinygrad_edu.compiler.replay import FAILED, MISS, build
from tinygrad_edu.errors import location, message
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.quiet import quietly
from tinygrad_edu.recorders import RecordingError, changes, recorders
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor

__all__ = ["RecordedStep", "compile"]

_one_at_a_time = threading.RLock()  # there is one list of recorders for all threads
MOST = 8  # programs for one function; more means that something changes at every call


class Recorded:
    """One program of a step, and the function that replays it."""

    def __init__(self, program: Program, key: Any):
        self.program, self.key = program, key
        self.why_not = "not recorded twice yet"
        self.confirmed = False
        self.replay: Callable = _never
        self.source = ""
        self.world: dict[str, Any] = {}
        self.spare: dict[str, Any] = {}  # the world of the call-by-call replay beside a compiled one

    def build(self) -> None:
        """Write the replay, now that a second recording gave the same program: compiled as one if that can be."""
        from tinygrad_edu.compiler.fusing import fuse
        from tinygrad_edu.compiler.joining import join_layers
        from tinygrad_edu.compiler.symbols import NotFusible

        join_layers(self.program)
        replay, source, world = build(self.program)
        by_call = quietly(replay)  # infinities are ordinary results, without warnings
        try:
            self.replay, self.source, self.world = fuse(self.program)
            self.why_not, self.spare = "", world
            self.world["by_call"] = by_call  # for gradients that are added to those of an earlier step
        except NotFusible as reason:
            self.replay, self.source, self.world = by_call, source, world
            self.why_not = str(reason)
        self.confirmed = True

    def refresh(self) -> None:
        """Take over arrays that were put in the place of parameters, and the present count of mode switches."""
        for world in (self.world, self.spare):
            world.update((value.name, value.holder._data) for value in self.program.held)
            world["changes_then"] = changes.count

    def fits_now(self) -> bool:
        """Tell whether parameters and modes are still of the recorded kind."""
        if any(module.training is not training for module, training in self.program.modules):
            return False
        for value in self.program.held:
            tensor = value.holder
            if tensor.node is not value.node or tensor._data.shape != value.shape or tensor._data.dtype != value.dtype:
                return False
            if not self.why_not and not tensor._data.flags.c_contiguous:  # the compiled function would not notice
                return False
        return True


def _never(*arrays: Any) -> Any:
    return MISS


class RecordedStep:
    """A function that runs without the tape once it has been recorded; made by :func:`compile`.

    Attributes
    ----------
    function : callable
        What was given to :func:`compile`.
    programs : list
        One for each combination of shapes, dtypes, modes and plain arguments that was met.
    """

    def __init__(self, function: Callable):
        functools.update_wrapper(self, function)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.programs: list[Recorded] = []
        self.plain: set = set()  # what is run as written, because it has no program
        self._last, self._arity = _never, -1
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if observers or engine.inspectors or recorders:  # somebody wants to see every operation
            return self.function(*args, **kwargs)
        with self._lock:
            if not kwargs and len(args) == self._arity:
                answer = self._last(*args)
                if answer is FAILED:
                    return self.function(*args)
                if answer is not MISS:
                    return answer
            tensors, key = signature_of(args, kwargs)
            answer = self._replay(tensors, key, plain=not kwargs and len(tensors) == len(args))
            if answer is FAILED:  # a mistake, which the function itself will explain, or labels that are to be ignored
                return self.function(*args, **kwargs)
            return self._record(args, kwargs, tensors, key) if answer is MISS else answer

    def plan(self, number: int = 0) -> Plan:
        """Return what was recorded, as a table to print and a picture to draw.

        Parameters
        ----------
        number : int
            Which program; there is one for each combination of shapes, dtypes, modes and plain arguments.

        Raises
        ------
        RecordingError
            If nothing has been recorded yet.
        IndexError
            If there is no such program.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> step = tg.compile(lambda x: (x * x).sum())
        >>> for _ in range(2):
        ...     loss = step(tg.ones(3, requires_grad=True))
        >>> step.plan().rows[0].type, step.plan().result
        ('float32 (3,)', 'returns v2')
        """
        return plan_of(self, number)

    def _replay(self, tensors: list[Tensor], key: Any, plain: bool) -> Any:
        """Replay the program that fits, if there is one."""
        for each in self.programs:
            if each.key == key and each.confirmed and each.fits_now():
                each.refresh()
                answer = each.replay(*tensors)
                if answer is not MISS:
                    if plain and answer is not FAILED:  # the next call may come here directly
                        self._last, self._arity = each.replay, len(tensors)
                    return answer
        return MISS

    def _record(self, args: tuple, kwargs: dict[str, Any], tensors: list[Tensor], key: Any) -> Any:
        """Run the function as it stands and write down what it does; the second recording must equal the first."""
        if key in self.plain:
            return self.function(*args, **kwargs)
        waiting = next((e for e in self.programs if e.key == key and not e.confirmed and e.fits_now()), None)
        if waiting is None and len(self.programs) >= MOST:
            warnings.warn(
                f"{self.name}: {MOST} programs were recorded for it, the step now runs as written. Fix: pass what changes from "
                "call to call as a tensor, and keep the shapes of batches (drop_last=True).",
                stacklevel=3,
            )
            self.plain.add(key)
            return self.function(*args, **kwargs)
        with _one_at_a_time:
            with Recorder(tensors) as recorder:
                answer = self.function(*args, **kwargs)
            program = finished(recorder, answer)
        if program is None:  # several ends to differentiate from
            self.plain.add(key)
            return answer
        if waiting is None:
            self.programs.append(Recorded(program, key))
            return answer
        found = difference(waiting.program, program)
        if found is not None:
            self.programs.remove(waiting)
            raise RecordingError(
                message(
                    "",
                    "tg.compile",
                    f"two runs of {self.name} with arguments of the same shapes did different things: {found[0]}, at "
                    f"{location(found[1])}. A replay would repeat the first for ever.",
                    "pass what changes as a tensor argument, or run the function without tg.compile.",
                )
            )
        waiting.program = program
        waiting.build()
        return answer


def signature_of(args: tuple, kwargs: dict[str, Any]) -> tuple[list[Tensor], Any]:
    """Return the tensors among arguments, each once, and a key of everything else that a program depends on."""
    tensors: list[Tensor] = []

    def part(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            place = next((i for i, known in enumerate(tensors) if known is leaf), len(tensors))
            if place == len(tensors):
                tensors.append(leaf)
            return ("tensor", place, leaf._data.shape, leaf._data.dtype, type(leaf), leaf.node is None)
        if isinstance(leaf, tuple | list):
            return (type(leaf), *map(part, leaf))
        if isinstance(leaf, dict):
            return (dict, *((key, part(value)) for key, value in leaf.items()))
        try:
            hash(leaf)
        except TypeError:
            raise TypeError(
                f"tg.compile: an argument of type {type(leaf).__name__} cannot be recorded. Fix: pass tensors (tg.from_numpy(array)) "
                "and plain numbers."
            ) from None
        return (type(leaf), leaf)

    key = (part(args), part(kwargs), mode.enabled)
    return tensors, key


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict | None = None,
    disable: bool = False,
) -> Any:
    """Record a function, such as a training step, and replay it without the tape: a static graph where there was a dynamic one.

    The first two calls with arguments of new shapes run as always and are written down; where both recordings agree, later calls
    run the list of array operations that came out, without tensors, nodes or gathering. The numbers are the same.

    Parameters
    ----------
    model : callable or Module
        A function of tensors (and of plain values, each of which gets a program of its own). It may hold a whole training step with
        ``zero_grad()``, ``backward()`` and ``step()``; or compute one tensor that is differentiated outside; or be a module.
    backend : str
        "eager" returns `model` unchanged; every other name records.
    disable : bool
        Return `model` unchanged.
    fullgraph, dynamic, mode, options
        Accepted for PyTorch's sake.

    Returns
    -------
    RecordedStep, or a Module whose ``_orig_mod`` is the one given
        ``print(step.plan())`` shows what was recorded.

    Raises
    ------
    RecordingError
        When called: if the function looks at a tensor's value (``if loss > 1``, ``loss.item()``, ``x.numpy()``), or did different
        things at its first two calls. The message names the line.

    Notes
    -----
    What Python does besides is done while recording only: prints, counters, lists that grow. Python numbers that the function reads
    from elsewhere are frozen; learning rates are not, they are asked of the optimizer at each step. Random numbers are drawn anew.
    Changed shapes, dtypes, ``requires_grad`` flags, modes and parameters lead to another recording.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([1., 2.], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> @tg.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = ((w * x) ** 2).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [round(step(tg.tensor([1., 1.])).item(), 4) for _ in range(4)]
    [5.0, 3.2, 2.048, 1.3107]
    """
    if disable or backend == "eager":
        return (lambda given: given) if model is None else model
    if model is None:
        return functools.partial(compile, backend=backend, mode=mode, options=options)
    if not callable(model):
        raise TypeError(f"tg.compile: expected a function or a module, got {type(model).__name__}.")
    from tinygrad_edu.compiler.module import CompiledModule
    from tinygrad_edu.nn.module import Module

    return CompiledModule(model) if isinstance(model, Module) else RecordedStep(model)
