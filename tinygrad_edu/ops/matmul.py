"""Products of matrices and vectors, and the functions made of them."""

import math
from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import DtypeError, ShapeError, message
from tinygrad_edu.kernels import policy
from tinygrad_edu.ops.reduction import sum_along, sum_to
from tinygrad_edu.ops.shape import reshape, squeeze, transpose, unsqueeze
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.source_lines import variable_that
from tinygrad_edu.tensor import Tensor

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "dot", "ger", "inner", "kron", "matmul", "mm", "mv", "outer",
    "vdot",
]  # fmt: skip


def mixed_dtypes(op: str, **tensors: Tensor) -> DtypeError:
    """Compose E109: operands of different dtypes, naming which is which and the conversion."""
    kinds = {name: t.dtype.name for name, t in tensors.items()}
    listed = ", ".join(f"{name} is {kind}" for name, kind in kinds.items())
    odd = next((name for name, kind in kinds.items() if kind == "float64"), None)
    odd = odd or next((name for name, t in tensors.items() if not t.is_floating_point()), next(iter(kinds)))
    origin = tensors[odd].grad_fn
    came = f" {odd} is the result of {origin.op.name}." if origin is not None else ""
    if kinds[odd] == "float64" and origin is None:
        came = f" {odd} is float64, as NumPy's numbers are unless told otherwise."
    variable = variable_that(lambda value: value is tensors[odd])
    if variable:
        came += f" It is {variable}."
    facts = f"expected {' and '.join(tensors)} to have the same dtype, but {listed}.{came}"
    return DtypeError(message("E109", op, facts, f"{odd}.float() makes float32."))


def product_error(op: str, x: tuple, y: tuple) -> ShapeError:
    """Compose E101: the inner sizes of a product differ."""
    if not x or not y:
        facts = f"both arguments to {op} need to be at least 1D, but they are {len(x)}D and {len(y)}D."
        return ShapeError(message("E101", op, facts, "x * y multiplies with a number."))
    left, right = x[-1], y[-2] if len(y) > 1 else y[0]
    if left == right:
        facts = f"the leading dimensions of {x} and {y} do not broadcast: {x[:-2]} and {y[:-2]}."
        return ShapeError(message("E104", op, facts, "equal numbers of matrices on both sides, or one."))
    facts = (
        f"mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, x))} and {'x'.join(map(str, y))}): "
        f"the last size of the first is {left}, the {'second-to-last' if len(y) > 1 else 'only'} size of the second is {right}."
    )
    fix = f"make the inner sizes equal, (..., K) and (K, ...); now K is {left} on the left and {right} on the right."
    if len(y) > 1 and left == y[-1]:
        fix = (
            "the second fits when transposed: x @ y.T." if len(y) == 2 else "the second fits when transposed: x @ y.mT."
        )
    elif len(x) > 1 and x[-2] == right:
        fix = "the first fits when transposed: x.T @ y." if len(x) == 2 else "the first fits when transposed: x.mT @ y."
    return ShapeError(message("E101", op, facts, fix))


def _explain(error: Exception, input: Tensor, other: Tensor) -> Exception:
    if str(error) == "dtype":
        return mixed_dtypes("matmul", m1=input, m2=other)
    return product_error("matmul", tuple(input.shape), tuple(other.shape))


# ---- the product ------------------------------------------------------------------------------------------------------------
@primitive(operators=("__matmul__", "__rmatmul__"), node_name="MmBackward0", explain=_explain)
def matmul(x, y, /):
    """Matrix product, out[..., i, j] = sum over k of x[..., i, k] * y[..., k, j].

    Parameters
    ----------
    input : Tensor (..., M, K) or (K,)
    other : Tensor (..., K, N) or (K,)
        Vectors act as a row on the left and as a column on the right; leading dimensions are a stack and broadcast.

    Returns
    -------
    Tensor (..., M, N), without the dimensions that the vectors lack

    Raises
    ------
    RuntimeError
        If the inner sizes differ (E101), the stacks do not broadcast (E104) or the dtypes differ (E109).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.tensor([[1., 2.], [3., 4.]]).matmul(tg.tensor([1., 1.])).tolist()
    [3.0, 7.0]
    """
    if x.dtype != y.dtype:
        raise ValueError("dtype")
    if x.ndim == 2 and y.ndim == 2:
        return product(x, y)
    return kernels.matmul(x, y)


