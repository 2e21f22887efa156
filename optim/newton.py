"""Newton's method with the exact Hessian: a step to the minimum of the quadratic that fits the loss here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd.differentiate import grad
from tinygrad_edu.errors import GraphError
from tinygrad_edu.grad_mode import enable_grad, no_grad
from tinygrad_edu.optim.line_search import ENOUGH
from tinygrad_edu.optim.optimizer import checked_range
from tinygrad_edu.optim.whole_vector import WholeVector, joined
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor

__all__ = ["Newton"]

LOSS_ONLY = "return the loss, without calling backward"


class Newton(WholeVector):
    """d solves (H + damping I) d = -g, with the Hessian H of all weights from differentiating the gradient [1]_.

    The damping is raised until the matrix is positive definite, so that d goes down even where the loss is not convex. Then
    the step is halved until the loss falls enough. H has n^2 elements and takes n backward passes: for few weights only.

    Parameters
    ----------
    params : iterable
        Tensors; one group only.
    lr : float
        The first step length; 1 reaches the minimum of a quadratic in one step.
    damping : float
        The least multiple of the identity that is added to H.
    line_search_fn : {"backtracking", None}
        None always takes the length lr.
    max_eval : int
        How often the step is halved at most; a step that never helps is not taken.

    References
    ----------
    .. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition, Springer 2006, algorithms 3.1 to 3.3.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.Newton([x])
    >>> loss = optimizer.step(lambda: (x[0] - 1) ** 2 + 5 * x[1] ** 2 + x[0] * x[1])
    >>> [round(value, 4) for value in x.tolist()]
    [1.0526, -0.1053]
    """

    def __init__(
        self, params: Any, lr: float = 1, damping: float = 0, line_search_fn: str | None = "backtracking", max_eval: int = 25
    ):  # fmt: skip
        checked_range("learning rate", lr)
        checked_range("damping", damping)
        if line_search_fn not in (None, "backtracking"):
            raise ValueError(f"Newton: line_search_fn must be 'backtracking' or None, got {line_search_fn!r}")
        super().__init__(params, {"lr": lr, "damping": damping, "line_search_fn": line_search_fn, "max_eval": max_eval})

    @again
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure : callable
            Returns the loss, without calling backward.

        Returns
        -------
        The loss before the step.
        """
        closure, group = self._needs_closure(closure, LOSS_ONLY), self.param_groups[0]
        loss, g, hessian = self._derivatives(closure)
        if g.any():
            d = newton_direction(hessian, g, group["damping"])
            if group["line_search_fn"] is None:
                self._move(group["lr"], d)
            else:
                self._backtrack(closure, float(loss), float(g @ d), d, group)
        self._steps += 1
        return loss.detach()

    def _derivatives(self, closure: Callable[[], Any]) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Return the loss, its gradient, and its Hessian, one row a backward pass."""
        params = [p for p in self.param_groups[0]["params"] if p.requires_grad]
        if len(params) < len(self.param_groups[0]["params"]):
            raise RuntimeError("Newton: every parameter must require a gradient. Fix: leave the frozen ones out.")
        with enable_grad():
            loss = closure()
            try:
                slopes: Any = grad(loss, params, create_graph=True, materialize_grads=True)
            except GraphError as error:
                raise GraphError(
                    f"Newton: the closure must {LOSS_ONLY}: its graph is differentiated twice.\n{error}"
                ) from None
        g = joined(slopes)
        rows: list[np.ndarray] = []
        for slope in slopes:
            if not slope.requires_grad:  # the loss is linear in this parameter
                rows += [np.zeros_like(g)] * slope.numel()
                continue
            for element in slope.reshape(-1):
                rows.append(joined(grad(element, params, retain_graph=True, materialize_grads=True)))
        return loss, g, np.array(rows)

    def _backtrack(
        self, closure: Callable[[], Any], before: float, slope: float, d: np.ndarray, group: dict[str, Any]
    ) -> None:
        """Halve the step until the loss falls by at least c1 t times the slope."""
        home, t = self._position(), group["lr"]
        for _ in range(group["max_eval"]):
            self._move(t, d)
            with no_grad():
                value = float(closure())
            if value <= before + ENOUGH * t * slope:
                return
            self._return_to(home)
            t /= 2


def newton_direction(hessian: np.ndarray, g: np.ndarray, damping: float) -> np.ndarray:
    """Solve (H + damping I) d = -g by Cholesky's method, with more damping where that matrix is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    identity = np.eye(g.size, dtype=g.dtype)
    least = 1e-3 * float(np.abs(hessian).max()) or 1.0
    while True:
        try:
            return cho_solve(cho_factor(hessian + damping * identity), -g)
        except LinAlgError:
            damping = max(2 * damping, least)
