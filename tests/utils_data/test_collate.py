"""Collating by PyTorch's rules."""

from collections import OrderedDict, UserDict, namedtuple
from types import MappingProxyType

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.utils.data import default_collate, default_convert

Point = namedtuple("Point", "x y")


def arrays(batch):
    """The batch with arrays for tensors, so that it can be compared."""
    if isinstance(batch, Tensor):
        return batch.numpy().dtype.name, batch.tolist()
    if isinstance(batch, dict | UserDict):
        return {key: arrays(batch[key]) for key in batch}
    if isinstance(batch, tuple | list) and batch and not isinstance(batch[0], str | bytes):
        return [arrays(entry) for entry in batch]
    return batch


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([1, 2], ("int64", [1, 2])),
        ([True, False], ("bool", [True, False])),
        ([1.0, 2.5], ("float64", [1.0, 2.5])),
        ([1, 2.5], ("float32", [1.0, 2.5])),
        ([np.float32(1), np.float32(2)], ("float32", [1.0, 2.0])),
        ([np.float64(1), np.float64(2)], ("float64", [1.0, 2.0])),
        ([np.int16(1), np.int16(2)], ("int16", [1, 2])),
        ([np.ones(2), np.zeros(2)], ("float64", [[1.0, 1.0], [0.0, 0.0]])),
        ([wrap(np.ones(1, np.float32)), wrap(np.zeros(1, np.float32))], ("float32", [[1.0], [0.0]])),
        ([wrap(np.float32(1)), wrap(np.float32(3))], ("float32", [1.0, 3.0])),
        (["a", "b"], ["a", "b"]),
        ([b"a", b"b"], [b"a", b"b"]),
        ([(1, "a"), (2, "b")], [("int64", [1, 2]), ("a", "b")]),
        ([[1, 2.0], [3, 4.0]], [("int64", [1, 3]), ("float64", [2.0, 4.0])]),
        ([{"x": 1, "y": (2,)}, {"x": 3, "y": (4,)}], {"x": ("int64", [1, 3]), "y": [("int64", [2, 4])]}),
    ],
)
def test_kinds(batch, expected):
    assert arrays(default_collate(batch)) == expected


def test_containers_keep_their_kind():
    point = default_collate([Point(1, 2), Point(3, 4)])
    assert type(point) is Point and point.y.tolist() == [2, 4]
    ordered = default_collate([OrderedDict(b=1, a=2)] * 2)
    assert type(ordered) is OrderedDict and list(ordered) == ["b", "a"]
    assert type(default_collate([UserDict(a=1)] * 2)) is UserDict
    assert type(default_collate([MappingProxyType({"a": 1})] * 2)) is MappingProxyType
    assert type(default_collate([[1], [2]])) is list and type(default_collate([(1,), (2,)])) is list
    assert type(default_collate([range(2), range(2)])) is list  # a range cannot be made of tensors


def test_gradients_flow_through_a_batch():
    a, b = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0])
    (default_collate([a, b]) ** 2).sum().backward()
    assert a.grad.tolist() == [2.0, 4.0]


def test_mixed_types_are_promoted():
    batch = default_collate([tg.tensor([1, 2]), tg.tensor([0.5, 1.0])])
    assert batch.dtype is tg.float32 and batch.tolist() == [[1.0, 2.0], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        ([None, None], TypeError, "dicts or lists; found <class 'NoneType'>. Fix: pass a collate_fn"),
        ([np.array(["a"])] * 2, TypeError, "found <U1 in an array"),
        ([(1, 2), (1,)], RuntimeError, r"should be of equal size, got lengths \[1, 2\]"),
        ([np.ones(2), np.ones(2), np.ones(3)], RuntimeError, r"got \[2\] at entry 0 and \[3\] at entry 2"),
        ([wrap(np.ones((2, 1))), wrap(np.ones(2))], RuntimeError, r"got \[2, 1\] at entry 0 and \[2\] at entry 1"),
    ],
)
def test_errors(batch, error, words):
    with pytest.raises(error, match=words):
        default_collate(batch)


def test_pictures_need_a_transform():
    Image = pytest.importorskip("PIL.Image")
    with pytest.raises(TypeError, match=r"Fix: transform=transforms.ToTensor\(\)"):
        default_collate([Image.new("L", (2, 2))] * 2)


def test_converting_single_samples():
    sample = default_convert(
        {"a": np.ones(2), "b": [np.float64(1), "text"], "c": (1, np.arange(2)), "d": Point(np.ones(1), 2)}
    )
    assert arrays(sample["a"]) == ("float64", [1.0, 1.0])
    assert arrays(sample["b"]) == [("float64", 1.0), "text"]
    assert type(sample["c"]) is list and sample["c"][0] == 1
    assert type(sample["d"]) is Point and isinstance(sample["d"].x, Tensor)
    words = np.array(["a"])
    assert default_convert(words) is words
