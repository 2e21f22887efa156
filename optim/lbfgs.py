"""L-BFGS: Newton's method with a Hessian guessed from the last few gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.grad_mode import enable_grad
from tinygrad_edu.optim.line_search import Point
from tinygrad_edu.optim.optimizer import checked_range
from tinygrad_edu.optim.whole_vector import WholeVector
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import wrap

__all__ = ["LBFGS"]


class LBFGS(WholeVector):
    """Quasi-Newton steps from a short history of steps and gradient changes [1]_. For full batches and smooth losses.

    Parameters
    ----------
    params : iterable
        Tensors; one group only.
    lr : float
        The step length, or where the line search begins.
    max_iter, max_eval : int
        Iterations, and evaluations of the closure, of one ``step``; max_eval is 1.25 max_iter by default.
    tolerance_grad, tolerance_change : float
        Stop when the largest gradient, or the change of the loss or of every parameter, is below this.
    history_size : int
    line_search_fn : {None, "strong_wolfe"}
        Without a search every step has length lr.

    References
    ----------
    .. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition, Springer 2006, algorithms 7.4 and 7.5.
    """

    def __init__(
        self, params: Any, lr: float = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ):  # fmt: skip
        checked_range("learning rate", lr)
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    @again
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Improve the parameters by up to `max_iter` iterations.

        Parameters
        ----------
        closure : callable
            Clears the gradients, computes the loss, calls backward, and returns the loss.

        Returns
        -------
        The loss before the first iteration.
        """
        closure = self._needs_closure(closure)
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(
                f"LBFGS: only 'strong_wolfe' is supported, got line_search_fn={group['line_search_fn']!r}"
            )
        state = self._memory
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        with enable_grad():
            first_loss = closure()
        state["func_evals"] += 1
        now = Point(0.0, float(first_loss), self._gradient(), 0.0)
        if np.abs(now.gradient).max(initial=0) > group["tolerance_grad"]:
            self._iterate(closure, now, state, group)
        self._steps += 1
        return first_loss

    def _iterate(self, closure: Callable[[], Any], now: Point, state: dict[str, Any], group: dict[str, Any]) -> None:
        evaluations = 1
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            self._remember(now.gradient, state, group["history_size"])
            d = self._direction(now.gradient, state)
            state["d"], state["prev_flat_grad"], state["prev_loss"] = wrap(d), wrap(now.gradient), now.value
            state["t"] = group["lr"]
            if state["n_iter"] == 1:
                state["t"] *= min(1.0, 1.0 / float(np.abs(now.gradient).sum()))
            slope = float(now.gradient @ d)
            if slope > -group["tolerance_change"]:
                return
            before, used = now.value, 0
            if group["line_search_fn"] == "strong_wolfe":
                now, used = self._search(
                    closure, now._replace(t=0.0, slope=slope), d, state["t"], group["tolerance_change"],
                    group["max_eval"] - evaluations,
                )  # fmt: skip
                state["t"] = now.t
                self._move(now.t, d)
            else:
                self._move(state["t"], d)
                if iteration < group["max_iter"]:  # after the last step nobody needs the new gradient
                    now, used = self._evaluate(closure), 1
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or np.abs(now.gradient).max() <= group["tolerance_grad"]
                or np.abs(d * state["t"]).max() <= group["tolerance_change"]
                or abs(now.value - before) < group["tolerance_change"]
            ):
                return

    def _remember(self, gradient: np.ndarray, state: dict[str, Any], size: int) -> None:
        """Add the last step s and the change y of the gradient to the history, where the curvature y.s is positive."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return
        y, s = gradient - state["prev_flat_grad"].array(), state["d"].array() * state["t"]
        curvature = float(y @ s)
        if curvature > 1e-10:
            for name, value in (("old_dirs", wrap(y)), ("old_stps", wrap(s)), ("ro", 1.0 / curvature)):
                state[name].append(value)
                del state[name][:-size]
            state["H_diag"] = curvature / float(y @ y)

    @staticmethod
    def _direction(gradient: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """Return minus the gradient times the inverse Hessian that the history implies, by two loops over it."""
        pairs = zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True)
        history = [(y.array(), s.array(), ro) for y, s, ro in pairs]
        d, shares = -gradient, []
        for y, s, ro in reversed(history):
            share = float(s @ d) * ro
            d = d - share * y
            shares.append(share)
        d = d * state["H_diag"]
        for (y, s, ro), share in zip(history, reversed(shares), strict=True):
            d = d + s * (share - float(y @ d) * ro)
        return d
