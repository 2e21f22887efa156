"""Datasets: things with a length whose items can be asked for by number, or that can be iterated over.

Beside PyTorch's protocol (``__getitem__``, ``__len__``, optionally ``__getitems__``) a dataset may define
``gather(indices)``, which returns the collated batch of these items at once, or None where it cannot. The data loader
prefers it: indexing an array once takes microseconds where fetching and stacking a batch of items takes a millisecond.
`gather` must equal collating the items one by one.
"""

import bisect
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from tinygrad_edu.random import Generator, permutation
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.utils.data.sampler import length_of

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset", "random_split",
]  # fmt: skip

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Base of datasets whose items have numbers: define ``__getitem__``, and ``__len__`` where their number is known.

    Examples
    --------
    >>> from tinygrad_edu.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, index):
    ...         return index, index ** 2
    >>> Squares()[3]
    (3, 9)
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__}: a Dataset must define __getitem__(self, index).")

    def __add__(self, other: "Dataset") -> "ConcatDataset":
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Base of datasets that are streams: define ``__iter__``.

    With several loader workers every worker iterates over the whole stream, as in PyTorch; ``get_worker_info()`` tells
    ``__iter__`` which share is its own.
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__}: an IterableDataset must define __iter__(self).")

    def __add__(self, other: Dataset) -> "ChainDataset":  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors side by side: item i is the tuple of every tensor's row i.

    Parameters
    ----------
    *tensors : Tensor
        With the same length along the first dimension.

    Raises
    ------
    AssertionError
        If their lengths differ.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import TensorDataset
    >>> data = TensorDataset(tg.tensor([[1., 2.], [3., 4.]]), tg.tensor([0, 1]))
    >>> x, y = data[1]
    >>> len(data), x.tolist(), y.item()
    (2, [3.0, 4.0], 1)
    """

    def __init__(self, *tensors: Tensor):
        for position, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"TensorDataset: argument {position} is a {type(tensor).__name__}, not a Tensor. "
                    "Fix: TensorDataset(tg.as_tensor(X), tg.as_tensor(y))."
                )
        lengths = [tensor.shape[0] if tensor.ndim else 0 for tensor in tensors]
        if len(set(lengths)) != 1:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "no tensors at all"
            raise AssertionError(
                f"TensorDataset: Size mismatch between tensors: the first dimensions must be equal, got {shapes}. "
                "Fix: one row per sample in each."
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)  # type: ignore[index]

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def gather(self, indices: Sequence[int]) -> list[Tensor] | None:
        """Return the collated batch of these items, unless gradients flow through the tensors."""
        if any(tensor.requires_grad for tensor in self.tensors):
            return None
        rows = np.asarray(indices, np.int64)
        return [wrap(np.take(tensor.numpy(), rows, axis=0)) for tensor in self.tensors]


class Subset(Dataset[T]):
    """The items of `dataset` that have the numbers `indices`, in this order."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices
        own = type(self)
        if own.__getitem__ is not Subset.__getitem__ and own.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{own.__name__} overrides __getitem__ but not __getitems__, so batches would bypass it. "
                "Fix: also define\n"
                "    def __getitems__(self, indices):\n        return [self[i] for i in indices]"
            )

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[T]:
        return fetch(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)

    def gather(self, indices: Sequence[int]) -> Any:
        """Return the collated batch of these items where the dataset below can."""
        gather = gatherer(self.dataset)
        return gather and gather([self.indices[i] for i in indices])


