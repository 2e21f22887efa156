"""Linear algebra under PyTorch's names: ``tg.linalg.solve(A, b)``. Batches of matrices (..., m, n) everywhere.

Everything is differentiable as often as one likes, except where a result jumps (ranks) or a decomposition is not unique: equal
eigenvalues or singular values give infinite or NaN gradients of their vectors.
"""

import math
from collections import namedtuple
from collections.abc import Sequence

import numpy as np

from tinygrad_edu.errors import DtypeError, ShapeError, message
from tinygrad_edu.ops import linalg as ops
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.ops.dims import normalize_dims
from tinygrad_edu.ops.extremum import amax, amin
from tinygrad_edu.ops.gathering import index_select
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.ops.linalg import LinAlgError
from tinygrad_edu.ops.matmul import matmul, mixed_dtypes
from tinygrad_edu.ops.reduction import norm_along, sum_along
from tinygrad_edu.ops.rounding import abs as abs_
from tinygrad_edu.ops.shape import movedim, squeeze, transpose, unsqueeze
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "eigh", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "vecdot", "vector_norm",
]  # fmt: skip

SLogDet = namedtuple("SLogDet", ("sign", "logabsdet"))
QR = namedtuple("QR", ("Q", "R"))
SVD = namedtuple("SVD", ("U", "S", "Vh"))
Eigh = namedtuple("Eigh", ("eigenvalues", "eigenvectors"))
Lstsq = namedtuple("Lstsq", ("solution", "residuals", "rank", "singular_values"))


def _check(op: str, A: Tensor, square: bool = False) -> None:
    """Refuse what is not a floating-point matrix, or not a square one."""
    if not isinstance(A, Tensor):
        raise TypeError(
            f"linalg.{op}(): argument 'A' must be Tensor, not {type(A).__name__}. Fix: tg.tensor(...) first."
        )
    if A.ndim < 2:
        facts = f"The input tensor A must have at least 2 dimensions, got shape {tuple(A.shape)}."
        raise ShapeError(message("E101", f"linalg.{op}", facts, "a matrix, or a batch (..., m, n)."))
    if square and A.shape[-1] != A.shape[-2]:
        facts = f"A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} matrices."
        raise ShapeError(message("E101", f"linalg.{op}", facts, "tg.linalg.lstsq and pinv take any shape."))
    if A._data.dtype.char not in "fd":
        facts = f"Expected a float32 or float64 tensor, got {A.dtype.name}."
        raise DtypeError(message("E109", f"linalg.{op}", facts, "A.float()."))


# ---- inverse, systems, determinants -----------------------------------------------------------------------------------------
def inv(A: Tensor) -> Tensor:
    """Inverse of square matrices; to solve a system, :func:`solve` is the better way.

    Raises
    ------
    RuntimeError
        If a matrix is singular or not square.
    """
    _check("inv", A, square=True)
    return ops.inverse(A)


def det(A: Tensor) -> Tensor:
    """Determinant of square matrices; its derivative, the cofactors, exists for singular ones too."""
    _check("det", A, square=True)
    return ops.determinant(A)


