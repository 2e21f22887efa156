"""Adam and AdamW."""

from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.optim.optimizer import Optimizer, State, checked_betas, checked_range
from tinygrad_edu.tensor import wrap

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Each weight has its own step length, from running means of its gradient and of the gradient's square [1]_.

    ``m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  p = p - lr * m' / (sqrt(v') + eps)``, where
    ``m' = m / (1 - beta1^t)`` and ``v' = v / (1 - beta2^t)`` make up for starting at zero.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
    betas : pair of float
    eps : float
    weight_decay : float
        The factor of an L2 penalty, whose gradient is part of g.
    amsgrad : bool
        Use the largest v so far [2]_.
    maximize : bool
        Climb instead of descending.
    decoupled_weight_decay : bool
        Shrink the weights directly, as :class:`AdamW` does.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980.
    .. [2] S. J. Reddi, S. Kale and S. Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, arXiv:1904.09237.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("epsilon value", eps)
        checked_range("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "betas": checked_betas(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with averages of zero."""
        state: State = {"step": 0, "exp_avg": wrap(np.zeros_like(p)), "exp_avg_sq": wrap(np.zeros_like(p))}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = wrap(np.zeros_like(p))
        return state

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        beta1, beta2 = group["betas"]
        kernels.adam_step(
            p, g, state["exp_avg"]._data, state["exp_avg_sq"]._data,
            state["max_exp_avg_sq"]._data if group["amsgrad"] else None, state["step"], group["lr"], beta1, beta2,
            group["eps"], group["weight_decay"], group["decoupled_weight_decay"], group["maximize"],
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: the weights also shrink by the factor 1 - lr * weight_decay at every step [1]_.

    Parameters
    ----------
    weight_decay : float
        0.01 by default; the others as in :class:`Adam`.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, foreach=foreach, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip
