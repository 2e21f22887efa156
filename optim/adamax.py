"""Adamax."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_betas, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam with the largest recent gradient in the place of the root mean square [1]_.

    ``m = beta1 m + (1 - beta1) g;  u = max(beta2 u, |g| + eps);  p = p - lr / (1 - beta1^t) * m / u``

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
    betas : pair of float
    eps, weight_decay : float
    maximize : bool

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980, section 7.1.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("epsilon value", eps)
        checked_range("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "betas": checked_betas(betas), "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with zeros."""
        return {"step": 0, "exp_avg": wrap(np.zeros_like(p)), "exp_inf": wrap(np.zeros_like(p))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        beta1, beta2 = group["betas"]
        mean, largest = state["exp_avg"]._data, state["exp_inf"]._data
        g = direction(p, g, group)
        mean += (1 - beta1) * (g - mean)
        largest *= beta2
        np.maximum(largest, np.abs(g) + group["eps"], out=largest)
        p -= group["lr"] / (1 - beta1 ** state["step"]) * (mean / largest)
