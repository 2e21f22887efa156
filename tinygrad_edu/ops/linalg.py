"""Linear algebra beyond products: trace, inverse, determinant and the decompositions, as differentiable primitives.

Every result is a primitive of its own with a closed formula as its rule, written with primitives again; so they have derivatives of
every order. The public functions with their checks are in :mod:`tinygrad_edu.linalg`.
"""

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.comparison import refuse_bool
from tinygrad_edu.ops.diagonal import diagonal, tril
from tinygrad_edu.ops.matmul import matmul
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.ops.reduction import sum_along
from tinygrad_edu.ops.shape import transpose, unsqueeze
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor

__all__ = ["LinAlgError", "trace"]


class LinAlgError(RuntimeError):
    """A matrix without the inverse or factor that was asked for."""


@composite
def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix, out = sum over i of input[i, i]."""
    refuse_bool("trace", input._data)
    if input.ndim != 2:
        raise ShapeError(
            f"trace: expected a matrix, but got tensor with {input.ndim} dimensions, {tuple(input.shape)}."
        )
    return sum_(diagonal(input))


# ---- small words for the rules ----------------------------------------------------------------------------------------------
def _t(x):
    return transpose(x, -2, -1)


def _eye(x):
    """The identity as booleans, which mix with any floating type without changing it."""
    return np.eye(x.shape[-1], dtype=bool)


def _identity_minus(x):
    return -x + _eye(x)


def _gaps(values):
    """E[i, j] = values[j] - values[i], with ones on the diagonal to divide by."""
    return unsqueeze(values, -2) - unsqueeze(values, -1) + _eye(values)


def _skew(x):
    return x - _t(x)


def _explain(error: Exception, *arguments, **parameters) -> Exception | None:
    if not isinstance(error, np.linalg.LinAlgError):
        return None
    shape = tuple(arguments[0].shape)
    facts = f"{error}: a matrix of shape {shape} has no such factor or inverse."
    fix = "check for equal rows; tg.linalg.pinv or lstsq take singular matrices; x @ x.mT + eps * tg.eye(n) is positive definite."
    return LinAlgError(message("", "linalg", facts, fix))


# ---- inverse and systems ----------------------------------------------------------------------------------------------------
@primitive(method="inverse", names=("A",), node_name="LinalgInvExBackward0", explain=_explain)
def inverse(x, /):
    """The matrix with inverse(x) @ x = identity."""
    return np.linalg.inv(x)


inverse.derivative(x=lambda g, out: -matmul(_t(out), matmul(g, _t(out))))


@primitive(method=False, names=("A", "B"), node_name="LinalgSolveExBackward0", explain=_explain)
def solve_matrix(a, b, /):
    """The matrix x with a @ x = b."""
    return np.linalg.solve(a, b)


solve_matrix.derivative(
    a=lambda g, a, out: -matmul(solve_matrix(_t(a), g), _t(out)),
    b=lambda g, a: solve_matrix(_t(a), g),
)


@primitive(method=False, names=("A",), node_name="LinalgPinvBackward0")
def pseudoinverse(x, /, rcond):
    """The Moore-Penrose inverse; singular values below rcond times the largest count as 0."""
    return np.linalg.pinv(x, rcond)


def _pseudoinverse_rule(g, x, out):
    p, gt = out, _t(g)
    left, right = _identity_minus(matmul(x, p)), _identity_minus(matmul(p, x))
    through = matmul(_t(p), matmul(g, _t(p)))
    return matmul(left, matmul(gt, matmul(p, _t(p)))) + matmul(matmul(_t(p), p), matmul(gt, right)) - through


pseudoinverse.derivative(x=_pseudoinverse_rule)


# ---- determinants -----------------------------------------------------------------------------------------------------------
@primitive(method="det", names=("A",), node_name="LinalgDetBackward0")
def determinant(x, /):
    """The determinant of square matrices."""
    return np.linalg.det(x)


@primitive(method=False, names=("A",))
def cofactors(x, /):
    """The derivative of the determinant, det(x) * inverse(x)^T, also where x is singular: from the singular values."""
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), x.dtype.type(1), s[..., None, :]).prod(-1)
    return (np.linalg.det(u) * np.linalg.det(vh))[..., None, None] * ((u * others[..., None, :]) @ vh)


def _cofactors_rule(g, x):
    """Of det(x) * inverse(x)^T by the product rule, where x is regular."""
    size, inv = _as_matrix(determinant(x)), inverse(x)
    inner = _as_matrix(sum_along(g * _t(inv), (-2, -1), False))
    return size * (_t(inv) * inner - matmul(_t(inv), matmul(_t(g), _t(inv))))


def _as_matrix(numbers):
    return unsqueeze(unsqueeze(numbers, -1), -1)


determinant.derivative(x=lambda g, x: _as_matrix(g) * cofactors(x))
cofactors.derivative(x=_cofactors_rule)


@primitive(method=False, names=("A",), node_name="LinalgSlogdetBackward0")
def log_determinant(x, /):
    """log |det(x)|, without overflow."""
    return np.linalg.slogdet(x)[1]


@primitive(method=False, names=("A",))
def sign_of_determinant(x, /):
    """-1, 0 or 1; not differentiable."""
    return np.linalg.slogdet(x)[0]


log_determinant.derivative(x=lambda g, x: _as_matrix(g) * _t(inverse(x)))


# ---- decompositions ---------------------------------------------------------------------------------------------------------
@primitive(method=False, names=("A",), node_name="LinalgCholeskyExBackward0", explain=_explain)
def cholesky_factor(x, /):
    """The lower triangular L with L L^T = x, for symmetric positive definite x."""
    return np.linalg.cholesky(x)


def _cholesky_rule(g, out):
    """L^-T phi(L^T g) L^-1, made symmetric; phi takes the lower triangle with half the diagonal [1]_.

    .. [1] I. Murray, "Differentiation of the Cholesky decomposition", 2016, arXiv:1602.07527.
    """
    inner = tril(matmul(_t(out), g))
    inv = inverse(out)
    part = matmul(_t(inv), matmul(inner - inner * _eye(inner) * 0.5, inv))
    return (part + _t(part)) * 0.5


cholesky_factor.derivative(x=_cholesky_rule)


@primitive(method=False, names=("A",), node_name="LinalgEighBackward0")
def eigenvalues(x, /, lower):
    """Eigenvalues of symmetric matrices, ascending."""
    return np.linalg.eigvalsh(x, "L" if lower else "U")


@primitive(method=False, names=("A",), node_name="LinalgEighBackward0")
def eigenvectors(x, /, lower):
    """Eigenvectors of symmetric matrices as columns, in the order of the eigenvalues."""
    return np.linalg.eigh(x, "L" if lower else "U").eigenvectors


def _eigenvalues_rule(g, x, lower):
    v = eigenvectors(x, lower)
    return matmul(v * unsqueeze(g, -2), _t(v))


def _eigenvectors_rule(g, x, out, lower):
    inner = _skew(matmul(_t(out), g)) * 0.5 / _gaps(eigenvalues(x, lower))  # the symmetric half: x stays symmetric
    return matmul(out, matmul(inner, _t(out)))


eigenvalues.derivative(x=_eigenvalues_rule)
eigenvectors.derivative(x=_eigenvectors_rule)


@primitive(method=False, names=("A",), node_name="LinalgSvdBackward0")
def singular_values(x, /):
    """Singular values, descending."""
    return np.linalg.svd(x, compute_uv=False)


@primitive(method=False, names=("A",), node_name="LinalgSvdBackward0")
def left_vectors(x, /):
    """Left singular vectors (..., m, k), k = min(m, n)."""
    return np.linalg.svd(x, full_matrices=False).U


@primitive(method=False, names=("A",), node_name="LinalgSvdBackward0")
def right_vectors(x, /):
    """Right singular vectors as rows (..., k, n)."""
    return np.linalg.svd(x, full_matrices=False).Vh


def _singular_values_rule(g, x):
    return matmul(left_vectors(x) * unsqueeze(g, -2), right_vectors(x))


def _left_vectors_rule(g, x, out):
    """The part of the SVD's derivative that belongs to U [1]_.

    .. [1] J. Townsend, "Differentiating the singular value decomposition", 2016.
    """
    s, vh = singular_values(x), right_vectors(x)
    turned = _skew(matmul(_t(out), g)) / _gaps(s * s)
    part = matmul(out, matmul(turned * unsqueeze(s, -2), vh))
    if x.shape[-2] <= x.shape[-1]:
        return part
    outside = g - matmul(out, matmul(_t(out), g))
    return part + matmul(outside / unsqueeze(s, -2), vh)


def _right_vectors_rule(g, x, out):
    """The part that belongs to V: that of U for the transposed matrix."""
    s, u = singular_values(x), left_vectors(x)
    turned = _skew(matmul(out, _t(g))) / _gaps(s * s)
    part = matmul(u, matmul(turned * unsqueeze(s, -1), out))
    if x.shape[-2] >= x.shape[-1]:
        return part
    outside = g - matmul(matmul(g, _t(out)), out)
    return part + matmul(u, outside / unsqueeze(s, -1))


singular_values.derivative(x=_singular_values_rule)
left_vectors.derivative(x=_left_vectors_rule)
right_vectors.derivative(x=_right_vectors_rule)


@primitive(method=False, names=("A",), node_name="LinalgQrBackward0")
def orthogonal_factor(x, /):
    """Q of the reduced QR decomposition of (..., m, n), m >= n."""
    return np.linalg.qr(x).Q


@primitive(method=False, names=("A",), node_name="LinalgQrBackward0")
def triangular_factor(x, /):
    """R of the reduced QR decomposition of (..., m, n), m >= n."""
    return np.linalg.qr(x).R


def _symmetric_from_lower(x):
    low = tril(x)
    return low + _t(low) - low * _eye(low)


def _orthogonal_rule(g, x, out):
    mixed = -matmul(_t(g), out)
    return matmul(g + matmul(out, _symmetric_from_lower(mixed)), _t(inverse(triangular_factor(x))))


def _triangular_rule(g, x, out):
    mixed = matmul(out, _t(g))
    return matmul(matmul(orthogonal_factor(x), _symmetric_from_lower(mixed)), _t(inverse(out)))


orthogonal_factor.derivative(x=_orthogonal_rule)
triangular_factor.derivative(x=_triangular_rule)
