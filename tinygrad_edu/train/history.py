"""What a training run reports: one record for each epoch, and averages over the batches of one."""

import csv
import io
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.tensor import Tensor
from tinygrad_edu.visualize.files import write_whole

__all__ = ["Epoch", "History", "Meter"]


@dataclass(frozen=True)
class Epoch:
    """Averages over one pass through the training data, and over the validation data when there are any.

    Accuracies are None where outputs are no class scores, as in regression. `rate` is the first group's learning rate after the last batch.
    """

    number: int
    loss: float
    accuracy: float | None
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    rate: float | None = None

    def __str__(self) -> str:
        line = f"epoch {self.number}: {_in_words(self.loss, self.accuracy)}"
        if self.validation_loss is not None:
            line += f"; validation {_in_words(self.validation_loss, self.validation_accuracy)}"
        return line + f" ({self.seconds:.1f} s)"


def _in_words(loss: float, accuracy: float | None) -> str:
    return f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.2%}")


@dataclass
class History:
    """The epochs of one training run, in order; ``history.loss``, ``history.accuracy`` and so on are lists over them.

    Examples
    --------
    >>> from tinygrad_edu.train import Epoch, History
    >>> history = History([Epoch(1, loss=0.9, accuracy=0.6, seconds=1.0), Epoch(2, loss=0.5, accuracy=0.8, seconds=1.0)])
    >>> history.loss
    [0.9, 0.5]
    >>> print(history.best("accuracy", "max"))
    epoch 2: loss 0.5000, accuracy 80.00% (1.0 s)
    """

    epochs: list[Epoch] = field(default_factory=list)

    def __getattr__(self, name: str) -> list:
        if name in Epoch.__dataclass_fields__:
            return [getattr(epoch, name) for epoch in self.epochs]
        raise AttributeError(
            f"History has no attribute {name!r}; it has epochs and {', '.join(Epoch.__dataclass_fields__)}"
        )

    def best(self, monitor: str = "validation_loss", mode: str = "min") -> Epoch:
        """Return the epoch with the least (or, with ``mode="max"``, the greatest) value."""
        known = [epoch for epoch in self.epochs if getattr(epoch, monitor) is not None]
        if not known:
            raise ValueError(f"History.best: no epoch has a {monitor}. Fix: fit(..., validation_loader=...).")
        return (min if mode == "min" else max)(known, key=lambda epoch: getattr(epoch, monitor))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write a table with one row for each epoch, whole or not at all."""
        text = io.StringIO()
        table = csv.DictWriter(text, list(Epoch.__dataclass_fields__), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(epoch) for epoch in self.epochs)
        return write_whole(path, text.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs as plain data."""
        return {"epochs": [asdict(epoch) for epoch in self.epochs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over epochs that ``state_dict()`` returned."""
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]


@dataclass
class Meter:
    """Running sums over the batches of one pass: the losses, and the right answers where outputs are class scores."""

    loss: float = 0.0
    right: int = 0
    seen: int = 0
    judged: int = 0

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Count one batch, whose loss is a mean."""
        count = len(targets)
        self.loss += loss.item() * count
        self.seen += count
        if outputs.ndim == 2 and targets.ndim == 1 and not targets.is_floating_point():
            self.right += int(np.count_nonzero(outputs.detach().numpy().argmax(1) == targets.numpy()))
            self.judged += count

    def averages(self) -> tuple[float, float | None]:
        """Return the mean loss and the share of right answers."""
        if not self.seen:
            raise ValueError("fit: the loader gave no batches. Fix: a smaller batch_size, or drop_last=False.")
        return self.loss / self.seen, self.right / self.judged if self.judged else None
