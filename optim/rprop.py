"""Rprop."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.optimizer import Optimizer, State, checked_range, direction
from tinygrad_edu.tensor import wrap

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Use only the gradient's sign; each weight's step grows while the sign stays and shrinks when it turns [1]_.

    ``step = clip(step * (etas[1] if the sign stayed, etas[0] if it turned), *step_sizes);  p = p - sign(g) * step``, and a weight
    whose sign turned waits for one turn. For full batches: with small ones the sign is mostly noise.

    Parameters
    ----------
    params : iterable
        Tensors or groups; see :class:`Optimizer`.
    lr : float
        The first step.
    etas : pair of float
        The factors for shrinking and growing.
    step_sizes : pair of float
        The smallest and the largest step.
    maximize : bool

    References
    ----------
    .. [1] M. Riedmiller and H. Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
       IEEE International Conference on Neural Networks, 1993.
    """

    elementwise = True

    def __init__(
        self, params: Any, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}. Fix: one between 0 and 1 and one above 1.")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Begin with no direction and a step of lr."""
        return {"step": 0, "prev": wrap(np.zeros_like(p)), "step_size": wrap(np.full_like(p, group["lr"]))}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Take one step."""
        state["step"] += 1
        before, size = state["prev"]._data, state["step_size"]._data
        g = direction(p, g, group)
        agreement = g * before
        size *= np.where(agreement > 0, group["etas"][1], np.where(agreement < 0, group["etas"][0], 1)).astype(p.dtype)
        np.clip(size, *group["step_sizes"], out=size)
        g = np.where(agreement < 0, 0, g)
        p -= np.sign(g) * size
        before[...] = g
