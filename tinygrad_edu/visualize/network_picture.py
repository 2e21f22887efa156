"""The picture of a network: a box for each layer with its output shape and its number of parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.registry import observers, registry
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.visualize.drawing import Direction, Drawing
from tinygrad_edu.visualize.labels import public_name

WIDE = 30  # characters of a layer's settings on one line


def draw_network(
    model: Any, input: Tensor | Sequence[int], *, direction: Direction = "down", title: str | None = None
) -> Drawing:
    """Draw the layers of a module as an input runs through them.

    The module runs once, in evaluation mode and without recording a graph, so it is left as it was. What `forward`
    calculates between the layers (a functional activation, a sum of two branches) has boxes of its own.

    Parameters
    ----------
    model : Module
    input : Tensor or sequence of int
        An input, or the shape of one with its batch dimension; zeros of that shape are used then.
    direction : {"down", "right"}
    title : str
        The class of the module and its number of parameters without it.

    Returns
    -------
    Drawing
        Shows itself in a notebook; ``.save("network.svg")`` writes it.

    Raises
    ------
    TypeError, ValueError
        `model` is no module, or `input` neither a tensor nor a shape.
    RuntimeError
        A layer refuses its input; the error names the layer.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(784, 100), tg.nn.Tanh(), tg.nn.Linear(100, 10))
    >>> print(tg.visualize.draw_network(model, (1, 784)).to_text())
    Sequential: 79,510 parameters
    input | (1, 784)
    0: Linear | in_features=784, out_features=100, bias=True | → (1, 100) | 78,500 parameters
        from input
    1: Tanh | → (1, 100)
        from 0: Linear
    2: Linear | in_features=100, out_features=10, bias=True | → (1, 10) | 1,010 parameters
        from 1: Tanh
    output | (1, 10)
        from 2: Linear
    """
    from tinygrad_edu import nn

    if not isinstance(model, nn.Module):
        raise TypeError(f"draw_network: the model must be a Module, got {type(model).__name__}")
    start = as_input(input)
    count = sum(parameter.numel() for parameter in model.parameters())
    drawing = Drawing(title or f"{type(model).__name__}: {count:,} parameters", direction)
    trace = Trace(model, drawing)
    with trace.watching(), evaluating(model), no_grad():
        trace.begin(start)
        trace.end(model(start))
    return drawing


def as_input(given: Tensor | Sequence[int]) -> Tensor:
    """The tensor itself, or zeros of the given shape."""
    if isinstance(given, Tensor):
        return given
    sizes = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueRangeError(
            f"draw_network: input must be a Tensor or a shape of positive numbers, got {given!r}. Fix: (1, 1, 28, 28)"
        )
    return wrap(np.zeros(sizes, dtypes.get_default_dtype().numpy))


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode inside; afterwards every module is in the mode that it was in."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in what a layer takes or gives: one, or several in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


class Trace:
    """Follows tensors from layer to layer; ``origin`` tells the box that each tensor came out of."""

    def __init__(self, model: Any, drawing: Drawing) -> None:
        self.drawing = drawing
        self.layers = {module: path for path, module in model.named_modules() if is_layer(module)}
        self.origin: dict[int, str] = {}
        self.alive: list[Any] = []  # an id is a tensor's own only while the tensor lives
        self.inside = 0  # layers that are running now: what they calculate is theirs
        self.drawn: dict[Any, str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every layer, and an observer of what is calculated between them."""
        with ExitStack() as stack:
            for layer in self.layers:
                stack.enter_context(layer.register_forward_pre_hook(self.enter, prepend=True))
                stack.enter_context(layer.register_forward_hook(self.leave, with_kwargs=True))
            observers.append(self.note)
            try:
                yield
            finally:
                observers.remove(self.note)

    def begin(self, start: Tensor) -> None:
        self.drawing.add_box("input", "input", [str(tuple(start.shape))], kind="leaf")
        self.comes_from(start, "input")

    def end(self, result: Any) -> None:
        self.drawing.add_box("output", "output", [shapes(result)], kind="output")
        self.draw_arrows(result, "output")

    # ---- called while the model runs --------------------------------------------------------------------------------
    def enter(self, layer: Any, args: tuple) -> None:
        self.inside += 1

    def leave(self, layer: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        self.inside -= 1
        if not self.inside:
            self.draw_layer(layer, [args, kwargs], out)

    def note(self, name: str, arguments: tuple, parameters: dict[str, Any], out: Tensor) -> None:
        """An operation between layers that calculates with the data gets a box of its own."""
        if not self.inside and any(id(tensor) in self.origin for tensor in tensors_in(arguments)):
            id_ = f"box{len(self.drawing.boxes)}"
            self.drawing.add_box(id_, public_name(registry[name]), [f"→ {shapes(out)}"], kind="op")
            self.draw_arrows(arguments, id_)
            self.comes_from(out, id_)

    # ---- boxes and arrows -------------------------------------------------------------------------------------------
    def draw_layer(self, layer: Any, given: Any, out: Any) -> None:
        own = sum(parameter.numel() for parameter in layer.parameters())
        lines = [*textwrap.wrap(layer.extra_repr(), WIDE), f"→ {shapes(out)}"]
        if own:
            lines.append(f"the weights of {self.drawn[layer]}" if layer in self.drawn else f"{own:,} parameters")
        path = self.layers[layer]
        kind = type(layer).__name__
        self.drawn.setdefault(layer, path or kind)
        id_ = f"box{len(self.drawing.boxes)}"
        self.drawing.add_box(id_, f"{path}: {kind}" if path else kind, lines, kind="layer" if own else "op")
        self.draw_arrows(given, id_)
        self.comes_from(out, id_)

    def draw_arrows(self, given: Any, dst: str) -> None:
        sources = [self.origin[id(tensor)] for tensor in tensors_in(given) if id(tensor) in self.origin]
        for src in dict.fromkeys(sources):
            self.drawing.add_arrow(src, dst)

    def comes_from(self, value: Any, src: str) -> None:
        for tensor in tensors_in(value):
            self.origin[id(tensor)] = src
            self.alive.append(tensor)


def is_layer(module: Any) -> bool:
    """A layer is a module without modules inside, or any that this package calls a layer, such as LSTM."""
    home = type(module).__module__
    ours = home.startswith("tinygrad_edu.nn.") and home not in ("tinygrad_edu.nn.container", "tinygrad_edu.nn.models")
    return ours or not any(True for _ in module.children())


def shapes(value: Any) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in(value))
