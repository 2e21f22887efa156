"""Samplers: in which order a data loader asks for the items. For one seed the orders are PyTorch's."""

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from tinygrad_edu.random import Generator, integers, multinomial, permutation

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T = TypeVar("T", covariant=True)

_ON_DEMAND = 32  # with replacement, PyTorch draws this many indices at a time


class Sampler(Generic[T]):
    """Base of samplers: define ``__iter__`` to yield indices, and ``__len__`` where their number is known."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__}: a Sampler must define __iter__(self).")


class SequentialSampler(Sampler[int]):
    """The items in their own order."""

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(length_of(self.data_source)))

    def __len__(self) -> int:
        return length_of(self.data_source)


class RandomSampler(Sampler[int]):
    """The items in random order, or drawn with replacement.

    Parameters
    ----------
    replacement : bool
        Draw each index from all items, so that one may come twice.
    num_samples : int, optional
        How many indices to draw; as many as there are items by default.
    generator : Generator, optional
        Without one, every pass draws a seed for its own generator from the default one.

    Raises
    ------
    TypeError, ValueError
        If `replacement` is no bool; if there is nothing to draw.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement should be a boolean value, but got replacement={replacement}")
        _check_positive("RandomSampler", "num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices one pass gives."""
        return length_of(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, wanted = length_of(self.data_source), self.num_samples
        generator = self.generator or Generator().manual_seed(draw_seed(None))
        if self.replacement:
            for start in range(0, wanted, _ON_DEMAND):
                yield from integers(0, n, (min(_ON_DEMAND, wanted - start),), generator=generator).tolist()
            return
        for _ in range(wanted // n):
            yield from permutation(n, generator).tolist()
        if wanted % n or self.generator:
            # PyTorch draws this order even where none of it is needed, which moves a generator that others may share.
            yield from permutation(n, generator)[: wanted % n].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in permutation(len(self.indices), self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices 0 .. len(weights) - 1 with chances proportional to `weights`, for classes of unequal size.

    Parameters
    ----------
    weights : sequence of float
        One per item; they need not sum to one.
    num_samples : int
    replacement : bool
    generator : Generator, optional

    Raises
    ------
    ValueError
        If `weights` is not one-dimensional, or another argument is not what it should be.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ):
        _check_positive("WeightedRandomSampler", "num_samples", num_samples)
        _check_bool("WeightedRandomSampler", "replacement", replacement)
        self.weights = np.array(weights, np.float64)
        if self.weights.ndim != 1:
            raise ValueError(
                "WeightedRandomSampler: weights should be a 1d sequence but given weights have shape "
                f"{self.weights.shape}. Fix: one weight per item."
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        return iter(multinomial(self.weights, self.num_samples, self.replacement, self.generator).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists of `batch_size`; a shorter last list is dropped if `drop_last`.

    Examples
    --------
    >>> from tinygrad_edu.utils.data import BatchSampler, SequentialSampler
    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        _check_positive("BatchSampler", "batch_size", batch_size)
        _check_bool("BatchSampler", "drop_last", drop_last)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        n = length_of(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def draw_seed(generator: Generator | None) -> int:
    """Draw the 63-bit number that starts one pass over the data."""
    return int(integers(0, 2**63, (), generator=generator))


def length_of(data: Any) -> int:
    """Return ``len(data)``, or say what a dataset without a length lacks."""
    try:
        return len(data)
    except TypeError as error:
        name = type(data).__name__
        if hasattr(type(data), "__len__"):
            raise
        raise TypeError(
            f"object of type '{name}' has no len(): the order of its items cannot be drawn without their number. "
            f"Fix: define {name}.__len__, pass a sampler, or make it an IterableDataset."
        ) from error


def _check_positive(where: str, name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{where}: {name} should be a positive integer value, but got {name}={value}")


def _check_bool(where: str, name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{where}: {name} should be a boolean value, but got {name}={value}")
