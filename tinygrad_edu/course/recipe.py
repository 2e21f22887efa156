"""What a training of the course consists of, as data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Figures", "Recipe"]

_QUICK_IMAGES, _QUICK_EPOCHS, _QUICK_BATCHES = 1000, 2, 100


@dataclass(frozen=True)
class Figures:
    """Accuracies between 0 and 1, and the time a training takes; None where there is no figure."""

    first_train: float | None = None
    first_validation: float | None = None
    train: float | None = None
    validation: float | None = None
    test: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes
    ----------
    name, title : str
    network : callable
        Returns a new network for images of shape (N, 1, 28, 28).
    loss : callable
        ``loss(outputs, targets)``, a mean over the batch.
    optimizer : callable
        Takes the parameters.
    batch_size, epochs : int
    train_images, validation_images : int
        The first `train_images` of MNIST's 60,000 are trained on, the next `validation_images` are looked at after every epoch.
    samples_per_epoch : int, optional
        How many images one epoch draws, where that is not each of them once.
    enlarge : callable, optional
        A transform that changes every training image anew each time it is shown.
    schedule : callable, optional
        ``schedule(optimizer, epochs)`` returns a schedule of the learning rate, stepped once per epoch.
    course : Figures
        What the course reports.
    note : str
        Where the course's figures come from, or what was free to choose.
    """

    name: str
    title: str
    network: Callable[[], Any]
    loss: Callable[[Any, Any], Any]
    optimizer: Callable[[Any], Any]
    batch_size: int
    epochs: int
    train_images: int = 60_000
    validation_images: int = 0
    samples_per_epoch: int | None = None
    enlarge: Callable[[Any], Any] | None = None
    schedule: Callable[[Any, int], Any] | None = None
    course: Figures = Figures()
    note: str = ""

    def quick(self) -> "Recipe":
        """Return a version that takes seconds: fewer images, epochs and batches, nothing else changed."""
        samples = self.samples_per_epoch
        return replace(
            self,
            train_images=min(self.train_images, _QUICK_IMAGES),
            validation_images=min(self.validation_images, _QUICK_IMAGES // 5),
            samples_per_epoch=samples and min(samples, _QUICK_BATCHES * self.batch_size),
            epochs=min(self.epochs, _QUICK_EPOCHS),
        )
