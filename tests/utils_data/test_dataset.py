"""Datasets: what item i is, how they combine, and what they refuse."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.random import Generator
from tinygrad_edu.tensor import wrap
from tinygrad_edu.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)
from tinygrad_edu.utils.data.dataset import fetch, gatherer


class Count(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index**2


def pair(n: int = 6) -> TensorDataset:
    return TensorDataset(wrap(np.arange(3 * n, dtype=np.float32).reshape(n, 3)), wrap(np.arange(n)))


def test_a_tensor_dataset_holds_rows():
    data = pair()
    x, y = data[-1]
    assert len(data) == 6 and x.tolist() == [15.0, 16.0, 17.0] and y.item() == 5
    rows, labels = data[1:3]
    assert rows.shape == (2, 3) and labels.tolist() == [1, 2]


def test_tensors_of_different_lengths():
    with pytest.raises(AssertionError, match=r"Size mismatch between tensors.*\(2,\), \(3, 1\)"):
        TensorDataset(wrap(np.zeros(2)), wrap(np.zeros((3, 1))))
    with pytest.raises(AssertionError, match="no tensors at all"):
        TensorDataset()
    with pytest.raises(TypeError, match="argument 1 is a ndarray, not a Tensor"):
        TensorDataset(wrap(np.zeros(2)), np.zeros(2))


@given(st.lists(st.integers(-6, 5), min_size=1, max_size=9))
def test_gathering_equals_collating(indices):
    data = pair()
    gathered = data.gather(indices)
    collated = default_collate([data[i] for i in indices])
    assert type(gathered) is type(collated) is list
    for a, b in zip(gathered, collated, strict=True):
        assert a.dtype is b.dtype and np.array_equal(a.numpy(), b.numpy())


def test_a_gathered_batch_is_a_copy():
    data = pair()
    data.gather([0, 1])[0].numpy()[:] = -1
    assert data[0][0].tolist() == [0.0, 1.0, 2.0]


def test_no_gathering_where_gradients_flow():
    data = pair()
    data.tensors[0].requires_grad = True
    assert data.gather([0]) is None


def test_a_subclass_with_items_of_its_own_is_not_gathered():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(t * 2 for t in super().__getitem__(index))

    assert gatherer(pair()) is not None
    assert gatherer(Doubled(*pair().tensors)) is None
    assert gatherer(Subset(Doubled(*pair().tensors), [0])) is not None
    assert Subset(Doubled(*pair().tensors), [0]).gather([0]) is None
    assert gatherer(Squares()) is None


def test_a_subset():
    part = Subset(pair(), [4, 0, 2])
    assert len(part) == 3 and part[0][1].item() == 4
    assert [y.item() for _, y in part.__getitems__([2, 0])] == [2, 4]
    assert part.gather([1, 0])[1].tolist() == [0, 4]
    assert Subset(part, [2]).gather([0])[1].tolist() == [2]
    assert Subset(Squares(), [3, 5])[1] == 25 and Subset(Squares(), [3]).gather([0]) is None


def test_a_subset_whose_batches_would_bypass_its_items():
    class Half(Subset):
        def __getitem__(self, index):
            return 0

    with pytest.raises(NotImplementedError, match="Half overrides __getitem__ but not __getitems__"):
        Half(Squares(), [1])


def test_batches_of_items_at_once():
    class Together(Squares):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert fetch(Together(), [1, 2]) == [-1, -2]
    assert fetch(Subset(Together(), [7, 8]), [1]) == [-8]
    assert fetch(Squares(), [1, 2]) == [1, 4]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.data())
def test_concatenation(lengths, data):
    parts = [list(range(10 * k, 10 * k + n)) for k, n in enumerate(lengths)]
    whole, flat = ConcatDataset(parts), list(chain.from_iterable(parts))
    assert len(whole) == len(flat)
    assert [whole[i] for i in range(len(flat))] == flat
    if flat:
        index = data.draw(st.integers(-len(flat), len(flat) - 1))
        assert whole[index] == flat[index]
    with pytest.raises(IndexError):
        whole[len(flat)]
    with pytest.raises(ValueError, match="before the first"):
        whole[-len(flat) - 1]


def test_adding_datasets():
    assert list(Squares() + [1, 2])[-3:] == [81, 1, 2]
    stream = Count(2) + Count(3)
    assert list(stream) == [0, 1, 0, 1, 2] and len(stream) == 5


def test_what_cannot_be_joined():
    with pytest.raises(AssertionError, match="empty"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([Count(1)])
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        list(ChainDataset([Squares()]))


def test_what_must_be_defined():
    with pytest.raises(NotImplementedError, match="Dataset must define __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="IterableDataset must define __iter__"):
        iter(IterableDataset())


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_split_shares_everything_out_once(lengths, seed):
    if sum(lengths) == 1:  # one item: the lengths look like fractions, to PyTorch as well
        return
    data = list(range(100, 100 + sum(lengths)))
    parts = random_split(data, lengths, Generator().manual_seed(seed))
    assert [len(part) for part in parts] == lengths
    assert sorted(x for part in parts for x in [part[i] for i in range(len(part))]) == data


def test_split_errors():
    with pytest.raises(ValueError, match=r"Sum of input lengths.*3 \+ 4 = 7, but there are 10 items"):
        random_split(range(10), [3, 4])
    with pytest.raises(ValueError, match="Fraction at index 1 is not between 0 and 1"):
        random_split(range(10), [0.5, -0.25, 0.75])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(10), [1.0, 0.0])
