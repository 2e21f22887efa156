"""Carry out one training of the course and put what came out beside what the course reports."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tinygrad_edu import random
from tinygrad_edu.course.recipe import Figures, Recipe
from tinygrad_edu.datasets import Transformed
from tinygrad_edu.datasets.transforms import Resize
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.train import History, evaluate, fit
from tinygrad_edu.utils.data import DataLoader, RandomSampler, TensorDataset

__all__ = ["Result", "perform"]

IMAGE_SIZE = 28
_NAMES = {
    "first_train": "epoch 1, training images",
    "first_validation": "epoch 1, validation images",
    "train": "last epoch, training images",
    "validation": "last epoch, validation images",
    "test": "test images",
    "seconds": "seconds",
}


@dataclass(frozen=True)
class Result:
    """What one training gave.

    Attributes
    ----------
    recipe : Recipe
    model : nn.Module
    history : History
    figures : Figures
        The measured ones; the accuracy on training images is the average over an epoch, while the network changes.
    """

    recipe: Recipe
    model: Any
    history: History
    figures: Figures

    def table(self) -> str:
        """Return the measured figures beside the course's."""
        rows = [f"{self.recipe.name:<30} {'measured':>10} {'course':>10}"]
        for field in fields(Figures):
            measured, course = getattr(self.figures, field.name), getattr(self.recipe.course, field.name)
            if measured is not None:
                show = "{:.1f}".format if field.name == "seconds" else "{:.2%}".format
                rows.append(f"{_NAMES[field.name]:<30} {show(measured):>10} {show(course) if course else '-':>10}")
        return "\n".join(rows)


def perform(
    recipe: Recipe,
    train: TensorDataset,
    test: TensorDataset,
    *,
    seed: int = 0,
    after_epoch: Callable[[Any], None] | None = None,
    progress: bool = False,
    **options: Any,
) -> Result:
    """Train as the recipe says.

    Parameters
    ----------
    recipe : Recipe
    train, test : TensorDataset
        Images (N, 1, height, width) in [0, 1] and class ids. Pictures of another size than 28x28 are brought to it; of fewer images
        than the recipe wants, the same shares are taken.
    seed : int
        Decides the starting weights, the order of the images and every other draw.
    after_epoch, progress, options
        Passed to :func:`tinygrad_edu.train.fit`, e.g. ``checkpoint=`` and ``resume=``.

    Returns
    -------
    Result
    """
    random.manual_seed(seed)
    train_part, validation_part, test_part = split(recipe, train, test)
    model = recipe.network()
    optimizer = recipe.optimizer(model.parameters())
    validation = DataLoader(validation_part, batch_size=500) if len(validation_part) else None
    history = fit(
        model, training_loader(recipe, train_part), recipe.loss, optimizer, epochs=recipe.epochs, validation_loader=validation,
        scheduler=recipe.schedule and recipe.schedule(optimizer, recipe.epochs), progress=progress, after_epoch=after_epoch,
        **options,
    )  # fmt: skip
    _, accuracy = evaluate(model, DataLoader(test_part, batch_size=500), recipe.loss)
    first, last = history.epochs[0], history.epochs[-1]
    figures = Figures(
        first.accuracy, first.validation_accuracy, last.accuracy, last.validation_accuracy, accuracy, sum(history.seconds)
    )  # fmt: skip
    return Result(recipe, model, history, figures)


def split(
    recipe: Recipe, train: TensorDataset, test: TensorDataset
) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Return the images to train on, to validate with and to test with."""
    wanted = recipe.train_images + recipe.validation_images
    stop = min(wanted, len(train))
    middle = stop * recipe.train_images // wanted
    return part(train, slice(0, middle)), part(train, slice(middle, stop)), part(test, slice(None))


def part(images: TensorDataset, rows: slice) -> TensorDataset:
    """Return some of the images, 28x28."""
    pixels, labels = (tensor.numpy()[rows] for tensor in images.tensors)
    if pixels.shape[-1] != IMAGE_SIZE and len(pixels):
        pixels = Resize((IMAGE_SIZE, IMAGE_SIZE)).on_batch(pixels)
    return TensorDataset(wrap(pixels), wrap(np.asarray(labels)))


def training_loader(recipe: Recipe, images: TensorDataset) -> Iterable[tuple[Tensor, Tensor]]:
    """Return the batches of an epoch, in a new order every time."""
    source: Any = images if recipe.enlarge is None else Transformed(images, recipe.enlarge)
    order = RandomSampler(source, num_samples=recipe.samples_per_epoch)
    return DataLoader(source, batch_size=recipe.batch_size, sampler=order)
