"""The table of a network's layers: output shapes, parameters with the formula that counts them, multiply-adds and memory."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu import random
from tinygrad_edu.dtypes import as_dtype, get_default_dtype
from tinygrad_edu.errors import ValueRangeError, message
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.registry import observers, registry
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.utils.summary_table import LayerRow, Summary
from tinygrad_edu.visualize.network_picture import evaluating, tensors_in

__all__ = ["LayerRow", "Summary", "summary"]


def summary(
    model: Any,
    input_size: Sequence[Any] | None = None,
    input_data: Any = None,
    *,
    channels_last: bool = False,
    dtypes: Sequence[Any] | None = None,
    depth: int | None = None,
    **kwargs: Any,
) -> Summary:
    """Run an input through `model` and list its layers.

    The run is in evaluation mode and records no graph; modes, gradients, hooks and the state of the random numbers are left as they
    were. Lazy layers learn their sizes from it, as from any first batch.

    Parameters
    ----------
    model : nn.Module
    input_size : sequence of int, or a sequence of such
        Shape of the input with its batch dimension, e.g. ``(1, 1, 28, 28)``, or the shapes of several inputs; they are filled with
        zeros. The table leaves the batch out.
    input_data : Tensor, or a tuple, list or dict of what `model` is called with
        Instead of `input_size`. Without either, nothing is run and the parameters are counted only.
    channels_last : bool
        Show image shapes as (height, width, channels), as many courses do.
    dtypes : sequence of dtype, optional
        Of the inputs made from `input_size`: ``[tg.int64]`` for word numbers. By default that of the model's parameters.
    depth : int, optional
        Show layers inside of layers down to this depth only; what is inside is added up.
    **kwargs
        Further arguments of the model.

    Returns
    -------
    Summary
        ``.rows``, ``.total``, ``.trainable``, ``.multiply_adds`` and the bytes of memory.

    Raises
    ------
    TypeError
        If `model` is not a module.
    ValueError
        For a shape that is none.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> print(tg.summary(tg.nn.models.CourseCNN(), (1, 1, 28, 28), channels_last=True))
    Layer (type)       Output shape                Parameters  Multiply-adds    Memory
    ----------------------------------------------------------------------------------
    conv (Conv2d)      (24, 24, 20)       1*20*5*5 + 20 = 520        288,000  45.0 KiB
    relu (ReLU)        (24, 24, 20)                         0                 45.0 KiB
    pool (MaxPool2d)   (12, 12, 20)                         0                 11.2 KiB
    flatten (Flatten)  (2880,)                              0
    fc1 (Linear)       (100,)        2880*100 + 100 = 288,100        288,000     400 B
    tanh (Tanh)        (100,)                               0                    400 B
    fc2 (Linear)       (10,)              100*10 + 10 = 1,010          1,000      40 B
    ----------------------------------------------------------------------------------
    Total parameters: 289,630
    Multiply-adds: 577,000 for an input (1, 1, 28, 28)
    Memory: inputs 3.1 KiB, outputs 102.1 KiB, parameters 1.10 MiB; a training step about 2.41 MiB
    """
    from tinygrad_edu import nn

    if not isinstance(model, nn.Module):
        raise TypeError(
            message("", "summary", f"the model must be a Module, got {type(model).__name__}.", "an nn.Module.")
        )
    args, named = _inputs(model, input_size, input_data, dtypes)
    run = _Run(model)
    if args or named:
        state = None if _is_lazy(model) else random.get_rng_state()
        try:
            with run.watching(), evaluating(model), no_grad():
                model(*args, **named, **kwargs)
        finally:
            if state is not None:
                random.set_rng_state(state)
    run.count_parameters()
    return run.result([*args, *named.values()], channels_last, depth)


# ---- the inputs -------------------------------------------------------------------------------------------------------------
def _inputs(model: Any, size: Any, data: Any, kinds: Sequence[Any] | None) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the named arguments of the model."""
    if data is not None:
        if isinstance(data, dict):
            return [], data
        return (list(data) if isinstance(data, tuple | list) else [data]), {}
    if size is None:
        return [], {}
    several = isinstance(size, list | tuple) and len(size) and not isinstance(size[0], int | np.integer)
    shapes = list(size) if several else [size]
    usual = next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), get_default_dtype())
    chosen = list(kinds) if kinds is not None else [usual] * len(shapes)
    if len(chosen) != len(shapes):
        facts = f"there are {len(shapes)} inputs and {len(chosen)} dtypes."
        raise ValueRangeError(message("", "summary", facts, "one dtype for each input."))
    return [_zeros(shape, as_dtype(kind)) for shape, kind in zip(shapes, chosen, strict=True)], {}


def _zeros(shape: Any, kind: Any) -> Tensor:
    lengths = [shape] if isinstance(shape, int) else list(shape) if isinstance(shape, Sequence) else [None]
    if not lengths or not all(isinstance(n, int | np.integer) and n > 0 for n in lengths):
        facts = f"input_size must be a shape of positive numbers with the batch, or several of them, got {shape!r}."
        raise ValueRangeError(message("", "summary", facts, "(1, 1, 28, 28)."))
    return wrap(np.zeros(lengths, kind.numpy))


def _is_lazy(model: Any) -> bool:
    from tinygrad_edu.nn.lazy import UninitializedParameter

    return any(isinstance(p, UninitializedParameter) for p in model.parameters())


