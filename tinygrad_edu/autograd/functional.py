"""Whole Jacobians and Hessians of functions, row by row from vector-Jacobian products."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd.differentiate import grad
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["hessian", "jacobian"]


def _fresh_inputs(inputs: Any, create_graph: bool) -> tuple[Tensor, ...]:
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if create_graph:
        return tuple(t if t.requires_grad else t.detach().requires_grad_() for t in given)
    return tuple(t.detach().requires_grad_() for t in given)


def jacobian(func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """Return J[i, j] = d func(inputs)[i] / d inputs[j], of shape ``output.shape + input.shape``.

    Parameters
    ----------
    func : callable
        Takes the tensors of `inputs`, returns one Tensor.
    inputs : Tensor or tuple of Tensor
        Where to differentiate.
    create_graph : bool
        Record, so that the Jacobian can be differentiated again.
    strict : bool
        Raise if the output does not depend on an input, instead of giving zeros.

    Returns
    -------
    Tensor or tuple of Tensor
        One per input, in the form of `inputs`.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.jacobian(lambda x: x * x, tg.tensor([1., 2.])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    ins = _fresh_inputs(inputs, create_graph)
    out = func(*ins)
    if not isinstance(out, Tensor):
        raise TypeError(f"jacobian: the function must return a Tensor, got {type(out).__name__}")
    rows: list[list[Tensor]] = []
    for position in range(out.numel()):
        seed = np.zeros(out._data.shape, out._data.dtype)
        seed.reshape(-1)[position] = 1
        if out.node is None:
            rows.append([wrap(np.zeros(t._data.shape, t._data.dtype)) for t in ins])
            continue
        rows.append(
            list(
                grad(
                    out,
                    ins,
                    wrap(seed),
                    retain_graph=True,
                    create_graph=create_graph,
                    allow_unused=not strict,
                    materialize_grads=not strict,
                )
            )  # fmt: skip
        )
    from tinygrad_edu.ops.joining import stack
    from tinygrad_edu.ops.shape import reshape

    results = []
    for number, t in enumerate(ins):
        shape = (*out._data.shape, *t._data.shape)
        if not rows:
            results.append(wrap(np.zeros(shape, t._data.dtype)))
        else:
            results.append(reshape(stack([row[number] for row in rows]), shape))
    return results[0] if isinstance(inputs, Tensor) else tuple(results)


def hessian(func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """Return H[i, j] = d^2 func / d inputs[i] d inputs[j] of a scalar function.

    For several inputs the result is a tuple of tuples, block (a, b) of shape ``inputs[a].shape + inputs[b].shape``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.hessian(lambda x: (x ** 3).sum(), tg.tensor([1., 2.])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    single = isinstance(inputs, Tensor)
    count = 1 if single else len(inputs)

    def slope(position: int) -> Callable:
        def gradient(*ins: Tensor) -> Tensor:
            out = func(*ins)
            if out.numel() != 1:
                raise RuntimeError(
                    f"hessian: the function must return a scalar, got shape {tuple(out.shape)}. Fix: .sum() it."
                )
            (found,) = grad(out, ins[position], create_graph=True, materialize_grads=True)
            return found  # type: ignore[return-value]

        return gradient

    blocks = tuple(jacobian(slope(position), inputs, create_graph, strict) for position in range(count))
    return blocks[0] if single else blocks
