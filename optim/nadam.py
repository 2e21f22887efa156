"""NAdam."""

from typing import Any

import numpy as np

from tinygrad_edu.dtypes import get_default_dtype
from tinygrad_edu.optim.optimizer import Optimizer, State, checked_betas, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose factor grows in time [1]_.

    ``mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2);  m, v as in Adam;
    p = p - lr (1 - mu_t) / (1 - mu_1 ... mu_t) g / (sqrt(v') + eps) - lr mu_t+1 / (1 - mu_1 ... mu_t+1) m / (sqrt(v') + eps)``

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
    betas : pair of float
    eps, weight_decay, momentum_decay : float
    decoupled_weight_decay : bool
        Shrink the weights directly, as AdamW does.
    maximize : bool

    References
    ----------
    .. [1] T. Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016.
    """

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("epsilon value", eps)
        checked_range("weight_decay value", weight_decay)
        checked_range("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr, "betas": checked_betas(betas), "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with averages of zero, and the product of no factors."""
        product = np.ones((), get_default_dtype().numpy)
        return {
            "step": 0, "mu_product": wrap(product), "exp_avg": wrap(np.zeros_like(p)), "exp_avg_sq": wrap(np.zeros_like(p))
        }  # fmt: skip

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        step, lr, (beta1, beta2) = state["step"], group["lr"], group["betas"]
        mean, square, product = state["exp_avg"]._data, state["exp_avg_sq"]._data, state["mu_product"]._data
        g = direction(p, g, group)
        if group["decoupled_weight_decay"]:
            p *= 1 - lr * group["weight_decay"]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        product *= mu
        mean += (1 - beta1) * (g - mean)
        square *= beta2
        square += (1 - beta2) * g * g
        scale = np.sqrt(square / (1 - beta2**step)) + group["eps"]
        p -= lr * (1.0 - mu) / (1.0 - product.item()) * (g / scale)
        p -= lr * mu_next / (1.0 - product.item() * mu_next) * (mean / scale)
