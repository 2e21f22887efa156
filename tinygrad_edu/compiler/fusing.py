"""Building a fused step: the compiled function, kept on disk, and the few lines of Python around it."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.compiler.fused import ALIGN, Fuser
from tinygrad_edu.compiler.program import Call, Program, Value, values_in
from tinygrad_edu.compiler.replay import Writer, forgotten
from tinygrad_edu.compiler.symbols import NotFusible
from tinygrad_edu.kernels import policy
from tinygrad_edu.memory import Stamp
from tinygrad_edu.tensor import Tensor

__all__ = ["fuse"]

HEADER = """\
import math

import numpy as np

from tinygrad_edu.kernels.elementwise_numba import activate_grad_into, activate_into
from tinygrad_edu.kernels.elementwise_scalars import exp_of, log_of, tanh_of
from tinygrad_edu.kernels.linear_numba import _product_into as product_into
from tinygrad_edu.kernels.linear_numba import linear_act_backward_into, linear_act_forward_into
from tinygrad_edu.kernels.loss_numba import bce_with_logits_into, cross_entropy_into, mse_into
from tinygrad_edu.kernels.optim_numba import adam_into, sgd_into

f4, f8 = np.float32, np.float64
NONE, RELU, SIGMOID, TANH = np.int64(0), np.int64(1), np.int64(2), np.int64(3)

"""


class _Plan:
    """What to do in Python before and after the compiled function, and what to hand to it."""

    def __init__(self, program: Program):
        self.program = program
        self.fuser = Fuser(program)
        self.before: list[Call] = []  # random draws
        self.after: list[Call] = []  # effects at the end, such as a schedule's step
        self.cleared: set[int] = set()  # ids of leaves whose gradients are forgotten before they are computed
        self.emptied: set[int] = set()  # ... and of those forgotten at the end
        self.deposits: list[tuple[Any, Value]] = []
        self.steps: list[Call] = []
        for call in program.calls:
            self._sort(call)

    def _sort(self, call: Call) -> None:
        """Give a call its place."""
        if call.kind == "deposit":
            leaf, value = call.arguments[:2]
            if not isinstance(value, Value) or any(leaf is known or value is v for known, v in self.deposits):
                raise NotFusible("a gradient that two tensors share, or that is added to another")
            if self.steps:
                raise NotFusible("a gradient after the optimizer's step")
            self.deposits.append((leaf, value))
        elif call.kind in ("op", "rule", "add", "sum"):
            if self.steps:
                raise NotFusible("operations after the optimizer's step")
            self.fuser.add(call)
        elif call.kind in ("effect", "draw"):
            self._effect(call)
        else:
            raise NotFusible(f"{call.name} has no compiled form")

    def _effect(self, call: Call) -> None:
        leaves = forgotten(call)
        if leaves is not None:
            (self.emptied if self.deposits else self.cleared).update(map(id, leaves))
        elif _is_plain_step(call):
            self.steps.append(call)
        elif call.kind == "draw" and not list(call.values()):
            self.before.append(call)
            for value in call.results:
                self.fuser._argument(value, "drawn")  # type: ignore[arg-type]
        elif self.steps and not call.results and not list(call.values()):
            self.after.append(call)
        else:
            raise NotFusible(f"{call.name} between the operations")


def _is_plain_step(call: Call) -> bool:
    """Whether an effect is one step of an optimizer that has a compiled form."""
    from tinygrad_edu import optim

    if call.function is not optim.Optimizer.step.__wrapped__ or len(call.arguments) != 1 or call.keywords:  # type: ignore[attr-defined]
        return False
    optimizer = call.arguments[0]
    return type(optimizer) in (optim.SGD, optim.Adam, optim.AdamW) and optimizer._step_hooks is None


def fuse(program: Program) -> tuple[Callable, str, dict[str, Any]]:
    """Return the replay of a program around one compiled function, its source, and its world.

    Raises
    ------
    NotFusible
        If a part of the program has no compiled form.
    """
    if policy.get_backend() != "numba":
        raise NotFusible("Numba is not at work")
    if program.gradient is not None:
        raise NotFusible("its result is differentiated outside")
    plan = _Plan(program)
    fuser = plan.fuser
    writer = Writer(program)
    world = writer.world
    scalars: list[str] = []  # numbers that come out of the function, in the order of their places
    kept = [v for _, v in plan.deposits] + [v for v in values_in(program.result) if v.origin == "made"]
    for value in kept:
        if not value.shape and value.name not in scalars:
            scalars.append(value.name)
            fuser.lines.append(f"work[{fuser.size + len(scalars) - 1}] = {fuser.name(value)}")
        elif value.shape and fuser.name(value) not in fuser.places:
            raise NotFusible("a result that shares its memory")
    world["work"] = _aligned(fuser.size + len(scalars), fuser.kind)
    world["grads"] = _aligned(fuser.room, fuser.kind)
    arguments = [(name, _passed(name, program, plan)) for name in fuser.arguments]
    arguments += [("work", world["work"]), ("grads", world["grads"])]
    words = _steps(plan, writer, arguments)
    compiled, text = _compile(fuser, [name for name, _ in arguments], [example for _, example in arguments])
    world["compiled"] = compiled
    lines = _around(plan, writer, arguments, words, scalars)
    source = "\n".join(lines) + "\n"
    exec(compile(source, "<tinygrad_edu replay>", "exec"), world)
    return world["replay"], f"{source}\n\n{text}", world


def _aligned(count: int, kind: np.dtype) -> np.ndarray:
    """Return room for numbers that begins at a multiple of 64 bytes."""
    room = np.zeros(count + ALIGN, kind)
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + count]


def _passed(name: str, program: Program, plan: _Plan) -> Any:
    """Return an example of an argument, for its type."""
    for value in (*program.inputs, *program.held, *(r for call in plan.before for r in call.results if r is not None)):
        if value.name == name:
            return np.empty(value.shape, value.dtype) if value.shape else 1.0
    raise NotFusible(f"{name} is unknown")


def _steps(plan: _Plan, writer: Writer, arguments: list[tuple[str, Any]]) -> dict[str, str]:
    """Write the optimizers' steps into the function; returns the Python source of each further argument."""
    words: dict[str, str] = {}
    fuser = plan.fuser
    for call in plan.steps:
        optimizer = call.arguments[0]
        for group in optimizer.param_groups:
            options = writer.constant(group, "group")
            chosen = [(leaf, value) for leaf, value in plan.deposits if any(p.node is leaf for p in group["params"])]
            for leaf, value in chosen:
                held = next(v for v in plan.program.held if v.node is leaf)
                if not held.shape:
                    raise NotFusible("a parameter that is one number")
                size = int(np.prod(held.shape))
                p, g = f"{fuser.name(held)}.reshape({size})", f"{fuser.name(value)}.reshape({size})"
                write = _sgd if "momentum" in group else _adam
                fuser.lines.append(
                    write(p, g, optimizer.state[leaf.variable], options, group, arguments, words, writer)
                )
    for name, example in list(arguments):
        if name in words or name in ("work", "grads"):
            continue
        if example is not None and not isinstance(example, np.ndarray):
            words[name] = f"float({name})"
    return words


