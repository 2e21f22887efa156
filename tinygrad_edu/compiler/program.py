"""What a recording holds: values, and the calls that make them, in the order in which they ran."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.errors import Place
from tinygrad_edu.tensor import Tensor

__all__ = ["AsTensor", "Call", "Gradient", "Program", "Value", "difference", "replaced", "values_in"]

# Functions of ours that compute constants or indices from the numbers in tensors, with NumPy and unseen: where they hand an op an
# array that is made anew in each run, a replay would go on with the array of the recording.
UNSEEN = {
    "adaptive_pooling.pick_from_planes", "embedding.embedding", "embedding.embedding_bag", "loss_classes._nll", "loss_classes._smooth",
    "loss_ctc.ctc_loss", "loss_margin.multi_margin_loss", "loss_margin.multilabel_margin_loss", "loss_regression.gaussian_nll_loss",
    "masking.masked_scatter", "masking.masked_select", "pooling._flattened", "pooling._unpool", "scattering._reduce_groups",
    "scattering.scatter_reduce", "softmax.gumbel_softmax",
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Value:
    """One array of a recorded step.

    Attributes
    ----------
    number : int
        Its place in the order in which values were met.
    origin : str
        "input" (an argument of the step), "held" (a tensor that lives outside it, such as a parameter) or "made".
    holder
        The tensor, for inputs and held values.
    """

    number: int
    origin: str
    shape: tuple[int, ...]
    dtype: np.dtype
    holder: Any = None
    label: str = ""
    node: Any = None  # of a held tensor, when it was recorded

    @property
    def name(self) -> str:
        """What the value is called in the written program."""
        return self.label or f"v{self.number}"

    def type(self) -> str:
        """Its element type and shape, for people."""
        return f"{self.dtype} {self.shape}"


class AsTensor(Value):
    """A value that an effect wants as a tensor, not as an array."""

    __slots__ = ()

    def __init__(self, value: Value):
        super().__init__(value.number, value.origin, value.shape, value.dtype, value.holder, value.label, value.node)


@dataclass(eq=False, slots=True)
class Call:
    """One thing that the step did: an operation, a derivative rule, a sum of gradients, or something beside them.

    Attributes
    ----------
    kind : str
        "op", "rule", "sum" (of a broadcast gradient), "add" (of two gradients), "deposit", "write", "draw" or "effect".
    name : str
        The op's name, or what a reader should see.
    function : callable
        Takes the arguments, in which values stand for arrays, and gives one array or several.
    """

    kind: str
    name: str
    function: Callable
    arguments: tuple
    keywords: dict[str, Any]
    results: tuple[Value | None, ...]
    several: bool = False  # whether `function` returns a tuple
    place: Place | None = None
    op: Any = None
    maker: str = ""  # the file and function of ours that called an operation; empty if the user did

    def values(self) -> Iterator[Value]:
        """The values it reads."""
        yield from values_in((self.arguments, self.keywords))


@dataclass(eq=False, slots=True)
class Gradient:
    """The backward half of a recorded function: calls that start from the gradient of its result.

    Attributes
    ----------
    seed, root : Value
        The gradient of the result, and the result.
    calls : list of Call
    wanted : list of (Value, Value)
        The inputs and held tensors that get a gradient, each with that gradient.
    """

    seed: Value
    root: Value
    calls: list[Call]
    wanted: list[tuple[Value, Value]]

    def saved(self) -> list[Value]:
        """The values of the forward half that are read, in a fixed order."""
        made = {r.number for call in self.calls for r in call.results if r is not None} | {self.seed.number}
        found: dict[int, Value] = {}
        for call in self.calls:
            for value in call.values():
                if value.origin != "held" and value.number not in made:
                    found.setdefault(value.number, value)
        return list(found.values())


@dataclass(eq=False, slots=True)
class Program:
    """A recorded step.

    Attributes
    ----------
    inputs : list of Value
        The tensors among the step's arguments.
    held : list of Value
        Tensors that the step reads and that live outside it.
    calls : list of Call
        What to do, in order.
    result
        What the step returns, with values in the place of tensors.
    modules : list
        The modules that were called, and in which mode each was.
    gradient : Gradient or None
        How to go back, where the step returns a tensor that gradients are wanted of.
    """

    inputs: list[Value] = field(default_factory=list)
    held: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    result: Any = None
    modules: list[tuple[Any, bool]] = field(default_factory=list)
    gradient: "Gradient | None" = None


def values_in(tree: Any) -> Iterator[Value]:
    """Yield every value in nested tuples, lists and dicts."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, tuple | list):
        for part in tree:
            yield from values_in(part)
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from values_in(part)


