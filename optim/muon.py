"""Muon."""

import math
from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range
from tinygrad_edu.tensor import wrap

__all__ = ["Muon"]


class Muon(Optimizer):
    """Momentum, made nearly orthogonal: every direction in a weight matrix gets a step of about the same length [1]_.

    ``B = lerp(B, g, 1 - momentum);  p = p - lr * weight_decay * p - lr' * O``, where O is about U V' for the singular value
    decomposition U S V' of B, or with `nesterov` of ``lerp(g, B, momentum)``. It comes from a few iterations of
    ``X = a X + (b X X' + c (X X')^2) X``, which pull all singular values towards 1 and are computed in numbers of 8 bits'
    precision (bfloat16), as there is no need for more.

    Parameters
    ----------
    params : iterable
        Matrices: the weights of hidden layers. Leave biases, embeddings and the last layer to :class:`AdamW`.
    lr, weight_decay, momentum : float
    nesterov : bool
    ns_coefficients : (float, float, float)
        a, b, c.
    eps : float
        The least norm the momentum is divided by.
    ns_steps : int
        The number of iterations, less than 100.
    adjust_lr_fn : {"original", "match_rms_adamw", None}
        lr' for an m x n matrix: lr * sqrt(max(1, m / n)), the default, or lr * 0.2 sqrt(max(m, n)) [2]_.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon.
    .. [2] J. Liu et al., "Muon is Scalable for LLM Training", arXiv:2502.16982.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("momentum", momentum)
        checked_range("weight_decay value", weight_decay)
        checked_range("ns_steps", ns_steps, 0, 99)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Adjust learning rate function {adjust_lr_fn} is not supported. Fix: 'original' or 'match_rms_adamw'."
            )
        if len(ns_coefficients) != 3:
            raise ValueError(f"Muon: ns_coefficients must be a tuple of exactly 3 values, got {ns_coefficients}")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add matrices with options of their own."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                raise ValueError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {tuple(p.shape)}. "
                    "Fix: Muon([p for p in model.parameters() if p.ndim == 2]), and AdamW for the others."
                )

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with a momentum of zero."""
        return {"momentum_buffer": wrap(np.zeros_like(p))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        lr, momentum, buffer = group["lr"], group["momentum"], state["momentum_buffer"].array()
        buffer += (1 - momentum) * (g - buffer)
        d = g + momentum * (buffer - g) if group["nesterov"] else buffer
        d = orthogonalized(d, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p *= 1 - lr * group["weight_decay"]
        p -= (lr * _ratio(p.shape, group["adjust_lr_fn"])) * d.astype(p.dtype)


def orthogonalized(g: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> np.ndarray:
    """Return a matrix with g's singular vectors, and singular values near 1."""
    a, b, c = coefficients
    tall = g.shape[0] > g.shape[1]
    x = bfloat16(g.T if tall else g)
    x = bfloat16(x / max(bfloat16(np.linalg.norm(x)), bfloat16(np.float32(eps))))
    for _ in range(steps):
        gram = bfloat16(x @ x.T)
        x = bfloat16(a * x + bfloat16(b * gram + c * (gram @ gram)) @ x)
    return x.T if tall else x


def bfloat16(x: Any) -> Any:
    """Round to the 8 significant bits of bfloat16, keeping the float32 type; ties go to the even neighbour."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isfinite(x), rounded, np.asarray(x, np.float32))


def _ratio(shape: tuple[int, ...], rule: str | None) -> float:
    """Return lr' / lr."""
    m, n = shape
    return 0.2 * math.sqrt(max(m, n)) if rule == "match_rms_adamw" else math.sqrt(max(1, m / n))
