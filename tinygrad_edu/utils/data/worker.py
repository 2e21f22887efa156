"""Worker threads that fetch batches ahead of the training loop.

PyTorch's workers are processes; ours are threads, which start at once, share the dataset instead of copying it, and
need no ``if __name__ == "__main__"``. They help where fetching waits for a disk or runs in NumPy and the like.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.random import Generator, drawing_from

__all__ = ["WorkerInfo", "Workers", "get_worker_info"]

END = object()  # what a fetcher returns when its stream is over


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker runs this code: ``id`` in 0 .. ``num_workers`` - 1, its ``seed``, and the ``dataset``."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """Return the :class:`WorkerInfo` of the worker that runs this code, or None in the main program."""
    return getattr(_here, "info", None)


class Workers:
    """Threads of one loader. Batch k is made by worker k modulo their number, and they come back in order.

    Random draws inside the dataset are the same for every number of workers: each batch draws from a generator of its
    own, seeded by its number. A stream's worker keeps one generator for its share.
    """

    def __init__(
        self, dataset: Any, num_workers: int, seed: int, init: Callable[[int], None] | None, timeout: float | None
    ) -> None:
        self.dataset, self.seed, self.init, self.timeout = dataset, seed, init, timeout
        self.threads = [
            ThreadPoolExecutor(1, f"DataLoader-{i}", initializer=self._enter, initargs=(i, num_workers))
            for i in range(num_workers)
        ]
        self.batches_begun = 0  # goes on counting over the passes of a persistent loader, so that no two draw alike

    def _enter(self, number: int, count: int) -> None:
        _here.info = WorkerInfo(number, count, self.seed + number, self.dataset)
        _here.generator = Generator().manual_seed(self.seed + number)
        _here.failure = None
        if self.init is not None:
            try:
                self.init(number)
            except Exception as error:  # raised again by the first batch, where the caller sees it
                _here.failure = error

    def run(self, fetch: Callable[[Any], Any], requests: Iterator[Any], ahead: int) -> Iterator[Any]:
        """Yield ``fetch(request)`` for every request, keeping `ahead` of them in the works for each worker."""
        waiting: deque[Future] = deque()
        room = len(self.threads) * max(ahead, 1)
        try:
            for request in itertools.islice(requests, room):
                waiting.append(self._submit(fetch, request, self._next_seed()))
            while waiting:
                batch = self._result(waiting.popleft())
                for request in itertools.islice(requests, 1):
                    waiting.append(self._submit(fetch, request, self._next_seed()))
                yield batch
        finally:
            for future in waiting:
                future.cancel()

    def run_streams(self, open_stream: Callable[[], Callable[[], Any]], ahead: int) -> Iterator[Any]:
        """Yield the batches of one stream per worker in turn, passing over those that have ended."""
        slots = [_Stream(open_stream) for _ in self.threads]
        waiting: deque[tuple[int, Future]] = deque()
        for _ in range(max(ahead, 1)):
            waiting.extend((i, self._submit(slot, None, None, i)) for i, slot in enumerate(slots))
        try:
            while waiting:
                number, future = waiting.popleft()
                batch = self._result(future)
                if batch is not END:
                    waiting.append((number, self._submit(slots[number], None, None, number)))
                    yield batch
        finally:
            for _, future in waiting:
                future.cancel()

    def close(self) -> None:
        """Let the threads end without waiting for them."""
        for thread in self.threads:
            thread.shutdown(wait=False, cancel_futures=True)

    def _next_seed(self) -> int:
        self.batches_begun += 1
        return self.seed + self.batches_begun - 1

    def _submit(self, fetch: Callable[[Any], Any], request: Any, seed: int | None, worker: int | None = None) -> Future:
        worker = (self.batches_begun - 1) % len(self.threads) if worker is None else worker
        return self.threads[worker].submit(_work, fetch, request, seed)

    def _result(self, future: Future) -> Any:
        try:
            return future.result(self.timeout)
        except FutureTimeoutError:
            if future.done():  # the dataset's own TimeoutError
                raise
            raise RuntimeError(
                f"DataLoader timed out after {self.timeout} seconds. Fix: a larger timeout=, or 0 to wait for ever."
            ) from None


def _work(fetch: Callable[[Any], Any], request: Any, seed: int | None) -> Any:
    info = _here.info
    try:
        if _here.failure is not None:
            raise _here.failure
        generator = _here.generator if seed is None else Generator().manual_seed(seed % 2**64)
        with drawing_from(generator):
            return fetch(request)
    except Exception as error:
        error.add_note(f"Raised in DataLoader worker {info.id}.")
        raise


class _Stream:
    """A worker's own pass over an iterable dataset, opened by the worker itself so that it can ask who it is."""

    def __init__(self, open_stream: Callable[[], Callable[[], Any]]):
        self.open_stream = open_stream
        self.next_batch: Callable[[], Any] | None = None

    def __call__(self, _: Any) -> Any:
        if self.next_batch is None:
            self.next_batch = self.open_stream()
        return self.next_batch()
