"""ASGD."""

from typing import Any

import numpy as np

from tinygrad_edu.dtypes import get_default_dtype
from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Gradient descent with a shrinking rate, and a running average of the parameters beside it [1]_.

    ``p = (1 - lambd eta) p - eta g;  eta = lr / (1 + lambd lr t)^alpha``; the average is kept in ``state[p]["ax"]``.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr, lambd, alpha : float
    t0 : float
        The step at which averaging begins.
    weight_decay : float
    maximize : bool

    References
    ----------
    .. [1] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control and
       Optimization 30, 1992.
    """

    def __init__(
        self, params: Any, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6, weight_decay: float = 0,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with the rate lr, and the average taken as the parameter itself."""
        kind = get_default_dtype().numpy
        return {
            "step": 0, "eta": wrap(np.array(group["lr"], kind)), "mu": wrap(np.ones((), kind)), "ax": wrap(np.zeros_like(p))
        }  # fmt: skip

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        step, lr, lambd = state["step"], group["lr"], group["lambd"]
        eta, weight, average = state["eta"]._data, state["mu"]._data, state["ax"]._data
        g = direction(p, g, group)
        p *= 1 - lambd * eta.item()
        p -= eta.item() * g
        if weight.item() == 1:
            average[...] = p
        else:
            average += weight.item() * (p - average)
        eta[...] = lr / (1 + lambd * lr * step) ** group["alpha"]
        weight[...] = 1 / max(1, step - group["t0"])
