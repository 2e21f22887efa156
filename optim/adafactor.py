"""Adafactor."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range
from tinygrad_edu.tensor import wrap

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adam's step lengths in little memory: of the mean squares of a matrix's gradient only row and column means are kept [1]_.

    ``R = lerp(R, mean over columns of g^2, t^beta2_decay)``, C likewise over rows; ``V = R C / max(mean(R), eps1)``;
    ``u = g / max(sqrt(V), eps1)``; ``p = p - a u / max(1, rms(u) / d)`` with ``a = max(eps2, rms(p)) min(lr, 1 / sqrt(t))``.
    For vectors V is the running mean of g^2 itself.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
        The largest relative step length.
    beta2_decay : float
        At most 0.
    eps : pair of float
        eps1, which None makes the smallest of the parameter's type; and eps2.
    d : float
        The largest root mean square of u, at least 1.
    weight_decay : float
        The weights also shrink by the factor 1 - lr * weight_decay at every step.
    maximize : bool
        Climb instead of descending.

    References
    ----------
    .. [1] N. Shazeer and M. Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018, arXiv:1804.04235.
    """

    def __init__(
        self, params: Any, lr: float = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("beta2_decay", -beta2_decay)
        if eps[0] is not None:
            checked_range("epsilon1", eps[0])
        checked_range("epsilon2", eps[1])
        checked_range("clipping threshold d", d, 1.0)
        checked_range("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with means of zero."""
        if p.ndim < 2:
            return {"step": 0, "variance": wrap(np.zeros_like(p))}
        rows, columns = p[..., :1], p[..., :1, :]
        return {"step": 0, "row_var": wrap(np.zeros_like(rows)), "col_var": wrap(np.zeros_like(columns))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        t, lr = state["step"], group["lr"]
        eps1 = float(np.finfo(p.dtype).eps) if group["eps"][0] is None else group["eps"][0]
        length = max(group["eps"][1], _rms(p)) * min(lr, t**-0.5)
        g = -g if group["maximize"] else g
        p *= 1 - lr * group["weight_decay"]
        u = g / np.sqrt(np.maximum(self._mean_square(g, state, t ** group["beta2_decay"], eps1), eps1 * eps1))
        p -= length / max(1.0, _rms(u) / group["d"]) * u

    @staticmethod
    def _mean_square(g: np.ndarray, state: State, share: float, eps1: float) -> np.ndarray:
        """Move the running means towards the squares of g by `share`, and return what they say of each element."""
        square = g * g
        if g.ndim < 2:
            variance = state["variance"].array()
            variance += share * (square - variance)
            return variance
        rows, columns = state["row_var"].array(), state["col_var"].array()
        rows += share * (square.mean(-1, keepdims=True) - rows)
        columns += share * (square.mean(-2, keepdims=True) - columns)
        return rows * columns / np.maximum(rows.mean(-2, keepdims=True), eps1)


def _rms(x: np.ndarray) -> float:
    """Return the root of the mean square of all elements."""
    return float(np.linalg.norm(x)) / x.size**0.5