def replaced(tree: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of nested tuples, lists and dicts with every leaf changed."""
    if tree.__class__ in (tuple, list):
        return tree.__class__(replaced(part, change) for part in tree)
    if isinstance(tree, tuple):  # a named tuple, or a Size
        parts = (replaced(part, change) for part in tree)
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if tree.__class__ is dict:
        return {key: replaced(part, change) for key, part in tree.items()}
    return change(tree)


def difference(first: Program, second: Program) -> tuple[str, Place | None] | None:
    """Say where two recordings of one function differ, and on which line; None if they are the same program.

    Numbers that Python computed for itself (a counter, a value read from elsewhere) show up here: the recordings would
    replay the first one for ever.
    """
    for a, b in zip(first.calls, second.calls, strict=False):
        if (a.kind, a.name) != (b.kind, b.name):
            return f"first {a.name}, then {b.name}", b.place
        mine, theirs = _flat((a.arguments, a.keywords)), _flat((b.arguments, b.keywords))
        if len(mine) != len(theirs):
            return f"the arguments of {a.name}", b.place
        for x, y in zip(mine, theirs, strict=True):
            if not _same(x, y):
                return f"{_written(x)} and then {_written(y)} in {a.name}", b.place
            if b.maker in UNSEEN and _is_made_anew(x, y):
                return (
                    f"{b.maker.partition('.')[2]} computes {_written(y)} from numbers, which is not recorded",
                    b.place,
                )
    if len(first.calls) != len(second.calls):
        extra = max(first.calls, second.calls, key=len)[min(len(first.calls), len(second.calls))]
        return f"{extra.name} in one of them only", extra.place
    return None


def _is_made_anew(x: Any, y: Any) -> bool:
    """Whether an array is another object in each run, though it holds the same numbers: something computes it."""
    if isinstance(x, Value):
        return x.origin == "held" and x.holder is not y.holder and x.shape != ()
    return isinstance(x, np.ndarray) and x is not y and x.ndim > 0


def _flat(tree: Any) -> list[Any]:
    found: list[Any] = []
    replaced(tree, found.append)
    return found


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, Value) and isinstance(y, Value):
        if x.number != y.number or x.origin != y.origin:
            return False
        if x.origin != "held" or x.holder is y.holder:
            return True
        return x.holder.node is None and y.holder.node is None and _equal(x.holder._data, y.holder._data)
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return x is y or (x.node is None and y.node is None and _equal(x._data, y._data))
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return _equal(x, y)
    if type(x) is not type(y):
        return False
    if callable(x):
        return x is y
    if (
        type(x).__eq__ is object.__eq__
    ):  # an object of some class: the same one, or another made for this call (a workspace)
        return True
    try:
        return bool(x == y) or (x != x and y != y)
    except Exception:
        return x is y


def _equal(x: Any, y: Any) -> bool:
    x, y = np.asarray(x), np.asarray(y)
    return x.shape == y.shape and x.dtype == y.dtype and bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))


def _written(x: Any) -> str:
    if isinstance(x, Value):
        return f"a tensor of shape {x.shape}" + (" made outside the recorded operations" if x.origin == "held" else "")
    text = repr(x)
    return text if len(text) < 40 else f"{text[:37]}..."
