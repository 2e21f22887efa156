"""Writing down what a model calculates: every operation of one run, with where its inputs came from.

A run is a list of steps over values, and each value has one origin: an input of the model, its state (a parameter or buffer), a
constant, or an earlier step. The engine tells its observers about primitive ops. Functions that are made of several ops but that
ONNX knows as one (a pooling, a batch norm, an LSTM) are heard of from Python itself, which reports every call to a profile function.
"""

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tinygrad_edu.errors import GraphError, Place, location, message, user_place
from tinygrad_edu.memory import version
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.recurrent import RNNBase
from tinygrad_edu.ops.inplace import overwrite
from tinygrad_edu.registry import observers, registry
from tinygrad_edu.tensor import Tensor

__all__ = ["Step", "Trace", "Value", "tensors_in"]

_CALL, _OVERWRITE = Module.__call__.__code__, overwrite.__code__


@dataclass(eq=False)
class Value:
    """A tensor of the run.

    Attributes
    ----------
    origin : {"input", "state", "constant", "step"}
    key : str or int
        The name of an input or of a piece of state; of a constant or result its number.
    array : ndarray or NumPy number
        What it was in this run.
    dims : tuple
        Its lengths, of which a second run may show some to vary (see :mod:`tinygrad_edu.onnx.comparison`).
    """

    origin: str
    key: str | int
    array: Any
    dims: tuple = ()

    def __post_init__(self) -> None:
        self.dims = tuple(self.array.shape)


@dataclass
class Step:
    """One operation: its name, its arguments with a :class:`Value` for each tensor, its results, and who called it from where."""

    name: str
    arguments: dict[str, Any]
    results: list[Value]
    layer: str
    place: Place | None

    def where(self) -> str:
        """Say where this happened: the layer, if it was in one, and the user's line."""
        return f"layer {self.layer!r}, {location(self.place)}" if self.layer else location(self.place)


@dataclass
class _Known:
    """The value that a tensor or array stood for when its memory had been written to `version` times."""

    owner: Any  # kept alive: an id is an object's own only while it lives
    data: Any
    version: int
    value: Value


