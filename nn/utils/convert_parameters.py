"""All parameters as one vector, and back."""

from collections.abc import Iterable

from tinygrad_edu.ops.joining import cat
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return all parameters, flattened and joined in their order; gradients flow back to them."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the parameters' data be slices of the vector, in their order.

    Raises
    ------
    TypeError
        If `vec` is not a Tensor.
    ValueError
        If the vector has another length than the parameters together.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    total = sum(p.numel() for p in parameters)
    if vec.numel() != total:
        raise ValueError(f"vector_to_parameters: the vector has {vec.numel()} elements, the parameters {total}")
    values, start = vec.array(), 0
    for p in parameters:
        p.data = wrap(values[start : start + p.numel()].reshape(p.shape))
        start += p.numel()
