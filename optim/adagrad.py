"""Adagrad."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Divide each gradient by the root of the sum of all its squares so far [1]_.

    ``s = s + g^2;  p = p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)``

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr, lr_decay, weight_decay : float
    initial_accumulator_value : float
        Where the sum s starts.
    eps : float
    maximize : bool

    References
    ----------
    .. [1] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
       JMLR 12, 2011.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0, initial_accumulator_value: float = 0,
        eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("lr_decay value", lr_decay)
        checked_range("weight_decay value", weight_decay)
        checked_range("initial_accumulator_value value", initial_accumulator_value)
        checked_range("epsilon value", eps)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with the sum of squares that was asked for."""
        return {"step": 0, "sum": wrap(np.full_like(p, group["initial_accumulator_value"]))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        total = state["sum"]._data
        g = direction(p, g, group)
        total += g * g
        rate = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        p -= rate * (g / (np.sqrt(total) + group["eps"]))