# ---- the run ----------------------------------------------------------------------------------------------------------------
# Products added to a sum, by operation: from the arrays that go in and come out, and the parameters.
MULTIPLY_ADDS: dict[str, Callable[..., Any]] = {
    "linear": lambda out, x, *_, **__: out.size * x.shape[-1],
    "matmul": lambda out, x, y: out.size * x.shape[-1],
    "convolution": lambda out, x, w, *_, **__: out.size * math.prod(w.shape[1:]),
    "convolution_input": lambda out, y, w, **_: y.size * math.prod(w.shape[1:]),
    "contract": lambda out, x, y, xs, ys, out_labels: math.prod(
        dict(zip(xs + ys, x.shape + y.shape, strict=True)).values()
    ),
    "recurrence": lambda out, x, w, *_, **__: x.shape[0] * w.size,
}


class _Run:
    """Follows a model as it runs: one row for each call of a module, with what was calculated inside it."""

    def __init__(self, model: Any):
        self.model = model
        self.paths = {module: path for path, module in model.named_modules()}
        self.rows: list[LayerRow] = []
        self.modules: list[Any] = []  # of the rows
        self.running: list[tuple[LayerRow, bool]] = []  # with whether other modules are inside

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on every module and an observer of the operations; afterwards the modules have the hooks that they had."""
        before = {module: module.__dict__.get("_hooks") for module in self.paths}
        handles = []
        observers.append(self.note)
        try:
            for module in self.paths:
                handles.append(module.register_forward_pre_hook(self.enter, prepend=True))
                handles.append(module.register_forward_hook(self.leave))
            yield
        finally:
            observers.remove(self.note)
            for handle in handles:
                handle.remove()
            for module, hooks in before.items():
                module.__dict__["_hooks"] = hooks

    def enter(self, module: Any, args: Any) -> None:
        """A module begins."""
        kind = type(module).__name__
        note = "again" if module in self.modules else ""
        self.rows.append(LayerRow(self.paths[module] or kind, kind, len(self.running), note=note))
        self.modules.append(module)
        self.running.append((self.rows[-1], any(True for _ in module.children())))

    def leave(self, module: Any, args: Any, out: Any) -> None:
        """A module ends: a lazy one has become another class meanwhile."""
        row, outer = self.running.pop()
        row.kind = type(module).__name__
        outs = list(tensors_in(out))
        row.output_shape = tuple(outs[0].shape[1:]) if outs else ()
        if not outer:
            given = [tensor.array() for tensor in tensors_in(args)]
            fresh = (t.array() for t in outs if not any(np.may_share_memory(t.array(), a) for a in given))
            row.output_bytes = sum(array.nbytes for array in fresh)

    def note(self, name: str, arguments: tuple, parameters: dict[str, Any], out: Tensor) -> None:
        """An operation: its multiply-adds, and the memory of what a module calculates between the layers inside it."""
        if not self.running:
            return
        row, outer = self.running[-1]
        arrays = [a.array() if isinstance(a, Tensor) else a for a in arguments]
        if name in MULTIPLY_ADDS:
            row.multiply_adds += int(MULTIPLY_ADDS[name](out.array(), *arrays, **parameters))
        if outer and not registry[name].view:
            row.output_bytes += out.array().nbytes

    # ---- the parameters -----------------------------------------------------------------------------------------------------
    def count_parameters(self) -> None:
        """Write each parameter into the first row of its module; modules without a row get one at the end."""
        ran = bool(self.rows)
        for module, path in self.paths.items():
            if module not in self.modules and (not ran or any(True for _ in module._own("parameter"))):
                kind, depth = type(module).__name__, path.count(".") + 1 if path else 0
                self.rows.append(LayerRow(path or kind, kind, depth, note="not called" if ran else ""))
                self.modules.append(module)
        counted: set[Any] = set()
        for row, module in zip(self.rows, self.modules, strict=True):
            own = [parameter for _, parameter in module._own("parameter")]
            fresh = [p for p in dict.fromkeys(own) if p not in counted]
            counted.update(fresh)
            row.parameters = sum(p.numel() for p in fresh)
            row.formula = " + ".join(_product(p, row.kind) for p in fresh)
            if not row.note and len(fresh) < len(own):
                row.note = "shared"
            if not row.note and fresh and not any(p.requires_grad for p in fresh):
                row.note = "frozen"

    def result(self, inputs: list[Any], channels_last: bool, depth: int | None) -> Summary:
        """Return the table; the model's own row is left out where it says nothing."""
        rows = self.rows
        if len(rows) > 1 and not (rows[0].parameters or rows[0].multiply_adds or rows[0].output_bytes):
            rows = [replace(row, depth=row.depth - 1) for row in rows[1:]]
        given = list(tensors_in(inputs))
        parameters = list(self.model.parameters())
        return Summary(
            tuple(rows if depth is None else _folded(rows, depth)),
            sum(p.numel() for p in parameters),
            sum(p.numel() for p in parameters if p.requires_grad),
            channels_last,
            sum(row.multiply_adds for row in rows),
            tuple(tuple(t.shape) for t in given),
            sum(t.array().nbytes for t in given),
            sum(row.output_bytes for row in rows),
            sum(p.array().nbytes for p in parameters),
        )


def _product(parameter: Any, kind: str) -> str:
    """A parameter's lengths as a product; of weights (out, in, ...) in the order in which one thinks: in * out * ..."""
    lengths = list(parameter.shape)
    if len(lengths) > 1 and not kind.startswith(("Embedding", "ConvTranspose", "LayerNorm")):
        lengths[0], lengths[1] = lengths[1], lengths[0]
    return "*".join(map(str, lengths)) or "1"


def _folded(rows: list[LayerRow], depth: int) -> list[LayerRow]:
    """Add what is deeper than `depth` to the row that it is inside of."""
    kept: list[LayerRow] = []
    for row in rows:
        if row.depth < depth or not kept:
            kept.append(replace(row))
            continue
        outer = kept[-1]
        outer.parameters += row.parameters
        outer.formula = ""
        outer.multiply_adds += row.multiply_adds
        outer.output_bytes += row.output_bytes
    return kept
