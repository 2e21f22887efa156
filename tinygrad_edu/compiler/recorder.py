"""The recorder: while a step runs as always, it writes down every array that is made, and from what.

Arrays are known by their identity, and the recorder keeps everything it has seen alive, so that no identity is used twice. A tensor
that it has never met lives outside the step (a parameter, a constant); the second recording tells whether that was true.
"""

import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import AsTensor, Call, Program, Value, replaced
from tinygrad_edu.engine import gather, keep_paths_to
from tinygrad_edu.errors import is_ours, message, user_place
from tinygrad_edu.grad_mode import set_grad_enabled
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.memory import check_saved, note_write
from tinygrad_edu.mistakes import used_before
from tinygrad_edu.primitive import Primitive, reads_of
from tinygrad_edu.recorders import RecordingError, recorders
from tinygrad_edu.registry import observers, registry
from tinygrad_edu.tensor import Tensor

__all__ = ["Recorder"]


class Recorder:
    """Writes down one run of a function.

    Parameters
    ----------
    inputs : list of Tensor
        The tensors among the function's arguments.

    Attributes
    ----------
    program : Program
        What has been written down so far.
    """

    def __init__(self, inputs: Iterable[Tensor]):
        self.program = Program()
        self._thread = threading.get_ident()
        self._alive: list[Any] = []
        self._values: dict[int, Value] = {}  # by id of a tensor or an array
        self._arrays: dict[int, Any] = {}  # by number of a value, as it was in this run
        self.made_by: dict[Node, Call] = {}  # the call that a node of the graph stands for
        self._totals: dict[int, Leaf] = {}  # by id of an array: whose gradient it is, if it was added up
        self._count = 0
        for position, tensor in enumerate(inputs):
            if id(tensor) not in self._values:
                value = self._new("input", tensor._data, tensor, f"x{position}")
                self.program.inputs.append(value)
                self._know(value, tensor, tensor._data)

    # ---- being told -------------------------------------------------------------------------------------------------------
    def __enter__(self) -> "Recorder":
        recorders.append(self)
        observers.append(self.note)
        return self

    def __exit__(self, *exc: object) -> None:
        observers.remove(self.note)
        recorders.remove(self)

    def here(self) -> bool:
        """Tell whether this thread is the one that is recorded."""
        return threading.get_ident() == self._thread

    def note(self, name: str, arguments: tuple, parameters: dict[str, Any], out: Tensor) -> None:
        """Write down an executed operation; the registry's observers are called for each."""
        if not self.here():
            return
        op = registry[name]
        parts = [None if a is None else self.value_of(a) for a in arguments]
        positional = len(op.parameters) - op.declared.__code__.co_kwonlyargcount
        encoded = {key: self.encode(parameter) for key, parameter in parameters.items()}
        words = list(encoded.items())
        call = self._call(
            "op",
            name,
            op.forward,
            (*parts, *(value for _, value in words[:positional])) if not op.variadic else tuple(parts),
            dict(words[positional:]) if not op.variadic else encoded,
            op=op,
        )
        call.maker = _maker()
        call.results = (self._result(out._data, out),)
        if out.node is not None:
            self.made_by[out.node] = call
            self._alive.append(out.node)

    def module(self, module: Any) -> None:
        """Remember that a module was called, and in which mode it was."""
        if self.here() and not any(module is known for known, _ in self.program.modules):
            self.program.modules.append((module, module.training))

    def effect(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run something unrecorded, and write down that it is to be run again."""
        args = tuple(
            list(a) if isinstance(a, Iterator) else a for a in args
        )  # model.parameters() can be read once only
        owner = type(args[0]).__name__ + "." if args and hasattr(type(args[0]), function.__name__) else ""
        kind = "draw" if hasattr(function, "draws") else "effect"
        call = self._call(
            kind, owner + function.__name__, function, self.encode_tensors(args), self.encode_tensors(kwargs)
        )
        with self.paused():
            answer = function(*args, **kwargs)
        if isinstance(answer, Tensor):
            call.results = (self._result(answer._data, answer),)
        elif isinstance(answer, np.ndarray | np.generic):
            call.results = (self._result(answer),)
        return answer

    def write(self, tensor: Tensor, memory: np.ndarray, result: Tensor, what: str) -> None:
        """Copy a result into a tensor's memory, and write that down."""
        target = self.value_of(tensor)
        if not target.shape:
            self._refuse(f"{what} overwrites a number", "use the out-of-place form (x = x + y).")
        arguments = (target, self.value_of(result), what)
        self._call("write", what, _write, arguments, {})
        with self.paused():
            _write(memory, result._data, what)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let something run unrecorded."""
        at = observers.index(self.note)
        del observers[at]
        recorders.remove(self)
        try:
            yield
        finally:
            recorders.append(self)
            observers.insert(at, self.note)

    # ---- backward ---------------------------------------------------------------------------------------------------------
    def backpropagate(
        self, seeds: list, targets: set[Node] | None, retain_graph: bool, deposit: Callable
    ) -> dict[Node, Any]:
        """Run the chain rule on arrays rule by rule, writing down each; the same walk as the engine's own."""
        mark = object()
        operations, leaves = gather(seeds, mark)
        nodes = [*operations, *leaves]
        if targets is not None:
            nodes = keep_paths_to(targets, nodes)
        for node in nodes:
            check_saved(node)
        gradients: dict[Node, tuple[Any, bool]] = {}
        for node, seed in seeds:
            if node.mark is mark:
                self._contribute(gradients, node, seed, False)
        found: dict[Node, Any] = {}
        with set_grad_enabled(False):
            for node in nodes:
                if node in gradients:
                    gradient, owned = gradients.pop(node)
                    if node.hooks:
                        self._refuse(
                            "a hook on a tensor's gradient is Python code", "run this step without tg.compile."
                        )
                    if targets is not None and node in targets:
                        found[node] = gradient
                    if node.is_leaf:
                        if targets is None and isinstance(node, Leaf):
                            self._deposit(node, gradient, owned, deposit)
                    elif node.saved is None:
                        raise used_before(node)
                    else:
                        self._pull(node, gradient, gradients, mark)
                        if not retain_graph and node.op.frees:
                            node.saved = None
        return found

    def _pull(self, node: Node, g: Any, gradients: dict, mark: object) -> None:
        call = self.made_by.get(node)
        if call is None or not isinstance(node.op, Primitive):
            self._refuse(f"the backward of {node.name()} was not recorded", "use the library's own operations in it.")
            return
        op: Primitive = node.op
        reads = self._reads(op, call)
        live = [parent is not None and parent.mark is mark for parent in node.parents]
        if op.variadic:
            rule = op.array_rule("tensors")
            parts = self._run(
                "rule", f"d {op.name}", rule, (g, *(reads[r] for r in reads_of(op.rules["tensors"]))), op, several=True
            )
        elif op.together is not None:
            arguments = (g, tuple(live), *(reads[r] for r in op.together_reads))
            parts = self._run("rule", f"d {op.name}", op.together, arguments, op, several=True)
        else:
            parts = [None] * len(op.rules)
            for position, (name, rule) in enumerate(op.rules.items()):
                if live[position]:
                    arguments = (g, *(reads[r] for r in reads_of(rule)))
                    parts[position] = self._run("rule", f"d {op.name} / d {name}", op.array_rule(name), arguments, op)
        for position, (parent, part) in enumerate(zip(node.parents, parts, strict=True)):
            if not live[position] or part is None:
                continue
            fresh = part is not g and getattr(part, "base", None) is None
            if op.elementwise and node.shapes is not None:
                shape = node.shapes[op.arguments.index(tuple(op.rules)[position])]
                if part.shape != shape:
                    part = self._run("sum", "sum_to", registry["sum_to"].forward, (part, shape), op)
            self._contribute(gradients, parent, part, fresh)

    def _reads(self, op: Primitive, call: Call) -> dict[str, Any]:
        """Return what the rules may read, by name, as values and constants."""
        tensors: list[Any] = list(call.arguments[: len(call.arguments) if op.variadic else len(op.arguments)])
        found: dict[str, Any] = dict(call.keywords)
        found["out"] = call.results[0]
        if op.variadic:
            found["tensors"] = tensors
            found["tensors_shapes"] = [v.shape for v in tensors]
        else:
            found.update(zip(list(op.parameters), call.arguments[len(op.arguments) :], strict=False))
            for name, value in zip(op.arguments, tensors, strict=True):
                found[name] = value
                found[f"{name}_shape"] = None if value is None else value.shape
                found[f"{name}_dtype"] = None if value is None else value.dtype
        return found

    def _contribute(self, gradients: dict, node: Node, part: Any, fresh: bool) -> None:
        if node not in gradients:
            gradients[node] = part, fresh
        else:
            total = self._run("add", "add gradients", _add, (gradients[node][0], part), None)
            gradients[node] = total, True

    def _deposit(self, leaf: Leaf, gradient: Any, owned: bool, deposit: Callable) -> None:
        if leaf.after:
            self._refuse(
                "a hook that runs when a gradient is complete is Python code", "run this step without tg.compile."
            )
        variable = leaf.variable
        value = None if variable is None else self.value_of(variable)
        if value is not None and value.holder is variable:  # a leaf made inside the step is gone with it
            if value.origin == "input":
                fix = "tg.autograd.grad(loss, x) returns it instead."
                self._refuse("an argument of the step gets a gradient of its own", fix)
            self._call("deposit", f"{value.name}.grad", deposit, (leaf, self.encode(gradient), owned), {})
        before = leaf.total
        with self.paused():  # it may be added in place to what is there
            deposit(leaf, gradient, owned)
        total = _total(leaf)
        if before is None:  # whoever looks at the gradient in this step finds the value
            self._know(self._result(gradient._data if isinstance(gradient, Tensor) else gradient), total)
        else:
            self._totals[id(total)] = leaf
            self._alive.append(total)

    def depositing(self, deposit: Callable) -> Callable:
        """Return `deposit` for a backward pass that is itself recorded, on Tensors, operation by operation."""
        return lambda leaf, gradient, owned: self._deposit(leaf, gradient, owned, deposit)

    # ---- values -----------------------------------------------------------------------------------------------------------
    def _run(self, kind: str, name: str, function: Callable, arguments: tuple, op: Any, several: bool = False) -> Any:
        """Run a function on the arrays behind the values, and write the call down."""
        encoded = replaced(
            arguments, lambda leaf: self.known(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf
        )
        call = self._call(kind, name, function, encoded, {}, op=op)
        results = function(*replaced(encoded, self._array))
        call.several = several
        made = tuple(results) if several else (results,)
        call.results = tuple(None if r is None else self._result(r) for r in made)
        return list(made) if several else results

    def _array(self, leaf: Any) -> Any:
        return self._arrays[leaf.number] if isinstance(leaf, Value) else leaf

    def seed(self, gradient: Any) -> Value:
        """Make known the gradient that a way back starts from."""
        value = self._new("input", gradient, None, "g")
        self._know(value, gradient)
        return value

    def _call(self, kind: str, name: str, function: Callable, arguments: tuple, keywords: dict, op: Any = None) -> Call:
        call = Call(kind, name, function, arguments, keywords, (), place=user_place(), op=op)
        self.program.calls.append(call)
        return call

    def _new(self, origin: str, array: Any, holder: Any = None, label: str = "") -> Value:
        value = Value(
            self._count, origin, array.shape, array.dtype, holder, label, None if holder is None else holder.node
        )
        self._count += 1
        self._arrays[value.number] = array
        return value

    def _know(self, value: Value, *things: Any) -> None:
        for thing in things:
            self._values[id(thing)] = value
            self._alive.append(thing)

    def _result(self, array: Any, tensor: Tensor | None = None) -> Value:
        """Return the value of an array that was just made; an op may also hand back an array that is known."""
        value = self._values.get(id(array))
        if value is None:
            value = self._new("made", array)
            self._know(value, array)
        if tensor is not None:
            self._know(value, tensor)
        return value

    def value_of(self, tensor: Tensor) -> Value:
        """Return the value of a tensor; one that was never met lives outside the step."""
        value = self._values.get(id(tensor)) or self._values.get(id(tensor._data))
        if value is None:  # a 0-d result became an array when somebody shared its memory
            same = (t for t in self._alive if isinstance(t, Tensor) and t._data is tensor._data)
            value = next((self._values[id(t)] for t in same), None)
        if value is None and id(tensor._data) in self._totals:  # a gradient that was added to an earlier one
            leaf = self._totals[id(tensor._data)]
            call = self._call("effect", "gradient", _total, (leaf,), {})
            call.results = (self._result(tensor._data),)
            value = call.results[0]
        if value is None:
            value = self._new("held", tensor._data, tensor, f"h{len(self.program.held)}")
            self.program.held.append(value)
        self._know(value, tensor, tensor._data)
        return value

    def known(self, array: Any) -> Any:
        """Return the value of an array, or for one that was never met the array itself: a constant."""
        value = self._values.get(id(array))
        base = None if value is not None else self._values.get(id(getattr(array, "base", None)))
        if base is not None and base.shape and array.flags.c_contiguous and array.size == math.prod(base.shape):
            call = self._call("effect", "reshape", np.reshape, (base, array.shape), {})
            call.results = (self._result(array),)
            return call.results[0]
        return array if value is None else value

    def encode(self, parameter: Any) -> Any:
        """Return a parameter of an op with values in the place of tensors and known arrays."""

        def change(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                return self.value_of(leaf)
            return self.known(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf

        return replaced(parameter, change)

    def encode_tensors(self, tree: Any) -> Any:
        """The same for the arguments of an effect: parameters and other tensors from outside stay themselves."""

        def change(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                value = self._values.get(id(leaf)) or self._values.get(id(leaf._data))
                return leaf if value is None or value.origin == "held" else AsTensor(value)
            return self.known(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf

        return replaced(tree, change)

    def _refuse(self, facts: str, fix: str) -> None:
        raise RecordingError(message("", "tg.compile", f"{facts}, which a recorded step cannot do again.", fix))


def _maker() -> str:
    """Return the file and function of the library that called the operation which is noted; empty for the user's own call."""
    frame = sys._getframe(2)
    while frame is not None and is_ours(frame.f_code.co_filename):
        path = Path(frame.f_code.co_filename)
        if not path.name.startswith("<tinygrad_edu") and path.stem not in (
            "recorder",
            "registry",
            "primitive",
            "codegen",
        ):
            return f"{path.stem}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def _write(memory: np.ndarray, values: Any, what: str) -> None:
    np.copyto(memory, values)
    note_write(memory, what)


def _total(leaf: Leaf) -> Any:
    """Return the array of a leaf's gradient."""
    return leaf.total._data if isinstance(leaf.total, Tensor) else leaf.total


def _add(first: Any, second: Any) -> Any:
    return first + second
