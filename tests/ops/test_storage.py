"""The memory under a tensor, and how its views look at it."""

import pytest

import tinygrad_edu as tg


def program(torch):
    """What a lesson on views prints."""
    x = torch.arange(6.0).reshape(2, 3)
    views = [x, x.t(), x[1], x[:, ::2], x.view(3, 2), x[0, 1], x.permute(1, 0).contiguous().clone()]
    storages = [v.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for v in views]
    numbers = [list(v.storage()) for v in views]
    sizes = [(len(v.storage()), v.storage().nbytes(), v.storage_offset(), v.stride()) for v in views]
    x.storage()[2] = 70.0
    return storages, numbers, sizes, x.t()[2, 0].item(), x.storage()[0], x.resize_(3, 1).tolist()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_pytorch_sees_the_same_memory():
    torch = pytest.importorskip("torch")
    assert program(tg) == program(torch)


def test_the_storage_is_what_all_views_share():
    storages, numbers, sizes, written, *_ = program(tg)
    assert storages == [True] * 6 + [False]
    assert all(sorted(n) == [0, 1, 2, 3, 4, 5] for n in numbers)
    assert [offset for _, _, offset, _ in sizes] == [0, 0, 3, 0, 0, 1, 0]
    assert written == 70.0


def test_a_write_to_the_storage_is_seen_by_the_graph():
    x = tg.ones(3, requires_grad=True)
    y = x.exp()
    y.storage()[0] = 5.0
    with pytest.raises(RuntimeError, match=r"E201.*storage"):
        y.sum().backward()


def test_a_storage_prints_its_elements():
    assert repr(tg.tensor([1, 2]).storage()) == " 1\n 2\n[Storage(dtype=tinygrad_edu.int64, device=cpu) of size 2]"
    assert tg.tensor([1, 2, 3]).storage()[1:].tolist() == [2, 3]
    assert len(tg.zeros(0).storage()) == 0


def test_results_of_operations_have_memory_of_their_own_size():
    x = tg.randn(64, 64)
    for result in (x + 1, x @ x, tg.relu(x), x.sum(0), tg.nn.functional.linear(x, x)):
        assert len(result.storage()) == result.numel()


def test_the_old_name_of_reshape():
    x = tg.arange(6)
    assert x.resize(2, 3).shape == x.resize((2, 3)).shape == (2, 3)
    with pytest.raises(RuntimeError):
        x.resize(4, 4)
