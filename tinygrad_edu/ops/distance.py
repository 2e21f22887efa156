"""Distances and angles between vectors."""

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.comparison import need_floats
from tinygrad_edu.ops.reduction import norm_along, sum_along
from tinygrad_edu.ops.rounding import clamp_min
from tinygrad_edu.ops.shape import unsqueeze
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor

__all__ = ["cdist", "cosine_similarity", "dist", "pairwise_distance", "pdist"]


@composite
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference of two tensors."""
    return norm_along(input - other, float(p), None, False)


@composite(method=False)
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norms of the differences of paired vectors, |x1[..., :] - x2[..., :] + eps|."""
    return norm_along(x1 - x2 + eps, float(p), -1, keepdim)


@composite(method=False)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along `dim`, x1 . x2 / (max(|x1|, eps) * max(|x2|, eps))."""
    left = clamp_min(norm_along(x1, 2.0, dim, True), eps)
    right = clamp_min(norm_along(x2, 2.0, dim, True), eps)
    return sum_along((x1 / left) * (x2 / right), dim, False)


@composite(method=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Distances of every vector of `x1` (..., P, D) to every vector of `x2` (..., R, D), a tensor (..., P, R).

    Parameters
    ----------
    p : float
        The order of the norm, 0 or more.
    compute_mode : str
        Accepted; differences are always taken, which is the exact way.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        facts = f"X1 and X2 must have at least two dimensions and the same number of columns, got {tuple(x1.shape)} and {tuple(x2.shape)}."
        raise ShapeError(message("E101", "cdist", facts, "vectors of one length in the last dimension."))
    if p < 0:
        raise RuntimeError(f"cdist: only supports non-negative p values, got {p}")
    need_floats("cdist", x1._data)
    need_floats("cdist", x2._data)
    return norm_along(unsqueeze(x1, -2) - unsqueeze(x2, -3), float(p), -1, False)


@composite(method=False)
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """Distances of every pair of rows of (N, D) in the order (0,1), (0,2), ..., a tensor (N (N - 1) / 2,)."""
    if input.ndim != 2:
        raise ShapeError(f"pdist: only supports 2D tensors, got: {input.ndim}D")
    need_floats("pdist", input._data)
    first, second = np.triu_indices(input.shape[0], 1)
    return norm_along(input[first] - input[second], float(p), -1, False)
