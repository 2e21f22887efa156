"""Is the analytic gradient the limit of differences? Checked in float64, along every input element."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd.differentiate import grad
from tinygrad_edu.errors import message
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """Analytic and numerical derivatives differ."""


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare d func / d inputs with central differences (f(x + eps) - f(x - eps)) / (2 eps).

    Inputs are computed in float64 whatever their type, because differences of float32 numbers are mostly rounding error.

    Parameters
    ----------
    func : callable
        Takes Tensors, returns a Tensor or a tuple of Tensors.
    inputs : Tensor or tuple of Tensor
        Those that require grad are checked.
    eps, atol, rtol : float
        Step and tolerances: |analytic - numerical| <= atol + rtol |numerical|.
    raise_exception : bool
        Raise when they differ instead of returning False.

    Raises
    ------
    GradcheckError
        Names the output, the input, the element and both values; near a kink it says so (E403).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.gradcheck(lambda x: x * x, tg.tensor([1., 2.], requires_grad=True))
    True
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    points = [wrap(t._data.astype(np.float64)) if t.is_floating_point() else t.detach() for t in given]
    checked = [i for i, t in enumerate(given) if t.requires_grad and t.is_floating_point()]
    if not checked:
        raise ValueError(
            "gradcheck: expects at least one input tensor to require gradient, none of them has requires_grad=True."
        )
    for i in checked:
        points[i] = wrap(np.array(points[i]._data)).requires_grad_()
    outputs = _outputs(func(*points))
    for number, out in enumerate(outputs):
        for i in checked:
            analytic = _analytic(out, points[i])
            numerical = _numerical(func, points, number, i, eps)
            wrong = np.argwhere(~(np.abs(analytic - numerical) <= atol + rtol * np.abs(numerical)))
            if len(wrong):
                if not raise_exception:
                    return False
                raise GradcheckError(_story(func, points, number, i, analytic, numerical, tuple(wrong[0]), eps))
    return True


def gradgradcheck(func: Callable, inputs: Any, **options: Any) -> bool:
    """Compare second derivatives with differences of first derivatives; options as in :func:`gradcheck`."""
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    rng = np.random.default_rng(0)
    weights: dict[int, Tensor] = {}

    def first_derivatives(*tensors: Tensor) -> tuple:
        outputs = [out for out in _outputs(func(*tensors)) if out.requires_grad]
        for number, out in enumerate(outputs):
            weights.setdefault(number, wrap(rng.normal(size=out._data.shape)))
        wanted = [t for t, original in zip(tensors, given, strict=True) if original.requires_grad]
        return grad(
            outputs, wanted, [weights[n] for n in range(len(outputs))], create_graph=True, materialize_grads=True
        )

    return gradcheck(first_derivatives, inputs, **options)


def _outputs(result: Any) -> tuple[Tensor, ...]:
    results = (result,) if isinstance(result, Tensor) else tuple(result)
    return tuple(r for r in results if r.is_floating_point())


def _analytic(out: Tensor, point: Tensor) -> np.ndarray:
    """The Jacobian by backpropagation, one row per output element."""
    jacobian = np.zeros((out.numel(), point.numel()))
    for row in range(out.numel()):
        if out.node is None:
            continue
        seed = np.zeros(out._data.shape, out._data.dtype)
        seed.reshape(-1)[row] = 1
        (found,) = grad(out, point, wrap(seed), retain_graph=True, allow_unused=True)
        if found is not None:
            jacobian[row] = np.asarray(found.detach()._data).reshape(-1)
    return jacobian


def _numerical(func: Callable, points: list[Tensor], number: int, i: int, eps: float) -> np.ndarray:
    """The Jacobian by central differences, one column per input element."""
    columns = []
    for element in range(points[i].numel()):
        sides = []
        for step in (eps, -eps):
            moved = np.array(points[i]._data, dtype=np.float64)
            moved.reshape(-1)[element] += step
            tensors = [wrap(moved).requires_grad_() if j == i else p for j, p in enumerate(points)]
            sides.append(np.asarray(_outputs(func(*tensors))[number].detach()._data, dtype=np.float64).reshape(-1))
        columns.append((sides[0] - sides[1]) / (2 * eps))
    return np.stack(columns, 1) if columns else np.zeros((0, 0))


def _story(func, points, number, i, analytic, numerical, where, eps) -> str:
    """Name the element, both values, and whether it sits on a kink (the one-sided slopes differ)."""
    row, element = (int(w) for w in where)
    value = float(np.asarray(points[i]._data).reshape(-1)[element])
    slopes = []
    for step in (eps, -eps):
        moved = np.array(points[i]._data, dtype=np.float64)
        moved.reshape(-1)[element] += step
        sides = [_outputs(func(*[wrap(m).requires_grad_() if j == i else p for j, p in enumerate(points)]))[number]
                 for m in (moved, np.array(points[i]._data, dtype=np.float64))]  # fmt: skip
        values = [float(np.asarray(s.detach()._data).reshape(-1)[row]) for s in sides]
        slopes.append((values[0] - values[1]) / step)
    facts = (
        f"Jacobian mismatch for output {number} with respect to input {i}: d output[{row}] / d input[{element}] is "
        f"{analytic[row, element]:g} by backpropagation and {numerical[row, element]:g} by differences."
    )
    if abs(slopes[0] - slopes[1]) > 1e-3 * max(1.0, abs(slopes[0]), abs(slopes[1])):
        facts += (
            f" Element {element} of input {i}, {value:g}, sits on a kink: the slope is {slopes[1]:g} on the left and "
            f"{slopes[0]:g} on the right."
        )
        return message("E403", "gradcheck", facts, "check at a point away from the kink.")
    return message("", "gradcheck", facts, "look at the derivative rule of what func computes there.")