class StackDataset(Dataset):
    """Datasets side by side: item i is the tuple, or by name the dict, of every dataset's item i.

    Examples
    --------
    >>> from tinygrad_edu.utils.data import StackDataset
    >>> StackDataset(image=["cat.png", "dog.png"], label=[0, 1])[1]
    {'image': 'dog.png', 'label': 1}
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if bool(args) == bool(kwargs):
            raise ValueError(
                "StackDataset: at least one dataset should be passed, and either all by position, for tuples, or all by name, for "
                "dicts."
            )
        self.datasets: tuple | dict = args or kwargs
        lengths = list(map(length_of, self._parts()))
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: Size mismatch between datasets: their lengths are {lengths}.")
        self._length = lengths[0]

    def _parts(self) -> list:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _joined(self, items: Iterable) -> Any:
        return dict(zip(self.datasets, items, strict=True)) if isinstance(self.datasets, dict) else tuple(items)

    def __getitem__(self, index: Any) -> Any:
        return self._joined(dataset[index] for dataset in self._parts())

    def __getitems__(self, indices: Sequence[int]) -> list:
        columns = [fetch(dataset, indices) for dataset in self._parts()]
        for column in columns:
            if len(column) != len(indices):
                raise ValueError(
                    f"StackDataset: Nested dataset's output size mismatch. Expected {len(indices)}, got {len(column)}"
                )
        return [self._joined(items) for items in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T]):
    """Datasets one after the other, as one."""

    def __init__(self, datasets: Iterable[Dataset[T]]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable.")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset. Fix: ChainDataset(datasets).")
        self.cumulative_sizes = list(itertools.accumulate(map(length_of, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T:
        position = index + len(self) if index < 0 else index
        if position < 0:
            raise ValueError(f"ConcatDataset: index {index} reaches before the first of {len(self)} items.")
        if position >= len(self):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} items.")
        which = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[which][position - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset[T]):
    """Iterable datasets one after the other, as one stream."""

    def __init__(self, datasets: Iterable[Dataset[T]]):
        self.datasets = datasets

    def __iter__(self) -> Iterator[T]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset. Fix: ConcatDataset(datasets).")
            yield from dataset

    def __len__(self) -> int:
        return sum(map(length_of, self.datasets))


def random_split(dataset: Dataset, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset]:
    """Split a dataset at random into subsets that share no item.

    Parameters
    ----------
    lengths : sequence of int, or of fractions that sum to 1
        Of fractions, each part gets ``floor(fraction * len(dataset))`` items; what is left goes to the parts in turn.
    generator : Generator, optional
        Where the permutation is drawn from; the parts equal PyTorch's for the same seed.

    Raises
    ------
    ValueError
        If the lengths do not add up to the dataset's, or a fraction is not between 0 and 1.

    Examples
    --------
    >>> from tinygrad_edu.random import Generator
    >>> from tinygrad_edu.utils.data import random_split
    >>> parts = random_split(range(10), [0.7, 0.3], generator=Generator().manual_seed(42))
    >>> [part.indices for part in parts]
    [[2, 6, 1, 8, 4, 5, 0], [9, 3, 7]]
    """
    total = length_of(dataset)
    counts: Sequence[Any] = list(lengths)
    if math.isclose(sum(counts), 1) and sum(counts) <= 1:
        counts = _counts_of_fractions(counts, total)
    if sum(counts) != total:
        raise ValueError(
            "random_split: Sum of input lengths does not equal the length of the input dataset: "
            f"{' + '.join(map(str, counts))} = {sum(counts)}, but there are {total} items. Fix: [0.8, 0.2]."
        )
    order = permutation(total, generator).tolist()
    rest = iter(order)
    return [Subset(dataset, list(itertools.islice(rest, count))) for count in counts]


def _counts_of_fractions(fractions: Sequence[float], total: int) -> list[int]:
    for position, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"random_split: Fraction at index {position} is not between 0 and 1, but {fraction}.")
    counts = [math.floor(total * fraction) for fraction in fractions]
    for i in range(total - sum(counts)):
        counts[i % len(counts)] += 1
    for position, count in enumerate(counts):
        if count == 0:
            warnings.warn(
                f"Length of split at index {position} is 0. This might result in an empty dataset.", stacklevel=3
            )
    return counts


def fetch(dataset: Any, indices: Sequence[int]) -> list:
    """Return these items as a list, through the dataset's ``__getitems__`` where it has one."""
    together = getattr(dataset, "__getitems__", None)
    return together(indices) if callable(together) else [dataset[i] for i in indices]


def gatherer(dataset: Any) -> Callable[[Sequence[int]], Any] | None:
    """Return the dataset's `gather`, unless a subclass has changed what an item is without changing `gather`."""
    for cls in type(dataset).__mro__:
        if "gather" in vars(cls):
            return dataset.gather
        if "__getitem__" in vars(cls) or "__getitems__" in vars(cls):
            return None
    return None
