"""The training loop: for every batch zero_grad, forward, loss, backward, step; and what is to be done around it."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.optim.lr_scheduler import ReduceLROnPlateau
from tinygrad_edu.train.callbacks import Callback, Forward, Training
from tinygrad_edu.train.history import Epoch, History, Meter
from tinygrad_edu.train.resume import Place, RunFile

__all__ = ["evaluate", "fit"]

_BAR_EVERY = 20  # batches between two updates of the bar's figures


def evaluate(model: Any, loader: Iterable, loss_function: Callable) -> tuple[float, float | None]:
    """Return the mean loss and the share of right classes over `loader`, in evaluation mode and without recording."""
    meter = Meter()
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            for inputs, targets in loader:
                outputs = model(inputs)
                meter.add(loss_function(outputs, targets), outputs, targets)
    finally:
        model.train(was_training)
    return meter.averages()


def fit(
    model: Any,
    train_loader: Iterable,
    loss_function: Callable,
    optimizer: Any,
    *,
    epochs: int = 1,
    validation_loader: Iterable | None = None,
    scheduler: Any = None,
    scheduler_every: str = "epoch",
    progress: bool = True,
    after_epoch: Callable[[Epoch], None] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
) -> History:
    """Train: for every batch zero_grad, forward, loss, backward, step.

    Parameters
    ----------
    model : nn.Module
        For accuracies its outputs are class scores ``(N, classes)``, and the targets class ids ``(N,)``.
    train_loader, validation_loader : iterable of (inputs, targets)
    loss_function : callable
        ``loss_function(outputs, targets)``, a mean over the batch.
    optimizer : optim.Optimizer
    epochs : int
        How many there are to be in all.
    scheduler : optional
        A schedule of the learning rate. `ReduceLROnPlateau` is shown the validation loss, or the loss where there is none.
    scheduler_every : {"epoch", "batch"}
        When it is stepped.
    progress : bool
        Show a bar with loss, accuracy and the time left.
    after_epoch : callable, optional
        Called with each finished :class:`Epoch`.
    callbacks : sequence of Callback
        For instance :class:`EarlyStopping`, :class:`ModelCheckpoint`, :class:`CSVLog`, :class:`TensorBoard`.
    checkpoint : path, optional
        A safetensors file that holds everything the rest of the run depends on, written after every epoch.
    checkpoint_every : int, optional
        Write it after so many batches as well.
    resume : bool
        Go on from the file `checkpoint` where there is one. The run then ends with the same bits as one never interrupted, if the data,
        the model and all arguments are the same and chance comes from the project's generators only.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        For arguments that contradict each other, or a loader without batches.
    CheckpointError
        If the file to go on from is damaged or belongs to a run with other parts.
    """
    _check(epochs, scheduler, scheduler_every, checkpoint, checkpoint_every, resume)
    training = Training(model, optimizer, History())
    listeners = [*callbacks, *([Forward(after_epoch)] if after_epoch is not None else [])]
    remembering = {
        f"callback {number}, {type(one).__name__}": one
        for number, one in enumerate(callbacks)
        if type(one).state_dict is not Callback.state_dict
    }
    file = RunFile(
        checkpoint, train_loader, model=model, optimizer=optimizer, scheduler=scheduler, history=training.history, **remembering
    )  # fmt: skip
    place = file.read() if resume else Place()
    training.stop, training.batches = place.stop, place.batches
    run = _Run(training, file, listeners, loss_function, scheduler, scheduler_every == "batch", checkpoint_every or 0)
    for listener in listeners:
        listener.before_training(training)
    while place.epoch <= epochs and not training.stop:
        epoch = run.epoch(place, validation_loader, f"epoch {place.epoch}/{epochs}" if progress else None)
        training.history.epochs.append(epoch)
        for listener in listeners:
            listener.after_epoch(training, epoch)
        place = Place(place.epoch + 1, batches=training.batches, stop=training.stop, now=file.mark())
        file.write(place)
    for listener in listeners:
        listener.after_training(training)
    return training.history


@dataclass
class _Run:
    """The parts that the epochs of one run have in common."""

    training: Training
    file: RunFile
    listeners: Sequence[Callback]
    loss_function: Callable
    scheduler: Any
    step_every_batch: bool
    checkpoint_every: int

    def epoch(self, place: Place, validation_loader: Iterable | None, title: str | None) -> Epoch:
        """Carry out what is left of one epoch, with its validation."""
        start = perf_counter() - place.seconds
        with _bar(self.file.loader, place, title) as move_bar:
            self.batches(place, start, move_bar)
        rate = self.training.optimizer.param_groups[0]["lr"]
        loss, accuracy = place.meter.averages()
        held_out_loss = held_out_accuracy = None
        if validation_loader is not None:
            held_out_loss, held_out_accuracy = evaluate(self.training.model, validation_loader, self.loss_function)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(loss if held_out_loss is None else held_out_loss)
        elif self.scheduler is not None and not self.step_every_batch:
            self.scheduler.step()
        return Epoch(place.epoch, loss, accuracy, perf_counter() - start, held_out_loss, held_out_accuracy, rate)

    def batches(self, place: Place, start: float, move_bar: Callable[[int, Meter], None]) -> None:
        """Train on the batches of the epoch that are still to come."""
        model, optimizer = self.training.model, self.training.optimizer
        # After the last batch the validation comes first: the file is written when the epoch is finished.
        last = _length(self.file.loader)
        model.train()
        for inputs, targets in self.file.batches_from(place):
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = self.loss_function(outputs, targets)
            loss.backward()
            optimizer.step()
            if self.step_every_batch:
                self.scheduler.step()
            place.meter.add(loss, outputs, targets)
            place.batch += 1
            self.training.batches += 1
            for listener in self.listeners:
                listener.after_batch(self.training, loss)
            if self.checkpoint_every and place.batch % self.checkpoint_every == 0 and place.batch != last:
                place.now, place.seconds = self.file.mark(), perf_counter() - start
                place.batches = self.training.batches
                self.file.write(place)
            move_bar(place.batch, place.meter)


@contextmanager
def _bar(loader: Any, place: Place, title: str | None) -> Iterator[Callable[[int, Meter], None]]:
    """Show a bar for one epoch; the yielded function moves it."""
    if title is None:
        yield lambda batch, meter: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=_length(loader), initial=place.batch, desc=title, unit="batch", leave=False) as bar:

        def move(batch: int, meter: Meter) -> None:
            if batch % _BAR_EVERY == 1:
                loss, accuracy = meter.averages()
                figures = {"loss": f"{loss:.4f}"} | ({} if accuracy is None else {"accuracy": f"{accuracy:.2%}"})
                bar.set_postfix(figures, refresh=False)
            bar.update()

        yield move


def _length(loader: Any) -> int | None:
    """Return the number of batches, or None where nobody knows it, as for a stream."""
    try:
        return len(loader)
    except TypeError:
        return None


def _check(
    epochs: int, scheduler: Any, scheduler_every: str, checkpoint: Any, checkpoint_every: int | None, resume: bool
) -> None:
    if epochs < 0:
        raise ValueError(f"fit: epochs must not be negative, got {epochs}.")
    if scheduler_every not in ("epoch", "batch"):
        raise ValueError(f"fit: scheduler_every must be 'epoch' or 'batch', got {scheduler_every!r}.")
    if scheduler_every == "batch" and isinstance(scheduler, ReduceLROnPlateau):
        raise ValueError("fit: ReduceLROnPlateau looks at epochs. Fix: scheduler_every='epoch'.")
    if scheduler_every == "batch" and scheduler is None:
        raise ValueError("fit: scheduler_every='batch' needs a schedule. Fix: scheduler=..., or leave it out.")
    if checkpoint is None and (resume or checkpoint_every is not None):
        raise ValueError("fit: resume and checkpoint_every need a file. Fix: checkpoint='run.safetensors'.")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"fit: checkpoint_every must be at least 1, got {checkpoint_every}.")
