"""More elements without more memory: expand and broadcasting, and views of few-dimensional tensors as matrices (atleast_2d)."""

from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops import reduction
from tinygrad_edu.ops.shape import reshape_to, sizes_of, unsqueeze
from tinygrad_edu.primitive import broadcast_error, composite
from tinygrad_edu.tensor import Size, Tensor

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors"]


@composite
def expand(input, *sizes):
    """Repeat along dimensions of length 1, and along new leading ones, without copying; -1 keeps a length.

    Raises
    ------
    RuntimeError
        If a dimension that is not of length 1 would have to change.
    """
    have, sizes = input._data.shape, sizes_of(sizes)
    lead = len(sizes) - len(have)
    if lead < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(sizes)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(have)}): {tuple(have)} to {tuple(sizes)}."
        )
    shape = tuple(have[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(sizes))
    for i, n in enumerate(shape):
        if n < 0:
            raise ShapeError(f"expand: the expanded size ({n}) isn't allowed in a leading, non-existing dimension {i}.")
        if i >= lead and have[i - lead] not in (1, n):
            raise ShapeError(
                f"expand: The expanded size of the tensor ({n}) must match the existing size ({have[i - lead]}) at non-singleton "
                f"dimension {i}. Target sizes: {list(sizes)}. Tensor sizes: {list(have)}. Fix: x.repeat(...) for other lengths."
            )
    return reduction.broadcast_to(input, shape)


@composite
def expand_as(input, other):
    """Expand to the shape of `other`."""
    return expand(input, *other._data.shape)


def broadcast_shapes(*shapes: Any) -> Any:
    """Return the shape that tensors of these shapes broadcast to."""
    full = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    try:
        return Size(np.broadcast_shapes(*full))
    except ValueError:
        raise broadcast_error("broadcast_shapes", full) from None


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Expand all tensors to their common shape."""
    tensors = sizes_of(tensors)
    shape = tuple(broadcast_shapes(*(t._data.shape for t in tensors)))
    return tuple(reduction.broadcast_to(t, shape) for t in tensors)


def _at_least(name: str, tensors: tuple, widen: Any) -> Any:
    if odd := [type(t).__name__ for t in sizes_of(tensors) if not isinstance(t, Tensor)]:
        raise TypeError(f"{name}(): expected Tensors, got {odd[0]}. Fix: tg.tensor(...) first.")
    made = tuple(widen(t) for t in sizes_of(tensors))
    return made[0] if len(tensors) == 1 and isinstance(tensors[0], Tensor) else made


def atleast_1d(*tensors: Tensor) -> Any:
    """View 0-d tensors as vectors of one element; several tensors give a tuple."""
    return _at_least("atleast_1d", tensors, lambda t: t if t._data.ndim else reshape_to(t, (1,)))


def atleast_2d(*tensors: Tensor) -> Any:
    """View tensors of fewer dimensions as matrices, (n,) as (1, n)."""
    return _at_least("atleast_2d", tensors, lambda t: t if t._data.ndim > 1 else reshape_to(t, (1, t._data.size)))


def atleast_3d(*tensors: Tensor) -> Any:
    """View tensors of fewer dimensions as 3-d ones, (n,) as (1, n, 1) and (m, n) as (m, n, 1)."""
    return _at_least(
        "atleast_3d",
        tensors,
        lambda t: (
            t if t._data.ndim > 2 else unsqueeze(t, -1) if t._data.ndim == 2 else reshape_to(t, (1, t._data.size, 1))
        ),
    )