def _option(options: str, key: str, group: dict, arguments: list, words: dict[str, str], part: str = "") -> str:
    """Return the name under which the function gets an option of a group, asked anew at each step."""
    name = f"{options}_{key}{part.strip('[]')}"
    if name not in words:
        value = group[key] if not part else group[key][int(part.strip("[]"))]
        kind = bool if isinstance(value, bool) else float
        words[name] = f"{kind.__name__}({options}[{key!r}]{part})"
        arguments.append((name, kind(value)))
    return name


def _state(array: Any, arguments: list, words: dict[str, str], writer: Writer) -> str:
    """Return the name of an array that an optimizer remembers."""
    if not isinstance(array, Tensor) or not array._data.flags.c_contiguous:
        raise NotFusible("an optimizer that has not begun")
    name = writer.constant(array._data.reshape(-1), "state")
    if name not in words:
        words[name] = name
        arguments.append((name, array._data.reshape(-1)))
    return name


def _sgd(p: str, g: str, state: dict, options: str, group: dict, arguments: list, words: dict, writer: Writer) -> str:
    velocity = _state(state["momentum_buffer"], arguments, words, writer) if group["momentum"] else "nothing1"
    names = [
        _option(options, key, group, arguments, words)
        for key in ("lr", "momentum", "dampening", "nesterov", "weight_decay", "maximize")
    ]
    return f"sgd_into({p}, {g}, {velocity}, {', '.join(names)}, False)"


def _adam(p: str, g: str, state: dict, options: str, group: dict, arguments: list, words: dict, writer: Writer) -> str:
    mean, square = (_state(state[key], arguments, words, writer) for key in ("exp_avg", "exp_avg_sq"))
    largest = _state(state["max_exp_avg_sq"], arguments, words, writer) if group["amsgrad"] else "nothing1"
    own = writer.constant(state, "memory")
    words[f"{own}_step"] = f"int({own}['step']) + 1"
    arguments.append((f"{own}_step", 1))
    names = [_option(options, key, group, arguments, words) for key in ("lr",)]
    names += [_option(options, "betas", group, arguments, words, part) for part in ("[0]", "[1]")]
    names += [
        _option(options, key, group, arguments, words)
        for key in ("eps", "weight_decay", "decoupled_weight_decay", "maximize")
    ]
    return f"adam_into({p}, {g}, {mean}, {square}, {largest}, {own}_step, {', '.join(names)})"