def slogdet(A: Tensor) -> SLogDet:
    """Sign and logarithm of the size of the determinant, which may be too large or small for a floating-point number."""
    _check("slogdet", A, square=True)
    return SLogDet(ops.sign_of_determinant(A), ops.log_determinant(A))


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X with A @ X = B (or X @ A = B without `left`); B is a matrix, or a vector where its shape is ``A.shape[:-1]``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu import linalg
    >>> linalg.solve(tg.tensor([[2., 0.], [0., 4.]]), tg.tensor([2., 2.])).tolist()
    [1.0, 0.5]
    """
    _check("solve", A, square=True)
    if A.dtype != B.dtype:
        raise mixed_dtypes("linalg.solve", A=A, B=B)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    columns = unsqueeze(B, -1) if vector else B
    if not left and not vector:
        return transpose(solve(transpose(A, -2, -1), transpose(columns, -2, -1)), -2, -1)
    if columns.shape[-2] != A.shape[-1]:
        facts = f"Incompatible shapes of A and B for the equation AX = B: {tuple(A.shape)} and {tuple(B.shape)}."
        raise ShapeError(message("E101", "linalg.solve", facts, f"B with {A.shape[-1]} rows."))
    lead = np.broadcast_shapes(A.shape[:-2], columns.shape[:-2])
    A, columns = A.expand(*lead, *A.shape[-2:]), columns.expand(*lead, *columns.shape[-2:])
    X = ops.solve_matrix(A, columns)
    return squeeze(X, -1) if vector else X


def pinv(A: Tensor, *, rtol: float | None = None) -> Tensor:
    """Moore-Penrose inverse of matrices of any shape; singular values up to `rtol` times the largest count as 0."""
    _check("pinv", A)
    return ops.pseudoinverse(A, _tolerance(A, rtol))


def _tolerance(A: Tensor, rtol: float | None) -> float:
    return max(A.shape[-2:]) * float(np.finfo(A._data.dtype).eps) if rtol is None else rtol


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Lstsq:
    """The X of least squares, min |A X - B|, as a named tuple (solution, residuals, rank, singular_values)."""
    _check("lstsq", A)
    if A.dtype != B.dtype:
        raise mixed_dtypes("linalg.lstsq", A=A, B=B)
    vector = B.ndim == A.ndim - 1
    X = matmul(ops.pseudoinverse(A, _tolerance(A, rcond)), unsqueeze(B, -1) if vector else B)
    rank = matrix_rank(A, rtol=rcond)
    m, n = A.shape[-2:]
    rest = matmul(A, X) - (unsqueeze(B, -1) if vector else B)
    residuals = (
        sum_along(rest * rest, -2, False) if m > n and (rank._data == n).all() else wrap(np.zeros(0, A._data.dtype))
    )
    return Lstsq(squeeze(X, -1) if vector else X, residuals, rank, svdvals(A.detach()))


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A multiplied with itself n times by repeated squaring; a negative n takes the inverse, 0 gives the identity."""
    _check("matrix_power", A, square=True)
    if n < 0:
        A, n = ops.inverse(A), -n
    result = None
    while n:
        if n & 1:
            result = A if result is None else matmul(result, A)
        n >>= 1
        if n:
            A = matmul(A, A)
    if result is None:
        return wrap(np.broadcast_to(np.eye(A.shape[-1], dtype=A._data.dtype), A.shape).copy())
    return result


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """Product of several matrices in the cheapest order; the first and the last may be vectors."""
    if len(tensors) < 2:
        raise RuntimeError(f"linalg.multi_dot: expected at least 2 tensors but got {len(tensors)}")
    first = unsqueeze(tensors[0], 0) if tensors[0].ndim == 1 else tensors[0]
    last = unsqueeze(tensors[-1], 1) if tensors[-1].ndim == 1 else tensors[-1]
    parts = [first, *tensors[1:-1], last]
    sizes = [parts[0].shape[0], *(part.shape[1] for part in parts)]
    cost = {(i, i): (0, i) for i in range(len(parts))}
    for width in range(1, len(parts)):
        for i in range(len(parts) - width):
            j = i + width
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def joined(i: int, j: int) -> Tensor:
        return parts[i] if i == j else matmul(joined(i, cost[i, j][1]), joined(cost[i, j][1] + 1, j))

    out = joined(0, len(parts) - 1)
    gone = tuple(d for d, t in ((0, tensors[0]), (1, tensors[-1])) if t.ndim == 1)
    return squeeze(out, gone) if gone else out


# ---- decompositions ---------------------------------------------------------------------------------------------------------
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L L^T = A, or its transpose, for symmetric positive definite A."""
    _check("cholesky", A, square=True)
    L = ops.cholesky_factor(A)
    return transpose(L, -2, -1) if upper else L


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """A = Q R with orthonormal columns in Q and an upper triangular R.

    Parameters
    ----------
    mode : {"reduced", "complete", "r"}
        "complete" gives a square Q; it and an R of a wide matrix's rest have no derivative beyond the square part.
    """
    _check("qr", A)
    m, n = A.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"linalg.qr: received unrecognized mode {mode!r} but expected one of 'reduced', 'r' or 'complete'."
        )
    if mode == "complete" and m > n:
        if A.requires_grad:
            raise RuntimeError(
                "linalg.qr: the complete factors of a tall matrix are not differentiable. Fix: mode='reduced'."
            )
        full = np.linalg.qr(A._data, "complete")
        return QR(wrap(full.Q), wrap(full.R))
    square = A if m >= n else A[..., :m]
    Q, R = ops.orthogonal_factor(square), ops.triangular_factor(square)
    if m < n:
        R = cat([R, matmul(transpose(Q, -2, -1), A[..., m:])], -1)
    return QR(wrap(np.empty(0, A._data.dtype)), R) if mode == "r" else QR(Q, R)


def svd(A: Tensor, full_matrices: bool = True) -> SVD:
    """A = U diag(S) Vh with orthonormal columns in U and rows in Vh, and singular values S, descending.

    Parameters
    ----------
    full_matrices : bool
        Complete U and Vh to square matrices; what is added has no derivative.
    """
    _check("svd", A)
    if full_matrices and A.shape[-2] != A.shape[-1]:
        U, _, Vh = np.linalg.svd(A._data)
        return SVD(wrap(U), ops.singular_values(A), wrap(Vh))
    return SVD(ops.left_vectors(A), ops.singular_values(A), ops.right_vectors(A))


def svdvals(A: Tensor) -> Tensor:
    """Singular values, descending."""
    _check("svdvals", A)
    return ops.singular_values(A)


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """Eigenvalues, ascending, and eigenvectors (columns) of symmetric matrices, of which only one triangle is read."""
    _check("eigh", A, square=True)
    lower = UPLO.upper() == "L"
    return Eigh(ops.eigenvalues(A, lower), ops.eigenvectors(A, lower))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, ascending."""
    _check("eigvalsh", A, square=True)
    return ops.eigenvalues(A, UPLO.upper() == "L")


