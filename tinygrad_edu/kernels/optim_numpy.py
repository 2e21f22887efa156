"""One step of an optimizer, in place, in NumPy. The formulas are PyTorch's, term by term and in its order.

`p` and the state arrays are overwritten; `g` is only read. All arrays of a call have one shape and are contiguous; an
optimizer that keeps its parameters in one flat array takes a step in one call.
"""

from __future__ import annotations

import numpy as np


def sgd_step(
    p: np.ndarray,
    g: np.ndarray,
    momentum_buffer: np.ndarray | None,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """Stochastic gradient descent, with momentum if `momentum_buffer` is given.

    d = (-g if maximize else g) + weight_decay * p;  buffer = d on the first step, then momentum * buffer +
    (1 - dampening) * d;  p -= lr * (d + momentum * buffer if nesterov else buffer)
    """
    d = -g if maximize else g
    if weight_decay:
        d = d + weight_decay * p
    if momentum_buffer is not None:
        if first:
            momentum_buffer[...] = d
        else:
            momentum_buffer *= momentum
            momentum_buffer += (1 - dampening) * d
        d = d + momentum * momentum_buffer if nesterov else momentum_buffer
    p -= lr * d


def adam_step(
    p: np.ndarray,
    g: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    largest: np.ndarray | None,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> None:
    """Adam [1]_; AdamW [2]_ with `decoupled`; AMSGrad [3]_ if `largest` is given.

    mean and square are the running averages of d and d^2, and `step` counts from 1:
    p -= lr/(1 - beta1^step) * mean / (sqrt(square) / sqrt(1 - beta2^step) + eps)

    Parameters
    ----------
    largest : array or None
        AMSGrad's running maximum of `square`, which replaces it under the root.
    decoupled : bool
        Shrink p by 1 - lr * weight_decay, instead of adding weight_decay * p to the gradient.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980.
    .. [2] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.
    .. [3] S. J. Reddi, S. Kale and S. Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, arXiv:1904.09237.
    """
    d = -g if maximize else g
    if weight_decay and decoupled:
        p *= 1 - lr * weight_decay
    elif weight_decay:
        d = d + weight_decay * p
    mean += (1 - beta1) * (d - mean)
    square *= beta2
    square += (1 - beta2) * d * d
    if largest is not None:
        np.maximum(largest, square, out=largest)
        square = largest
    p -= (lr / (1 - beta1**step)) * (mean / (np.sqrt(square) / (1 - beta2**step) ** 0.5 + eps))


def rmsprop_step(
    p: np.ndarray,
    g: np.ndarray,
    square: np.ndarray,
    mean: np.ndarray | None,
    momentum_buffer: np.ndarray | None,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    maximize: bool = False,
) -> None:
    """RMSprop [1]_, centered if `mean` is given, with momentum if `momentum_buffer` is given.

    square = alpha * square + (1 - alpha) * d^2;  s = d / (sqrt(square - mean^2) + eps);
    buffer = momentum * buffer + s;  p -= lr * buffer

    References
    ----------
    .. [1] T. Tieleman and G. Hinton, "Lecture 6.5 - rmsprop", COURSERA: Neural Networks for Machine Learning, 2012.
    """
    d = -g if maximize else g
    if weight_decay:
        d = d + weight_decay * p
    square *= alpha
    square += (1 - alpha) * d * d
    spread = square
    if mean is not None:
        mean += (1 - alpha) * (d - mean)
        spread = square - mean * mean
    d = d / (np.sqrt(spread) + eps)
    if momentum_buffer is not None:
        momentum_buffer *= momentum
        momentum_buffer += d
        d = momentum_buffer
    p -= lr * d


def sgd_into(
    p: np.ndarray,
    g: np.ndarray,
    buffer: np.ndarray,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    maximize: bool,
    first: bool,
) -> None:
    """`sgd_step` over flat arrays; an empty `buffer` is no momentum."""
    sgd_step(p, g, buffer if buffer.size else None, lr, momentum, dampening, weight_decay, nesterov, maximize, first)


def adam_into(
    p: np.ndarray,
    g: np.ndarray,
    mean: np.ndarray,
    square: np.ndarray,
    largest: np.ndarray,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """`adam_step` over flat arrays; with an empty `largest` it is not AMSGrad."""
    biggest = largest if largest.size else None
    adam_step(p, g, mean, square, biggest, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
