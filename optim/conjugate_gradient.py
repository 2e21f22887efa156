"""Nonlinear conjugate gradients: each direction keeps what the last one gained."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.line_search import Point
from tinygrad_edu.optim.optimizer import State, checked_range
from tinygrad_edu.optim.whole_vector import SearchMethod, first_length
from tinygrad_edu.tensor import wrap

__all__ = ["ConjugateGradient"]


class ConjugateGradient(SearchMethod):
    """d = -g + beta * d, with a line search along d; one ``step`` is one direction. For full batches and smooth losses.

    ``beta = g'g / (h'h)`` (Fletcher-Reeves [1]_) or ``max(0, g'(g - h) / (h'h))`` (Polak-Ribiere [2]_), where h is the gradient
    before. On a quadratic with exact searches both are the linear method, done after n steps. The direction starts again
    from -g every `restart` steps, when g is far from orthogonal to h, and when it does not go down [3]_.

    Parameters
    ----------
    params : iterable
        Tensors; one group only.
    lr : float
        Where the first line search begins; later ones begin where the loss should fall as much as it did last.
    beta : {"polak-ribiere", "fletcher-reeves"}
    restart : int, optional
        By default the number of weights, n.
    max_eval, tolerance_grad, tolerance_change : int, float, float
        As in :class:`BFGS`.
    c2 : float
        The slope at the end of a search is at most c2 times the slope at its start; small, since the next direction counts on it.

    References
    ----------
    .. [1] R. Fletcher and C. M. Reeves, "Function Minimization by Conjugate Gradients", The Computer Journal 7 (1964).
    .. [2] E. Polak and G. Ribiere, "Note sur la convergence de methodes de directions conjuguees", RIRO 3 (1969).
    .. [3] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition, Springer 2006, section 5.2.
    """

    def __init__(
        self, params: Any, lr: float = 1, beta: str = "polak-ribiere", restart: int | None = None, max_eval: int = 25,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, c2: float = 0.1,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("c2", c2, 0.0, 1.0)
        if beta not in BETAS:
            raise ValueError(f"ConjugateGradient: beta must be one of {sorted(BETAS)}, got {beta!r}")
        if restart is not None:
            checked_range("restart", restart, 1)
        super().__init__(params, {
            "lr": lr, "beta": beta, "restart": restart, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "c2": c2,
        })  # fmt: skip

    def _direction(self, g: np.ndarray, memory: State, group: dict[str, Any]) -> tuple[np.ndarray, float]:
        memory["age"] = memory.get("age", -1) + 1  # how many steps ago the direction was -g
        if memory["age"] and memory["age"] < (group["restart"] or g.size):
            h, d = memory["gradient"].array(), memory["direction"].array()
            if abs(g @ h) < 0.9 * (h @ h):
                d = BETAS[group["beta"]](g, h) * d - g
                if d @ g < 0:
                    return d, memory["fall"] / float(d @ g)
        memory["age"] = 0
        length = memory["fall"] / -float(g @ g) if "fall" in memory else first_length(g, group["lr"])
        return -g, length

    def _learn(self, s: np.ndarray, g: np.ndarray, end: Point, memory: State, group: dict[str, Any]) -> None:
        if end.t == 0:  # nothing gained along this direction
            memory.clear()
            return
        memory.update(gradient=wrap(g), direction=wrap(s / end.t), fall=float(s @ g))


def _fletcher_reeves(g: np.ndarray, h: np.ndarray) -> float:
    return float(g @ g / (h @ h))


def _polak_ribiere(g: np.ndarray, h: np.ndarray) -> float:
    return max(0.0, float(g @ (g - h) / (h @ h)))


BETAS = {"fletcher-reeves": _fletcher_reeves, "polak-ribiere": _polak_ribiere}
