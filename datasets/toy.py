"""Toy data in the plane, for decision boundaries: blobs, circles, moons and spirals.

Each returns a pair: X, float32 of shape (n_samples, 2), and y, int64 of shape (n_samples,). The points are drawn from the
project's generator, so `manual_seed` decides them.
"""

import math
from typing import Any

import numpy as np

from tinygrad_edu.random import Generator, integers, normal
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["blobs", "circles", "moons", "spirals"]


def blobs(
    n_samples: int = 100, centers: int = 3, cluster_std: float = 1.0, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw round clouds of points, one per class, around random centers.

    Examples
    --------
    >>> from tinygrad_edu.datasets import blobs
    >>> X, y = blobs(90, centers=3)
    >>> X.shape, y.dtype
    (tinygrad_edu.Size([90, 2]), tinygrad_edu.int64)
    """
    from sklearn.datasets import make_blobs

    return _tensors(make_blobs(n_samples, centers=centers, cluster_std=cluster_std, random_state=_seed(generator)))


def circles(
    n_samples: int = 100, noise: float = 0.05, factor: float = 0.5, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw a circle of radius 1 (class 0) around one of radius `factor` (class 1), each point moved by normal `noise`."""
    from sklearn.datasets import make_circles

    return _tensors(make_circles(n_samples, noise=noise, factor=factor, random_state=_seed(generator)))


def moons(n_samples: int = 100, noise: float = 0.1, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw two half circles that interlock, each point moved by normal `noise`."""
    from sklearn.datasets import make_moons

    return _tensors(make_moons(n_samples, noise=noise, random_state=_seed(generator)))


def spirals(
    n_samples: int = 100,
    classes: int = 3,
    noise: float = 0.2,
    turns: float = 0.6,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw arms that wind out of the origin, one per class, to radius 1.

    A point at the share t of arm k has radius t and the angle ``2 pi (k / classes + turns t) + noise z``, z standard
    normal.

    Raises
    ------
    ValueError
        If there is no class, or fewer points than classes.
    """
    if not 1 <= classes <= n_samples:
        raise ValueError(f"spirals: got {classes} classes for {n_samples} points. Fix: at least one point per class.")
    label = np.arange(n_samples) % classes
    share = (np.arange(n_samples) // classes + 1) / math.ceil(n_samples / classes)
    angle = 2 * math.pi * (label / classes + turns * share) + normal((n_samples,), np.float64, 0.0, noise, generator)
    return _tensors((share[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), label))


def _seed(generator: Generator | None) -> int:
    """Draw a seed for scikit-learn, which takes 32 bits."""
    return int(integers(0, 2**32 - 1, (), generator=generator))


def _tensors(pair: Any) -> tuple[Tensor, Tensor]:
    points, labels = pair
    return wrap(points.astype(np.float32)), wrap(labels.astype(np.int64))
