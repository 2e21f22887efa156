"""Optimizer steps in one pass over memory; NumPy makes ten, and as many temporary arrays, for Adam.

A state that is not used is passed as an empty array, so that each step is compiled once per dtype. Inside, all scalars
are first brought to the arrays' own dtype: one float64 scalar would turn every float32 operation into a float64 one.
A parameter changes in the same way whether it is joined with others or not: see ROUNDED.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_edu.kernels import optim_numpy as twin
from tinygrad_edu.kernels import threads
from tinygrad_edu.kernels.compiler import ROUNDED, compiled

LARGE = 1_000_000  # numbers; from here on a second thread is worth waking
_EMPTY = {np.dtype(np.float32): np.empty(0, np.float32), np.dtype(np.float64): np.empty(0, np.float64)}


def sgd_step(
    p, g, momentum_buffer, lr: float, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0,
    nesterov: bool = False, maximize: bool = False, first: bool = False,
) -> None:  # fmt: skip
    if momentum_buffer is None and not weight_decay and p.size < LARGE and _alike(p, g):
        _descend(
            p.ravel(), g.ravel(), -float(lr) if maximize else float(lr)
        )  # of small networks, hardly longer than a call
        return
    flat = _flat(p, g, momentum_buffer)
    if flat is None:
        twin.sgd_step(p, g, momentum_buffer, lr, momentum, dampening, weight_decay, nesterov, maximize, first)
    else:
        # Floats and bools of one type each: 0 and 0.0 would be compiled one by one.
        rates = float(lr), float(momentum), float(dampening), bool(nesterov), float(weight_decay)
        _in_pieces(flat, lambda part: sgd_into(*part, *rates, bool(maximize), bool(first)))


def adam_step(
    p, g, mean, square, largest, step: int, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
    weight_decay: float = 0.0, decoupled: bool = False, maximize: bool = False,
) -> None:  # fmt: skip
    flat = _flat(p, g, mean, square, largest)
    if flat is None:
        twin.adam_step(
            p, g, mean, square, largest, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
        )  # fmt: skip
    else:
        rates = float(lr), float(beta1), float(beta2), float(eps), float(weight_decay)
        _in_pieces(flat, lambda part: adam_into(*part, int(step), *rates, bool(decoupled), bool(maximize)))


def rmsprop_step(
    p, g, square, mean, momentum_buffer, lr: float, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
    momentum: float = 0.0, maximize: bool = False,
) -> None:  # fmt: skip
    flat = _flat(p, g, square, mean, momentum_buffer)
    if flat is None:
        twin.rmsprop_step(p, g, square, mean, momentum_buffer, lr, alpha, eps, weight_decay, momentum, maximize)
    else:
        rates = float(lr), float(alpha), float(1 - alpha), float(eps), float(weight_decay), float(momentum)
        _in_pieces(flat, lambda part: _rmsprop(*part, *rates, bool(maximize)))


def _alike(p: np.ndarray, g: np.ndarray) -> bool:
    """Whether flat views of both can be made, and go into one compiled loop."""
    return p.dtype is g.dtype and p.shape == g.shape and p.flags.carray and g.flags.c_contiguous


def _in_pieces(flat: list[np.ndarray], update: Callable) -> None:
    """Run an update on all numbers at once, or on pieces of a large parameter, with several threads: each number is its own."""
    size = flat[0].size
    if size < LARGE:
        update(flat)
    else:
        pieces = threads.chunks(size, size * 40.0)  # as slow as so many operations: memory is what it waits for
        threads.run_chunks(lambda _, start, stop: update([a[start:stop] if a.size else a for a in flat]), pieces)


def _flat(p, g, *states) -> list[np.ndarray] | None:
    """Parameter, gradient and states as flat arrays that share the originals' memory; None where that cannot be."""
    flat = [p, g if g.flags.c_contiguous else np.ascontiguousarray(g)]
    for state in states:
        flat.append(_EMPTY[p.dtype] if state is None else state)
        if state is not None and state.shape != p.shape:
            raise ValueError(f"optimizer step: the state has shape {state.shape}, but its parameter {p.shape}")
    if g.shape != p.shape:
        raise ValueError(f"optimizer step: the gradient has shape {g.shape}, but its parameter {p.shape}")
    if not all(array.flags.c_contiguous and array.dtype == p.dtype for array in flat):
        return None
    return [array if array.ndim == 1 else array.reshape(-1) for array in flat]


