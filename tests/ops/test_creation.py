"""Making tensors: types, copies and errors by name; the same numbers as torch, random ones included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg


def kind(tensor) -> str:
    return str(tensor.dtype).rpartition(".")[2]


# ---- from data --------------------------------------------------------------------------------------------------------------
DATA = [
    1, 1.5, True, [1, 2], [1, 2.5], [True, False], [True, 2], [[1.0], [2.0]], [], [[]], [[], []], (1, 2), [(1, 2), [3, 4]],
    np.float64(3.0), np.float32(3.0), np.int32(2), np.arange(3), np.arange(3.0), np.zeros((2, 0)), np.array(True), [np.float32(1.0)],
    [np.arange(2.0), np.arange(2.0)],
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy")
@pytest.mark.parametrize("data", DATA, ids=repr)
def test_types_and_values_equal_torch(data):
    torch = pytest.importorskip("torch")
    ours, theirs = tg.tensor(data), torch.tensor(data)
    assert (kind(ours), tuple(ours.shape), ours.tolist()) == (kind(theirs), tuple(theirs.shape), theirs.tolist())


def test_lists_may_hold_tensors():
    a = tg.tensor(1.0, requires_grad=True)
    assert tg.tensor([a, tg.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert tg.tensor([[tg.tensor(1), 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


def test_tensor_copies_and_from_numpy_shares():
    array = np.zeros(3, np.float32)
    copied, shared, as_tensor = tg.tensor(array), tg.from_numpy(array), tg.as_tensor(array)
    array[0] = 5.0
    assert copied.tolist() == [0.0, 0.0, 0.0]
    assert shared.tolist() == as_tensor.tolist() == [5.0, 0.0, 0.0]
    assert tg.as_tensor(shared) is shared
    assert tg.as_tensor([1, 2], dtype=tg.float32).dtype is tg.float32
    assert tg.asarray(shared, copy=True).numpy().base is not array


def test_copying_a_tensor_warns_as_torch_does():
    with pytest.warns(UserWarning, match="clone"):
        assert tg.tensor(tg.ones(2)).tolist() == [1.0, 1.0]


DATA_ERRORS = [
    ([[1, 2], [3]], ValueError, r"expected sequence of length 2 at dim 1 \(got 1\).*data\[1\] has \(1,\)"),
    ([[1, 2], 3], ValueError, r"data\[1\]"),
    ([[[1], [2, 3]], [[1], [2]]], ValueError, r"data\[0\]\[0\] has shape \(1,\), data\[0\]\[1\] has \(2,\)"),
    ("ab", TypeError, "invalid data type 'str'"),
    (["a"], TypeError, "invalid data type 'str'"),
    (None, RuntimeError, "Could not infer dtype of NoneType"),
    ([1.0, None], RuntimeError, "Could not infer dtype of NoneType"),
    ({1: 2}, RuntimeError, "Could not infer dtype of dict"),
    ([2**70], ValueError, "Overflow"),
    ([2**63], ValueError, "Overflow"),
    (np.zeros(2, complex), TypeError, "complex128.*supported types"),
]


@pytest.mark.parametrize(("data", "error", "text"), DATA_ERRORS, ids=[repr(d) for d, _, _ in DATA_ERRORS])
def test_bad_data_is_named(data, error, text):
    with pytest.raises(error, match=text):
        tg.tensor(data)


def test_integers_cannot_require_gradients():
    with pytest.raises(RuntimeError, match=r"E110.*floating point.*int64.*1\., 2\., 3\."):
        tg.tensor([1, 2, 3], requires_grad=True)
    with pytest.raises(TypeError, match="expected np"):
        tg.from_numpy([1, 2])


# ---- filled and counted -----------------------------------------------------------------------------------------------------
MADE = [
    lambda lib: lib.zeros(2, 3), lambda lib: lib.ones((2, 3)), lambda lib: lib.zeros(()), lambda lib: lib.ones(2, dtype=lib.int64),
    lambda lib: lib.full((2,), 3), lambda lib: lib.full((2,), 3.5), lambda lib: lib.full((), True), lambda lib: lib.eye(3),
    lambda lib: lib.eye(2, 3), lambda lib: lib.empty(0, 2), lambda lib: lib.arange(5), lambda lib: lib.arange(1, 2.5, 0.5),
    lambda lib: lib.arange(5, 0, -2), lambda lib: lib.arange(0.0, 1.0, 0.1), lambda lib: lib.arange(3, dtype=lib.float64),
    lambda lib: lib.linspace(0, 1, 5), lambda lib: lib.linspace(3, -2, 7), lambda lib: lib.linspace(0, 1, 1), lambda lib: lib.linspace(0, 1, 0),
    lambda lib: lib.linspace(0, 10, 4, dtype=lib.int64), lambda lib: lib.logspace(0, 2, 3), lambda lib: lib.logspace(0, 2, 3, base=2.0),
    lambda lib: lib.scalar_tensor(3), lambda lib: lib.zeros_like(lib.ones(2, dtype=lib.int32)), lambda lib: lib.full_like(lib.ones(2), 7),
    lambda lib: lib.ones_like(lib.zeros(2), dtype=lib.bool), lambda lib: lib.ones(2).new_zeros(2, 3), lambda lib: lib.ones(2).new_ones((1,)),
    lambda lib: lib.ones(2, dtype=lib.int64).new_tensor([1.5]), lambda lib: lib.ones(1).new_full((2,), 3), lambda lib: lib.ones(1).new_empty(0),
    lambda lib: lib.FloatTensor([1, 2]), lambda lib: lib.LongTensor([[1, 2]]), lambda lib: lib.ByteTensor([1]), lambda lib: lib.BoolTensor([0, 2]),
    lambda lib: lib.DoubleTensor([1.5]), lambda lib: lib.IntTensor([1]), lambda lib: lib.FloatTensor(0), lambda lib: lib.tril_indices(3, 3),
]  # fmt: skip


@pytest.mark.parametrize("make", MADE)
def test_filled_and_counted_tensors_equal_torch(make):
    torch = pytest.importorskip("torch")
    ours, theirs = make(tg), make(torch)
    assert (kind(ours), tuple(ours.shape)) == (kind(theirs), tuple(theirs.shape))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=3e-7)


@given(st.floats(-10, 10), st.floats(-10, 10), st.integers(2, 40))
def test_linspace_keeps_both_ends(start, end, steps):
    made = tg.linspace(start, end, steps, dtype=tg.float64)
    assert (made[0].item(), made[-1].item(), len(made)) == (start, end, steps)


def test_requires_grad_and_devices():
    assert tg.zeros(2, requires_grad=True).is_leaf
    assert tg.randn(2, requires_grad=True).requires_grad
    assert tg.zeros(2, device="cpu").device == tg.device("cpu")
    with pytest.raises(RuntimeError, match="CPU only"):
        tg.zeros(2, device="cuda")
    out = tg.empty(2)
    assert tg.ones(2, out=out) is out
    assert out.tolist() == [1.0, 1.0]


def test_bad_sizes_are_named():
    with pytest.raises(TypeError, match="size must be ints, got float"):
        tg.zeros(2.0)
    with pytest.raises(RuntimeError, match="negative dimension -1"):
        tg.ones(2, -1)
    with pytest.raises(RuntimeError, match=r"inconsistent with step sign"):
        tg.arange(3, 0)
    with pytest.raises(RuntimeError, match="nonzero"):
        tg.arange(3, 0, 0)


# ---- random -----------------------------------------------------------------------------------------------------------------
DRAWS = [
    lambda lib: lib.rand(2, 3), lambda lib: lib.randn(5), lambda lib: lib.randn(20), lambda lib: lib.randint(10, (4,)),
    lambda lib: lib.randint(-3, 3, (2, 2)), lambda lib: lib.randint(low=0, high=5, size=(3,)), lambda lib: lib.randperm(7),
    lambda lib: lib.rand_like(lib.zeros(3, dtype=lib.float64)), lambda lib: lib.randn_like(lib.zeros(())),
    lambda lib: lib.randint_like(lib.zeros(3), 5), lambda lib: lib.normal(lib.zeros(4), lib.ones(4) * 2), lambda lib: lib.normal(1.0, 2.0, (3,)),
    lambda lib: lib.normal(lib.arange(3.0), 0.5), lambda lib: lib.bernoulli(lib.full((5,), 0.3)), lambda lib: lib.poisson(lib.full((9,), 4.0)),
    lambda lib: lib.multinomial(lib.tensor([0.2, 0.3, 0.5]), 6, replacement=True), lambda lib: lib.zeros(4).normal_(1, 2),
    lambda lib: lib.zeros(4).uniform_(-1, 1), lambda lib: lib.zeros(4).random_(3), lambda lib: lib.zeros(4, dtype=lib.int64).random_(2, 9),
    lambda lib: lib.zeros(3).random_(), lambda lib: lib.zeros(3, dtype=lib.int64).random_(), lambda lib: lib.zeros(4).log_normal_(),
    lambda lib: lib.zeros(4).bernoulli_(lib.full((4,), 0.5)), lambda lib: lib.rand(2, generator=lib.Generator().manual_seed(5)),
]  # fmt: skip


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_equal_torch_from_the_same_seed(draw):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        lib.manual_seed(42)
        results.append(draw(lib))
    ours, theirs = results
    assert (kind(ours), tuple(ours.shape)) == (kind(theirs), tuple(theirs.shape))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 2.5, 40.0])
def test_poisson_has_its_mean_and_variance(rate):
    tg.manual_seed(0)
    counts = tg.poisson(tg.full((4000,), rate, dtype=tg.float64)).numpy()
    spread = 5 * np.sqrt(max(rate, 1e-9) / 4000)
    assert abs(counts.mean() - rate) <= spread
    assert abs(counts.var() - rate) <= 10 * spread * np.sqrt(2 * rate + 1)


def test_random_fillings_respect_the_graph():
    leaf = tg.zeros(3, requires_grad=True)
    for fill in (leaf.normal_, leaf.uniform_, leaf.zero_, lambda: leaf.fill_(1.0), lambda: leaf.copy_(tg.ones(3))):
        with pytest.raises(RuntimeError, match="E208"):
            fill()
    with tg.no_grad():
        leaf.uniform_(1, 2)
    assert leaf.min().item() >= 1
    y = leaf * 3
    y.fill_(2.0)
    y.sum().backward()
    assert leaf.grad.tolist() == [0.0, 0.0, 0.0]
    z = tg.ones(3)
    w = tg.ones(1, dtype=tg.float64, requires_grad=True)
    z.copy_(w)
    (z * 2).sum().backward()
    assert (w.grad.tolist(), w.grad.dtype) == ([6.0], tg.float64)


def test_bad_draws_are_named():
    with pytest.raises(TypeError, match="size"):
        tg.normal(0.0, 1.0)
    with pytest.raises(RuntimeError, match="std"):
        tg.normal(tg.zeros(2), tg.tensor([1.0, -1.0]))
    with pytest.raises(TypeError, match="randint"):
        tg.randint(3)
    with pytest.raises(RuntimeError, match="non-negative"):
        tg.poisson(tg.tensor([-1.0]))
    with pytest.raises(RuntimeError, match="do not broadcast"):
        tg.zeros(3).copy_(tg.zeros(2))
    with pytest.raises(RuntimeError, match="0-dimension"):
        tg.zeros(3).fill_(tg.zeros(3))
    with pytest.raises(RuntimeError, match="expand"):
        tg.zeros(1).expand(3).zero_()


# ---- conversion -------------------------------------------------------------------------------------------------------------
METHODS = {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16", "char": "int8",
    "byte": "uint8", "bool": "bool",
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_conversions_equal_torch(name):
    torch = pytest.importorskip("torch")
    data = [0.0, 1.9, -2.5, 100.0]
    ours, theirs = getattr(tg.tensor(data), name)(), getattr(torch.tensor(data), name)()
    assert kind(ours) == kind(theirs) == METHODS[name]
    assert ours.tolist() == theirs.tolist()


def test_gradients_return_in_the_type_of_the_leaf():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x.double() * tg.tensor([1.0, 3.0], dtype=tg.float64)
    assert y.grad_fn is not None
    y.sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (tg.float32, [1.0, 3.0])
    assert not x.long().requires_grad
    assert not (x > 1).float().requires_grad


def test_to_takes_types_places_and_tensors():
    x = tg.tensor([1, 2])
    other = tg.zeros(1, dtype=tg.float64)
    assert x.to(other).dtype is tg.float64
    assert x.to("cpu", tg.float32).dtype is tg.float32
    assert x.to(device=tg.device("cpu"), dtype=tg.int32).dtype is tg.int32
    assert x.to(tg.int64, False, True) is not x
    assert x.to(np.float32).dtype is tg.float32
    assert x.type() == "tinygrad_edu.LongTensor"
    assert x.type(tg.FloatTensor).dtype is tg.float32
    assert x.type("torch.DoubleTensor").dtype is tg.float64
    with pytest.raises(TypeError, match="dtype"):
        x.type("Nonsense")


def test_dlpack_both_ways_shares_memory():
    array = np.arange(6.0).reshape(2, 3)
    t = tg.from_dlpack(array)
    array[0, 0] = 9.0
    assert t[0, 0].item() == 9.0
    assert np.shares_memory(np.from_dlpack(t), array)
    assert tg.from_dlpack(t).tolist() == t.tolist()
    with pytest.raises(TypeError, match="__dlpack__"):
        tg.from_dlpack([1, 2])


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(4.0)
    ours = tg.from_dlpack(theirs)
    theirs[0] = 7.0
    assert ours.tolist() == [7.0, 1.0, 2.0, 3.0]
    assert torch.from_dlpack(tg.ones(2)).tolist() == [1.0, 1.0]
