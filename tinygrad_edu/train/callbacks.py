"""What may be done between the epochs and batches of a training: stop it early, keep the best parameters, write a table."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_edu.train.history import Epoch, History
from tinygrad_edu.utils.serialization import load, save

__all__ = ["CSVLog", "Callback", "EarlyStopping", "Forward", "ModelCheckpoint", "Training"]


@dataclass
class Training:
    """What a callback sees of the training, and may change.

    Attributes
    ----------
    model, optimizer, history
    batches : int
        How many batches were trained on, over all epochs.
    stop : bool
        Set it, and the training ends after this epoch.
    """

    model: Any
    optimizer: Any
    history: History
    batches: int = 0
    stop: bool = False


class Callback:
    """Base: override what is needed. What must survive an interruption goes into the state.

    Examples
    --------
    >>> from tinygrad_edu.train import Callback
    >>> class StopAtNinety(Callback):
    ...     def after_epoch(self, training, epoch):
    ...         training.stop = epoch.accuracy >= 0.9
    """

    def before_training(self, training: Training) -> None:
        """Be called once, before the first epoch, or before the first after an interruption."""

    def after_batch(self, training: Training, loss: Any) -> None:
        """Be called after every step of the optimizer, with the batch's loss, a Tensor."""

    def after_epoch(self, training: Training, epoch: Epoch) -> None:
        """Be called after every epoch, when the validation is done."""

    def after_training(self, training: Training) -> None:
        """Be called once at the end."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must be remembered over an interruption, as plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict()`` returned."""


class Forward(Callback):
    """Call a plain function with every finished epoch."""

    def __init__(self, function: Callable[[Epoch], None]):
        self.function = function

    def after_epoch(self, training: Training, epoch: Epoch) -> None:
        """Pass the epoch on."""
        self.function(epoch)


class _Watching(Callback):
    """Base of callbacks that remember the best value of one of an epoch's figures."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float):
        name = type(self).__name__
        figures = [f for f in Epoch.__dataclass_fields__ if f not in ("number", "seconds", "rate")]
        if monitor not in figures:
            raise ValueError(f"{name}: monitor must be one of {', '.join(figures)}, got {monitor!r}.")
        if mode not in (None, "min", "max"):
            raise ValueError(f"{name}: mode must be 'min', 'max' or None, got {mode!r}.")
        if not min_delta >= 0:
            raise ValueError(f"{name}: min_delta must not be negative, got {min_delta}.")
        self.monitor, self.min_delta = monitor, min_delta
        self.sign = -1.0 if (mode or ("max" if monitor.endswith("accuracy") else "min")) == "max" else 1.0
        self.best = math.inf  # of the figure times the sign: less is better

    def improved(self, epoch: Epoch) -> bool:
        """Tell whether this epoch is better than the best so far, and remember it."""
        value = getattr(epoch, self.monitor)
        if value is None:
            fix = "fit(..., validation_loader=...)" if self.monitor.startswith("validation") else "monitor='loss'"
            raise ValueError(f"{type(self).__name__}: the epochs have no {self.monitor}. Fix: {fix}.")
        if not self.sign * value < self.best - self.min_delta:  # nan is never better
            return False
        self.best = self.sign * value
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the best value."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict()`` returned."""
        self.__dict__.update(state)


class EarlyStopping(_Watching):
    """End the training when a figure has not improved for `patience` epochs.

    Parameters
    ----------
    monitor : str
        "validation_loss", "validation_accuracy", "loss" or "accuracy".
    patience : int
        How many epochs without improvement are borne.
    min_delta : float
        Less than this is no improvement.
    mode : {"min", "max"}, optional
        Whether the figure should fall or rise; by its name unless given.
    restore_best : bool
        Give the model back the parameters of the best epoch at the end.

    References
    ----------
    .. [1] L. Prechelt, "Early stopping - but when?", Neural Networks: Tricks of the Trade, 1998.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = False,
    ):
        super().__init__(monitor, mode, min_delta)
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1, got {patience}.")
        self.patience, self.restore_best = patience, restore_best
        self.waited = 0
        self.parameters: dict[str, Any] | None = None

    def after_epoch(self, training: Training, epoch: Epoch) -> None:
        """Count the epochs without improvement."""
        if self.improved(epoch):
            self.waited = 0
            if self.restore_best:
                self.parameters = {name: value.clone() for name, value in training.model.state_dict().items()}
        else:
            self.waited += 1
            training.stop = training.stop or self.waited >= self.patience

    def after_training(self, training: Training) -> None:
        """Give the best parameters back."""
        if self.parameters is not None:
            training.model.load_state_dict(self.parameters)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, how long ago it was, and its parameters if they are to be restored."""
        return {**super().state_dict(), "waited": self.waited, "parameters": self.parameters}


class ModelCheckpoint(_Watching):
    """Write the model's parameters after every epoch, or only after those that are better than all before.

    Parameters
    ----------
    path : path
        A safetensors file; ``{epoch}`` in it is replaced by the epoch's number.
    monitor, mode
        As in :class:`EarlyStopping`.
    best_only : bool
        Write only what is better than all before.

    Notes
    -----
    The file holds the ``state_dict`` and, as notes, the epoch's figures. To go on with a training exactly where it broke off use
    ``fit(..., checkpoint=..., resume=True)``, which keeps the optimizer, the random numbers and the place in the data as well.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "validation_loss",
        mode: str | None = None,
        best_only: bool = True,
    ):
        super().__init__(monitor, mode, 0.0)
        self.path, self.best_only = Path(path), best_only
        self.written: Path | None = None

    def after_epoch(self, training: Training, epoch: Epoch) -> None:
        """Write, if this epoch is to be written."""
        if self.best_only and not self.improved(epoch):
            return
        path = Path(str(self.path).replace("{epoch}", str(epoch.number)))
        notes = {"epoch": str(epoch.number)}
        if (figure := getattr(epoch, self.monitor)) is not None:
            notes[self.monitor] = repr(figure)
        self.written = save(training.model.state_dict(), path, notes)

    def load_into(self, model: Any) -> None:
        """Give a model the parameters that were written last."""
        if self.written is None:
            raise ValueError("ModelCheckpoint: nothing was written yet. Fix: fit(..., callbacks=[checkpoint]) first.")
        model.load_state_dict(load(self.written))

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and the file written last."""
        return {**super().state_dict(), "written": None if self.written is None else str(self.written)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict()`` returned."""
        self.best = state["best"]
        self.written = None if state["written"] is None else Path(state["written"])


class CSVLog(Callback):
    """Keep a table of the epochs in a file that any spreadsheet reads: always whole, also when the training is interrupted."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    def after_epoch(self, training: Training, epoch: Epoch) -> None:
        """Write the table with one more row."""
        training.history.to_csv(self.path)
