"""RAdam."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_betas, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam that waits with adapting its step lengths until the running mean of squares can be trusted [1]_.

    With ``rho_inf = 2 / (1 - beta2) - 1`` and ``rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)``: while rho_t <= 5, a step of plain
    momentum ``p = p - lr m'``; after that Adam's step times
    ``sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t))``.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
    betas : pair of float
    eps, weight_decay : float
    decoupled_weight_decay : bool
        Shrink the weights directly, as AdamW does.
    maximize : bool

    References
    ----------
    .. [1] L. Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, arXiv:1908.03265.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("epsilon value", eps)
        checked_range("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "betas": checked_betas(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with averages of zero."""
        return {"step": 0, "exp_avg": wrap(np.zeros_like(p)), "exp_avg_sq": wrap(np.zeros_like(p))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        step, lr, (beta1, beta2) = state["step"], group["lr"], group["betas"]
        mean, square = state["exp_avg"]._data, state["exp_avg_sq"]._data
        g = direction(p, g, group)
        if group["decoupled_weight_decay"]:
            p *= 1 - lr * group["weight_decay"]
        mean += (1 - beta1) * (g - mean)
        square *= beta2
        square += (1 - beta2) * g * g
        d = mean / (1 - beta1**step)
        left = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / left
        if length > 5.0:
            trust = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            d = d * (trust**0.5 * left**0.5) / (np.sqrt(square) + group["eps"])
        p -= lr * d
