"""The Levenberg-Marquardt method for sums of squares: between Gauss-Newton and gradient descent."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd.differentiate import grad
from tinygrad_edu.grad_mode import enable_grad, no_grad
from tinygrad_edu.optim.optimizer import checked_range
from tinygrad_edu.optim.whole_vector import WholeVector, joined
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["LevenbergMarquardt"]

RESIDUALS = "return model(x) - y, the vector of residuals, without calling backward"


class LevenbergMarquardt(WholeVector):
    """Minimizes half the sum of squares of r, for r the vector of residuals: (J'J + damping D) d = -J'r, D the diagonal of J'J.

    The Jacobian J of r is exact, one backward pass a row; J'J stands for the Hessian, so no second derivatives are needed
    [1]_ [2]_. A step that makes the cost smaller is taken and the damping divided by `factor`: towards Gauss-Newton, which is
    fast near the minimum. Otherwise the damping is multiplied by it: a shorter step, closer to the gradient's direction.
    For curve fits and small nets with squared costs; other costs have no residuals.

    Parameters
    ----------
    params : iterable
        Tensors; one group only.
    damping : float
        At the start; afterwards it is in the state.
    factor : float
        More than 1.
    max_eval : int
        How many dampings one step tries at most; if none helps, the parameters stay.

    References
    ----------
    .. [1] K. Levenberg, "A Method for the Solution of Certain Non-Linear Problems in Least Squares", Q. Appl. Math. 2 (1944).
    .. [2] D. W. Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", J. SIAM 11 (1963).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.arange(5.0)
    >>> y = 3 * (-0.5 * x).exp()
    >>> a, b = tg.tensor(1.0, requires_grad=True), tg.tensor(0.0, requires_grad=True)
    >>> optimizer = tg.optim.LevenbergMarquardt([a, b])
    >>> for _ in range(10):
    ...     cost = optimizer.step(lambda: a * (b * x).exp() - y)
    >>> round(a.item(), 3), round(b.item(), 3)
    (3.0, -0.5)
    """

    def __init__(self, params: Any, damping: float = 1e-3, factor: float = 10.0, max_eval: int = 25):
        checked_range("damping", damping)
        if not factor > 1:
            raise ValueError(f"Invalid factor: {factor}. Fix: a number greater than 1.")
        super().__init__(params, {"damping": damping, "factor": factor, "max_eval": max_eval})

    @again
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure : callable
            Returns the residuals, a Tensor of one or more dimensions, without calling backward.

        Returns
        -------
        Tensor
            Half the sum of their squares, before the step.

        Raises
        ------
        TypeError
            If the closure returns a number: the Jacobian of the residuals cannot be recovered from their sum.
        """
        closure, group, memory = self._needs_closure(closure, RESIDUALS), self.param_groups[0], self._memory
        damping = memory.setdefault("damping", group["damping"])
        with enable_grad():
            r, J = self._linearized(closure())
        cost, normal, slope = _half_squares(r), J.T @ J, J.T @ r
        if not slope.any():
            self._steps += 1
            return wrap(np.asarray(cost))
        # An absent or dead parameter has a column of zeros: there the damping acts as Levenberg's, with the identity.
        scale = np.diag(np.where(np.diag(normal) > 0, np.diag(normal), 1).astype(r.dtype))
        home = self._position()
        for _ in range(group["max_eval"]):
            self._move(1.0, _solved(normal + damping * scale, -slope))
            with no_grad():
                better = _half_squares(closure().array().ravel()) < cost
            if better:
                memory["damping"] = damping / group["factor"]
                break
            self._return_to(home)
            damping = max(damping, 1e-9) * group["factor"]
        self._steps += 1
        return wrap(np.asarray(cost))

    def _linearized(self, residuals: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the residuals as a vector, and their Jacobian."""
        if not isinstance(residuals, Tensor) or residuals.ndim == 0:
            kind = "a scalar loss" if isinstance(residuals, Tensor | float) else type(residuals).__name__
            raise TypeError(
                f"LevenbergMarquardt: the closure must return the vector of residuals, whose squares are the cost, got {kind}. "
                f"Fix: {RESIDUALS}; for another cost, optim.BFGS or optim.Newton."
            )
        params = self.param_groups[0]["params"]
        rows = [
            joined(grad(element, params, retain_graph=True, materialize_grads=True))
            for element in residuals.reshape(-1)
        ]
        return joined([residuals]), np.array(rows)


def _half_squares(r: np.ndarray) -> Any:
    return 0.5 * (r @ r)


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve, with the least-squares solution where the matrix is singular."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(matrix, right, rcond=None)[0]
