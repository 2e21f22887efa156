"""The loader: every sample once, in an order that the seed decides, the same for any number of workers."""

import gc
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu import random as tgr
from tinygrad_edu.random import Generator
from tinygrad_edu.tensor import wrap
from tinygrad_edu.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

WORKERS = [0, 1, 2, 5]


class Noisy(Dataset):
    """Items with a random part, as augmented images have."""

    def __len__(self):
        return 23

    def __getitem__(self, index):
        return index, float(tgr.uniform(()))


class Stream(IterableDataset):
    def __init__(self, n, share=False):
        self.n, self.share = n, share

    def __iter__(self):
        info = get_worker_info()
        if self.share and info is not None:
            return iter(range(info.id, self.n, info.num_workers))
        return iter(range(self.n))

    def __len__(self):
        return self.n


def rows(n: int) -> TensorDataset:
    return TensorDataset(wrap(np.arange(n)))


def lists(loader) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


# --- order and batches ---


@given(n=st.integers(1, 30), batch_size=st.integers(1, 8), drop_last=st.booleans(), seed=st.integers(0, 2**32))
def test_every_sample_comes_once(n, batch_size, drop_last, seed):
    loader = DataLoader(rows(n), batch_size, shuffle=True, drop_last=drop_last, generator=seeded(seed))
    batches = lists(loader)
    assert len(batches) == len(loader)
    sizes = [len(batch) for batch in batches]
    assert all(size == batch_size for size in sizes[:-1]) and (
        not drop_last or sizes in ([], [batch_size] * len(sizes))
    )
    seen = [i for batch in batches for i in batch]
    assert len(set(seen)) == len(seen) == (n // batch_size * batch_size if drop_last else n)


def test_without_shuffling_the_order_is_the_datasets():
    assert lists(DataLoader(rows(5), 2)) == [[0, 1], [2, 3], [4]]
    assert lists(DataLoader(rows(3))) == [[0], [1], [2]]


def test_every_pass_is_shuffled_anew():
    loader = DataLoader(rows(50), 50, shuffle=True, generator=seeded())
    first, second = lists(loader), lists(loader)
    assert first != second and sorted(first[0]) == sorted(second[0])


def test_single_samples():
    samples = list(DataLoader([np.ones(2), np.zeros(2)], batch_size=None))
    assert [sample.tolist() for sample in samples] == [[1.0, 1.0], [0.0, 0.0]]
    assert len(DataLoader([1, 2, 3], batch_size=None)) == 3


def test_own_samplers_and_collation():
    class Backwards(Sampler):
        def __iter__(self):
            return iter([3, 2, 1, 0])

    assert lists(DataLoader(rows(4), 2, sampler=Backwards())) == [[3, 2], [1, 0]]
    loader = DataLoader(rows(4), batch_sampler=[[0, 3], [1], [2]])
    assert lists(loader) == [[0, 3], [1], [2]] and len(loader) == 3 and loader.batch_size is None
    assert list(DataLoader(range(4), 2, collate_fn=sum)) == [1, 5]


def test_a_dataset_that_counts_its_uses():
    class Counting(TensorDataset):
        calls = 0

        def gather(self, indices):
            Counting.calls += 1
            return super().gather(indices)

    data = Counting(wrap(np.arange(7)))
    assert lists(DataLoader(data, 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert Counting.calls == 3
    list(DataLoader(data, 3, collate_fn=lambda samples: samples))  # only the default collation is replaced by gathering
    assert Counting.calls == 3


# --- workers ---


@pytest.mark.parametrize("workers", WORKERS)
def test_the_order_does_not_depend_on_the_workers(workers):
    tgr.default_generator.manual_seed(3)
    loader = DataLoader(rows(23), 4, shuffle=True, num_workers=workers)
    epochs = [lists(loader), lists(loader)]
    tgr.default_generator.manual_seed(3)
    alone = DataLoader(rows(23), 4, shuffle=True)
    assert epochs == [lists(alone), lists(alone)]


@pytest.mark.parametrize("persistent", [False, True])
def test_random_items_are_the_same_for_every_number_of_workers(persistent):
    def epochs(workers):
        loader = DataLoader(
            Noisy(), 4, shuffle=True, num_workers=workers, generator=seeded(8), persistent_workers=persistent
        )
        return [[(x.tolist(), r.tolist()) for x, r in loader] for _ in range(2)]

    one, two, five = epochs(1), epochs(2), epochs(5)
    assert one == two == five
    draws = [r for epoch in one for _, batch in epoch for r in batch]
    assert len(set(draws)) == len(draws)  # neither batches nor passes repeat each other's draws


def test_workers_leave_the_default_generator_alone():
    tgr.default_generator.manual_seed(1)
    list(DataLoader(Noisy(), 4, num_workers=2, generator=seeded()))
    after = tgr.uniform((3,))
    tgr.default_generator.manual_seed(1)
    assert np.array_equal(after, tgr.uniform((3,)))


def test_slow_batches_still_come_in_order():
    class Slow(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, index):
            time.sleep(0.02 if index % 3 == 0 else 0)
            return index

    assert [b.item() for b in DataLoader(Slow(), num_workers=3)] == list(range(12))


def test_workers_fetch_ahead_but_not_far():
    begun = []

    class Recorded(Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, index):
            begun.append(index)
            return index

    loader = iter(DataLoader(Recorded(), num_workers=2, prefetch_factor=3))
    next(loader)
    deadline = time.monotonic() + 5
    while len(begun) < 7 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sorted(begun) == list(range(7))  # the one taken, and 2 x 3 in the works
    loader.close()


def test_a_loop_that_stops_early_leaves_no_threads():
    before = set(threading.enumerate())
    for _ in DataLoader(rows(100), num_workers=3):
        break
    loader = DataLoader(rows(100), num_workers=3, persistent_workers=True)
    next(iter(loader))
    del loader
    gc.collect()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.005)
    assert set(threading.enumerate()) <= before


def test_each_worker_is_prepared_once():
    started = []
    loader = DataLoader(rows(9), num_workers=3, worker_init_fn=started.append, persistent_workers=True)
    list(loader)
    list(loader)
    assert sorted(started) == [0, 1, 2]


def test_workers_know_who_they_are():
    class Who(Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            info = get_worker_info()
            return info.id, info.num_workers, info.dataset is self

    assert get_worker_info() is None
    batches = [[entry.item() for entry in batch] for batch in DataLoader(Who(), num_workers=2)]
    assert batches == [[0, 2, True], [1, 2, True], [0, 2, True], [1, 2, True]]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_the_dataset_reach_the_loop(workers):
    class Broken(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 3:
                raise KeyError("no such picture")
            return index

    seen = []
    with pytest.raises(KeyError, match="no such picture") as caught:
        seen.extend(batch.item() for batch in DataLoader(Broken(), num_workers=workers))
    assert seen == [0, 1, 2]
    if workers:
        assert caught.value.__notes__ == ["Raised in DataLoader worker 1."]


def test_errors_of_the_preparation_reach_the_loop():
    def fail(number):
        raise ValueError(f"worker {number} cannot start")

    with pytest.raises(ValueError, match="worker 0 cannot start"):
        list(DataLoader(rows(4), num_workers=1, worker_init_fn=fail))


def test_a_worker_that_takes_too_long():
    release = threading.Event()

    class Stuck(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            release.wait(10)
            return index

    with pytest.raises(RuntimeError, match=r"timed out after 0.05 seconds"):
        list(DataLoader(Stuck(), num_workers=1, timeout=0.05))
    release.set()


# --- streams ---


@pytest.mark.parametrize(("drop_last", "expected"), [(False, [[0, 1], [2, 3], [4]]), (True, [[0, 1], [2, 3]])])
def test_a_stream_in_batches(drop_last, expected):
    loader = DataLoader(Stream(5), 2, drop_last=drop_last)
    assert [batch.tolist() for batch in loader] == expected
    assert len(loader) == len(expected)
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]


def test_a_stream_in_workers():
    whole = [batch.tolist() for batch in DataLoader(Stream(5), 2, num_workers=2)]
    assert whole == [[0, 1], [0, 1], [2, 3], [2, 3], [4], [4]]  # each worker reads it all, as in PyTorch
    shared = [batch.tolist() for batch in DataLoader(Stream(7, share=True), 2, num_workers=2)]
    assert shared == [[0, 2], [1, 3], [4, 6], [5]]


# --- samplers ---


@given(n=st.integers(1, 20), wanted=st.integers(1, 70), seed=st.integers(0, 2**32))
def test_random_samplers_draw_what_they_should(n, wanted, seed):
    with_replacement = list(RandomSampler(range(n), True, wanted, seeded(seed)))
    assert len(with_replacement) == wanted and set(with_replacement) <= set(range(n))
    without = list(RandomSampler(range(n), False, wanted, seeded(seed)))
    counts = np.bincount(without, minlength=n)
    assert len(without) == wanted and np.ptp(counts) <= 1
    chosen = list(SubsetRandomSampler([10 * i for i in range(n)], seeded(seed)))
    assert sorted(chosen) == [10 * i for i in range(n)]


def test_weights_decide():
    sampler = WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=seeded())
    counts = np.bincount(list(sampler), minlength=3)
    assert counts[0] == 0 and abs(counts[2] / counts[1] - 3) < 0.4 and len(sampler) == 4000


def test_batches_of_a_sampler():
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, True)) == 2 and len(BatchSampler(range(5), 2, False)) == 3


# --- refusals ---


class Unsized(Dataset):
    def __getitem__(self, index):
        return index


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: DataLoader(rows(3), 0),
            ValueError,
            "batch_size should be a positive integer value, but got batch_size=0",
        ),
        (lambda: DataLoader(rows(3), 2.0), ValueError, "but got batch_size=2.0"),
        (lambda: DataLoader(rows(3), True), ValueError, "but got batch_size=True"),
        (lambda: DataLoader(rows(3), drop_last=1), ValueError, "drop_last should be a boolean"),
        (lambda: DataLoader(rows(3), num_workers=-1), ValueError, "num_workers option should be non-negative"),
        (lambda: DataLoader(rows(3), timeout=-1), ValueError, "timeout option should be non-negative"),
        (lambda: DataLoader(rows(3), prefetch_factor=2), ValueError, "prefetch_factor option needs workers"),
        (lambda: DataLoader(rows(3), num_workers=1, prefetch_factor=-1), ValueError, "should be non-negative, got -1"),
        (lambda: DataLoader(rows(3), persistent_workers=True), ValueError, "needs num_workers > 0"),
        (lambda: DataLoader(rows(3), shuffle=True, sampler=[0]), ValueError, "mutually exclusive with shuffle"),
        (lambda: DataLoader(rows(3), 2, batch_sampler=[[0]]), ValueError, "mutually exclusive with batch_size"),
        (lambda: DataLoader(rows(3), batch_sampler=[[0]], drop_last=True), ValueError, "mutually exclusive"),
        (lambda: DataLoader(rows(3), None, drop_last=True), ValueError, "exclusive with drop_last"),
        (lambda: DataLoader(Stream(3), shuffle=True), ValueError, "expected unspecified shuffle option"),
        (lambda: DataLoader(Stream(3), sampler=[0]), ValueError, "expected unspecified sampler option"),
        (lambda: DataLoader(Stream(3), batch_sampler=[[0]]), ValueError, "expected unspecified batch_sampler option"),
        (lambda: DataLoader([], shuffle=True), ValueError, "num_samples should be a positive integer value"),
        (lambda: DataLoader(Unsized(), shuffle=True), TypeError, r"'Unsized' has no len\(\).*define Unsized.__len__"),
        (lambda: list(DataLoader(Unsized())), TypeError, r"'Unsized' has no len\(\)"),
        (lambda: RandomSampler(range(3), replacement=1), TypeError, "replacement should be a boolean"),
        (lambda: RandomSampler(range(3), num_samples=0), ValueError, "num_samples=0"),
        (lambda: WeightedRandomSampler([1.0], True), ValueError, "num_samples=True"),
        (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"weights have shape \(1, 1\)"),
        (lambda: WeightedRandomSampler([1.0], 1, 1), ValueError, "replacement should be a boolean"),
        (lambda: iter(Sampler()), NotImplementedError, "Sampler must define __iter__"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_what_a_loader_is_made_of_stays():
    loader = DataLoader(rows(3))
    with pytest.raises(ValueError, match="batch_size attribute should not be set"):
        loader.batch_size = 2
    loader.collate_fn = list
