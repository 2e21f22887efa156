"""Curves in TensorBoard, through whichever of its writers is installed."""

import os
from typing import Any

from tinygrad_edu.train.callbacks import Callback, Training
from tinygrad_edu.train.history import Epoch

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Log losses, accuracies and the learning rate for ``tensorboard --logdir``.

    Parameters
    ----------
    log_dir : path
        The folder of this run.
    every : int
        How many batches lie between two logged batch losses; 0 logs epochs only.

    Raises
    ------
    ImportError
        When the training starts and neither tensorboardX nor PyTorch with tensorboard is installed.
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "runs", every: int = 100):
        if every < 0:
            raise ValueError(f"TensorBoard: every must not be negative, got {every}.")
        self.log_dir, self.every = os.fspath(log_dir), every
        self.writer: Any = None

    def before_training(self, training: Training) -> None:
        """Open the log."""
        self.writer = _writer_class()(self.log_dir)

    def after_batch(self, training: Training, loss: Any) -> None:
        """Log the loss of one batch in `every`."""
        if self.every and training.batches % self.every == 0:
            self.writer.add_scalar("batch/loss", loss.item(), training.batches)

    def after_epoch(self, training: Training, epoch: Epoch) -> None:
        """Log the figures of one epoch."""
        figures = {
            "loss/train": epoch.loss,
            "loss/validation": epoch.validation_loss,
            "accuracy/train": epoch.accuracy,
            "accuracy/validation": epoch.validation_accuracy,
            "learning rate": epoch.rate,
        }
        for name, value in figures.items():
            if value is not None:
                self.writer.add_scalar(name, value, epoch.number)
        self.writer.flush()

    def after_training(self, training: Training) -> None:
        """Close the log."""
        self.writer.close()


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoard: neither tensorboardX nor torch.utils.tensorboard can be imported. "
                "Fix: pip install tensorboardX, or fit(..., callbacks=[CSVLog('run.csv')])."
            ) from error
    return SummaryWriter
