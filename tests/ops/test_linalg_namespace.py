"""tinygrad_edu.linalg: against NumPy and torch, and what it refuses."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.ops.test_linalg import refusal
from tinygrad_edu import linalg

RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(4, 4)) + 3 * np.eye(4)
BATCH = RNG.normal(size=(2, 3, 3)) + 2 * np.eye(3)
TALL, WIDE = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5))
ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def with_derivatives(lib, call, arrays):
    """Value, first and second derivatives of a weighted sum of the result."""
    tensors = [lib.from_numpy(a.copy()).requires_grad_() for a in arrays]
    out = call(lib.linalg, *tensors)
    weight = lib.from_numpy(np.random.default_rng(1).normal(size=tuple(out.shape)))
    first = lib.autograd.grad((out * weight).sum(), tensors, create_graph=True)
    second = lib.autograd.grad(sum((g * g).sum() for g in first), tensors, allow_unused=True)
    return [out, *first, *(s for s in second if s is not None)]


CALLS = {
    "matrix_power": (lambda la, a: la.matrix_power(a, 5), [SQUARE]),
    "matrix_power of the inverse": (lambda la, a: la.matrix_power(a, -2), [BATCH]),
    "solve a vector": (lambda la, a, b: la.solve(a, b), [SQUARE, RNG.normal(size=4)]),
    "solve vectors of a batch": (lambda la, a, b: la.solve(a, b), [BATCH, RNG.normal(size=(2, 3))]),
    "solve one for all": (lambda la, a, b: la.solve(a, b), [BATCH, RNG.normal(size=(3, 2))]),
    "solve from the right": (lambda la, a, b: la.solve(a, b, left=False), [SQUARE, RNG.normal(size=(2, 4))]),
    "lstsq": (lambda la, a, b: la.lstsq(a, b).solution, [TALL, RNG.normal(size=(5, 2))]),
    "qr of a wide matrix": (lambda la, a: la.qr(a).R, [WIDE]),
    "cond": (lambda la, a: la.cond(a), [SQUARE]),
    "multi_dot": (lambda la, a, b, c: la.multi_dot([a, b, c]), [RNG.normal(size=3), WIDE, RNG.normal(size=5)]),
    "vector_norm": (lambda la, a: la.vector_norm(a, 3, (0, 2)), [BATCH]),
    "norm of a matrix": (lambda la, a: la.norm(a, 1), [SQUARE]),
    "norm of everything": (lambda la, a: la.norm(a), [BATCH]),
    "cross": (lambda la, a, b: la.cross(a, b, dim=0), [RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))]),
    "vecdot": (lambda la, a, b: la.vecdot(a, b), [TALL, RNG.normal(size=(5, 3))]),
    **{f"matrix_norm {o}": (lambda la, a, o=o: la.matrix_norm(a, o, (0, 2), keepdim=True), [BATCH]) for o in ORDERS},
}


@pytest.mark.parametrize("name", CALLS)
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    for mine, theirs in zip(with_derivatives(tg, *CALLS[name]), with_derivatives(torch, *CALLS[name]), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(force=True), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("a", [TALL, WIDE, SQUARE, BATCH])
def test_factors_multiply_to_the_matrix(a):
    x = tg.from_numpy(a)
    u, s, vh = linalg.svd(x, full_matrices=False)
    assert tg.allclose((u * s.unsqueeze(-2)) @ vh, x)
    q, r = linalg.qr(x)
    assert tg.allclose(q @ r, x)
    assert tg.allclose(x @ linalg.pinv(x) @ x, x)
    full = linalg.svd(x)
    assert full.U.shape[-1] == a.shape[-2]
    assert full.Vh.shape[-1] == a.shape[-1]


def test_symmetric_matrices():
    x = tg.from_numpy(SQUARE @ SQUARE.T)
    values, vectors = linalg.eigh(x)
    assert tg.allclose((vectors * values) @ vectors.T, x)
    lower = linalg.cholesky(x)
    assert tg.allclose(lower @ lower.T, x)
    assert tg.allclose(linalg.cholesky(x, upper=True), lower.T)


def test_determinant_of_a_singular_matrix_has_a_gradient():
    x = tg.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=tg.float64, requires_grad=True)
    linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-12)


def test_lstsq_tells_rank_and_residuals():
    found = linalg.lstsq(tg.from_numpy(np.eye(3)[:, :2]), tg.from_numpy(np.ones((3, 1))))
    assert found.solution.flatten().tolist() == pytest.approx([1, 1])
    assert found.residuals.item() == pytest.approx(1)
    assert found.rank.item() == 2


def test_numbers_without_derivative():
    assert linalg.matrix_rank(tg.ones(3, 3)).item() == 1
    assert linalg.matrix_power(tg.ones(2, 2), 0).tolist() == [[1, 0], [0, 1]]
    assert linalg.slogdet(-tg.eye(3)).sign.item() == -1
    assert linalg.cond(tg.eye(3), 1).item() == pytest.approx(3 * 3 / 9)


def test_refusals():
    assert "square" in refusal(RuntimeError, lambda: linalg.inv(tg.zeros(2, 3)))
    assert "Singular matrix" in refusal(linalg.LinAlgError, lambda: linalg.inv(tg.zeros(2, 2)))
    assert "not positive definite" in refusal(linalg.LinAlgError, lambda: linalg.cholesky(-tg.eye(2)))
    assert "2 rows" in refusal(RuntimeError, lambda: linalg.solve(tg.eye(2), tg.zeros(3)))
    assert "E109" in refusal(RuntimeError, lambda: linalg.det(tg.eye(2).long()))
    assert "E109" in refusal(RuntimeError, lambda: linalg.solve(tg.eye(2), tg.zeros(2, dtype=tg.float64)))
    assert "at least 2 dimensions" in refusal(RuntimeError, lambda: linalg.svdvals(tg.zeros(3)))
    assert "must have length 3" in refusal(RuntimeError, lambda: linalg.cross(tg.zeros(2), tg.zeros(2)))
    assert "not supported" in refusal(RuntimeError, lambda: linalg.matrix_norm(tg.eye(2), 3))
