"""How tensors are printed: the numbers as torch shows them, then shape, dtype and origin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.printing import describe, set_printoptions


@pytest.fixture(autouse=True)
def default_options():
    yield
    set_printoptions(profile="default")


EXACT = [
    (1.0, "tensor(1., shape=(), dtype=float32)"),
    (3, "tensor(3, shape=(), dtype=int64)"),
    (True, "tensor(True, shape=(), dtype=bool)"),
    ([1.0, 2.0], "tensor([1., 2.], shape=(2,), dtype=float32)"),
    ([1.0, 2.5], "tensor([1.0000, 2.5000], shape=(2,), dtype=float32)"),
    ([-1.0, 1.0], "tensor([-1.,  1.], shape=(2,), dtype=float32)"),
    ([0.0, 0.0], "tensor([0., 0.], shape=(2,), dtype=float32)"),
    ([float("nan"), 1.5, -float("inf")], "tensor([   nan, 1.5000,   -inf], shape=(3,), dtype=float32)"),
    ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00], shape=(2,), dtype=float32)"),
    ([[1, 20], [300, 4]], "tensor([[  1,  20],\n        [300,   4]], shape=(2, 2), dtype=int64)"),
    ([], "tensor([], shape=(0,), dtype=float32)"),
]


@pytest.mark.parametrize(("data", "text"), EXACT, ids=[text for _, text in EXACT])
def test_exact_texts(data, text):
    assert repr(tg.tensor(data)) == text
    assert describe(tg.tensor(data)) == str(tg.tensor(data)) == f"{tg.tensor(data)}"


def test_the_origin_is_told():
    x = tg.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], shape=(1,), dtype=float32, requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], shape=(1,), dtype=float32, grad_fn=<MulBackward0>)"
    assert repr((x * 2).detach()) == "tensor([2.], shape=(1,), dtype=float32)"


def numbers_only(text: str) -> list[str]:
    """The numbers of a print, without brackets, spaces and what follows."""
    inside = text[text.index("(") + 1 :].split("shape=")[0].split("dtype=")[0].split("size=")[0]
    return inside.replace("[", " ").replace("]", " ").replace(",", " ").replace(")", " ").split()


finite = st.floats(-1e6, 1e6, width=32)


@given(
    st.lists(finite, min_size=1, max_size=12) | st.lists(st.integers(-5000, 5000).map(float), min_size=1, max_size=12)
)
def test_numbers_look_as_in_torch(data):
    torch = pytest.importorskip("torch")
    assert numbers_only(repr(tg.tensor(data))) == numbers_only(repr(torch.tensor(data)))


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=12) | st.lists(st.booleans(), min_size=1, max_size=9)
)
def test_integers_and_bools_look_as_in_torch(data):
    torch = pytest.importorskip("torch")
    assert numbers_only(repr(tg.tensor(data))) == numbers_only(repr(torch.tensor(data)))


@pytest.mark.parametrize("shape", [(1001,), (40, 40), (7, 8, 30), (2, 2, 2, 300)])
def test_long_tensors_are_shown_by_the_same_edges_as_in_torch(shape):
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)
    assert numbers_only(repr(tg.tensor(array))) == numbers_only(repr(torch.tensor(array)))


def test_lines_are_no_longer_than_the_width():
    for line in repr(tg.rand(7, 40)).splitlines()[:-1]:
        assert len(line) <= 80


def test_options():
    x = tg.tensor([1 / 3, 2 / 3])
    set_printoptions(precision=2)
    assert repr(x).startswith("tensor([0.33, 0.67]")
    set_printoptions(sci_mode=True)
    assert repr(x).startswith("tensor([3.33e-01, 6.67e-01]")
    set_printoptions(profile="default")
    assert repr(x).startswith("tensor([0.3333, 0.6667]")
    set_printoptions(threshold=4, edgeitems=1)
    assert repr(tg.arange(9)).startswith("tensor([0, ..., 8]")
    set_printoptions(profile="full")
    assert "..." not in repr(tg.arange(1500))
    set_printoptions(profile="short")
    assert repr(x).startswith("tensor([0.33, 0.67]")
    with pytest.raises(ValueError, match="default, short, full"):
        set_printoptions(profile="long")
