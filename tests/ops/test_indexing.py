"""Index expressions drawn at random against NumPy and torch, in reading, in writing and in their gradients; ties, nan and errors by name."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.ops.masking import one_hot

SHAPES = ((4,), (3, 4), (2, 3, 4), (1, 3), (0, 2))


# ---- drawing index expressions ----------------------------------------------------------------------------------------------
@st.composite
def basic_keys(draw, shape):
    """Numbers, slices, None and ..., for at most the dimensions there are."""
    parts = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from(["int", "slice", "slice"])) if n else "slice"
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        else:
            bound = st.none() | st.integers(-n - 1, n + 1)
            parts.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()) and Ellipsis not in parts:
        parts.append(...)
    return tuple(parts)


@st.composite
def mixed_keys(draw, shape):
    """Keys with index arrays that broadcast with each other, masks, numbers and slices, as torch reads them."""
    width = draw(st.integers(1, 3))
    parts, dim = [], 0
    while dim < len(shape):
        n = shape[dim]
        kinds = ["slice", "none", "mask"] + ["array", "array", "int"] * (n > 0)
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            parts.append(None)
            continue
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            parts.append(slice(draw(st.none() | st.integers(0, n)), None))
        elif kind == "mask":  # exactly `width` places, so that it broadcasts with the other arrays
            places = min(width, n)
            chosen = draw(st.permutations(range(n)))[:places] if places in (1, width) else []
            if not chosen:
                parts.append(slice(None))
            else:
                mask = np.zeros(n, bool)
                mask[list(chosen)] = True
                parts.append(mask)
        else:
            size = draw(st.sampled_from([1, width]))
            parts.append(np.array(draw(st.lists(st.integers(-n, n - 1), min_size=size, max_size=size)), np.int64))
        dim += 1
    return tuple(parts)


shaped_basic = st.sampled_from(SHAPES).flatmap(lambda shape: st.tuples(st.just(shape), basic_keys(shape)))
shaped_mixed = st.sampled_from(SHAPES).flatmap(lambda shape: st.tuples(st.just(shape), mixed_keys(shape)))


def for_library(lib, key):
    return tuple(lib.from_numpy(p) if isinstance(p, np.ndarray) else p for p in key)


def numbers(shape) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


# ---- reading ----------------------------------------------------------------------------------------------------------------
@given(shaped_basic)
def test_basic_keys_equal_numpy_and_share_memory(drawn):
    shape, key = drawn
    array = numbers(shape)
    x = tg.from_numpy(array)
    part = x[key]
    np.testing.assert_array_equal(part.numpy(), array[key])
    if part.numel():
        assert np.shares_memory(part.numpy(), array)


@given(shaped_mixed)
def test_keys_equal_torch_in_value_and_gradient(drawn):
    torch = pytest.importorskip("torch")
    shape, key = drawn
    array = numbers(shape)
    ours, theirs = tg.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    got, expected = ours[for_library(tg, key)], theirs[for_library(torch, key)]
    np.testing.assert_array_equal(got.detach().numpy(), expected.detach().numpy())
    weights = np.random.default_rng(1).normal(size=tuple(expected.shape))
    (got * tg.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_numbers_are_taken_before_tensors_as_in_torch():
    x = tg.zeros(2, 3, 4)
    assert x[0, :, [0, 1]].shape == (3, 2)  # NumPy gives (2, 3)
    assert x[[0, 1], :, [0, 1]].shape == (2, 3)
    assert x[[0, 1], None, [0, 1]].shape == (2, 1, 4)
    assert x[True].shape == (1, 2, 3, 4)
    assert x[False].shape == (0, 2, 3, 4)


def test_a_single_element_is_a_view():
    x = tg.tensor([1.0, 2.0])
    part = x[0]
    assert part.shape == ()
    part.fill_(7.0)
    assert x.tolist() == [7.0, 2.0]


def test_zero_dimensional_tensors_index_like_numbers():
    x = tg.arange(6).reshape(2, 3)
    assert x[tg.tensor(1)].tolist() == [3, 4, 5]
    assert x[tg.tensor(1), tg.tensor(2) :].tolist() == [5]
    assert x[np.int64(1), 1].item() == 4


def test_writing_over_an_index_later_does_not_change_the_gradient():
    x = tg.zeros(3, requires_grad=True)
    index = tg.tensor([0, 2])
    y = x[index]
    index.fill_(1)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 1.0]


def test_uint8_masks_are_deprecated():
    with pytest.warns(UserWarning, match="uint8"):
        assert tg.arange(3)[tg.tensor([1, 0, 1], dtype=tg.uint8)].tolist() == [0, 2]


BAD_KEYS = [
    (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
    ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
    (1.0, IndexError, "got float"),
    ("a", TypeError, "the string 'a'"),
    (slice(None, None, -1), ValueError, "step must be greater than zero.*flip"),
    ([[0, 1], [1, 2]], IndexError, r"nested lists are ambiguous.*x\[tuple\(key\)\]"),
    ([1.5], IndexError, "tensors used as indices must be long, int, byte or bool"),
    ([2], IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    ([True], IndexError, r"shape of the mask \[1\] at index 0 does not match.*\[2, 3\]"),
    (([0, 1], [0, 1, 2]), IndexError, r"could not be broadcast together with shapes \[2\], \[3\]"),
]


@pytest.mark.parametrize(("key", "kind", "text"), BAD_KEYS, ids=repr)
def test_bad_keys_say_what_is_wrong(key, kind, text):
    x = tg.zeros(2, 3)
    with pytest.raises(kind, match=text):
        x[key]
    with pytest.raises(kind, match=text):
        x[key] = 1.0


def test_iteration_and_len():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert len(x) == 2
    with pytest.raises(TypeError, match="0-d"):
        iter(tg.tensor(1.0)).__next__()


# ---- writing ----------------------------------------------------------------------------------------------------------------
@given(shaped_mixed, st.sampled_from(["number", "broadcast", "full"]))
def test_written_tensors_equal_torch_with_gradients(drawn, form):
    torch = pytest.importorskip("torch")
    shape, key = drawn
    array = numbers(shape)
    places = torch.arange(array.size).reshape(shape)[for_library(torch, key)]
    assume(
        array.size and places.unique().numel() == places.numel()
    )  # of two values for one place, nobody promises which wins
    at = torch.tensor(array)[for_library(torch, key)]
    given_shape = {"number": (), "broadcast": tuple(at.shape)[-1:], "full": tuple(at.shape)}[form]
    value = np.random.default_rng(2).normal(size=given_shape)
    results = []
    for lib in (tg, torch):
        x, v = lib.tensor(array, requires_grad=True), lib.tensor(value, requires_grad=True)
        y = x * 2
        y[for_library(lib, key)] = v
        (y * y).sum().backward()
        results.append((y.detach().numpy(), x.grad.numpy(), v.grad.numpy()))
        plain = lib.tensor(array)
        plain[for_library(lib, key)] = lib.tensor(value)
        results[-1] += (plain.numpy(),)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_values_are_converted_to_the_type_of_the_tensor():
    x = tg.zeros(3, dtype=tg.int64)
    x[0] = 2.9
    x[1:] = tg.tensor([True, False])
    assert x.tolist() == [2, 1, 0]
    y = tg.zeros(2) * 1
    y[:] = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    assert y.dtype is tg.float32
    assert y.requires_grad


def test_writing_to_an_empty_tensor():
    x = tg.zeros(0, 2, requires_grad=True)
    y = x * 2
    y[:] = 1.0
    y.sum().backward()
    assert x.grad.shape == (0, 2)


def test_only_tensors_and_numbers_are_assigned():
    x = tg.zeros(3)
    x[1] = np.float32(2.5)
    assert x.tolist() == [0.0, 2.5, 0.0]
    with pytest.raises(TypeError, match=r"can't assign a list.*tg.tensor"):
        x[:2] = [1.0, 2.0]


def test_writing_errors():
    x = tg.zeros(2, 3)
    with pytest.raises(RuntimeError, match="do not broadcast"):
        x[0] = tg.zeros(2)
    with pytest.raises(RuntimeError, match=r"E208.*leaf"):
        tg.zeros(2, requires_grad=True)[0] = 1.0
    with pytest.raises(RuntimeError, match="expand"):
        tg.zeros(1).expand(3)[0] = 1.0


def test_writing_over_a_saved_value_is_found():
    x = tg.ones(3, requires_grad=True)
    a = x * 2
    b = a * a
    with tg.no_grad():
        a[0] = 5.0
    with pytest.raises(RuntimeError, match="E201"):
        b.sum().backward()


def test_index_put_with_repeated_places():
    x = tg.zeros(3)
    assert x.index_put((tg.tensor([0, 0, 2]),), tg.tensor([1.0, 2.0, 3.0]), accumulate=True).tolist() == [3.0, 0.0, 3.0]
    x.index_put_((tg.tensor([1]),), tg.tensor(4.0))
    assert x.tolist() == [0.0, 4.0, 0.0]


# ---- gather and its relatives -----------------------------------------------------------------------------------------------
def test_gather_errors_name_value_place_and_shapes():
    x = tg.zeros(2, 3)
    with pytest.raises(
        RuntimeError,
        match=r"index 3 \(at position \(0, 1\) of the index\) is out of bounds for dimension 1 with size 3",
    ):
        x.gather(1, tg.tensor([[0, 3], [1, 1]]))
    with pytest.raises(RuntimeError, match=r"same number of dimensions.*unsqueeze"):
        x.gather(1, tg.tensor([0, 1]))
    with pytest.raises(RuntimeError, match="int64"):
        x.gather(1, tg.tensor([[0.0], [1.0]]))
    with pytest.raises(RuntimeError, match="no larger than input"):
        x.gather(1, tg.zeros(3, 1, dtype=tg.int64))
    with pytest.raises(IndexError, match="vector"):
        x.index_select(0, tg.zeros(1, 1, dtype=tg.int64))
    with pytest.raises(RuntimeError, match="dtype"):
        x.scatter_add(0, tg.zeros(1, 3, dtype=tg.int64), tg.zeros(1, 3, dtype=tg.float64))
    with pytest.raises(RuntimeError, match="sum, prod, mean"):
        x.scatter_reduce(0, tg.zeros(1, 3, dtype=tg.int64), x, "median")


def test_in_place_scatter_writes_one_hot_rows():
    rows = tg.zeros(2, 3)
    assert rows.scatter_(1, tg.tensor([[2], [0]]), 1.0) is rows
    assert rows.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


# ---- masks ------------------------------------------------------------------------------------------------------------------
def test_masked_gradients_block_infinities():
    x = tg.tensor([0.0, 4.0], requires_grad=True)
    mask = x.detach() == 0
    (1 / x.masked_fill(mask, 1.0)).masked_fill(mask, 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, -1 / 16]


def test_where_promotes_like_torch():
    torch = pytest.importorskip("torch")
    for a, b in ((1, 2), (1.0, 2), (True, 2), (True, False), (1.5, 2.5)):
        ours, theirs = tg.where(tg.tensor([True, False]), a, b), torch.where(torch.tensor([True, False]), a, b)
        assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        assert ours.tolist() == theirs.tolist()
    assert tg.where(tg.tensor([True, False]), tg.tensor([1, 2]), 0.5).dtype is tg.float32
    assert tg.where(tg.tensor([True, False]), tg.zeros(2, dtype=tg.float64), 1).dtype is tg.float64


def test_masks_must_be_bool():
    with pytest.raises(RuntimeError, match="bool"):
        tg.zeros(2).masked_fill(tg.tensor([1, 0]), 1.0)
    with pytest.raises(RuntimeError, match="boolean"):
        tg.where(tg.tensor([1, 0]), 1.0, 2.0)
    with pytest.raises(RuntimeError, match="cannot be converted"):
        tg.zeros(2, dtype=tg.int64).masked_fill(tg.tensor([True, False]), float("-inf"))


def test_one_hot_errors():
    with pytest.raises(RuntimeError, match=r"num_classes=3.*labels - 1"):
        one_hot(tg.tensor([1, 3]), 3)
    with pytest.raises(RuntimeError, match="non-negative"):
        one_hot(tg.tensor([-1]))
    with pytest.raises(RuntimeError, match="int64"):
        one_hot(tg.tensor([1.0]))
    with pytest.raises(RuntimeError, match="empty"):
        one_hot(tg.tensor([], dtype=tg.int64))


# ---- order ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("descending", [False, True])
def test_sort_keeps_ties_in_order_and_puts_nan_at_the_large_end(descending):
    torch = pytest.importorskip("torch")
    data = [2.0, float("nan"), 1.0, 2.0, float("inf"), 1.0, float("nan")]
    ours = tg.tensor(data).sort(descending=descending, stable=True)
    theirs = torch.tensor(data).sort(descending=descending, stable=True)
    np.testing.assert_array_equal(ours.values.numpy(), theirs.values.numpy())
    assert ours.indices.tolist() == theirs.indices.tolist()


def test_sorting_errors():
    x = tg.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"k=4.*length 3"):
        x.topk(4)
    with pytest.raises(RuntimeError, match="k=0"):
        x.kthvalue(0)
    with pytest.raises(IndexError, match="Dimension out of range"):
        x.sort(2)
    with pytest.raises(RuntimeError, match="bincount"):
        tg.bincount(tg.tensor([-1]))


def test_topk_of_a_zero_dimensional_tensor():
    values, indices = tg.tensor(3.0).topk(1)
    assert (values.item(), indices.item()) == (3.0, 0)


# ---- diagonals --------------------------------------------------------------------------------------------------------------
def test_diagonals_are_views_that_can_be_written():
    x = tg.zeros(2, 2)
    x.diagonal().fill_(1.0)
    assert x.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(RuntimeError, match="identical"):
        x.diagonal(0, 1, 1)
    with pytest.raises(RuntimeError, match="2 dimensions"):
        tg.zeros(3).tril()


def test_triangle_indices():
    assert tg.tril_indices(2, 2).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert tg.triu_indices(2, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]
