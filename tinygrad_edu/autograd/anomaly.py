"""Anomaly mode: stop at the operation where NaN or infinity first appears, forward or backward, and say why."""

import weakref
from typing import Any

import numpy as np

from tinygrad_edu import engine
from tinygrad_edu.errors import GraphError, message, user_location
from tinygrad_edu.graph import Node
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class AnomalyError(GraphError):
    """NaN or infinity where there was none before."""


class detect_anomaly:
    """Check every operation in the block, and every step of backward, for NaN and infinity.

    PyTorch looks at the backward pass only; here the forward pass is checked too, and the message names the operation, the line of
    your program, the range of its inputs, the first bad element and the likely cause. It costs a look at every result: use it to find
    a fault, not to train.

    Parameters
    ----------
    check_nan : bool
        Raise (otherwise only remember the lines of the operations).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> with tg.autograd.detect_anomaly():
    ...     tg.log(tg.tensor([1., 0.]))
    Traceback (most recent call last):
        ...
    tinygrad_edu.autograd.anomaly.AnomalyError: E401 in log ... -inf appeared at index (1,) ... the logarithm of 0 ...
    """

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan
        self._lines: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()

    def __enter__(self) -> "detect_anomaly":
        observers.append(self._after_forward)
        engine.inspectors.append(self._after_pull)
        return self

    def __exit__(self, *exc: object) -> None:
        observers.remove(self._after_forward)
        engine.inspectors.remove(self._after_pull)

    def _after_forward(self, name: str, arguments: tuple, parameters: dict, out: Any) -> None:
        if not isinstance(out, Tensor) or out._data.dtype.kind != "f":
            return
        if out.node is not None:
            self._lines[out.node] = user_location()
        if not self.check_nan:
            return
        inputs = [a._data for a in arguments if isinstance(a, Tensor) and a._data.dtype.kind == "f"]
        bad = np.isnan(out._data) if _all_numbers(inputs) else np.zeros((), bool)
        if not np.any(bad) and _all_finite(inputs) and _all_finite(_floats(parameters)):
            bad = ~np.isfinite(out._data)
        if np.any(bad):
            raise AnomalyError(
                message(
                    "E401", name, f"{_appeared(out._data, bad)} The inputs: {_ranges(inputs)}. {_forward_cause(name, inputs)}",
                    "keep the inputs inside the function's domain, for example by adding a small constant or by clamp.",
                )
            )  # fmt: skip

    def _after_pull(self, node: Node, gradient: Any) -> None:
        if not self.check_nan or not _all_numbers([_array(gradient)]):
            return
        for parent in node.parents:
            part = None if parent is None else parent.grad
            if part is None or isinstance(part, list):
                continue
            bad = np.isnan(_array(part))
            if np.any(bad):
                raise AnomalyError(self._backward_story(node, _array(gradient), _array(part), bad))

    def _backward_story(self, node: Node, gradient: Any, part: Any, bad: np.ndarray) -> str:
        line = self._lines.get(node)
        where = f", recorded at {line}," if line else ""
        name = node.op.name
        facts = f"the backward of {name}{where} returned nan values: {_appeared(part, bad)} The gradient it was given: {_ranges([gradient])}."
        if np.any(np.asarray(gradient) == 0):
            return message(
                "E402", f"backward of {name}",
                f"{facts} A gradient of 0 met an infinite local derivative, and 0 * inf = nan: this happens behind where() or a mask, "
                "which hides the bad value but not its derivative, and at sqrt(0) or the norm of a zero vector.",
                "make the input safe before the operation: tg.where(x > 0, tg.sqrt(tg.where(x > 0, x, 1.0)), 0.0), or add a small constant.",
            )  # fmt: skip
        return message(
            "E401", f"backward of {name}", facts, "look at the values that this operation was computed from."
        )


class set_detect_anomaly(detect_anomaly):
    """As a context, :class:`detect_anomaly` that can be switched by a flag."""

    def __init__(self, mode: bool, check_nan: bool = True):
        super().__init__(check_nan)
        self.mode = mode

    def __enter__(self) -> "set_detect_anomaly":
        if self.mode:
            super().__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.mode:
            super().__exit__()


def _array(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _floats(parameters: dict) -> list:
    return [np.asarray(p) for p in parameters.values() if isinstance(p, float)]


def _all_finite(arrays: list) -> bool:
    return all(np.all(np.isfinite(a)) for a in arrays)


def _all_numbers(arrays: list) -> bool:
    return not any(np.any(np.isnan(a)) for a in arrays if not isinstance(a, list))


def _appeared(values: Any, bad: np.ndarray) -> str:
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{np.asarray(values)[index]} appeared at index {index} of shape {tuple(np.shape(values))} ({int(np.sum(bad))} in all)."


def _ranges(arrays: list) -> str:
    if not arrays:
        return "none"
    return "; ".join(f"from {np.min(a):g} to {np.max(a):g}" if np.size(a) else "empty" for a in arrays)


def _forward_cause(name: str, inputs: list) -> str:
    """Say what usually makes this operation leave the numbers."""
    lowest = min((float(np.min(a)) for a in inputs if np.size(a)), default=0.0)
    if name.startswith("log"):
        return (
            "Likely cause: the logarithm of 0 is -inf."
            if lowest == 0
            else "Likely cause: the logarithm of a negative number is nan."
        )
    if name in ("true_divide", "reciprocal", "remainder", "fmod"):
        return "Likely cause: a division by 0."
    if name in ("sqrt", "rsqrt"):
        return (
            "Likely cause: the square root of a negative number."
            if lowest < 0
            else "Likely cause: a division by sqrt(0)."
        )
    if name.startswith("exp") or name in ("sinh", "cosh"):
        return "Likely cause: overflow; exp of more than 88.7 is more than float32 can hold. Subtract the maximum first, or use softmax."
    if name.startswith("pow"):
        return "Likely cause: 0 to a negative power, a negative number to a fractional power, or overflow."
    return "Likely cause: overflow, the numbers grew too large for the type; a smaller learning rate keeps them small."
