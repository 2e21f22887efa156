"""A small training loop with a progress bar, for programs whose subject is not the loop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.tensor import Tensor

__all__ = ["Epoch", "History", "evaluate", "fit"]


@dataclass(frozen=True)
class Epoch:
    """Averages over one pass through the training data, and over the validation data when there are any."""

    number: int
    loss: float
    accuracy: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None

    def __str__(self) -> str:
        line = f"epoch {self.number}: loss {self.loss:.4f}, accuracy {self.accuracy:.2%}"
        if self.validation_loss is not None:
            line += f"; validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.2%}"
        return line + f" ({self.seconds:.1f} s)"


@dataclass
class History:
    """The epochs of one training run, in order."""

    epochs: list[Epoch] = field(default_factory=list)

    def __getattr__(self, name: str) -> list:
        # history.loss, history.accuracy, history.validation_loss, ... as lists over the epochs
        if name in Epoch.__dataclass_fields__:
            return [getattr(epoch, name) for epoch in self.epochs]
        raise AttributeError(
            f"History has no attribute {name!r}; it has epochs and {', '.join(Epoch.__dataclass_fields__)}"
        )


class _Meter:
    """Running sums of loss and right answers."""

    def __init__(self) -> None:
        self.loss, self.right, self.seen = 0.0, 0, 0

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        count = targets.shape[0]
        self.loss += loss.item() * count
        self.right += int((logits.detach().argmax(1) == targets).sum().item())
        self.seen += count

    def averages(self) -> tuple[float, float]:
        if not self.seen:
            raise ValueError("fit: the loader gave no batches. Fix: a smaller batch_size, or drop_last=False.")
        return self.loss / self.seen, self.right / self.seen


def evaluate(model: Any, loader: Any, loss_function: Callable) -> tuple[float, float]:
    """Return the mean loss and the share of right classes over `loader`, in evaluation mode and without recording."""
    meter = _Meter()
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            for inputs, targets in loader:
                logits = model(inputs)
                meter.add(loss_function(logits, targets), logits, targets)
    finally:
        model.train(was_training)
    return meter.averages()


def fit(
    model: Any,
    train_loader: Any,
    loss_function: Callable,
    optimizer: Any,
    *,
    epochs: int = 1,
    validation_loader: Any = None,
    scheduler: Any = None,
    progress: bool = True,
    after_epoch: Callable[[Epoch], None] | None = None,
) -> History:
    """Train a classifier: for every batch zero_grad, forward, loss, backward, step.

    Parameters
    ----------
    model : nn.Module
        Gives logits ``(N, classes)``.
    train_loader, validation_loader : iterable of (inputs, targets)
    loss_function : callable
        ``loss_function(logits, targets)``, a mean over the batch.
    optimizer : optim.Optimizer
    epochs : int
    scheduler : optional
        Stepped once per epoch.
    progress : bool
        Show a bar with loss, accuracy and the time left.
    after_epoch : callable, optional
        Called with each finished :class:`Epoch`.

    Returns
    -------
    History
    """
    from tqdm.auto import tqdm

    history = History()
    for number in range(1, epochs + 1):
        start, meter = perf_counter(), _Meter()
        model.train()
        with tqdm(
            train_loader, desc=f"epoch {number}/{epochs}", unit="batch", disable=not progress, leave=False
        ) as bar:
            for step, (inputs, targets) in enumerate(bar):
                optimizer.zero_grad()
                logits = model(inputs)
                loss = loss_function(logits, targets)
                loss.backward()
                optimizer.step()
                meter.add(loss, logits, targets)
                if progress and step % 20 == 0:
                    average, accuracy = meter.averages()
                    bar.set_postfix(loss=f"{average:.4f}", accuracy=f"{accuracy:.2%}", refresh=False)
        if scheduler is not None:
            scheduler.step()
        average, accuracy = meter.averages()
        held_out = (None, None) if validation_loader is None else evaluate(model, validation_loader, loss_function)
        epoch = Epoch(number, average, accuracy, perf_counter() - start, *held_out)
        history.epochs.append(epoch)
        if after_epoch is not None:
            after_epoch(epoch)
    return history
