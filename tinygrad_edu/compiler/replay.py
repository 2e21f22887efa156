"""A recorded program as a plain Python function: one line per call, no graph, no questions but the ones at the door."""

import math
from collections.abc import Callable
from typing import Any

from tinygrad_edu.compiler.program import AsTensor, Call, Gradient, Program, Value, values_in
from tinygrad_edu.engine import add
from tinygrad_edu.errors import message
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.graph import Node
from tinygrad_edu.primitive import new_node
from tinygrad_edu.recorders import RecordingError, changes
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["FAILED", "MISS", "Writer", "build", "forgotten"]

MISS = object()  # what a replay answers to arguments, parameters or modes that it was not recorded for

FAILED = (
    object()
)  # what it answers to numbers that it cannot treat, such as a label that is no class, before anything was changed


class Writer:
    """Writes the source of a replay, and collects the objects that its names stand for."""

    def __init__(self, program: Program):
        self.program = program
        self.world: dict[str, Any] = {
            "wrap": wrap,
            "Tensor": Tensor,
            "MISS": MISS,
            "FAILED": FAILED,
            "changes": changes,
            "mode": mode,
        }
        self.world["array_of"] = _array_of
        self._known: dict[int, str] = {}

    def constant(self, thing: Any, prefix: str = "k") -> str:
        """Return the name under which the replay finds an object."""
        name = self._known.get(id(thing))
        if name is None:
            name = self._known[id(thing)] = f"{prefix}{len(self.world)}"
            self.world[name] = thing
        return name

    def written(self, thing: Any) -> str:
        """Return an argument as source."""
        if isinstance(thing, AsTensor):
            return f"wrap({thing.name})"
        if isinstance(thing, Value):
            return thing.name
        if thing is None or isinstance(thing, bool | str) or type(thing) is int:
            return repr(thing)
        if type(thing) is float and math.isfinite(thing):
            return repr(thing)
        if type(thing) is tuple:
            return "(" + "".join(self.written(part) + ", " for part in thing) + ")"
        if type(thing) is list:
            return "[" + ", ".join(map(self.written, thing)) + "]"
        if type(thing) is dict:
            return "{" + ", ".join(f"{key!r}: {self.written(part)}" for key, part in thing.items()) + "}"
        return self.constant(thing)

    def guards(self) -> list[str]:
        """The questions at the door: shapes, dtypes, parameters and modes as they were recorded?"""
        lines = []
        for value in self.program.inputs:
            shape, kind = self.constant(value.shape), self.constant(value.dtype)
            lines += [
                f"    if t_{value.name}.node is {'not ' if value.node is None else ''}None: return MISS",
                f"    {value.name} = t_{value.name}._data",
                f"    if {value.name}.shape != {shape} or {value.name}.dtype is not {kind}: return MISS",
            ]
        for value in self.program.held:
            tensor, node = self.constant(value.holder, "t"), self.constant(value.node)
            self.world[value.name] = value.holder._data
            lines.append(f"    if {tensor}._data is not {value.name} or {tensor}.node is not {node}: return MISS")
        self.world["mode_then"], self.world["changes_then"] = mode.enabled, changes.count
        lines.append("    if changes.count != changes_then or mode.enabled is not mode_then: return MISS")
        return lines

    def line(self, call: Call) -> str:
        """Return one call as source."""
        parts = [self.written(a) for a in call.arguments]
        parts += [f"{key}={self.written(value)}" for key, value in call.keywords.items()]
        run = f"{self.constant(call.function, 'f')}({', '.join(parts)})"
        if not call.results:
            return run
        if call.kind in ("effect", "draw") and not call.several:
            run = f"array_of({run})"
        if call.several:
            return f"{''.join(('_' if r is None else r.name) + ', ' for r in call.results)}= {run}"
        return f"{call.results[0].name} = {run}"  # type: ignore[union-attr]

    def body(self, calls: list[Call], kept: set[int]) -> list[str]:
        """The calls as lines; a value that is not kept is forgotten after the last line that reads it."""
        made = {r.number: r.name for call in calls for r in call.results if r is not None and r.origin == "made"}
        last = {
            v.number: at
            for at, call in enumerate(calls)
            for v in (*call.values(), *(r for r in call.results if r is not None))
            if v.number in made and v.number not in kept
        }
        lines = []
        for at, call in enumerate(calls):
            lines.append("    " + self.line(call))
            ends = [made[number] for number, end in last.items() if end == at]
            if ends and at + 1 < len(calls):
                lines.append(f"    del {', '.join(ends)}")
        return lines

    def result(self, tree: Any) -> str:
        """Return what the step returned as source, with fresh tensors around the arrays."""
        if isinstance(tree, Value):
            return self.constant(tree.holder, "t") if tree.origin == "held" else f"wrap({tree.name})"
        if type(tree) is tuple:
            return "(" + "".join(self.result(part) + ", " for part in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self.result, tree)) + "]"
        if type(tree) is dict:
            return "{" + ", ".join(f"{key!r}: {self.result(part)}" for key, part in tree.items()) + "}"
        return self.written(tree)


