"""Functions of matrices under their older names, ``tg.svd(x)`` and ``x.svd()``, where :mod:`tinygrad_edu.linalg` has newer ones."""

from collections import namedtuple
from typing import Any

import numpy as np

from tinygrad_edu import linalg
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.linalg import trace
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.shape import transpose
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor

__all__ = [
    "cholesky", "cross", "det", "inverse", "logdet", "matrix_exp", "matrix_power", "pinverse", "qr", "slogdet", "svd", "trace",
]  # fmt: skip

det, inverse = linalg.det, linalg.inv  # their methods are declared with the primitives
SVD = namedtuple("SVD", "U S V")

TERMS = 18  # of the series: the next one is below 2 ** -19 / 19!, less than a rounding error of float64


@composite
def slogdet(input: Tensor) -> tuple:
    """Sign and logarithm of the size of the determinant, see :func:`tinygrad_edu.linalg.slogdet`."""
    return linalg.slogdet(input)


@composite
def logdet(input: Tensor) -> Tensor:
    """Logarithm of the determinant: -inf where it is 0, NaN where it is negative."""
    sign, size = linalg.slogdet(input)
    return size + log(where(sign == 0, sign * 0 + 1, sign))


@composite
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The triangular L with L L^T = input (or R with R^T R = input if `upper`), see :func:`tinygrad_edu.linalg.cholesky`."""
    return linalg.cholesky(input, upper=upper)


@composite
def qr(input: Tensor, some: bool = True) -> tuple:
    """The pair (Q, R) with input = Q R; without `some`, Q is square. See :func:`tinygrad_edu.linalg.qr`."""
    return linalg.qr(input, "reduced" if some else "complete")


@composite
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> SVD:
    """The triple (U, S, V) with input = U diag(S) V^T. :func:`tinygrad_edu.linalg.svd` returns V transposed.

    Parameters
    ----------
    some : bool
        Return only as many columns of U and V as there are singular values.
    compute_uv : bool
        Without it U and V are zeros.
    """
    U, S, Vh = linalg.svd(input, full_matrices=not some)
    V = transpose(Vh, -2, -1)
    return SVD(U, S, V) if compute_uv else SVD(U.detach() * 0, S, V.detach() * 0)


@composite
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """Moore-Penrose inverse, see :func:`tinygrad_edu.linalg.pinv`."""
    return linalg.pinv(input, rtol=rcond)


@composite
def matrix_power(input: Tensor, n: int) -> Tensor:
    """The product of `n` times the same square matrix, see :func:`tinygrad_edu.linalg.matrix_power`."""
    return linalg.matrix_power(input, n)


@composite
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Cross product of vectors of length 3 along `dim`, the first dimension of that length unless given."""
    if dim is None:
        dim = next((d for d, (n, m) in enumerate(zip(input.shape, other.shape, strict=False)) if n == m == 3), None)
        if dim is None:
            raise RuntimeError(
                f"cross: no dimension of size 3 in input, shapes {tuple(input.shape)} and {tuple(other.shape)}. "
                "Fix: vectors have three components; give dim."
            )
    return linalg.cross(input, other, dim=dim)


@composite
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices, I + A + A^2/2! + A^3/3! + ...

    The matrix is halved until it is small, the series summed, and the result squared as often [1]_.

    Shape: ``(..., n, n)``, as the result.

    References
    ----------
    .. [1] C. Moler and C. Van Loan, "Nineteen dubious ways to compute the exponential of a matrix, twenty-five years later",
       SIAM Review 45(1), 2003, method 3.

    Examples
    --------
    A rotation by a right angle is the exponential of its generator:

    >>> import math, tinygrad_edu as tg
    >>> turn = tg.matrix_exp(tg.tensor([[0.0, -math.pi / 2], [math.pi / 2, 0.0]]))
    >>> bool(tg.allclose(turn, tg.tensor([[0.0, -1.0], [1.0, 0.0]]), atol=1e-6))
    True
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ShapeError(f"matrix_exp: expected square matrices (..., n, n), got shape {tuple(input.shape)}.")
    if not input.is_floating_point():
        raise RuntimeError(f"matrix_exp: expected a floating-point tensor, got {input.dtype}. Fix: A.float().")
    halvings = _halvings(input.detach().numpy())
    small = input * 0.5**halvings
    identity = np.eye(input.shape[-1], dtype=bool)
    result: Any = small * (1 / TERMS) + identity
    for k in range(TERMS - 1, 0, -1):  # I + A/1 (I + A/2 (I + A/3 (...)))
        result = (small @ result) * (1 / k) + identity
    for _ in range(halvings):
        result = result @ result
    return result


def _halvings(matrices: np.ndarray) -> int:
    """Return how often the matrices must be halved for all their norms to be at most 1/2."""
    if not matrices.size:
        return 0
    largest = float(np.abs(matrices).sum(-2).max())
    return max(0, int(np.ceil(np.log2(2 * largest)))) if 0 < largest < np.inf else 0
