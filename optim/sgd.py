"""Stochastic gradient descent."""

from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range
from tinygrad_edu.tensor import wrap

__all__ = ["SGD"]


class SGD(Optimizer):
    """p = p - lr * d, where d is the gradient g, or with momentum the velocity v.

    ``d = g + weight_decay * p;  v = momentum * v + (1 - dampening) * d  (v = d at first);  p = p - lr * v``, or with Nesterov's
    momentum ``p = p - lr * (d + momentum * v)`` [1]_.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
        The learning rate.
    momentum, dampening : float
    weight_decay : float
        The factor of an L2 penalty.
    nesterov : bool
    maximize : bool
        Climb instead of descending.

    Raises
    ------
    ValueError
        If an option is out of its range, or there are no parameters (E303).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([1., 2.], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.800000011920929, 1.600000023841858]

    References
    ----------
    .. [1] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("momentum value", momentum)
        checked_range("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin without a velocity: the first step makes one, if there is momentum."""
        return {"momentum_buffer": None}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        momentum = group["momentum"]
        velocity, first = state["momentum_buffer"], False
        if momentum and velocity is None:
            velocity, first = wrap(np.empty_like(p)), True
            state["momentum_buffer"] = velocity
        kernels.sgd_step(
            p, g, velocity._data if momentum else None, group["lr"], momentum, group["dampening"], group["weight_decay"],
            group["nesterov"], group["maximize"], first,
        )  # fmt: skip
