"""RMSprop."""

from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range
from tinygrad_edu.tensor import wrap

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Divide each gradient by the root of a running mean of its square [1]_.

    ``v = alpha v + (1 - alpha) g^2;  p = p - lr * g / (sqrt(v) + eps)``; `centered` subtracts the square of a running mean of g from
    v, and with momentum ``b = momentum * b + g / (sqrt(v) + eps);  p = p - lr * b``.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr, alpha, eps, weight_decay, momentum : float
    centered, maximize : bool

    References
    ----------
    .. [1] T. Tieleman and G. Hinton, "Lecture 6.5 - rmsprop", COURSERA: Neural Networks for Machine Learning, 2012.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("epsilon value", eps)
        checked_range("momentum value", momentum)
        checked_range("weight_decay value", weight_decay)
        checked_range("alpha value", alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with averages of zero."""
        state: State = {"step": 0, "square_avg": wrap(np.zeros_like(p))}
        if group["momentum"] > 0:
            state["momentum_buffer"] = wrap(np.zeros_like(p))
        if group["centered"]:
            state["grad_avg"] = wrap(np.zeros_like(p))
        return state

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        kernels.rmsprop_step(
            p, g, state["square_avg"]._data, state["grad_avg"]._data if group["centered"] else None,
            state["momentum_buffer"]._data if group["momentum"] > 0 else None, group["lr"], group["alpha"], group["eps"],
            group["weight_decay"], group["momentum"], group["maximize"],
        )  # fmt: skip
