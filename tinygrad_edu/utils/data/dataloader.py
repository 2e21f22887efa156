"""The data loader: samples in an order, in batches, fetched ahead by threads if wanted."""

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinygrad_edu.random import Generator
from tinygrad_edu.utils.data.collate import default_collate, default_convert
from tinygrad_edu.utils.data.dataset import Dataset, IterableDataset, fetch, gatherer
from tinygrad_edu.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed, length_of
from tinygrad_edu.utils.data.worker import END, Workers

__all__ = ["DataLoader"]

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Iterate over a dataset in batches. For one seed the batches are PyTorch's.

    Parameters
    ----------
    dataset : Dataset
        With ``__getitem__`` and ``__len__``, or an :class:`IterableDataset`.
    batch_size : int, optional
        Samples per batch; None hands out single samples as they are.
    shuffle : bool, optional
        Draw a new order for every pass.
    sampler : iterable of int, optional
        The order of the samples, instead of `shuffle`.
    batch_sampler : iterable of list of int, optional
        The batches' samples, instead of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    num_workers : int
        Threads that fetch ahead; 0 fetches in the loop itself. The batches are the same for every number. Random draws
        inside the dataset are the same for every number from 1 on.
    collate_fn : callable, optional
        Makes a batch of a list of samples; :func:`default_collate` unless given.
    pin_memory : bool
        Has no effect on a CPU.
    drop_last : bool
        Leave out a last batch that would be smaller.
    timeout : float
        Seconds to wait for a worker's batch; 0 waits for ever.
    worker_init_fn : callable, optional
        Called with the worker's number in each worker before its first batch.
    generator : Generator, optional
        Where orders and seeds are drawn from; the default generator unless given.
    prefetch_factor : int, optional
        Batches in the works for each worker, 2 unless given.
    persistent_workers : bool
        Keep the threads for the next pass.
    multiprocessing_context, pin_memory_device, in_order
        Accepted for programs written for PyTorch; workers are threads, and batches always come in order.

    Raises
    ------
    ValueError
        For arguments that contradict each other, or numbers out of range.

    Notes
    -----
    A dataset with a ``gather`` method (see :mod:`tinygrad_edu.utils.data.dataset`) gives whole batches at once where
    `collate_fn` is the default one: the same values, many times faster.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import DataLoader, TensorDataset
    >>> data = TensorDataset(tg.tensor([1., 2., 3., 4., 5.]))
    >>> g = tg.Generator().manual_seed(0)
    >>> for (x,) in DataLoader(data, batch_size=2, shuffle=True, generator=g):
    ...     print(x.tolist())
    [4.0, 2.0]
    [1.0, 5.0]
    [3.0]
    """

    _initialized = False

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self._is_stream = isinstance(dataset, IterableDataset)
        _check_order(self._is_stream, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset, self.generator, self.num_workers, self.timeout = dataset, generator, num_workers, timeout
        self.pin_memory, self.worker_init_fn, self.persistent_workers = pin_memory, worker_init_fn, persistent_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        if sampler is None:
            if self._is_stream:
                sampler = itertools.repeat(None)  # the stream itself says when it ends
            else:
                items: Any = dataset
                sampler = RandomSampler(items, generator=generator) if shuffle else SequentialSampler(items)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last, self.sampler, self.batch_sampler = (
            batch_size,
            drop_last,
            sampler,
            batch_sampler,
        )
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self._workers: Workers | None = None
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(
                f"DataLoader: {name} attribute should not be set after DataLoader is initialized. Fix: make a new one."
            )
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if not self._is_stream:
            return length_of(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = length_of(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            draw_seed(self.generator)  # PyTorch draws its workers' seed even without workers
            return self._batches_here()
        if self._workers is not None:
            return self._batches_of(self._workers)
        timeout = self.timeout or None
        workers = Workers(self.dataset, self.num_workers, draw_seed(self.generator), self.worker_init_fn, timeout)
        if self.persistent_workers:
            self._workers = workers
            weakref.finalize(self, workers.close)
        return self._batches_of(workers)

    def _batches_here(self) -> Iterator[Any]:
        if not self._is_stream:
            yield from map(self._fetcher(), self._requests())
            return
        next_batch = self._open_stream()
        while (batch := next_batch()) is not END:
            yield batch

    def _batches_of(self, workers: Workers) -> Iterator[Any]:
        ahead = self.prefetch_factor or 1
        try:
            if self._is_stream:
                yield from workers.run_streams(self._open_stream, ahead)
            else:
                yield from workers.run(self._fetcher(), self._requests(), ahead)
        finally:
            if workers is not self._workers:
                workers.close()

    def _requests(self) -> Iterator[Any]:
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def _fetcher(self) -> Callable[[Any], Any]:
        """Return the function that turns one request, an index or a list of indices, into what the loop gets."""
        dataset, collate = self.dataset, self.collate_fn
        if self.batch_sampler is None:
            return lambda index: collate(dataset[index])
        gather = gatherer(dataset) if collate is default_collate else None

        def batch_of(indices: list) -> Any:
            batch = gather(indices) if gather is not None else None
            return collate(fetch(dataset, indices)) if batch is None else batch

        return batch_of

    def _open_stream(self) -> Callable[[], Any]:
        """Start a pass over an iterable dataset; the returned function gives the next batch, or END."""
        items = iter(self.dataset)

        def next_batch() -> Any:
            if self.batch_size is None:
                item: Any = next(items, END)
                return END if item is END else self.collate_fn(item)
            samples: Any = list(itertools.islice(items, self.batch_size))
            if not samples or (self.drop_last and len(samples) < self.batch_size):
                return END
            return self.collate_fn(samples)

        return next_batch


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError(
            f"DataLoader: num_workers option should be non-negative, got {num_workers}. "
            "Fix: num_workers=0 fetches in the loop itself."
        )
    if timeout < 0:
        raise ValueError(
            f"DataLoader: timeout option should be non-negative, got {timeout}. Fix: timeout=0 waits for ever."
        )
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "DataLoader: prefetch_factor option needs workers. Fix: num_workers=1, or prefetch_factor=None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError(f"DataLoader: prefetch_factor option should be non-negative, got {prefetch_factor}.")
    if persistent_workers and num_workers == 0:
        raise ValueError("DataLoader: persistent_workers option needs num_workers > 0.")


def _check_order(
    is_stream: bool, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if is_stream:
        for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}. "
                    "Fix: a stream has its own order; shuffle inside its __iter__."
                )
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler option is mutually exclusive with shuffle. Fix: leave one of them out.")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError(
            "DataLoader: batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last. "
            "Fix: give these to the batch sampler."
        )
    if batch_size is None and drop_last:
        raise ValueError("DataLoader: batch_size=None makes no batches and is mutually exclusive with drop_last.")
