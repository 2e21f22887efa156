"""Reductions along dimensions, and broadcasting, which is the adjoint of summing."""

import numpy as np


from tinygrad_edu.primitive import primitive

__all__ = ["broadcast_to"]


@primitive(method=False)
def sum_to(x, /, shape):
    """Sum out what broadcasting added, so that the result has `shape`: the adjoint of :func:`broadcast_to`."""
    lead = x.ndim - len(shape)
    if lead:
        x = np.add.reduce(x, tuple(range(lead)))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1)
    return np.add.reduce(x, axes, keepdims=True) if axes else x


sum_to.derivative(x=lambda g, x_shape: broadcast_to(g, x_shape))


@primitive(view=True)
def broadcast_to(x, /, shape):
    """Repeat along new and length-1 dimensions without copying, as NumPy's broadcasting does."""
    return np.broadcast_to(x, shape)


broadcast_to.derivative(x=lambda g, x_shape: sum_to(g, x_shape))
