"""Second names that PyTorch has for the same op, such as ``arccos`` for ``acos``."""

from collections.abc import Callable

from tinygrad_edu.primitive import registry
from tinygrad_edu.tensor import Tensor

__all__ = ["alias"]


def alias(function: Callable, name: str) -> Callable:
    """Give an op a second name in the table and as a method; returns the same function."""
    registry[name] = function.op  # type: ignore[attr-defined]
    setattr(Tensor, name, function)
    return function
