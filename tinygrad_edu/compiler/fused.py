"""A recorded step of a small network as one compiled function: no Python between its operations.

Layers, losses and optimizers are calls of the library's own compiled kernels. Everything elementwise becomes a loop whose body is
written by the op's forward function or derivative rule itself, run on symbols. What is left over (an op without a compiled form,
large products that want several threads) makes the whole program one that is replayed call by call.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.compiler.program import Call, Program, Value, values_in
from tinygrad_edu.compiler.symbols import NotFusible, Symbol, literal

__all__ = ["Fuser"]

LARGE = 2e7  # multiply-adds of one product; from here on several threads are worth their while
ALIGN = 16  # arrays in the workspace begin at multiples of so many numbers
ACTIVATIONS = {"relu": "RELU", "sigmoid": "SIGMOID", "tanh": "TANH"}
LOSSES = {
    "mse_mean": "mse_into",
    "cross_entropy_mean": "cross_entropy_into",
    "logits_entropy_mean": "bce_with_logits_into",
}


class Fuser:
    """Writes the compiled function for a program.

    Attributes
    ----------
    lines : list of str
        The body of the function.
    arguments : dict
        The arrays that the function takes besides its workspaces: by name, "input", "held" or "drawn".
    size, room : int
        How many numbers the workspace has, and the array of gradients.
    places : dict
        By name of a value, the array that it lies in ("work" or "grads"), where it begins there, and its shape.
    """

    def __init__(self, program: Program):
        self.program = program
        self.kind = self._common_type()
        self.lines: list[str] = []
        self.arguments: dict[str, str] = {}
        self.size = self.room = 0
        self.names: dict[int, str] = {}
        self.slopes: dict[int, str] = {}
        self.places: dict[str, tuple[str, int, tuple]] = {}
        self.deposits = {
            call.arguments[1].number
            for call in program.calls
            if call.kind == "deposit" and isinstance(call.arguments[1], Value)
        }

    def _common_type(self) -> np.dtype:
        values = [v for call in self.program.calls for v in (*call.values(), *call.results) if v is not None]
        kinds = {v.dtype for v in values if v.dtype.kind == "f"}
        if len(kinds) != 1 or not kinds <= {np.dtype(np.float32), np.dtype(np.float64)}:
            raise NotFusible("more than one floating type")
        return kinds.pop()

    # ---- names of values --------------------------------------------------------------------------------------------------
    def name(self, value: Any) -> str:
        """Return what a value, or a constant, is called inside the function."""
        if not isinstance(value, Value):
            return literal(value, self.kind)
        if value.number not in self.names:
            if value.origin == "made":
                raise NotFusible(f"{value.name} is made outside")
            self._argument(value, value.origin)
        return self.names[value.number]

    def _argument(self, value: Value, origin: str) -> None:
        array = value.holder._data if value.holder is not None else None
        if array is not None and array.shape and not array.flags.c_contiguous:
            raise NotFusible("an array that is not in row-major order")
        self.arguments[value.name] = origin
        self.names[value.number] = value.name
        if not value.shape:  # a number comes in as Python's own
            self.names[value.number] = f"{value.name}_"
            self.lines.insert(0, f"{value.name}_ = {self.type}({value.name})")

    @property
    def type(self) -> str:
        """The floating type, inside the function."""
        return "f4" if self.kind == np.float32 else "f8"

    def array(self, value: Any) -> str:
        """Make room for a result, and return its name."""
        if value.number in self.names:
            raise NotFusible("an op returned an array that was known")
        self.names[value.number] = value.name
        if not value.shape:
            return value.name
        size = int(np.prod(value.shape))
        if value.number in self.deposits:
            home, start = "grads", self.room
            self.room += -(-size // ALIGN) * ALIGN
        else:
            home, start = "work", self.size
            self.size += -(-size // ALIGN) * ALIGN
        self.lines.insert(0, f"{value.name} = {home}[{start}:{start + size}].reshape({value.shape})")
        self.places[value.name] = home, start, value.shape
        return value.name

    def flat(self, name: str, shape: tuple) -> str:
        """Return an array as one dimension."""
        return name if len(shape) == 1 else f"{name}.reshape({int(np.prod(shape))})"

    # ---- calls ------------------------------------------------------------------------------------------------------------
    def add(self, call: Call) -> None:
        """Write one call."""
        write = HANDLERS.get((call.kind, call.op.name)) if call.op is not None else None
        if write is not None:
            write(self, call)
        elif call.kind == "add":
            self.elementwise(call.results[0], call.function, call.arguments)
        elif call.kind == "sum":
            self.reduce(call.results[0], call.arguments[0])
        elif call.kind in ("op", "rule") and not call.several and call.op.name not in BY_SHAPE:
            if call.results[0] in call.arguments:
                return  # the rule handed the gradient on
            self.elementwise(call.results[0], call.function, call.arguments, call.keywords)
        else:
            raise NotFusible(f"{call.name} has no compiled form")

    def elementwise(self, out: Any, function: Callable, arguments: tuple, keywords: dict | None = None) -> None:
        """Write a loop whose body is what `function` does to symbols."""
        if out.dtype != self.kind:
            raise NotFusible("a result of another type")
        same = all(not v.shape or v.shape == out.shape for v in values_in(arguments))

        def symbol(a: Any) -> Any:
            if not isinstance(a, Value):
                return a
            if a.dtype != self.kind:
                raise NotFusible("operands of another type")
            name = self.name(a)
            if not a.shape:
                return Symbol(name, self.kind)
            return Symbol(f"{name}_flat[i]" if same else f"{name}[{_indices(a.shape, out.shape)}]", self.kind)

        try:
            body = function(*map(symbol, arguments), **(keywords or {}))
        except NotFusible:
            raise
        except Exception as error:  # the function does something that symbols do not know
            name = getattr(function, "__name__", "an operation")
            raise NotFusible(f"{name} has no compiled form ({error})") from None
        text = body.text if isinstance(body, Symbol) else literal(body, self.kind)
        name = self.array(out)
        if not out.shape:
            self.lines.append(f"{name} = {text}")
        elif same:
            for each in {self.name(v): v for v in (*values_in(arguments), out) if v.shape}.items():
                self.lines.append(f"{each[0]}_flat = {self.flat(each[0], each[1].shape)}")
            self.lines.append(f"for i in range({int(np.prod(out.shape))}):")
            self.lines.append(f"    {name}_flat[i] = {text}")
        else:
            self.nest(out.shape, f"{name}[{_indices(out.shape, out.shape)}] = {text}")

    def nest(self, shape: tuple, line: str) -> None:
        """Write nested loops over the indices of a shape."""
        for depth, length in enumerate(shape):
            self.lines.append("    " * depth + f"for i{depth} in range({length}):")
        self.lines.append("    " * len(shape) + line)

    def reduce(self, out: Any, value: Value, scale: float = 1.0) -> None:
        """Write the sum of an array over the dimensions that `out` does not have."""
        source, name = self.name(value), self.array(out)
        element = f"{source}[{_indices(value.shape, value.shape)}]" if value.shape else source
        if not out.shape:
            self.lines.append(f"{name}_sum = 0.0")  # in float64: one running sum loses more than NumPy's pairwise one
            self.nest(value.shape, f"{name}_sum += {element}")
            self.lines.append(f"{name} = {self.type}({name}_sum * {scale!r})")
            return
        if scale != 1.0:
            raise NotFusible("a mean along one dimension")
        self.lines.append(f"{name}[...] = {self.type}(0)")
        self.nest(value.shape, f"{name}[{_indices(out.shape, value.shape)}] += {element}")


def _indices(shape: tuple, whole: tuple) -> str:
    """The index of an element of an array that is broadcast to `whole`."""
    ahead = len(whole) - len(shape)
    return ", ".join("0" if n == 1 else f"i{ahead + d}" for d, n in enumerate(shape))


# ---- ops with compiled kernels ----------------------------------------------------------------------------------------------
def _linear(f: Fuser, call: Call) -> None:
    x, w, b = call.arguments
    if len(x.shape) != 2 or len(w.shape) != 2 or x.shape[0] * w.shape[0] * w.shape[1] >= LARGE:
        raise NotFusible("a large product, or one of more than two dimensions")
    if b is not None and b.shape != w.shape[:1]:
        raise NotFusible("a bias of one number")
    names = [f.name(x), f.name(w), "nothing1" if b is None else f.name(b)]
    f.lines.append(f"linear_act_forward_into({', '.join(names)}, {f.array(call.results[0])}, NONE)")


def _linear_back(f: Fuser, call: Call) -> None:
    g, needs, x, w = call.arguments[:4]
    if len(x.shape) != 2 or len(w.shape) != 2:
        raise NotFusible("a product of more than two dimensions")
    given = [f.name(g), f.name(x), f.name(w)]
    homes = [
        f.array(r) if r is not None else empty
        for r, empty in zip(call.results, ("nothing2", "nothing2", "nothing1"), strict=True)
    ]
    # with no activation the kernel leaves g as it is
    f.lines.append(
        f"linear_act_backward_into({', '.join(given)}, {given[0]}, NONE, {', '.join(homes)}, {bool(needs[0])})"
    )


def _activation(f: Fuser, call: Call) -> None:
    x, out = f.name(call.arguments[0]), call.results[0]
    if not out.shape:  # type: ignore[union-attr]
        raise NotFusible("an activation of one number")
    f.lines.append(f"activate_into({x}, {f.array(out)}, {ACTIVATIONS[call.op.name]})")


def _activation_back(f: Fuser, call: Call) -> None:
    g, out = call.arguments[0], call.arguments[-1]
    if not out.shape or g.shape != out.shape:
        raise NotFusible("an activation of one number")
    f.lines.append(
        f"activate_grad_into({f.name(g)}, {f.name(out)}, {f.array(call.results[0])}, {ACTIVATIONS[call.op.name]})"
    )


def _loss(f: Fuser, call: Call) -> None:
    x, target, work = call.arguments
    if call.op.name == "cross_entropy_mean":
        if target.dtype != np.int64:
            raise NotFusible("labels that are not int64")
    elif target.dtype != f.kind or target.shape != x.shape:
        raise NotFusible("targets of another shape or type")
    slope = f"slope{len(f.slopes)}"
    size, start = int(np.prod(x.shape)), f.size
    f.size += -(-size // ALIGN) * ALIGN
    f.lines.insert(0, f"{slope} = work[{start}:{start + size}].reshape({x.shape})")
    f.slopes[id(work)] = slope
    name = f.array(call.results[0])
    f.lines.append(f"{name} = {LOSSES[call.op.name]}({f.name(x)}, {f.name(target)}, {slope})")
    if call.op.name == "cross_entropy_mean":
        f.lines.append(f"if {name} < 0: return 1")  # a label that is no class: the op itself will say so


def _loss_back(f: Fuser, call: Call) -> None:
    g, needs, work = call.arguments[0], call.arguments[1], call.arguments[-1]
    out = call.results[0]
    if out is None or any(needs[1:]):
        raise NotFusible("the gradient of a target")
    slope = f.slopes[id(work)]
    if not isinstance(g, Value) and g == 1:
        f.names[out.number] = slope
        return
    name = f.array(out)
    f.lines.append(f"{name}_flat = {f.flat(name, out.shape)}")
    f.lines.append(f"{slope}_flat = {f.flat(slope, out.shape)}")
    f.lines.append(f"for i in range({int(np.prod(out.shape))}): {name}_flat[i] = {f.name(g)} * {slope}_flat[i]")


def _matmul(f: Fuser, call: Call) -> None:
    x, w = call.arguments
    if len(x.shape) != 2 or len(w.shape) != 2 or x.shape[0] * w.shape[0] * w.shape[1] >= LARGE:
        raise NotFusible("a large product, or one of more than two dimensions")
    f.lines.append(f"product_into({f.name(x)}, False, {f.name(w)}, {f.array(call.results[0])})")


def _matmul_back(f: Fuser, call: Call) -> None:
    g, _, x, w = call.arguments
    first, second = call.results
    if first is not None:
        f.lines.append(f"linear_act_forward_into({f.name(g)}, {f.name(w)}, nothing1, {f.array(first)}, NONE)")
    if second is not None:
        f.lines.append(f"product_into({f.name(x)}, True, {f.name(g)}, {f.array(second)})")


def _reshape(f: Fuser, call: Call) -> None:
    out, source = call.results[0], f.name(call.arguments[0])
    if not out.shape or not call.arguments[0].shape or out.number in f.deposits:  # type: ignore[union-attr]
        raise NotFusible("a number made an array")
    f.names[out.number] = out.name  # type: ignore[union-attr]
    f.lines.append(f"{out.name} = {source}.reshape({out.shape})")  # type: ignore[union-attr]


def _total(f: Fuser, call: Call) -> None:
    value, out = call.arguments[0], call.results[0]
    if out.shape:  # type: ignore[union-attr]
        raise NotFusible("a sum along one dimension")
    f.reduce(out, value, 1.0 / int(np.prod(value.shape)) if call.op.name == "mean_along" else 1.0)


def _total_back(f: Fuser, call: Call) -> None:
    g, shape, out = call.arguments[0], call.arguments[1], call.results[0]
    if isinstance(g, Value) and g.shape:
        raise NotFusible("a sum along one dimension")
    scale = 1.0 / int(np.prod(shape)) if call.op.name == "mean_along" else 1.0
    f.elementwise(out, lambda g: g * scale, (g,))


BY_SHAPE = {"sum_along", "mean_along", "linear", "matmul", "reshape_to", *LOSSES, *ACTIVATIONS}
HANDLERS: dict[tuple[str, str], Callable[[Fuser, Call], None]] = {
    ("op", "linear"): _linear,
    ("rule", "linear"): _linear_back,
    ("op", "matmul"): _matmul,
    ("rule", "matmul"): _matmul_back,
    ("op", "reshape_to"): _reshape,
    ("rule", "reshape_to"): _reshape,
    **{("op", name): _activation for name in ACTIVATIONS},
    **{("rule", name): _activation_back for name in ACTIVATIONS},
    **{("op", name): _loss for name in LOSSES},
    **{("rule", name): _loss_back for name in LOSSES},
    **{("op", name): _total for name in ("sum_along", "mean_along")},
    **{("rule", name): _total_back for name in ("sum_along", "mean_along")},
}
