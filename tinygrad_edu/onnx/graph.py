"""The ONNX graph while it is written: nodes, named results, constants, and lengths that are only known when the file is used."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from tinygrad_edu.errors import GraphError, message
from tinygrad_edu.onnx.comparison import Varying
from tinygrad_edu.onnx.trace import Step, Value

__all__ = ["Axis", "Graph", "Rules", "element_type"]


@dataclass(frozen=True)
class Axis:
    """A dynamic axis: which input and dimension it is, its name, and its lengths in the two runs."""

    input: str
    dim: int
    name: str
    first: int
    second: int


@dataclass
class Graph:
    """Nodes and constants, added one by one.

    Attributes
    ----------
    axes : list of Axis
        The lengths that vary, to which all others are traced back.
    step : Step
        What is being translated: its layer gives the nodes their names.
    """

    axes: list[Axis]
    step: Step | None = None
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[Value, str] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    _constants: dict[tuple, str] = field(default_factory=dict)
    _lengths: dict[Axis, str] = field(default_factory=dict)

    # ---- nodes --------------------------------------------------------------------------------------------------------------
    def node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node and return the name of its output, or a list of them.

        Inputs may be values, names, arrays or numbers; None leaves an optional one out. So does an attribute that is None.
        """
        for attribute in attributes.values():
            for n in attribute if isinstance(attribute, tuple | list) else (attribute,):
                self.static(n)
        path = self._unique(f"{self._prefix()}/{kind}")
        names = [f"{path}_output_{i}" for i in range(outputs)]
        given = [self.name(i) for i in inputs]
        while given and not given[-1]:
            given.pop()
        attributes = {name: attribute for name, attribute in attributes.items() if attribute is not None}
        self.nodes.append(helper.make_node(kind, given, names, name=path, **attributes))
        return names[0] if outputs == 1 else names

    def _prefix(self) -> str:
        return "/" + self.step.layer.replace(".", "/") if self.step is not None and self.step.layer else ""

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, -1) + 1
        return f"{name}_{count}" if count else name

    def refused(self, facts: str, fix: str) -> GraphError:
        """Compose an error about the step that is being translated."""
        where = "" if self.step is None else f"the operation {self.step.name} ({self.step.where()}) "
        return GraphError(message("", "onnx.export", f"{where}{facts}.", fix))

    def static(self, n: int | Varying) -> int:
        """Return a length that must not vary."""
        if isinstance(n, Varying):
            raise self.refused("depends on the length of a dynamic axis", "make that axis static.")
        return n

    # ---- names of what goes into a node -------------------------------------------------------------------------------------
    def name(self, given: Any) -> str:
        """Return the name of a value, array or number; what the graph does not know yet becomes one of its constants."""
        if given is None:
            return ""
        if isinstance(given, str):
            return given
        if not isinstance(given, Value):
            return self.constant(given)
        if given not in self.names:
            if given.origin == "state":
                self.initializers[str(given.key)] = np.asarray(given.array)
                self.names[given] = str(given.key)
            else:
                self.names[given] = self._varying_constant(given) if _varies(given.dims) else self.constant(given.array)
        return self.names[given]

    def constant(self, array: Any, dtype: Any = None) -> str:
        """Return the name of a constant; equal ones are kept once."""
        array = np.array(array, dtype)
        key = (array.dtype.char, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = self._unique("constant")
            self.initializers[name] = array
        return self._constants[key]

    def like(self, value: Value, number: float) -> str:
        """Return the name of a number of the element type of `value`."""
        return self.constant(number, value.array.dtype)

    def _varying_constant(self, value: Value) -> str:
        """A tensor made outside the graph whose size varies: filled with one number, or counting 0, 1, 2, ..."""
        array = np.asarray(value.array)
        if array.size and (array == array.flat[0]).all():
            return self.node(
                "ConstantOfShape", self.shape(value.dims), value=numpy_helper.from_array(array.reshape(-1)[:1])
            )
        if array.ndim == 1 and array.dtype.kind == "i" and np.array_equal(array, np.arange(len(array))):
            stop = self.node("Squeeze", self.shape(value.dims), self.constant([0]))
            whole = self.node("Range", self.constant(0), stop, self.constant(1))
            return self.node("Cast", whole, to=element_type(array.dtype))
        raise self.refused(
            f"uses a constant whose size depends on a dynamic axis, {array.shape} here", "make that axis static."
        )

    # ---- lengths ------------------------------------------------------------------------------------------------------------
    def shape(self, sizes: Sequence[int | Varying]) -> str:
        """Return the name of an int64 vector of lengths: a constant, or joined from what the inputs' shapes say."""
        if not _varies(sizes):
            return self.constant(sizes, np.int64)
        parts = [self._length(n) if isinstance(n, Varying) else self.constant([n]) for n in sizes]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def reshape(self, x: Any, sizes: Sequence[int | Varying], like: Sequence[int | Varying] = ()) -> str:
        """Reshape to `sizes`; `like` are the lengths of `x`. Lengths that vary are 0 (the input's own) or -1 where that will do."""
        wanted: list[Any] = [
            0 if isinstance(n, Varying) and i < len(like) and like[i] == n else n for i, n in enumerate(sizes)
        ]
        left = [i for i, n in enumerate(wanted) if isinstance(n, Varying)]
        if len(left) == 1:
            wanted[left[0]] = -1
        if len(left) > 1 or 0 in sizes:
            wanted = list(sizes)
        return self.node("Reshape", x, self.shape(wanted))

    def _length(self, n: Varying) -> str:
        """Return the name of a one-element vector with a length that varies: count * axis + rest, or a product of two axes."""
        for axis in self.axes:
            if (axis.first, axis.second) == (n.first, n.second):
                return self._axis(axis)
        for axis in self.axes:
            count, rest = divmod(n.second - n.first, axis.second - axis.first)
            more = n.first - count * axis.first
            if not rest and (not more or len(self.axes) == 1):
                scaled = self._axis(axis) if count == 1 else self.node("Mul", self._axis(axis), self.constant([count]))
                return self.node("Add", scaled, self.constant([more])) if more else scaled
        for i, a in enumerate(self.axes):
            for b in self.axes[i + 1 :]:
                count, rest = divmod(n.first, a.first * b.first)
                if not rest and count * a.second * b.second == n.second:
                    area = self.node("Mul", self._axis(a), self._axis(b))
                    return area if count == 1 else self.node("Mul", area, self.constant([count]))
        raise self.refused(
            f"needs a length ({n.first} here) that the dynamic axes do not give simply", "make one of them static."
        )

    def _axis(self, axis: Axis) -> str:
        if axis not in self._lengths:
            shape = self.node("Shape", axis.input)
            self._lengths[axis] = self.node("Gather", shape, self.constant([axis.dim]), axis=0)
        return self._lengths[axis]


def _varies(sizes: Iterable[Any]) -> bool:
    return any(isinstance(n, Varying) for n in sizes)


def element_type(dtype: Any) -> int:
    """Return ONNX's number of a NumPy element type."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Rules(dict[str, Callable[..., Any]]):
    """Functions that build the nodes of an operation, by its name; used as a decorator it enters one more."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self[function.__name__.rstrip("_")] = function  # a trailing underscore avoids Python's own names
        return function
