"""Points in a ball of many dimensions: the data of the study of initial weights."""

import numpy as np

from tinygrad_edu.random import Generator, normal, uniform
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["ball"]


def ball(
    n_samples: int = 1000, dimensions: int = 10, standardize: bool = True, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw points in the unit ball; those nearer to the centre than half the radius are class 0, the others class 1.

    The radius is drawn uniformly on [0, 1), so that the classes are equally frequent: uniformly by volume the inner half would hold one
    point in ``2 ** dimensions``. The direction is drawn uniformly.

    Parameters
    ----------
    n_samples, dimensions : int
    standardize : bool
        Shift and scale each coordinate to mean 0 and standard deviation 1, after the classes are decided.
    generator : Generator, optional
        Where the points are drawn from; the default generator unless given.

    Returns
    -------
    X : Tensor, float32, shape (n_samples, dimensions)
    y : Tensor, int64, shape (n_samples,)

    Raises
    ------
    ValueError
        For less than one dimension, or too few points to standardize.

    Examples
    --------
    >>> from tinygrad_edu.datasets import ball
    >>> X, y = ball(1000, 10)
    >>> X.shape, sorted(set(y.tolist()))
    (tinygrad_edu.Size([1000, 10]), [0, 1])
    """
    least = 2 if standardize else 1
    if dimensions < 1 or n_samples < least:
        raise ValueError(
            f"ball: expects at least {least} points of at least 1 dimension, got {n_samples} points of {dimensions}."
        )
    direction = normal((n_samples, dimensions), np.float64, generator=generator)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = uniform((n_samples, 1), np.float64, generator=generator)
    points = radius * direction
    if standardize:
        points = (points - points.mean(axis=0)) / points.std(axis=0)
    return wrap(points.astype(np.float32)), wrap((radius[:, 0] >= 0.5).astype(np.int64))
