"""Checking dimension numbers once for all ops: negative ones count from the end, repeats and strangers are refused."""

from collections.abc import Sequence
from operator import index

__all__ = ["normalize_dim", "normalize_dims"]


def whole(dim: object, name: str) -> int:
    """Return a dimension that is some kind of integer as an int, or raise TypeError naming what it is."""
    try:
        return index(dim)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}. Fix: dim=0.") from None


def normalize_dim(dim: int, ndim: int, name: str) -> int:
    """Return `dim` in 0..ndim-1 (a 0-d tensor counts as one dimension), or raise IndexError naming the range."""
    width = max(ndim, 1)
    if dim.__class__ is not int:
        dim = whole(dim, name)
    if not -width <= dim < width:
        raise IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{-width}, {width - 1}], but got {dim})"
        )
    return dim + width if dim < 0 else dim


def normalize_dims(dim: int | Sequence[int] | None, ndim: int, name: str) -> tuple[int, ...]:
    """Return the dimensions as a tuple of distinct numbers; None and () mean all of them."""
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, tuple | list):
        dim = normalize_dim(dim, ndim, name)  # type: ignore[arg-type]
        return (dim,) if ndim else ()
    dims = tuple(normalize_dim(d, ndim, name) for d in dim)
    if len(set(dims)) != len(dims):
        raise RuntimeError(
            f"{name}: dim {next(d for d in dims if dims.count(d) > 1)} appears multiple times in the list of dims"
        )
    if not ndim:
        return ()
    return dims or tuple(range(ndim))
