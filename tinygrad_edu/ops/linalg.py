"""Linear algebra: the products of :mod:`tinygrad_edu.ops.matmul` and what is made of them."""

from tinygrad_edu.ops.matmul import *  # noqa: F403
from tinygrad_edu.ops.matmul import __all__ as _products

__all__ = [*_products]