@dataclass
class Trace:
    """The steps of one run of a model.

    Parameters
    ----------
    model : Module
    whole : set of str
        Functions and layers to be written down as one step.
    """

    model: Module
    whole: Iterable[str]
    steps: list[Step] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._layers = {module: path for path, module in self.model.named_modules()}
        self._codes = codes_of(self.whole)
        self._known: dict[int, _Known] = {}
        self._constants = self._results = 0
        self._inside: FrameType | None = None  # the function that is being written down as one step
        self._arguments: dict[str, Any] = {}
        self._reading = ""  # what is being looked up, for an error
        self._thread = threading.get_ident()
        for name, tensor in chain(self.model.named_parameters(), self.model.named_buffers()):
            self._enter(tensor, Value("state", name, tensor.array()))

    def run(self, call: Callable[[], Any], named_inputs: dict[str, Tensor]) -> list[Value]:
        """Run `call` and return the values of the tensors in what it returns."""
        for name, tensor in named_inputs.items():
            self.inputs.append(Value("input", name, tensor.array()))
            self._enter(tensor, self.inputs[-1])
        with self._listening():
            out = call()
        self._reading = "what the model returns"
        return [self._value(tensor) for tensor in tensors_in(out)]

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = sys.getprofile()
        observers.append(self._primitive)
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(before)
            observers.remove(self._primitive)

    # ---- what is heard ------------------------------------------------------------------------------------------------------
    def _primitive(self, name: str, arguments: tuple, parameters: dict[str, Any], out: Tensor) -> None:
        """Observe one primitive op."""
        if self._inside is not None or threading.get_ident() != self._thread:
            return
        op = registry[name]
        given = {"tensors": arguments} if op.variadic else dict(zip(op.arguments, arguments, strict=True))
        self._note(name, {**given, **parameters}, out)

    def _called(self, frame: FrameType, event: str, result: Any) -> None:
        """Hear from Python that a function is called or returns."""
        code = frame.f_code
        if event == "return" and frame is self._inside:
            self._inside = None
            if result is not None:  # else an exception is on its way
                self._note(self._codes[code], self._arguments, result)
        elif self._inside is None and event == "call" and code in self._codes and not _is_projected(frame):
            self._inside, self._arguments = frame, dict(frame.f_locals)
            if "self" in self._arguments:
                self._arguments["weights"] = self._arguments["self"].all_weights
        elif self._inside is None and event == "return" and code is _OVERWRITE and result is not None:
            self._enter(result, self._value(frame.f_locals["result"]))

    def _note(self, name: str, arguments: dict[str, Any], out: Any) -> None:
        """Write a step down, unless it calculates with constants only: then its result is one more constant."""
        known = (self._find(tensor) for tensor in tensors_in(list(arguments.values())))
        if all(one is None or one.value.origin == "constant" for one in known):
            return
        place, layer = user_place(), self._layer()
        where = f"layer {layer!r}, {location(place)}" if layer else location(place)
        self._reading = f"an input of {name} ({where})"
        resolved = {key: self._resolved(argument) for key, argument in arguments.items()}
        results = []
        for tensor in tensors_in(out):
            results.append(Value("step", self._results, tensor._data))
            self._results += 1
            self._enter(tensor, results[-1])
        self.steps.append(Step(name, resolved, results, layer, place))

    def _layer(self) -> str:
        """Return the dotted name of the innermost module that is running."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is _CALL and (path := self._layers.get(frame.f_locals["self"])):
                return path
            frame = frame.f_back
        return ""

    # ---- values by the tensors that hold them -------------------------------------------------------------------------------
    def _enter(self, tensor: Tensor, value: Value) -> None:
        data = tensor._data
        known = _Known(tensor, data, version(data), value)
        self._known[id(tensor)] = known
        # NumPy has one True and one False, which say nothing about where they come from.
        if not isinstance(data, np.bool):
            self._known[id(data)] = known

    def _find(self, holder: Any) -> _Known | None:
        """Return what is known of a tensor or array: by its memory, else, for a number, by the tensor itself."""
        data = holder._data if isinstance(holder, Tensor) else holder
        known = self._known.get(id(data))
        if known is None and isinstance(holder, Tensor):
            known = self._known.get(id(holder))
            if known is not None and known.data is not data and data.ndim:
                return None
        return known

    def _value(self, holder: Any) -> Value:
        data = holder._data if isinstance(holder, Tensor) else holder
        known = self._find(holder)
        changed = known is not None and known.version != version(data)
        if known is None or (changed and known.value.origin == "constant"):
            value = Value("constant", self._constants, np.array(data))
            self._constants += 1
            self._known[id(data)] = _Known(holder, data, version(data), value)
            return value
        if changed:
            raise GraphError(
                message(
                    "",
                    "onnx.export",
                    f"{self._reading}, of shape {tuple(data.shape)}, was partly overwritten in place after it was calculated; a "
                    "value of an ONNX graph never changes.",
                    "build it without writing, with cat, stack or where.",
                )
            )
        return known.value

    def _resolved(self, argument: Any) -> Any:
        """Replace the tensors and arrays in an argument by their values."""
        if isinstance(argument, Tensor | np.ndarray):
            return self._value(argument)
        if type(argument) in (tuple, list):
            return type(argument)(self._resolved(part) for part in argument)
        return argument


def codes_of(names: Iterable[str]) -> dict[CodeType, str]:
    """Return the code objects of the composite functions among the names, and of the layer of recurrent networks."""
    composites = [name for name in names if name in registry and not hasattr(registry[name], "forward")]
    codes = {inspect.unwrap(registry[name].function).__code__: name for name in composites}
    return {**codes, RNNBase.forward.__code__: "RNNBase"}


def _is_projected(frame: FrameType) -> bool:
    """Tell whether this is an LSTM with a projection, which ONNX does not have: it is written down op by op."""
    return bool(getattr(frame.f_locals.get("self"), "proj_size", 0))


def tensors_in(value: Any) -> Iterator[Any]:
    """The tensors (and arrays) in a structure of tuples, lists and dicts."""
    if isinstance(value, Tensor | np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