# ---- compiled, over flat arrays; other compiled functions call the first two -------------------------------------------
@compiled(ROUNDED)
def sgd_into(p, g, buffer, lr, momentum, dampening, nesterov, weight_decay, maximize, first):
    if buffer.size:
        _momentum_sgd(p, g, buffer, lr, momentum, 1.0 - dampening, weight_decay, nesterov, maximize, first)
    else:
        _plain_sgd(p, g, lr, weight_decay, maximize)


@compiled(ROUNDED)
def adam_into(p, g, mean, square, largest, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize):
    rate, root = lr / (1.0 - beta1**step), (1.0 - beta2**step) ** 0.5
    shrink, decay = (1.0 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    _adam(p, g, mean, square, largest, rate, root, 1.0 - beta1, beta2, 1.0 - beta2, eps, shrink, decay, maximize)


@compiled(ROUNDED)
def _descend(p, g, lr):
    rate = p.dtype.type(lr)
    for i in range(p.size):
        p[i] -= rate * g[i]


@compiled(ROUNDED)
def _plain_sgd(p, g, lr, decay, maximize):
    kind = p.dtype.type
    lr, decay, sign = kind(lr), kind(decay), kind(-1 if maximize else 1)
    for i in range(p.size):
        d = sign * g[i]
        if decay != 0:
            d += decay * p[i]
        p[i] -= lr * d


@compiled(ROUNDED)
def _momentum_sgd(p, g, buffer, lr, momentum, new, decay, nesterov, maximize, first):
    kind = p.dtype.type
    lr, momentum, new, decay, sign = kind(lr), kind(momentum), kind(new), kind(decay), kind(-1 if maximize else 1)
    for i in range(p.size):
        d = sign * g[i]
        if decay != 0:
            d += decay * p[i]
        b = d if first else momentum * buffer[i] + new * d
        buffer[i] = b
        p[i] -= lr * (d + momentum * b if nesterov else b)


@compiled(ROUNDED)
def _adam(p, g, mean, square, largest, rate, root, new1, beta2, new2, eps, shrink, decay, maximize):
    """Here m / (sqrt(s) / root + eps) is m * root / (sqrt(s) + eps * root): a division takes as long as all the rest."""
    kind = p.dtype.type
    rate, new1, beta2, new2 = kind(rate * root), kind(new1), kind(beta2), kind(new2)
    eps, shrink, decay, sign = kind(eps * root), kind(shrink), kind(decay), kind(-1 if maximize else 1)
    amsgrad = largest.size > 0
    for i in range(p.size):
        value = p[i] * shrink
        d = sign * g[i]
        if decay != 0:
            d += decay * value
        m = mean[i] + new1 * (d - mean[i])
        s = beta2 * square[i] + new2 * d * d
        mean[i] = m
        square[i] = s
        if amsgrad:
            s = largest[i] if largest[i] > s else s
            largest[i] = s
        p[i] = value - rate * (m / (np.sqrt(s) + eps))


@compiled(ROUNDED)
def _rmsprop(p, g, square, mean, buffer, lr, alpha, new, eps, decay, momentum, maximize):
    kind = p.dtype.type
    lr, alpha, new, eps = kind(lr), kind(alpha), kind(new), kind(eps)
    decay, momentum, sign = kind(decay), kind(momentum), kind(-1 if maximize else 1)
    centered, heavy = mean.size > 0, buffer.size > 0
    for i in range(p.size):
        d = sign * g[i]
        if decay != 0:
            d += decay * p[i]
        s = alpha * square[i] + new * d * d
        square[i] = s
        if centered:
            m = mean[i] + new * (d - mean[i])
            mean[i] = m
            s -= m * m
        d = d / (np.sqrt(s) + eps)
        if heavy:
            d = momentum * buffer[i] + d
            buffer[i] = d
        p[i] -= lr * d
