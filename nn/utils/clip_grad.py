"""Limiting gradients before a step, against the explosions of recurrent and very deep networks.

References
----------
R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, arXiv:1211.5063.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.memory import note_write
from tinygrad_edu.quiet import quietly
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _gradients(parameters: Any) -> list[np.ndarray]:
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad.array() for p in parameters if p.grad is not None]


@quietly
def _norm(arrays: list[np.ndarray], p: float, error_if_nonfinite: bool) -> Any:
    """Return the p-norm of all elements together, as the norm of the arrays' norms."""
    if not arrays:
        return np.float32(0.0)
    norms = np.array([np.linalg.norm(a.ravel(), p) for a in arrays], arrays[0].dtype)
    total = np.linalg.norm(norms, p).astype(norms.dtype)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot be clipped: it is {total}. "
            "Fix: look for the cause with tg.detect_anomaly(), or pass error_if_nonfinite=False."
        )
    return total


def get_total_norm(
    tensors: Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """Return the norm of all elements of `tensors`, as if they were one vector."""
    tensors = [tensors] if isinstance(tensors, Tensor) else tensors
    return wrap(np.asarray(_norm([t.array() for t in tensors], float(norm_type), error_if_nonfinite)))


@again
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Shrink all gradients by one factor, so that together they are no longer than `max_norm`.

    g = g * min(1, max_norm / (norm + 1e-6))

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Their ``.grad`` is changed in place.
    max_norm : float
    norm_type : float
        The order of the norm, ``inf`` for the largest element.
    error_if_nonfinite : bool
        Refuse a norm that is nan or inf.

    Returns
    -------
    Tensor
        The norm before.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([3., 4.], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> tg.nn.utils.clip_grad_norm_([w], max_norm=1.0).item()
    5.0
    """
    gradients = _gradients(parameters)
    total = _norm(gradients, float(norm_type), error_if_nonfinite)
    _shrink(gradients, float(max_norm), total)
    return wrap(np.asarray(total))


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The old name of :func:`clip_grad_norm_`; deprecated."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@again
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Shrink all gradients as :func:`clip_grad_norm_` does, given their norm."""
    _shrink(_gradients(parameters), float(max_norm), total_norm.array())


@quietly
def _shrink(gradients: list[np.ndarray], max_norm: float, total: Any) -> None:
    factor = np.minimum(max_norm / (total + 1e-6), 1.0)
    for g in gradients:
        g *= factor.astype(g.dtype)
        note_write(g, "clip_grad_norm_")


@again
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value], in place."""
    for g in _gradients(parameters):
        np.clip(g, -float(clip_value), float(clip_value), out=g)
        note_write(g, "clip_grad_value_")