def build(program: Program) -> tuple[Callable, str, dict[str, Any]]:
    """Return the replay, its source, and the world in which its names live."""
    writer = Writer(program)
    heads = ", ".join(f"t_{value.name}" for value in program.inputs)
    kept = {value.number for value in values_in(program.result)}
    lines = [f"def replay({heads}):", *writer.guards()]
    if program.gradient is None:
        first = next((at for at, call in enumerate(program.calls) if _leaves_traces(call)), len(program.calls))
        reads = {value.number for call in program.calls[first:] for value in call.values()}
        attempt = writer.body(program.calls[:first], kept | reads)
        lines += [
            "    try:",
            *("    " + line for line in attempt),
            "        pass",
            "    except IndexError: return FAILED",
        ]
        lines += [*writer.body(program.calls[first:], kept), f"    return {writer.result(program.result)}"]
    else:
        kept |= {value.number for value in program.gradient.saved()}
        lines += [*writer.body(program.calls, kept), *_with_way_back(writer, program.gradient)]
    source = "\n".join(lines) + "\n"
    exec(compile(source, "<tinygrad_edu replay>", "exec"), writer.world)
    return writer.world["replay"], source, writer.world


def _leaves_traces(call: Call) -> bool:
    """Whether a call cannot be done twice: after it, an error is no reason to run the function as it is written."""
    return call.kind in ("deposit", "write") or (call.kind == "effect" and forgotten(call) is None)


def forgotten(call: Call) -> list[Any] | None:
    """Return the leaves whose gradients an effect sets to None; None if it does something else."""
    from tinygrad_edu.nn.module import Module
    from tinygrad_edu.optim.optimizer import Optimizer

    if call.function is Module.zero_grad.__wrapped__ and len(call.arguments) == 1 and not call.keywords:  # type: ignore[attr-defined]
        return [p.node for p in call.arguments[0].parameters()]
    if call.function is Optimizer.zero_grad.__wrapped__ and len(call.arguments) == 1 and not call.keywords:  # type: ignore[attr-defined]
        return [p.node for group in call.arguments[0].param_groups for p in group["params"]]
    if call.function is Tensor._set_grad.__wrapped__ and call.arguments[1] is None:  # type: ignore[attr-defined]
        return [call.arguments[0].node]
    return None


def _with_way_back(writer: Writer, gradient: Gradient) -> list[str]:
    """The lines that return the result as the end of one node of the graph, and the function that the node runs."""
    saved = gradient.saved()
    parents = [f"t_{v.name}.node" if v.origin == "input" else writer.constant(v.node) for v, _ in gradient.wanted]
    returned = writer.result(writer.program.result)
    lines = [
        f"    out = wrap({gradient.root.name}, new_node(STEP, ({''.join(p + ', ' for p in parents)}), "
        f"({''.join(v.name + ', ' for v in saved)})))",
        f"    return {returned.replace(f'wrap({gradient.root.name})', 'out')}",
        "",
        "",
        f"def way_back({', '.join(['g', *(v.name for v in saved if v is not gradient.seed)])}):",
        *writer.body(gradient.calls, {v.number for _, v in gradient.wanted if isinstance(v, Value)}),
        f"    return ({''.join(writer.written(v) + ', ' for _, v in gradient.wanted)})",
    ]
    writer.world.update(new_node=new_node, STEP=RecordedFunction(writer.world, tuple(v.name for v in saved)))
    return lines


class RecordedFunction:
    """Stands in the graph for all operations of a recorded function at once."""

    name, node_name, frees, elementwise = "recorded", "RecordedBackward0", True, False

    def __init__(self, world: dict[str, Any], reads: tuple[str, ...]):
        self.world, self.reads = world, reads
        self.__doc__ = "A recorded function; see tg.compile."

    def pull(self, node: Node, g: Any) -> None:
        """Run the way back, and hand the gradients on."""
        parts = self.world["way_back"](g, *node.saved)  # type: ignore[misc]
        for parent, part in zip(node.parents, parts, strict=True):
            if parent is not None and parent.mark is node.mark:
                add(parent, part)

    def pull_tensors(self, node: Node, g: Any) -> None:
        raise RecordingError(
            message(
                "",
                "tg.compile",
                "derivatives of derivatives need the graph that a recorded function does without.",
                "run the function without tg.compile where create_graph=True.",
            )
        )


def _array_of(answer: Any) -> Any:
    return answer._data if isinstance(answer, Tensor) else answer
