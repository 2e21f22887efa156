"""BFGS and DFP: Newton's method with a guess of the inverse Hessian that learns from every step."""

from typing import Any

import numpy as np

from tinygrad_edu.optim.line_search import Point
from tinygrad_edu.optim.optimizer import State, checked_range
from tinygrad_edu.optim.whole_vector import SearchMethod, first_length
from tinygrad_edu.tensor import wrap

__all__ = ["BFGS", "DFP"]


class _QuasiNewton(SearchMethod):
    """d = -H g, where H is symmetric, positive definite and satisfies the secant equation H y = s of the last step."""

    def __init__(
        self, params: Any, lr: float = 1, max_eval: int = 25, tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9,
        c2: float = 0.9,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("c2", c2, 0.0, 1.0)
        super().__init__(params, {
            "lr": lr, "max_eval": max_eval, "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "c2": c2,
        })  # fmt: skip

    def _direction(self, g: np.ndarray, memory: State, group: dict[str, Any]) -> tuple[np.ndarray, float]:
        if "inverse_hessian" not in memory:
            memory["inverse_hessian"] = wrap(np.eye(g.size, dtype=g.dtype))
            return -g, first_length(g, group["lr"])
        d = -memory["inverse_hessian"].array() @ g
        if d @ g < 0:
            return d, group["lr"]
        memory["inverse_hessian"] = wrap(np.eye(g.size, dtype=g.dtype))  # rounding has spoiled it
        return -g, first_length(g, group["lr"])

    def _learn(self, s: np.ndarray, g: np.ndarray, end: Point, memory: State, group: dict[str, Any]) -> None:
        y = end.gradient - g
        # The strong Wolfe conditions make y.s positive; a search that was cut short, or rounding, may not.
        if y @ s > np.finfo(y.dtype).eps * np.linalg.norm(y) * np.linalg.norm(s):
            memory["inverse_hessian"] = wrap(self.updated(memory["inverse_hessian"].array(), s, y))

    @staticmethod
    def updated(H: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the next guess, given the step s and the change y of the gradient."""
        raise NotImplementedError


class BFGS(_QuasiNewton):
    """The quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno [1]_. For full batches and smooth losses.

    ``H = (I - rho s y') H (I - rho y s') + rho s s'``, ``rho = 1 / (y's)``: of all H with ``H y = s``, the one nearest to the
    last. H starts as the identity. :class:`LBFGS` keeps the last few pairs (s, y) rather than the n x n matrix. One ``step``
    is one iteration: a direction and a search along it.

    Parameters
    ----------
    params : iterable
        Tensors; one group only.
    lr : float
        Where the line search begins.
    max_eval : int
        The largest number of evaluations of the closure in one search.
    tolerance_grad, tolerance_change : float
        Stay when the largest gradient is below the first; do not narrow a bracket below the second.
    c2 : float
        The slope at the end of a search is at most c2 times the slope at its start.

    References
    ----------
    .. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition, Springer 2006, algorithm 6.1.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.BFGS([x])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = x[0] ** 2 + 5 * x[1] ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(20):
    ...     loss = optimizer.step(closure)
    >>> loss.item() < 1e-9
    True
    """

    @staticmethod
    def updated(H: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the next guess of the inverse Hessian, given the step s and the change y of the gradient."""
        rho = 1 / (y @ s)
        left = np.eye(s.size, dtype=s.dtype) - rho * np.outer(s, y)
        return left @ H @ left.T + rho * np.outer(s, s)


class DFP(_QuasiNewton):
    """The quasi-Newton method of Davidon, Fletcher and Powell [1]_, the first of its kind.

    ``H = H + s s' / (s'y) - H y y' H / (y' H y)``. It recovers from a bad H more slowly than :class:`BFGS`, whose parameters and
    closure it shares, and so it gains from precise searches, such as with ``c2=0.1``.

    References
    ----------
    .. [1] R. Fletcher and M. J. D. Powell, "A Rapidly Convergent Descent Method for Minimization", The Computer Journal 6 (1963).
    """

    @staticmethod
    def updated(H: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the next guess of the inverse Hessian, given the step s and the change y of the gradient."""
        Hy = H @ y
        return H + np.outer(s, s) / (s @ y) - np.outer(Hy, Hy) / (y @ Hy)
