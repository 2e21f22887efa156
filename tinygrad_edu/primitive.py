"""Declaring an op in one place: forward, derivative rules, documentation, method and operator.

>>> from tinygrad_edu.primitive import primitive                                        # doctest: +SKIP
>>> @primitive(elementwise=True, operators=("__mul__",))                                # doctest: +SKIP
... def mul(x, y, /):
...     "Product, out = x * y."
...     return x * y
>>> mul.op.derivative(x=lambda g, y: g * y, y=lambda g, x: g * x)                       # doctest: +SKIP

Arguments before ``/`` are tensors and arrive as arrays; those after it are plain Python parameters. A rule gets the gradient `g`
of the result and whatever else it names: an argument, ``out``, a parameter, or ``x_shape``/``x_dtype`` of an argument ``x``.
Naming an argument is what keeps its value alive until backward.

A rule is written once and used twice. With ``create_graph=True`` it runs as it stands, on Tensors, and is recorded. In the ordinary
backward pass it runs on plain arrays: :func:`on_arrays` makes a copy of it that sees every op as its array function.
"""

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature, signature, unwrap
from typing import Any

import numpy as np

from tinygrad_edu import codegen, dtypes
from tinygrad_edu.array_rules import on_arrays, reads_of
from tinygrad_edu.engine import add
from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.graph import Node, tick
from tinygrad_edu.operands import as_float, broadcast_error, constant, promoted, track_view
from tinygrad_edu.registry import observers, registry
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "Composite", "Primitive", "as_float", "broadcast_error", "composite", "constant", "install", "observers", "on_arrays", "primitive", "promoted",
    "public_signature", "reads_of", "registry", "track_view",
]  # fmt: skip