# ---- norms ------------------------------------------------------------------------------------------------------------------
def vector_norm(x: Tensor, ord: float = 2, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """(sum of |x|^ord)^(1/ord) along `dim`, or of all elements."""
    return norm_along(x if dtype is None else convert(x, dtype), float(ord), dim, keepdim)


def matrix_norm(A: Tensor, ord: float | str = "fro", dim=(-2, -1), keepdim: bool = False, *, dtype=None) -> Tensor:
    """Norm of matrices.

    Parameters
    ----------
    ord : {"fro", "nuc", inf, -inf, 1, -1, 2, -2}
        Root of the sum of squares; sum of the singular values; largest or smallest sum of a row's magnitudes; of a column's;
        largest or smallest singular value.
    dim : pair of int
        The matrices' rows and columns.
    """
    A = A if dtype is None else convert(A, dtype)
    rows, columns = normalize_dims(dim, A.ndim, "linalg.matrix_norm")
    if ord == "fro":
        return norm_along(A, 2.0, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        values = svdvals(movedim(A, (rows, columns), (-2, -1)))
        out = sum_along(values, -1, False) if ord == "nuc" else (amax if ord == 2 else amin)(values, -1)
        return unsqueeze(unsqueeze(out, min(rows, columns)), max(rows, columns)) if keepdim else out
    if not isinstance(ord, int | float) or abs(ord) not in (1, math.inf):
        raise RuntimeError(
            f"linalg.matrix_norm: Order {ord!r} not supported. Fix: 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2."
        )
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = sum_along(abs_(A), summed, True)
    out = (amax if ord > 0 else amin)(sums, compared, True)
    return out if keepdim else squeeze(out, (rows, columns))


def norm(A: Tensor, ord: float | str | None = None, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """Vector norm, or matrix norm where `dim` is a pair or `ord` is given for a matrix; without both, of all elements."""
    matrices = (isinstance(dim, tuple | list) and len(dim) == 2) or (dim is None and ord is not None and A.ndim == 2)
    if ord is None or not matrices:
        if isinstance(ord, str):
            raise RuntimeError(f"linalg.norm: ord={ord!r} is for matrices; the input is {A.ndim}D and dim={dim!r}.")
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


def cond(A: Tensor, p: float | str | None = None) -> Tensor:
    """Condition number: the norm of A times that of its inverse, by default the ratio of extreme singular values."""
    if p in (None, 2, -2):
        values = svdvals(A)
        ratio = amax(values, -1) / amin(values, -1)
        return 1.0 / ratio if p == -2 else ratio
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def matrix_rank(A: Tensor, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False) -> Tensor:
    """Number of singular values above max(atol, rtol * the largest); not differentiable."""
    _check("matrix_rank", A)
    values = np.linalg.svd(A._data, compute_uv=False)
    relative = _tolerance(A, rtol) if rtol is not None or atol is None else 0.0
    limit = np.maximum(atol or 0.0, relative * values.max(-1, keepdims=True, initial=0))
    return wrap(np.asarray((values > limit).sum(-1)))


# ---- vectors ----------------------------------------------------------------------------------------------------------------
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Inner products along `dim`."""
    return sum_along(x * y, dim, False)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Cross products of vectors with three components along `dim`."""
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        facts = f"inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}."
        raise ShapeError(message("E101", "linalg.cross", facts, "vectors of three components."))
    ahead, behind = wrap(np.array([1, 2, 0])), wrap(np.array([2, 0, 1]))

    def turned(x: Tensor, index: Tensor) -> Tensor:
        return index_select(x, dim, index)

    return turned(input, ahead) * turned(other, behind) - turned(input, behind) * turned(other, ahead)
