"""Products by name: what they refuse and in which words, and the corners that drawn cases do not reach."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F


def refusal(error: type[Exception], call) -> str:
    """The message that `call` is refused with."""
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


# ---- E101, E102, E109 -------------------------------------------------------------------------------------------------------
def test_inner_sizes_differ():
    text = refusal(RuntimeError, lambda: tg.zeros(2, 3) @ tg.zeros(4, 5))
    assert text.startswith("E101 in matmul (test_linalg.py:")
    assert "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)" in text
    assert "now K is 3 on the left and 4 on the right" in text


@pytest.mark.parametrize(
    ("left", "right", "fix"),
    [((2, 3), (5, 3), "x @ y.T"), ((3, 2), (3, 5), "x.T @ y"), ((4, 2, 3), (4, 5, 3), "x @ y.mT"), ((4, 3, 2), (4, 3, 5), "x.mT @ y")],
)  # fmt: skip
def test_a_transposed_operand_is_recognised(left, right, fix):
    assert fix in refusal(RuntimeError, lambda: tg.zeros(*left) @ tg.zeros(*right))


def test_stacks_that_do_not_broadcast():
    text = refusal(RuntimeError, lambda: tg.zeros(2, 3, 4) @ tg.zeros(3, 4, 5))
    assert "E104" in text
    assert "(2,) and (3,)" in text


def test_numbers_are_not_matrices():
    assert "at least 1D" in refusal(RuntimeError, lambda: tg.tensor(2.0) @ tg.zeros(3))


def test_forgotten_flatten():
    text = refusal(RuntimeError, lambda: F.linear(tg.zeros(64, 20, 4, 4), tg.zeros(10, 320), tg.zeros(10)))
    assert text.startswith("E102 in linear (test_linalg.py:")
    assert "the layer wants 320 features, got (64, 20, 4, 4); 20 * 4 * 4 = 320" in text
    assert text.endswith("Fix: flatten all but the batch first: x.flatten(1) makes (64, 320).")


def test_layer_of_the_wrong_width():
    text = refusal(RuntimeError, lambda: F.linear(tg.zeros(64, 784), tg.zeros(10, 320)))
    assert "E101" in text
    assert "in_features 784" in text
    assert "or 28 to apply it" in refusal(RuntimeError, lambda: F.linear(tg.zeros(64, 28, 28), tg.zeros(10, 320)))


@pytest.mark.parametrize("bias", [(11,), (1, 10), (10, 1)])
def test_bias_of_the_wrong_shape(bias):
    assert "bias" in refusal(RuntimeError, lambda: F.linear(tg.zeros(4, 3), tg.zeros(10, 3), tg.zeros(*bias)))


def test_float64_in_a_float32_product_is_named():
    text = refusal(RuntimeError, lambda: tg.zeros(2, 3) @ tg.from_numpy(np.ones((3, 4))))
    assert text.startswith("E109 in matmul")
    assert "m1 is float32, m2 is float64" in text
    assert "NumPy's numbers" in text
    assert text.endswith("Fix: m2.float() makes float32.")


def test_the_op_that_made_the_odd_operand_is_named():
    x = tg.zeros(2, 3, dtype=tg.float64, requires_grad=True)
    assert "input is the result of exp" in refusal(RuntimeError, lambda: F.linear(x.exp(), tg.zeros(4, 3)))


@pytest.mark.parametrize(
    ("name", "shapes"), [("mm", [(2, 3, 4), (4, 5)]), ("bmm", [(3, 4), (4, 5)]), ("mv", [(2, 3), (3, 1)]), ("dot", [(2, 3), (3,)])]
)  # fmt: skip
def test_products_of_a_fixed_kind_refuse_other_dimensions(name, shapes):
    assert f"E101 in {name}" in refusal(RuntimeError, lambda: getattr(tg, name)(*[tg.zeros(*s) for s in shapes]))


def test_products_of_a_fixed_kind_refuse_other_lengths():
    assert "number of batches" in refusal(RuntimeError, lambda: tg.bmm(tg.zeros(2, 3, 4), tg.zeros(3, 4, 5)))
    assert "inconsistent tensor size" in refusal(RuntimeError, lambda: tg.dot(tg.zeros(2), tg.zeros(3)))


def test_what_is_not_a_tensor():
    assert "must be Tensor, not list" in refusal(TypeError, lambda: tg.mm([[1.0]], tg.zeros(1, 1)))
    assert "must be Tensor" in refusal(TypeError, lambda: F.linear(np.zeros((2, 3)), tg.zeros(4, 3)))


# ---- values -----------------------------------------------------------------------------------------------------------------
def test_integers_multiply():
    product = tg.tensor([[1, 2], [3, 4]]) @ tg.tensor([[1], [1]])
    assert product.tolist() == [[3], [7]]
    assert product.dtype == tg.int64


def test_beta_zero_ignores_even_nan():
    nan = tg.full((2, 2), float("nan"))
    assert tg.addmm(nan, tg.ones(2, 2), tg.ones(2, 2), beta=0).tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_one_tensor_on_both_sides():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (x @ x).sum().backward()
    assert x.grad.tolist() == [[7.0, 11.0], [9.0, 13.0]]


def test_gradient_of_a_layer_without_anything_in_the_batch():
    w = tg.ones(4, 3, requires_grad=True)
    F.linear(tg.zeros(0, 3), w, tg.zeros(4)).sum().backward()
    assert w.grad.tolist() == np.zeros((4, 3)).tolist()


def test_a_bias_of_one_element_is_shared():
    b = tg.tensor([0.5], requires_grad=True)
    out = F.linear(tg.ones(2, 3), tg.ones(4, 3), b)
    out.sum().backward()
    assert out.tolist() == [[3.5] * 4] * 2
    assert b.grad.tolist() == [8.0]


# ---- einsum -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("equation", "shapes", "words"),
    [
        ("ij,jk->ik", [(2, 3)], "fewer or more operands"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "the letter 'j' of 'ij,jk->ik' has the lengths 3 and 4"),
        ("i->i", [(2, 3)], "names 1 dimensions, its operand has the shape (2, 3)"),
        ("ij->k", [(2, 3)], "names one that no operand has"),
        ("ii->i", [(2, 3)], "in one operand"),
        ("i1->i", [(2, 3)], "something else than letters"),
    ],
)
def test_einsum_says_what_does_not_fit(equation, shapes, words):
    text = refusal(RuntimeError, lambda: tg.einsum(equation, *[tg.zeros(*s) for s in shapes]))
    assert "E104 in einsum" in text
    assert words in text


def test_einsum_takes_a_list_and_spaces():
    x, y = tg.arange(6.0).reshape(2, 3), tg.arange(3.0)
    assert tg.einsum(" ij , j -> i ", [x, y]).tolist() == [5.0, 14.0]


def test_einsum_without_arrow_sorts_the_letters():
    x = tg.arange(6.0).reshape(2, 3)
    assert tg.einsum("ba", x).tolist() == x.T.tolist()


def test_tensordot_refuses_unequal_lengths():
    assert re.search(
        "dim 1 of the first is 3 and dim 0 of the second 4",
        refusal(RuntimeError, lambda: tg.tensordot(tg.zeros(2, 3), tg.zeros(4), 1)),
    )


# ---- distances --------------------------------------------------------------------------------------------------------------
def test_the_slope_of_a_distance_of_zero_is_zero():
    x = tg.ones(2, 3, requires_grad=True)
    tg.cdist(x, tg.ones(1, 3)).sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_cosine_of_the_zero_vector_is_zero():
    assert tg.cosine_similarity(tg.zeros(1, 3), tg.ones(1, 3)).tolist() == [0.0]


def test_cdist_refuses():
    assert "same number of columns" in refusal(RuntimeError, lambda: tg.cdist(tg.zeros(2, 3), tg.zeros(2, 4)))
    assert "non-negative p" in refusal(RuntimeError, lambda: tg.cdist(tg.zeros(2, 3), tg.zeros(2, 3), p=-1.0))