class Primitive:
    """One op: its array function, its derivative rules, and the functions generated from them.

    Attributes
    ----------
    name, node_name : str
        The op's name and PyTorch's name for its node.
    forward : callable
        Arrays (and parameters) in, array out.
    arguments : tuple of str
        The tensor arguments by the names the rules use.
    parameters : dict
        The Python parameters with their defaults.
    numbers : tuple of str
        The arguments that may be Python numbers.
    before_mixing : callable or None
        Looks at operands of different dtypes before they are promoted, and refuses what PyTorch does not mix.
    rules : dict
        Derivative rule by argument name; an argument without a rule gets no gradient.
    reads : tuple of str
        What the rules read, in the order of ``node.saved``.
    """

    def __init__(
        self,
        forward: Callable,
        *,
        elementwise: bool = False,
        mixes: Sequence[str] | None = None,
        numbers: Sequence[str] | None = None,
        before_mixing: Callable | None = None,
        float_result: bool = False,
        view: bool = False,
        method: bool | str = True,
        operators: Sequence[str] = (),
        names: Sequence[str] | None = None,
        node_name: str | None = None,
        explain: Callable | None = None,
    ):
        declared = unwrap(forward)
        code = declared.__code__
        self.forward, self.declared = forward, declared
        self.name = forward.__name__
        self.node_name = (
            node_name or "".join(part.capitalize() for part in self.name.strip("_").split("_")) + "Backward0"
        )
        self.variadic = bool(code.co_flags & 0x04)
        everything = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.arguments = everything[: code.co_posonlyargcount]
        if self.variadic:
            self.arguments = ("tensors",)
        defaults = declared.__defaults__ or ()
        by_name = dict(zip(everything[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True))
        by_name.update(declared.__kwdefaults__ or {})
        self.optional = frozenset(n for n in self.arguments if n in by_name)
        self.parameters = {n: by_name.get(n, Parameter.empty) for n in everything if n not in self.arguments}
        self.public_names = tuple(names or (("input", "other") if len(self.arguments) <= 2 else self.arguments))
        self.public_names = self.public_names[: len(self.arguments)]
        self.elementwise, self.float_result, self.view = elementwise, float_result, view
        self.mixes = tuple(mixes if mixes is not None else self.arguments if elementwise else ())
        self.numbers = tuple(numbers if numbers is not None else self.arguments if elementwise else ())
        self.before_mixing = before_mixing
        self.rules: dict[str, Callable] = {}
        self.array_rules: dict[str, Callable] = {}
        self.together: Callable | None = None
        self.fresh = False
        self.reads: tuple[str, ...] = ()
        self.frees = False
        self._explain = explain
        self.__doc__ = forward.__doc__
        self.function = codegen.stub(self)
        register(self.name, self, self.function, method, operators)

    # ---- declaring --------------------------------------------------------------------------------------------------------
    def derivative(self, **rules: Callable) -> "Primitive":
        """Give one rule per differentiable argument, by name."""
        for name in rules:
            if name not in self.arguments:
                raise TypeError(f"{self.name} has no tensor argument {name!r}; it has {self.arguments}")
        self.rules = {name: rules[name] for name in self.arguments if name in rules}
        self._collect_reads(*self.rules.values())
        return self

    def derivative_on_arrays(self, rule: Callable, *, fresh: bool = False) -> "Primitive":
        """Give a faster rule for the ordinary backward pass: ``rule(g, needs, ...)`` returns a gradient per differentiable argument.

        `needs` tells for which arguments a gradient is wanted. The Tensor rules stay the definition; the tests hold both equal.
        `fresh` promises that what the rule returns was made by it: never `g`, or anything that was saved.
        """
        self.together, self.fresh = rule, fresh
        names = rule.__code__.co_varnames[2 : rule.__code__.co_argcount]
        self._collect_reads(*self.rules.values(), extra=names)
        self.together_reads = names
        return self

    def _collect_reads(self, *rules: Callable, extra: Sequence[str] = ()) -> None:
        reads = dict.fromkeys(name for rule in rules for name in reads_of(rule))
        reads.update(dict.fromkeys(extra))
        known = {*self.arguments, *self.parameters, "out"}
        known |= {f"{a}_{what}" for a in self.arguments for what in ("shape", "dtype")} | {"tensors_shapes"}
        for name in reads:
            if name not in known:
                raise TypeError(f"a rule of {self.name} reads {name!r}, which is none of {sorted(known)}")
        self.reads = tuple(reads)
        self.frees = any(name in self.arguments or name == "out" for name in reads)

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The arguments that can get a gradient."""
        return tuple(self.rules)

    # ---- running ----------------------------------------------------------------------------------------------------------
    def array_rule(self, name: str) -> Callable:
        """Return the rule of an argument as it runs on plain arrays."""
        if name not in self.array_rules:
            self.array_rules[name] = on_arrays(self.rules[name])
        return self.array_rules[name]

    def pull(self, node: Node, g: Any) -> None:
        """Hand the gradient of a node on to its parents, on arrays. Replaced by generated code on first use."""
        self.pull = codegen.build_pull(self)  # type: ignore[method-assign]
        self.pull(node, g)

    def pull_tensors(self, node: Node, g: Tensor) -> None:
        """Hand the gradient on, on Tensors, recording every step: the readable twin of the generated `pull`."""
        values = self._recall(node)
        if self.variadic:
            rule = self.rules["tensors"]
            parts = rule(g, *(values[r] for r in reads_of(rule)))
            for parent, part in zip(node.parents, parts, strict=True):
                if parent is not None and parent.mark is node.mark and part is not None:
                    add(parent, part)
            return
        for position, (name, rule) in enumerate(self.rules.items()):
            parent = node.parents[position]
            if parent is None or parent.mark is not node.mark:
                continue
            part = rule(g, *(values[r] for r in reads_of(rule)))
            if self.elementwise and node.shapes is not None:
                part = registry["sum_to"].function(part, node.shapes[self.arguments.index(name)])
            add(parent, part)

    def _recall(self, node: Node) -> dict[str, Any]:
        """Return the saved values by name; arrays come back as Tensors that are connected to the graph."""
        owners: dict[str, Any] = dict(zip(self.rules, node.parents, strict=False))
        owners["out"] = node
        values = {}
        for name, value in zip(self.reads, node.saved or (), strict=True):
            if name == "tensors":
                value = [wrap(v, p) for v, p in zip(value, node.parents, strict=True)]
            elif name in self.arguments or name == "out":
                value = None if value is None else wrap(value, owners.get(name))
            values[name] = value
        return values

    def retry(self, arguments: tuple, parameters: dict, error: Exception) -> Any:
        """Run again with numbers and arrays turned into Tensors; without anything to turn, the error was real."""
        if all(
            isinstance(a, Tensor) or (a is None and n in self.optional)
            for n, a in zip(self.arguments, arguments, strict=True)
        ):
            raise error
        return self.function(*self.operands(arguments), **parameters)

    def operands(self, arguments: tuple) -> list[Any]:
        """Turn Python numbers and NumPy arrays among the arguments into Tensors, or say which argument is wrong."""
        like = next((a for a in arguments if isinstance(a, Tensor)), None)
        ready: list[Any] = []
        for name, public, a in zip(self.arguments, self.public_names, arguments, strict=True):
            if isinstance(a, Tensor) or (a is None and name in self.optional):
                ready.append(a)
            elif like is not None and name in self.numbers and isinstance(a, int | float | np.number | np.bool):
                if isinstance(a, bool) and self.before_mixing is not None:
                    self.before_mixing(like._data, np.bool(a))
                ready.append(constant(a.item() if isinstance(a, np.generic) else a, self.like_for_numbers(like)))
            elif like is not None and self.elementwise and isinstance(a, np.ndarray):
                dtypes.from_numpy_dtype(a.dtype)
                ready.append(wrap(a))
            else:
                raise TypeError(
                    f"{self.name}(): argument '{public}' must be Tensor, not {type(a).__name__}. Fix: tg.tensor(...) first."
                )
        return ready

    def like_for_numbers(self, like: Tensor) -> Any:
        """Return the array whose type a Python number takes: where integers give floats, it becomes a float itself."""
        return as_float(like)._data if self.float_result else like._data

    def explain(self, error: Exception, arguments: tuple, parameters: dict) -> Exception:
        """Turn an array library's complaint into one that names the op, the shapes and the fix."""
        tensors = [a for a in arguments if isinstance(a, Tensor)]
        if self._explain is not None:
            better = self._explain(error, *arguments, **parameters)
            if better is not None:
                return better
        if type(error) is not ValueError:
            return error
        shapes = " and ".join(str(tuple(t.shape)) for t in tensors)
        if self.elementwise:
            return broadcast_error(self.name, [tuple(t.shape) for t in tensors])
        return ShapeError(message("", self.name, f"{error} (shapes {shapes}).", "make the shapes fit."))

    def source(self) -> str:
        """Return the code that was generated to record this op and to run its derivative rules."""
        return codegen.record_source(self) + "\n\n" + codegen.pull_source(self)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    # ---- ops on a sequence of tensors (cat, stack, einsum) --------------------------------------------------------------------
    def call_many(self, tensors: Sequence[Any], parameters: dict) -> Tensor:
        """Execute a variadic op and record it."""
        if isinstance(tensors, Tensor) or not all(isinstance(t, Tensor) for t in tensors):
            kinds = type(tensors).__name__ if isinstance(tensors, Tensor) else [type(t).__name__ for t in tensors]
            raise TypeError(f"{self.name}(): expected a sequence of Tensors, got {kinds}")
        tensors = tuple(tensors)
        arrays = [t._data for t in tensors]
        if len({a.dtype for a in arrays}) > 1:
            kind = dtypes.from_numpy_dtype(dtypes.result_numpy_dtype(*arrays))
            tensors = tuple(registry["cast"].function(t, kind) for t in tensors)
            arrays = [t._data for t in tensors]
        try:
            out = wrap(self.forward(*arrays, **parameters))
        except ValueError as error:
            raise self.explain(error, tensors, parameters) from None
        if mode.enabled and self.rules and any(t.node is not None for t in tensors) and out._data.dtype.kind == "f":
            saved = {
                "tensors": arrays,
                "tensors_shapes": [a.shape for a in arrays],
                "out": out._data,
                **self.parameters,
                **parameters,
            }
            out.node = new_node(self, tuple(t.node for t in tensors), tuple(saved[r] for r in self.reads))
        if observers:
            notify(self, tensors, parameters, out)
        return out


class Composite:
    """A function made of primitives: it has a name, a method and documentation, and no rule of its own."""

    def __init__(self, function: Callable, method: bool | str, operators: Sequence[str]):
        self.name, self.function, self.__doc__ = function.__name__, function, function.__doc__
        register(self.name, self, function, method, operators)

    def __repr__(self) -> str:
        return f"<composite {self.name}>"


def primitive(forward: Callable | None = None, **options: Any) -> Any:
    """Declare an op; see the module's first lines. The decorated name becomes the public function."""

    def declare(f: Callable) -> Any:
        return Primitive(f, **options).function

    return declare if forward is None else declare(forward)


def composite(function: Callable | None = None, *, method: bool | str = True, operators: Sequence[str] = ()) -> Any:
    """Declare a public function that is made of other ops."""

    def declare(f: Callable) -> Any:
        f = codegen.guarded(f)
        f.op = Composite(f, method, operators)  # type: ignore[attr-defined]
        return f

    return declare if function is None else declare(function)


def misuse(function: Callable, error: AttributeError, arguments: dict[str, Any]) -> Exception:
    """Say which argument of a composite is no Tensor, where Python names only the attribute that it lacks."""
    for name, value in arguments.items():
        if (
            value is getattr(error, "obj", None)
            and name in signature(function).parameters
            and not isinstance(value, Tensor)
        ):
            return TypeError(
                f"{function.__name__}(): argument '{name}' must be Tensor, not {type(value).__name__}. Fix: tg.tensor(...) first."
            )
    return error


def register(name: str, op: Any, function: Callable, method: bool | str, operators: Sequence[str]) -> None:
    """Enter an op in the table and install its method and operators on Tensor."""
    if name in registry:
        raise TypeError(f"there is already an op named {name!r}")
    registry[name] = op
    if method:
        setattr(Tensor, name if method is True else method, function)
    for operator in operators:
        setattr(Tensor, operator, function)
        if operator.startswith("__r") and operator != "__rshift__":
            setattr(Tensor, operator, reflected(function))


def install(**methods: Any) -> None:
    """Put methods and properties on Tensor that are not ops themselves."""
    for name, method in methods.items():
        setattr(Tensor, name, method)


def reflected(function: Callable) -> Callable:
    """Return the operator for ``number - tensor``, which Python asks of the right operand."""

    lifts = getattr(getattr(function, "op", None), "float_result", False)

    def swapped(self: Tensor, other: Any) -> Tensor:
        kind = other.__class__
        if kind is float or kind is int:
            other = constant(other, as_float(self)._data if lifts else self._data)
        return function(other, self)

    return swapped


# ---- used by the generated code ---------------------------------------------------------------------------------------------
def new_node(op: Primitive, parents: tuple, saved: tuple, shapes: tuple | None = None) -> Node:
    """Make a graph node; generated code does the same inline."""
    node = object.__new__(Node)
    node.op, node.parents, node.saved, node.shapes = op, parents, saved, shapes
    node.grad = node.mark = node.hooks = None
    node.owned = False
    node.number = tick()
    return node


def notify(op: Primitive, arguments: tuple, parameters: dict, out: Tensor) -> None:
    """Tell every observer about an executed op."""
    for observer in tuple(observers):  # one may leave while it is told
        observer(op.name, arguments, parameters, out)


def public_signature(op: Primitive) -> Signature:
    """Return the signature users see: PyTorch's argument names."""
    positional, keyword = Parameter.POSITIONAL_OR_KEYWORD, op.declared.__code__.co_kwonlyargcount
    names = ("tensors",) if op.variadic else op.public_names
    entries = [
        Parameter(public, positional, default=None if own in op.optional else Parameter.empty)
        for public, own in zip(names, op.arguments, strict=True)
    ]
    kinds = [positional] * (len(op.parameters) - keyword) + [Parameter.KEYWORD_ONLY] * keyword
    if op.variadic:
        kinds = [positional] * len(op.parameters)
    entries += [Parameter(n, k, default=d) for (n, d), k in zip(op.parameters.items(), kinds, strict=True)]
    return Signature(entries)
