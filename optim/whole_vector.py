"""WholeVector: what methods share that treat all parameters as one vector and evaluate the loss several times in a step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.grad_mode import enable_grad
from tinygrad_edu.memory import note_write
from tinygrad_edu.optim.line_search import FLAT, Point, strong_wolfe
from tinygrad_edu.optim.optimizer import Optimizer, State, gradient_of
from tinygrad_edu.recorders import again

__all__: list[str] = []

BACKWARD = "optimizer.zero_grad(); loss = ...; loss.backward(); return loss"


class WholeVector(Optimizer):
    """Base class of the methods that need a closure and see x, the vector of all parameters, with the gradient g at x."""

    def __init__(self, params: Any, defaults: dict[str, Any]):
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(
                f"{type(self).__name__} doesn't support per-parameter options (parameter groups). Fix: one list of parameters."
            )

    @property
    def _memory(self) -> State:
        """What the method remembers; it belongs to all parameters, and is kept with the first."""
        return self.state[self.param_groups[0]["params"][0]]

    def _needs_closure(self, closure: Callable[[], Any] | None, body: str = BACKWARD) -> Callable[[], Any]:
        if closure is None:
            raise TypeError(f"{type(self).__name__}.step() needs a closure. Fix: def closure(): {body}")
        return closure

    def _evaluate(self, closure: Callable[[], Any]) -> Point:
        """Return the loss and its gradient where the parameters are now."""
        with enable_grad():
            loss = closure()
        return Point(0.0, float(loss), self._gradient(), 0.0)

    def _gradient(self) -> np.ndarray:
        """Return all gradients as one vector."""
        pairs = [(p, gradient_of(p)) for p in self.param_groups[0]["params"]]
        return np.concatenate([np.zeros(p.numel(), p.array().dtype) if g is None else g.ravel() for p, g in pairs])

    def _position(self) -> list[np.ndarray]:
        """Return copies of the parameters' values."""
        return [p.array().copy() for p in self.param_groups[0]["params"]]

    def _return_to(self, position: list[np.ndarray]) -> None:
        for p, values in zip(self.param_groups[0]["params"], position, strict=True):
            p.array()[...] = values

    def _move(self, t: float, d: np.ndarray) -> None:
        """Add t * d to the parameters."""
        start, name = 0, f"{type(self).__name__}.step"
        for p in self.param_groups[0]["params"]:
            values = p.array()
            values += t * d[start : start + values.size].reshape(values.shape)
            note_write(values, name)
            start += values.size

    def _search(
        self, closure: Callable[[], Any], start: Point, d: np.ndarray, t: float, tolerance: float, most: int, flat: float = FLAT
    ) -> tuple[Point, int]:  # fmt: skip
        """Return the point that a strong Wolfe search finds along d, first trying t; the parameters stay where they are."""
        home = self._position()

        def at(t: float) -> Point:
            self._move(t, d)
            point = self._evaluate(closure)
            self._return_to(home)
            return Point(t, point.value, point.gradient, float(point.gradient @ d))

        return strong_wolfe(at, start, t, np.abs(d).max(), tolerance, most, flat)


class SearchMethod(WholeVector):
    """Base class of the methods whose step is one strong Wolfe search along a direction: a subclass only chooses the direction."""

    @again
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Choose a direction, and go to a point along it that satisfies the strong Wolfe conditions.

        Parameters
        ----------
        closure : callable
            Clears the gradients, computes the loss, calls backward, and returns the loss.

        Returns
        -------
        The loss before the step.
        """
        closure, group, memory = self._needs_closure(closure), self.param_groups[0], self._memory
        with enable_grad():
            loss = closure()
        g = self._gradient()
        if np.abs(g).max(initial=0) > group["tolerance_grad"]:
            d, t = self._direction(g, memory, group)
            start = Point(0.0, float(loss), g, float(g @ d))
            end, _ = self._search(closure, start, d, t, group["tolerance_change"], group["max_eval"], group["c2"])
            self._move(end.t, d)
            self._learn(end.t * d, g, end, memory, group)
        self._steps += 1
        return loss

    def _direction(self, g: np.ndarray, memory: State, group: dict[str, Any]) -> tuple[np.ndarray, float]:
        """Return a direction that goes down, and the step length to try first."""
        raise NotImplementedError

    def _learn(self, s: np.ndarray, g: np.ndarray, end: Point, memory: State, group: dict[str, Any]) -> None:
        """Remember a step s from where the gradient was g to where it is ``end.gradient``."""
        raise NotImplementedError


def first_length(g: np.ndarray, lr: float) -> float:
    """Return a length for a first step along -g, while nothing is known about the scale: no longer than lr in the 1-norm."""
    return lr * min(1.0, 1.0 / float(np.abs(g).sum()))


def joined(tensors: Any) -> np.ndarray:
    """Return the elements of all tensors as one vector."""
    return np.concatenate([t.detach().array().ravel() for t in tensors])
