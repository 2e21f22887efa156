"""The same seed gives PyTorch's orders, splits and samples."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_edu import random as tgr
from tinygrad_edu.random import Generator
from tinygrad_edu.tensor import wrap
from tinygrad_edu.utils import data as ours

torch = pytest.importorskip("torch")
theirs = torch.utils.data


@pytest.fixture(autouse=True)
def one_thread():
    before, threads = tgr.default_generator.get_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    tgr.default_generator.set_state(before)


def both(seed: int):
    return Generator().manual_seed(seed), torch.Generator().manual_seed(seed)


def seed_both(seed: int) -> None:
    tgr.manual_seed(seed)
    torch.manual_seed(seed)


@given(
    n=st.integers(1, 40),
    batch_size=st.integers(1, 9),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**63),
    own=st.booleans(),
)
def test_batches(n, batch_size, drop_last, shuffle, seed, own):
    x = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    g, h = both(seed) if own else (None, None)
    seed_both(seed)
    kind = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    a = ours.DataLoader(ours.TensorDataset(wrap(x), wrap(np.arange(n))), generator=g, **kind)
    b = theirs.DataLoader(theirs.TensorDataset(torch.from_numpy(x), torch.arange(n)), generator=h, **kind)
    assert len(a) == len(b)
    for _ in range(3):  # passes: the generator stands at the same place after each
        for (xa, ya), (xb, yb) in zip(a, b, strict=True):
            assert np.array_equal(xa.numpy(), xb.numpy()) and ya.tolist() == yb.tolist()
    assert np.array_equal(tgr.uniform((5,)), torch.rand(5).numpy())


def test_draws_between_batches_do_not_disturb_the_order():
    seed_both(4)
    a, b = ours.DataLoader(range(20), 3, shuffle=True), theirs.DataLoader(range(20), 3, shuffle=True)
    for xa, xb in zip(a, b, strict=True):
        assert xa.tolist() == xb.tolist()
        assert tgr.uniform((4,)).tolist() == torch.rand(4).tolist()


def test_random_items_without_workers():
    class OurNoise(ours.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return tgr.uniform((2,))

    class TheirNoise(theirs.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return torch.rand(2)

    seed_both(6)
    a, b = ours.DataLoader(OurNoise(), 4, shuffle=True), theirs.DataLoader(TheirNoise(), 4, shuffle=True)
    for xa, xb in zip(a, b, strict=True):
        assert np.array_equal(xa.numpy(), xb.numpy())


@given(n=st.integers(1, 30), wanted=st.integers(2, 100), seed=st.integers(0, 2**63), replacement=st.booleans())
def test_samplers(n, wanted, seed, replacement):
    g, h = both(seed)
    pairs = [
        (ours.RandomSampler(range(n), replacement, wanted, g), theirs.RandomSampler(range(n), replacement, wanted, h)),
        (ours.SubsetRandomSampler(range(n), g), theirs.SubsetRandomSampler(range(n), h)),
    ]
    weights = np.linspace(0.5, 2.0, n).tolist()
    pairs.append(
        (ours.WeightedRandomSampler(weights, wanted, True, g), theirs.WeightedRandomSampler(weights, wanted, True, h))
    )
    for _ in range(2):
        for a, b in pairs:
            assert list(a) == list(b) and len(a) == len(b)
    assert g.words32(3).tolist() == next_words(h)


def next_words(generator) -> list[int]:
    g = Generator()
    g.set_state(generator.get_state().numpy())
    return g.words32(3).tolist()


@settings(max_examples=60)
@given(n=st.integers(0, 60), cuts=st.lists(st.floats(0.0, 1.0), max_size=3), seed=st.integers(0, 2**63))
@pytest.mark.filterwarnings("ignore:Length of split")
def test_splits(n, cuts, seed):
    edges = [0.0, *sorted(cuts), 1.0]
    fractions = [b - a for a, b in pairwise(edges)]
    if sum(fractions) > 1:  # rounding: PyTorch then takes them for counts, as we do
        return
    g, h = both(seed)
    a = ours.random_split(range(n), fractions, g)
    b = theirs.random_split(range(n), fractions, h)
    assert [part.indices for part in a] == [part.indices for part in b]
    counts = [len(part) for part in b]
    if sum(counts) != 1:
        a, b = ours.random_split(range(n), counts, g), theirs.random_split(range(n), counts, h)
        assert [part.indices for part in a] == [part.indices for part in b]


SAMPLES = [
    [1, 2],
    [True, False],
    [1.5, 2],
    [1, 2.5],
    [True, 2],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    [np.ones((2, 1)), np.zeros((2, 1))],
    ["a", "b"],
    [("a", 1, 2.0), ("b", 3, 4.0)],
    [[1, [2.0, (3,)]], [4, [5.0, (6,)]]],
    [{"x": 1, "y": np.ones(2, np.float32)}, {"x": 2, "y": np.zeros(2, np.float32)}],
]


def plain(batch):
    if hasattr(batch, "numpy"):
        return batch.numpy().dtype, batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(plain(entry) for entry in batch)
    return batch


@pytest.mark.parametrize("samples", SAMPLES, ids=repr)
def test_collation_and_conversion(samples):
    assert plain(ours.default_collate(samples)) == plain(theirs.default_collate(samples))
    assert plain(ours.default_convert(samples)) == plain(theirs.default_convert(samples))


@given(
    n=st.integers(0, 30), replicas=st.integers(1, 8), shuffle=st.booleans(), drop_last=st.booleans(), seed=st.integers(0, 99)
)  # fmt: skip
def test_shares_of_several_processes(n, replicas, shuffle, drop_last, seed):
    shares = []
    for rank in range(replicas):
        samplers = [
            lib.DistributedSampler(range(n), replicas, rank, shuffle, seed, drop_last) for lib in (ours, theirs)
        ]
        for epoch in (0, 3):
            for sampler in samplers:
                sampler.set_epoch(epoch)
            if n or drop_last:  # of nothing PyTorch cannot make shares without dropping
                assert list(samplers[0]) == list(samplers[1])
            assert len(samplers[0]) == len(list(samplers[0]))
        shares += list(samplers[0])
    assert drop_last or set(shares) == set(range(n))


@given(n=st.integers(1, 12), batch_size=st.integers(1, 5), named=st.booleans())
def test_datasets_side_by_side(n, batch_size, named):
    batches = []
    for lib, wrapped in ((ours, lambda x: wrap(x)), (theirs, torch.from_numpy)):
        first = lib.TensorDataset(wrapped(np.arange(2 * n).reshape(n, 2)))
        parts = {"pair": first, "part": lib.Subset(first, range(n - 1, -1, -1)), "square": [i * i for i in range(n)]}
        data = lib.StackDataset(**parts) if named else lib.StackDataset(*parts.values())
        assert len(data) == n
        batches.append([plain(batch) for batch in lib.DataLoader(data, batch_size)] + [plain(data[n - 1])])
    assert batches[0] == batches[1]


def test_what_cannot_be_shared_or_stacked():
    for lib in (ours, theirs):
        for wrong in (lambda lib=lib: lib.DistributedSampler(range(4), 2, 2), lambda lib=lib: lib.StackDataset()):
            with pytest.raises(ValueError):
                wrong()
        with pytest.raises(ValueError, match="Size mismatch"):
            lib.StackDataset([1, 2], [3])
        with pytest.raises(ValueError):
            lib.StackDataset([1, 2], more=[3, 4])
    with pytest.raises(RuntimeError, match="requires num_replicas and rank"):
        ours.DistributedSampler(range(4))