def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the product of two matrices: BLAS, or above some size our own kernel, which is the faster one there (measured)."""
    if x.shape[0] * y.size < policy.blas_below:
        return x.dot(y)
    return kernels.matmul(x, y)


def _matmul_x(g, y, x_shape):
    """d/dx: g y^T, with the dimensions of vectors put in and the broadcast ones summed out."""
    if len(y.shape) == 1:
        return sum_to(g * y if len(x_shape) == 1 else unsqueeze(g, -1) * y, x_shape)
    if len(x_shape) == 1:
        g = unsqueeze(g, -2)
    part = matmul(g, transpose(y, -2, -1))
    return sum_to(part, x_shape) if len(x_shape) > 1 else sum_to(squeeze(part, -2), x_shape)


def _matmul_y(g, x, y_shape):
    """d/dy: x^T g."""
    if len(x.shape) == 1:
        return sum_to(g * x if len(y_shape) == 1 else unsqueeze(x, -1) * unsqueeze(g, -2), y_shape)
    if len(y_shape) == 1:
        g = unsqueeze(g, -1)
    part = matmul(transpose(x, -2, -1), g)
    return sum_to(part, y_shape) if len(y_shape) > 1 else sum_to(squeeze(part, -1), y_shape)


matmul.derivative(x=_matmul_x, y=_matmul_y)


def _matrices_backward(g, needs, x, y):
    """The rules above on arrays, short for the common case of two matrices."""
    if x.ndim == 2 and y.ndim == 2:
        return (product(g, y.T) if needs[0] else None), (product(x.T, g) if needs[1] else None)
    rule_x, rule_y = matmul.op.array_rule("x"), matmul.op.array_rule("y")
    return (rule_x(g, y, x.shape) if needs[0] else None), (rule_y(g, x, y.shape) if needs[1] else None)


matmul.derivative_on_arrays(_matrices_backward)


def _expect(op: str, dims: tuple[int, ...], **tensors: Any) -> None:
    """Refuse what is not a Tensor or has another number of dimensions than the op is for."""
    for (name, tensor), ndim in zip(tensors.items(), dims, strict=True):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{op}(): argument '{name}' must be Tensor, not {type(tensor).__name__}. Fix: tg.tensor(...) first."
            )
        if tensor.ndim != ndim:
            kind = {1: "a vector", 2: "a matrix", 3: "a batch of matrices"}[ndim]
            facts = f"{name} must be {kind} ({ndim}D), but it is {tensor.ndim}D of shape {tuple(tensor.shape)}."
            raise ShapeError(message("E101", op, facts, "x @ y (matmul) takes any dimensions."))


@composite
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices (M, K) and (K, N); see :func:`matmul`."""
    _expect("mm", (2, 2), input=input, mat2=mat2)
    return matmul(input, mat2)


@composite
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices, (B, M, K) and (B, K, N), without broadcasting; see :func:`matmul`."""
    _expect("bmm", (3, 3), input=input, mat2=mat2)
    if input.shape[0] != mat2.shape[0]:
        facts = f"batch1 and batch2 must have the same number of batches, got {input.shape[0]} and {mat2.shape[0]}."
        raise ShapeError(message("E104", "bmm", facts, "x @ y broadcasts."))
    return matmul(input, mat2)


@composite
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Product of a matrix (M, K) with a vector (K,); see :func:`matmul`."""
    _expect("mv", (2, 1), input=input, vec=vec)
    return matmul(input, vec)


@composite
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Inner product of two vectors, out = sum over k of input[k] * tensor[k]."""
    _expect("dot", (1, 1), input=input, tensor=tensor)
    if input.shape != tensor.shape:
        facts = f"inconsistent tensor size, expected vectors of one length, got {input.numel()} and {tensor.numel()}."
        raise ShapeError(message("E101", "dot", facts, "two vectors of equal length."))
    return matmul(input, tensor)


@composite
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Inner product of two vectors; for real numbers the same as :func:`dot`."""
    return dot(input, other)


@composite
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Products of the last dimensions, out[..., i..., j...] = sum over k of input[..., k] * other[..., k]; numbers multiply."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        facts = f"the last dimensions must match but got {tuple(input.shape)} and {tuple(other.shape)}."
        raise ShapeError(message("E101", "inner", facts, "equal last sizes."))
    rows, columns = math.prod(input.shape[:-1]), math.prod(other.shape[:-1])
    size = input.shape[-1]
    flat = matmul(reshape(input, (rows, size)), transpose(reshape(other, (columns, size)), 0, 1))
    return reshape(flat, (*input.shape[:-1], *other.shape[:-1]))


@composite
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors, out[i, j] = input[i] * vec2[j]."""
    _expect("outer", (1, 1), input=input, vec2=vec2)
    return unsqueeze(input, 1) * vec2


@composite
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """Alias of :func:`outer`."""
    return outer(input, vec2)


# ---- a product added to something -------------------------------------------------------------------------------------------
def _add_scaled(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * input + alpha * product; a beta of 0 ignores the input, NaN included, as BLAS does."""
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


@composite
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Matrix product added to a matrix, out = beta * input + alpha * (mat1 @ mat2)."""
    return _add_scaled(input, mm(mat1, mat2), beta, alpha)


@composite
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Product of matrix and vector added to a vector, out = beta * input + alpha * (mat @ vec)."""
    return _add_scaled(input, mv(mat, vec), beta, alpha)


@composite
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Outer product added to a matrix, out = beta * input + alpha * outer(vec1, vec2)."""
    return _add_scaled(input, outer(vec1, vec2), beta, alpha)


@composite
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Products of a batch of matrices added to a batch, out = beta * input + alpha * bmm(batch1, batch2)."""
    return _add_scaled(input, bmm(batch1, batch2), beta, alpha)


@composite
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Products of a batch of matrices summed and added to a matrix, out = beta * input + alpha * sum of bmm(batch1, batch2)."""
    return _add_scaled(input, sum_along(bmm(batch1, batch2), 0, False), beta, alpha)


@composite(method=False)
def chain_matmul(*matrices: Tensor) -> Tensor:
    """Product of several matrices, from left to right; see :func:`tinygrad_edu.linalg.multi_dot` for the cheapest order."""
    result = matrices[0]
    for matrix in matrices[1:]:
        result = mm(result, matrix)
    return result


@composite
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: every element of `input` replaced by itself times `other`."""
    width = max(input.ndim, other.ndim)
    left = (1,) * (width - input.ndim) + tuple(input.shape)
    right = (1,) * (width - other.ndim) + tuple(other.shape)
    spread_left = reshape(input, tuple(size for n in left for size in (n, 1)))
    spread_right = reshape(other, tuple(size for n in right for size in (1, n)))
    return reshape(spread_left * spread_right, tuple(a * b for a, b in zip(left, right, strict=True)))
