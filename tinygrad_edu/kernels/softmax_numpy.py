"""Softmax and its logarithm, each with its gradient, in NumPy."""

from __future__ import annotations

import numpy as np


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(x) / sum(exp(x)) along `axis`; the largest is subtracted first, so nothing overflows."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def softmax_grad(g: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Gradient of `softmax` from its output y: y * (g - sum(g * y))."""
    return y * (g - (g * y).sum(axis, keepdims=True))


def log_softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """x - log(sum(exp(x))) along `axis`, without overflow."""
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def log_softmax_grad(g: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Gradient of `log_softmax` from its output y: g - exp(y) * sum(g)."""
    return g - np.exp(y) * g.sum(axis, keepdims=True)
