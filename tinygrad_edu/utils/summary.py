"""The table of a network's layers: output shapes and numbers of parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.creation import zeros
from tinygrad_edu.tensor import Tensor

__all__ = ["LayerRow", "Summary", "summary"]


@dataclass(frozen=True)
class LayerRow:
    """One layer: its name in the model, its class, its output shape without the batch, and its own parameters."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Summary:
    """What :func:`summary` returns; printing it shows the table."""

    rows: tuple[LayerRow, ...]
    total: int
    trainable: int
    channels_last: bool = False

    def _shape(self, row: LayerRow) -> tuple[int, ...]:
        shape = row.output_shape
        return (*shape[1:], shape[0]) if self.channels_last and len(shape) == 3 else shape

    def __str__(self) -> str:
        lines = [(f"{r.name} ({r.kind})", str(self._shape(r)), f"{r.parameters:,}") for r in self.rows]
        heads = ("Layer (type)", "Output shape", "Parameters")
        widths = [max(len(line[i]) for line in (heads, *lines)) + 2 for i in range(3)]
        rule = "-" * sum(widths)

        def row(cells: Sequence[str]) -> str:
            return f"{cells[0]:<{widths[0]}}{cells[1]:<{widths[1]}}{cells[2]:>{widths[2]}}"

        body = [row(heads), rule, *map(row, lines), rule, f"Total parameters: {self.total:,}"]
        if self.trainable != self.total:
            body.append(f"Trainable: {self.trainable:,}, frozen: {self.total - self.trainable:,}")
        return "\n".join(body)

    __repr__ = __str__


def summary(model: Any, input_size: Sequence[int], channels_last: bool = False) -> Summary:
    """Run zeros through `model` and list its layers.

    Parameters
    ----------
    model : nn.Module
    input_size : sequence of int
        Shape of an input with its batch dimension, e.g. ``(1, 1, 28, 28)``; the table leaves the batch out.
    channels_last : bool
        Show image shapes as (height, width, channels), as many courses do.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> print(tg.utils.summary(tg.nn.models.CourseCNN(), (1, 1, 28, 28), channels_last=True))
    Layer (type)       Output shape    Parameters
    ---------------------------------------------
    conv (Conv2d)      (24, 24, 20)           520
    relu (ReLU)        (24, 24, 20)             0
    pool (MaxPool2d)   (12, 12, 20)             0
    flatten (Flatten)  (2880,)                  0
    fc1 (Linear)       (100,)             288,100
    tanh (Tanh)        (100,)                   0
    fc2 (Linear)       (10,)                1,010
    ---------------------------------------------
    Total parameters: 289,630
    """
    rows: list[LayerRow] = []
    handles = []
    for name, module in model.named_modules():
        if any(True for _ in module.children()):
            continue

        def note(layer: Any, inputs: Any, output: Any, name: str = name) -> None:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
            own = sum(p.numel() for p in layer.parameters())
            rows.append(LayerRow(name or type(layer).__name__, type(layer).__name__, shape, own))

        handles.append(module.register_forward_hook(note))
    was_training = model.training
    try:
        model.eval()
        with no_grad():
            model(zeros(*input_size))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    parameters = list(model.parameters())
    return Summary(
        tuple(rows),
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        channels_last,
    )
