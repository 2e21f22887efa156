"""A data set whose pictures pass through a transform each time they are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.datasets.transforms import batched_tensors
from tinygrad_edu.tensor import wrap
from tinygrad_edu.utils.data.dataset import Dataset, gatherer

__all__ = ["Transformed"]


class Transformed(Dataset[tuple]):
    """The items of another data set, the first entry of each passed through `transform`.

    Parameters
    ----------
    dataset : Dataset
        With tuples for items, e.g. (image, label).
    transform : callable
        Takes and returns the first entry.

    Examples
    --------
    Five pictures that are turned anew in every pass:

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.datasets import Transformed, transforms
    >>> data = tg.utils.data.TensorDataset(tg.ones(5, 1, 28, 28), tg.arange(5))
    >>> image, label = Transformed(data, transforms.RandomRotation(10))[3]
    >>> image.shape, label.item()
    (tinygrad_edu.Size([1, 28, 28]), 3)
    """

    def __init__(self, dataset: Dataset, transform: Callable[[Any], Any]):
        if not callable(transform):
            raise TypeError(f"Transformed: transform should be callable, got {type(transform).__name__!r}.")
        self.dataset, self.transform = dataset, transform

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple:
        first, *rest = self.dataset[index]
        return (self.transform(first), *rest)

    def gather(self, indices: Sequence[int]) -> list | None:
        """Return the batch of these items at once where the data set and the transform can, else None."""
        gather, on_batch = gatherer(self.dataset), batched_tensors(self.transform)
        batch = gather(indices) if gather is not None and on_batch is not None else None
        if batch is None or batch[0].ndim != 4 or batch[0].requires_grad:
            return None
        return [wrap(on_batch(batch[0].numpy())), *batch[1:]]  # type: ignore[misc]
