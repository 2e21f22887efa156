"""Shapes by name: what is shared and what is copied, the errors, and joining; the op table checks values and derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.ops.padding import pad

X = np.arange(24.0).reshape(2, 3, 4)

VIEWS = {
    "reshape": lambda x: x.reshape(6, 4),
    "view": lambda x: x.view(-1),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "transpose": lambda x: x.transpose(0, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "mT": lambda x: x.mT,
    "expand": lambda x: x.expand(5, 2, 3, 4),
    "select": lambda x: x.select(1, 0),
    "narrow": lambda x: x.narrow(2, 1, 2),
    "unfold": lambda x: x.unfold(2, 2, 1),
    "diagonal": lambda x: x.diagonal(0, 1, 2),
    "detach": lambda x: x.detach(),
    "split": lambda x: x.split(2, 2)[1],
    "unbind": lambda x: x.unbind(1)[0],
    "numpy view": lambda x: tg.from_numpy(x.numpy()),
}
COPIES = {
    "clone": lambda x: x.clone(),
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1),
    "repeat": lambda x: x.repeat(1, 1, 1),
    "cat": lambda x: tg.cat([x]),
    "index_select": lambda x: x.index_select(0, tg.tensor([0, 1])),
    "list": lambda x: x[[0, 1]],
    "contiguous of a transpose": lambda x: x.transpose(0, 1).contiguous(),
    "reshape of a transpose": lambda x: x.transpose(0, 1).reshape(-1),
    "tensor": lambda x: tg.tensor(x.numpy()),
    "to copy": lambda x: x.to(tg.float64, copy=True),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_see_writes(name):
    x = tg.tensor(X)
    seen = VIEWS[name](x)
    assert np.shares_memory(seen.numpy(), x.numpy())
    x.mul_(2)
    assert seen.max().item() == np.max(VIEWS[name](tg.tensor(X * 2)).numpy())


@pytest.mark.parametrize("name", COPIES)
def test_copies_do_not_share_memory(name):
    x = tg.tensor(X)
    assert not np.shares_memory(COPIES[name](x).numpy(), x.numpy())


def test_writing_through_a_view_reaches_the_gradient():
    x = tg.ones(2, 3, requires_grad=True)
    y = x * 2
    y.T[0].mul_(5)
    y.sum().backward()
    assert x.grad.tolist() == [[10.0, 2.0, 2.0], [10.0, 2.0, 2.0]]


def test_nothing_to_do_returns_the_tensor_itself():
    x = tg.zeros(2, 3)
    assert x.contiguous() is x
    assert x.to(tg.float32) is x
    assert x.float() is x
    assert x.cpu() is x
    assert x.type_as(x) is x


@given(st.permutations(range(4)), st.data())
def test_permute_and_movedim_equal_numpy(order, data):
    array = np.arange(120).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(tg.from_numpy(array).permute(*order).numpy(), array.transpose(order))
    count = data.draw(st.integers(1, 4))
    source, target = data.draw(st.permutations(range(4)))[:count], data.draw(st.permutations(range(4)))[:count]
    np.testing.assert_array_equal(
        tg.from_numpy(array).movedim(tuple(source), tuple(target)).numpy(), np.moveaxis(array, source, target)
    )


def test_shapes_are_given_in_three_ways():
    x = tg.arange(6)
    for y in (
        x.reshape(2, 3),
        x.reshape((2, 3)),
        x.reshape(tg.Size([2, 3])),
        tg.reshape(x, (2, -1)),
        tg.reshape(x, shape=(2, 3)),
    ):
        assert y.shape == (2, 3)
    assert x.view(tg.Size([3, 2])).shape == (3, 2)
    assert tg.zeros(2, 3, 4).permute([2, 0, 1]).shape == (4, 2, 3)
    assert tg.zeros(1, 3).expand([2, 3]).shape == (2, 3)


def test_view_reads_bytes_as_another_type():
    x = tg.tensor([1.0, -2.0])
    assert x.view(tg.int32).tolist() == [0x3F800000, -0x40000000]
    assert x.view(tg.uint8).shape == (8,)
    with pytest.raises(RuntimeError, match="contiguous"):
        tg.zeros(2, 3).T.view(tg.int64)


def test_shapes_change_in_place():
    x = tg.zeros(2, 3)
    assert x.unsqueeze_(0) is x
    assert x.shape == (1, 2, 3)
    assert x.squeeze_().t_().shape == (3, 2)
    with pytest.raises(RuntimeError, match="E208"):
        tg.zeros(2, requires_grad=True).unsqueeze_(0)


def test_resizing_keeps_the_first_elements():
    x = tg.arange(6)
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    assert x.resize_((5,)).tolist() == [0, 1, 2, 3, 0]
    with pytest.raises(RuntimeError, match="require grad"):
        tg.zeros(2, requires_grad=True).resize_(1)


def test_empty_tensors_are_left_out_of_cat():
    assert tg.cat([tg.tensor([]), tg.ones(2, 2)]).shape == (2, 2)
    assert tg.cat([tg.tensor([]), tg.tensor([])]).shape == (0,)


def test_cat_promotes_and_returns_gradients_in_each_type():
    a = tg.ones(2, requires_grad=True)
    b = tg.ones(2, dtype=tg.float64, requires_grad=True)
    out = tg.cat([a, b, tg.tensor([1, 2])])
    assert out.dtype is tg.float64
    (out * 2).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (tg.float32, tg.float64)


def test_the_same_tensor_twice_gets_both_gradients():
    x = tg.ones(2, requires_grad=True)
    tg.stack([x, x, x * 2]).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_unbound_pieces_and_grids_connect_to_the_graph():
    x = tg.arange(3.0).requires_grad_()
    rows, columns = tg.meshgrid(x, x, indexing="ij")
    (rows * columns).sum().backward()
    assert x.grad.tolist() == [6.0, 6.0, 6.0]


ERRORS = [
    (lambda x: x.reshape(5, -1), RuntimeError, r"E111.*invalid for input of size 24.*flatten\(1\).*\(2, 12\)"),
    (lambda x: x.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
    (lambda x: x.reshape(-2, 3), RuntimeError, "invalid shape dimension -2"),
    (lambda x: x.transpose(0, 2).view(-1), RuntimeError, r"not compatible.*Use|not compatible.*reshape"),
    (lambda x: x.flatten(2, 1), RuntimeError, "start_dim cannot come after end_dim"),
    (lambda x: x.unflatten(2, (3, -1)), RuntimeError, r"sizes \(3, -1\) don't multiply up"),
    (lambda x: x.unsqueeze(5), IndexError, r"range of \[-4, 3\], but got 5"),
    (lambda x: x.transpose(0, 3), IndexError, r"range of \[-3, 2\], but got 3"),
    (lambda x: x.permute(0, 1), RuntimeError, r"input.dim\(\) = 3.*len\(dims\) = 2"),
    (lambda x: x.permute(0, 1, 1), RuntimeError, "appears multiple times"),
    (lambda x: x.movedim((0, 1), (0,)), RuntimeError, "same number of dims"),
    (lambda x: x.t(), RuntimeError, "2 dimensions.*3D.*mT"),
    (lambda x: x[0, 0].mT, RuntimeError, "matrices"),
    (
        lambda x: x.expand(4, 3, 4),
        RuntimeError,
        r"expanded size of the tensor \(4\) must match the existing size \(2\).*dimension 0",
    ),
    (lambda x: x.expand(4), RuntimeError, "greater or equal to the number of dimensions"),
    (lambda x: x.expand(-1, 2, 3, 4), RuntimeError, "leading, non-existing dimension 0"),
    (lambda x: x.repeat(2), RuntimeError, "can not be smaller than number of dimensions"),
    (lambda x: x.roll((1, 2), 0), RuntimeError, "must align"),
    (lambda x: x.unfold(0, 3, 1), RuntimeError, "maximum size.*is 2 but size is 3"),
    (lambda x: x.split([1, 2], 2), RuntimeError, r"sum exactly to 4.*\[1, 2\]"),
    (lambda x: x.chunk(0), RuntimeError, "greater than 0"),
    (lambda x: x.narrow(0, 1, 2), RuntimeError, "exceeds dimension size"),
    (lambda x: tg.hsplit(x, 2), RuntimeError, "not divisible by the split_size 2"),
    (lambda x: tg.cat([]), ValueError, "non-empty list"),
    (lambda x: tg.stack([]), RuntimeError, "non-empty"),
    (lambda x: tg.cat([x, x[0]]), RuntimeError, r"same number of dimensions.*tensor 1, shape \(3, 4\)"),
    (lambda x: tg.cat([x, x.mT]), RuntimeError, r"except in dimension 0.*tensor 1 has \(2, 4, 3\)"),
    (lambda x: tg.stack([x, x[:1]]), RuntimeError, r"\(2, 3, 4\) at entry 0 and \(1, 3, 4\) at entry 1"),
    (lambda x: tg.cat([x, 1.0]), TypeError, "sequence of Tensors.*float"),
    (lambda x: tg.cat(x), TypeError, "sequence of Tensors"),
    (lambda x: tg.cat([tg.tensor(1.0)]), RuntimeError, "zero-dimensional.*stack"),
    (lambda x: tg.meshgrid(x), RuntimeError, "0D or 1D"),
    (lambda x: tg.meshgrid(x[0, 0], indexing="yx"), RuntimeError, "indexing must be one of"),
    (lambda x: tg.broadcast_tensors(x, tg.zeros(5)), RuntimeError, "do not broadcast"),
    (lambda x: pad(x, (1,)), RuntimeError, "divisible by 2"),
    (lambda x: pad(x, (1,) * 8), RuntimeError, "two times the input dimension"),
    (lambda x: pad(x, (4, 0), mode="reflect"), RuntimeError, r"padding \(4, 0\) at dimension 2 of length 4"),
    (lambda x: pad(x, (-3, -3)), RuntimeError, "crop less"),
    (lambda x: pad(x, (1, 1), mode="mirror"), NotImplementedError, "mirror"),
    (lambda x: x.cuda(), RuntimeError, "CPU only"),
    (lambda x: x.to("cuda:0"), RuntimeError, "CPU only"),
]


@pytest.mark.parametrize(("use", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_name_the_facts(use, kind, text):
    with pytest.raises(kind, match=text):
        use(tg.tensor(X))


@given(st.lists(st.integers(-2, 3), min_size=2, max_size=6).filter(lambda p: len(p) % 2 == 0))
def test_padding_equals_torch(widths):
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(
        pad(tg.tensor(X[:, :, :4]).repeat(3, 2, 1), widths, value=7.0).numpy(),
        torch.nn.functional.pad(torch.tensor(X).repeat(3, 2, 1), widths, value=7.0).numpy(),
    )


def test_atleast_and_broadcast_helpers():
    scalar, vector = tg.tensor(1.0), tg.ones(3)
    assert [t.shape for t in tg.atleast_1d(scalar, vector)] == [(1,), (3,)]
    assert tg.atleast_2d(vector).shape == (1, 3)
    assert tg.atleast_3d(vector).shape == (1, 3, 1)
    assert tg.broadcast_shapes((2, 1), 3) == (2, 3)
    assert [t.shape for t in tg.broadcast_tensors(scalar, vector)] == [(3,), (3,)]
