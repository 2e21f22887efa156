"""Adadelta."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps in the parameter's own unit: gradients divided by their usual size, times the usual size of steps [1]_.

    ``v = rho v + (1 - rho) g^2;  d = sqrt(u + eps) / sqrt(v + eps) * g;  u = rho u + (1 - rho) d^2;  p = p - lr * d``

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr, rho, eps, weight_decay : float
    maximize : bool

    References
    ----------
    .. [1] M. D. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("rho value", rho, 0.0, 1.0)
        checked_range("epsilon value", eps)
        checked_range("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with averages of zero."""
        return {"step": 0, "square_avg": wrap(np.zeros_like(p)), "acc_delta": wrap(np.zeros_like(p))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        rho, eps = group["rho"], group["eps"]
        square, steps = state["square_avg"]._data, state["acc_delta"]._data
        g = direction(p, g, group)
        square *= rho
        square += (1 - rho) * g * g
        d = np.sqrt(steps + eps) / np.sqrt(square + eps) * g
        steps *= rho
        steps += (1 - rho) * d * d
        p -= group["lr"] * d
