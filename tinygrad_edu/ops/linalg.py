"""Linear algebra: the products of :mod:`tinygrad_edu.ops.matmul`, sums of products, distances, and the trace."""

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.diagonal import diagonal
from tinygrad_edu.ops.distance import *  # noqa: F403
from tinygrad_edu.ops.distance import __all__ as _distances
from tinygrad_edu.ops.einsum import *  # noqa: F403
from tinygrad_edu.ops.einsum import __all__ as _sums
from tinygrad_edu.ops.matmul import *  # noqa: F403
from tinygrad_edu.ops.matmul import __all__ as _products
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor

__all__ = [*_distances, *_products, *_sums, "trace"]


@composite
def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix, out = sum over i of input[i, i]."""
    if input.ndim != 2:
        raise ShapeError(
            f"trace: expected a matrix, but got tensor with {input.ndim} dimensions, {tuple(input.shape)}."
        )
    return sum_(diagonal(input))
