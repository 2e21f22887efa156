"""The losses of classification and regression, each with its gradient, in NumPy."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels.elementwise_numpy import sigmoid
from tinygrad_edu.kernels.softmax_numpy import log_softmax


def cross_entropy_forward(logits: np.ndarray, target: np.ndarray) -> tuple[np.floating, np.ndarray]:
    """Mean cross-entropy of logits against class numbers, together with its gradient.

    loss = mean over n of -log_softmax(logits[n])[target[n]];  gradient = (softmax(logits) - onehot(target)) / N

    Parameters
    ----------
    logits : array (N, C)
    target : integer array (N,)
        Class numbers from 0 to C-1.

    Returns
    -------
    loss : scalar of the logits' dtype; NaN for an empty batch, as in PyTorch
    grad : array (N, C)

    Raises
    ------
    IndexError
        If a class number is not in 0..C-1.
    """
    count, classes = logits.shape
    outside = target[(target < 0) | (target >= classes)]
    if outside.size:
        raise IndexError(f"Target {outside[0]} is out of bounds: the logits have {classes} classes, 0 to {classes - 1}")
    rows = np.arange(count)
    logs = log_softmax(logits) if logits.size else logits
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = logits.dtype.type(-logs[rows, target].sum() / np.float64(count))
    grad = np.exp(logs)
    grad[rows, target] -= 1
    return loss, grad / max(1, count)


def mse_forward(x: np.ndarray, target: np.ndarray) -> tuple[np.floating, np.ndarray]:
    """Mean of (x - target)^2 and its gradient 2 (x - target) / size, for arrays of one shape."""
    difference = x - target
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = x.dtype.type(np.vdot(difference, difference) / np.float64(x.size))
    return loss, difference * x.dtype.type(2 / max(1, x.size))


def bce_with_logits_forward(x: np.ndarray, target: np.ndarray) -> tuple[np.floating, np.ndarray]:
    """Mean binary cross-entropy of logits x against probabilities, and its gradient (sigmoid(x) - target) / size.

    loss = mean of max(x, 0) - x * target + log(1 + exp(-|x|)), which overflows nowhere
    """
    losses = np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = x.dtype.type(losses.sum() / np.float64(x.size))
    return loss, (sigmoid(x) - target) / x.dtype.type(max(1, x.size))


def cross_entropy_into(scores: np.ndarray, labels: np.ndarray, gradient: np.ndarray) -> np.floating:
    """The loss of `cross_entropy_forward`, whose gradient is written to `gradient`; -1 if a label is no class.

    No loss is negative, so a training step can go on and whoever started it looks afterwards.
    """
    if ((labels < 0) | (labels >= scores.shape[1])).any():
        return scores.dtype.type(-1)
    loss, gradient[...] = cross_entropy_forward(scores, labels)
    return loss


def mse_into(prediction: np.ndarray, target: np.ndarray, gradient: np.ndarray) -> np.floating:
    """The loss of `mse_forward`, whose gradient is written to `gradient`."""
    loss, gradient[...] = mse_forward(prediction, target)
    return loss


def bce_with_logits_into(logits: np.ndarray, target: np.ndarray, gradient: np.ndarray) -> np.floating:
    """The loss of `bce_with_logits_forward`, whose gradient is written to `gradient`."""
    loss, gradient[...] = bce_with_logits_forward(logits, target)
    return loss


def bce_into(probability: np.ndarray, target: np.ndarray, gradient: np.ndarray) -> np.floating:
    """Mean binary cross-entropy of probabilities p against probabilities t, and its gradient into `gradient`.

    loss = mean of -t log p - (1 - t) log(1 - p), where a logarithm counts no less than -100;
    gradient = (p - t) / max(p (1 - p), 1e-12) / size, as in PyTorch
    """
    p, t, kind = probability, target, probability.dtype.type
    with np.errstate(divide="ignore", invalid="ignore"):
        yes, no = np.maximum(np.log(p), kind(-100)), np.maximum(np.log1p(-p), kind(-100))
        loss = kind(-(t * yes + (1 - t) * no).sum() / np.float64(p.size))
    gradient[...] = (p - t) / np.maximum(p * (1 - p), kind(1e-12)) / kind(max(1, p.size))
    return loss