# ---- compiling --------------------------------------------------------------------------------------------------------------
def _compile(fuser: Fuser, names: list[str], examples: list[Any]) -> tuple[Callable, str]:
    """Return the machine code's entry point, which asks nothing about its arguments, and the source."""
    import numba

    from tinygrad_edu.kernels.compiler import compiled

    lines = [f"def step({', '.join(names)}):", "    nothing1 = work[0:0]", "    nothing2 = work[0:0].reshape(0, 0)"]
    text = HEADER + "\n" + "\n".join([*lines, *("    " + line for line in fuser.lines), "    return 0"]) + "\n"
    world: dict[str, Any] = {"__name__": "tinygrad_edu_step"}
    exec(compile(text, str(_kept(text)), "exec"), world)
    function = compiled()(world["step"])
    types = tuple(
        numba.types.Array(numba.from_dtype(e.dtype), e.ndim, "C") if isinstance(e, np.ndarray) else numba.typeof(e)
        for e in examples
    )
    function.compile(types)
    return function.overloads[types].entry_point, text


def _kept(text: str) -> Path:
    """Write the source to the folder of compiled kernels, so that Numba keeps its machine code beside it."""
    from tinygrad_edu.kernels.compiler import cache_folder

    name = f"step_{hashlib.sha256(text.encode()).hexdigest()[:16]}.py"
    folder = cache_folder()
    path = Path(name) if folder is None else folder / "steps" / name
    try:
        if folder is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
                file.write(text)
            Path(file.name).replace(path)
    except OSError:
        pass  # it is compiled afresh in every process then
    return path


# ---- the lines of Python around it --------------------------------------------------------------------------------------------
def _around(plan: _Plan, writer: Writer, arguments: list, words: dict[str, str], scalars: list[str]) -> list[str]:
    """The replay: questions at the door, draws, the compiled function, and what it leaves behind."""
    fuser, world, program = plan.fuser, writer.world, plan.program
    heads = ", ".join(f"t_{value.name}" for value in program.inputs)
    lines = [f"def replay({heads}):", *writer.guards()]
    lines += [f"    if not {v.name}.flags.c_contiguous: return MISS" for v in program.inputs if v.shape]
    optimizers = {id(call.arguments[0]): call.arguments[0] for call in plan.steps}
    for optimizer in optimizers.values():
        state = writer.constant(optimizer.state, "remembered")
        lines.append(f"    if {writer.constant(optimizer, 'o')}.state is not {state}: return MISS")
    arrays: list[tuple[str, Any, Value]] = []
    numbers: list[tuple[str, Any, Value]] = []
    for leaf, value in plan.deposits:
        name = writer.constant(leaf, "leaf")
        if id(leaf) not in plan.cleared:
            lines.append(f"    if {name}.total is not None: return by_call({heads})")
        (arrays if value.shape else numbers).append((name, leaf, value))
    shown = [(name, leaf, value) for name, leaf, value in arrays if id(leaf) not in plan.emptied]
    for name, _, value in arrays:
        world[f"{name}_view"] = _view(fuser, value, world)
    if shown:
        lines.append(f"    if {' or '.join(f'{name}.total is not {name}_view' for name, _, _ in shown)}: fresh()")
    world["fresh"] = _refresher(fuser, world, [(name, value) for name, _, value in arrays])
    lines += [f"    {writer.line(call)}" for call in plan.before]
    passed = [words.get(name, name) for name, _ in arguments]
    lines.append(f"    if compiled({', '.join(passed)}): return FAILED")
    for call in plan.steps:
        for state in call.arguments[0].state.values():
            if "step" in state and any(k.endswith("_step") and world.get(k[:-5]) is state for k, _ in arguments):
                lines.append(f"    {writer.constant(state, 'memory')}['step'] += 1")
    lines += [f"    {name}.total = {name}_view" for name, _, _ in shown]
    for name, leaf, value in numbers:
        lines.append(f"    {name}.total = " + ("None" if id(leaf) in plan.emptied else _number(fuser, scalars, value)))
    if plan.steps:
        written = [leaf.variable._data for leaf, _ in plan.deposits]
        world["stamp"] = Stamp(written, "a recorded optimizer's step", plan.steps[0].place)
        lines.append("    stamp()")
    lines += [f"    {writer.line(call)}" for call in plan.after]
    for value in values_in(program.result):
        if value.origin == "made":
            where = _number(fuser, scalars, value) if not value.shape else f"{_slice(fuser, value)}.copy()"
            lines.append(f"    {value.name} = {where}")
    lines.append(f"    return {writer.result(program.result)}")
    return lines


def _number(fuser: Fuser, scalars: list[str], value: Value) -> str:
    return f"work[{fuser.size + scalars.index(value.name)}]"


def _slice(fuser: Fuser, value: Value) -> str:
    home, start, shape = fuser.places[fuser.name(value)]
    return f"{home}[{start}:{start + int(np.prod(shape))}].reshape({shape})"


def _view(fuser: Fuser, value: Value, world: dict[str, Any]) -> np.ndarray:
    home, start, shape = fuser.places[fuser.name(value)]
    return world[home][start : start + int(np.prod(shape))].reshape(shape)


def _refresher(fuser: Fuser, world: dict[str, Any], pairs: list[tuple[str, Value]]) -> Callable:
    """Return what gives the gradients new memory: somebody has looked at the old ones and may keep them."""

    def fresh() -> None:
        world["grads"] = _aligned(fuser.room, fuser.kind)
        world.update((f"{name}_view", _view(fuser, value, world)) for name, value in pairs)

    return fresh
