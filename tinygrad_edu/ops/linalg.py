"""Linear algebra beyond products: the trace."""

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.diagonal import diagonal
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor

__all__ = ["trace"]


@composite
def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix, out = sum over i of input[i, i]."""
    if input.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, but got tensor with {input.ndim} dimensions, {tuple(input.shape)}.")
    return sum_(diagonal(input))
