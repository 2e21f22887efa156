"""Jacobians, Hessians, and their products with vectors, at given inputs.

``tinygrad_edu.func`` has the same as functions of functions. Here `inputs` is a Tensor or a tuple of Tensors and results come in the
same form; ``create_graph=True`` records the result, so that it can be differentiated by the inputs again.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd import transforms
from tinygrad_edu.autograd.transforms import Variables, check_same_shapes, jacobian_block, pushed, unit_vectors
from tinygrad_edu.grad_mode import enable_grad
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

STRATEGIES = ("reverse-mode", "forward-mode")


def _as_tuple(tensors: Any, where: str, what: str) -> tuple:
    """Return a Tensor, or a tuple or list of Tensors, as a tuple."""
    given = (tensors,) if isinstance(tensors, Tensor) else tensors
    if not isinstance(given, tuple | list) or not all(isinstance(t, Tensor) for t in given):
        kind = type(tensors).__name__
        raise TypeError(f"{where}: the {what} must be a Tensor or a tuple of Tensors, got {kind}")
    return tuple(given)


class _Evaluation:
    """A function evaluated at variables of our own, and what the results have to look like."""

    def __init__(self, where: str, func: Callable, inputs: Any, create_graph: bool, strict: bool):
        self.where, self.create_graph = where, create_graph
        self.one_input = isinstance(inputs, Tensor)
        self.variables = Variables(where, list(_as_tuple(inputs, where, "inputs")), outside=create_graph)
        self.inputs = list(self.variables.own)
        with enable_grad():
            output = func(*self.inputs)
        self.one_output = isinstance(output, Tensor)
        self.outputs = list(_as_tuple(output, where, "function's result"))
        if strict:
            self._refuse_independence()

    def _refuse_independence(self) -> None:
        for number, out in enumerate(self.outputs):
            row = [None] if out.node is None else transforms.differentiate.grad(
                out, self.inputs, wrap(np.ones_like(out._data)), retain_graph=True, allow_unused=True)  # fmt: skip
            if any(gradient is None for gradient in row):
                raise RuntimeError(
                    f"{self.where}: output {number} of the function is independent of an input, and strict=True forbids that. "
                    "Fix: strict=False, which gives zeros."
                )

    def form(self, tensors: list, like_inputs: bool) -> Any:
        """Return results in the form of the inputs or outputs, without a graph unless one was asked for."""
        done = tensors if self.create_graph else [t.detach() for t in tensors]
        return done[0] if (self.one_input if like_inputs else self.one_output) else tuple(done)

    def vectors(self, v: Any, like: list[Tensor], what: str) -> list[Tensor]:
        """Check the vectors to multiply with; None stands for 1 where that is possible."""
        if v is None:
            if len(like) != 1 or like[0].numel() != 1:
                raise RuntimeError(
                    f"{self.where}: the vector v can only be left out if the function has one {what} with one element, here the shapes "
                    f"are {[tuple(t.shape) for t in like]}. Fix: pass v with the shapes of the {what}s."
                )
            return [wrap(np.ones_like(like[0]._data))]
        given = list(_as_tuple(v, self.where, "vector v"))
        check_same_shapes(self.where, given, like, "vector", what)
        return given


def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """Return ``func(*inputs)`` and v'J: v has the form of the output, the product that of the inputs.

    Parameters
    ----------
    v : Tensor or tuple of Tensor, optional
        May be left out for an output of one element, and is 1 then.
    strict : bool
        Raise if an output does not depend on an input, instead of giving zeros.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]), tg.ones(2))[1].tolist()
    [2.0, 4.0]
    """
    at = _Evaluation("vjp", func, inputs, create_graph, strict)
    product = at.variables.pull(at.outputs, at.vectors(v, at.outputs, "output"), create_graph)
    return at.form(at.outputs, False), at.form(product, True)


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """Return ``func(*inputs)`` and J v: v has the form of the inputs, the product that of the output.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.jvp(lambda x: x * x, tg.tensor([1.0, 2.0]), tg.tensor([0.0, 1.0]))[1].tolist()
    [0.0, 4.0]
    """
    at = _Evaluation("jvp", func, inputs, create_graph, strict)
    product = pushed(at.variables, at.outputs)(at.vectors(v, at.inputs, "input"), create_graph)
    return at.form(at.outputs, False), at.form(product, False)


def _slope(where: str, func: Callable) -> Callable:
    """Return the function that computes the value and the gradient of a scalar function, recorded."""

    def gradient(*inputs: Tensor) -> tuple[Tensor, ...]:
        out = func(*inputs)
        if not isinstance(out, Tensor) or out.numel() != 1:
            shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise RuntimeError(f"{where}: the function must return a scalar, got {shape}. Fix: .sum() it.")
        if out.node is None:
            return (out, *[wrap(np.zeros_like(t._data)) for t in inputs])
        slopes = transforms.differentiate.grad(
            out, inputs, wrap(np.ones_like(out._data)), create_graph=True, materialize_grads=True
        )
        return (out, *slopes)  # type: ignore[arg-type]

    return gradient


def vhp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """Return the scalar ``func(*inputs)`` and v'H with the matrix H of second derivatives; v has the form of the inputs."""
    at = _Evaluation("vhp", _slope("vhp", func), inputs, create_graph, strict)
    value, *slopes = at.outputs
    product = at.variables.pull(slopes, at.vectors(v, at.inputs, "input"), create_graph)
    return (value if create_graph else value.detach()), at.form(product, True)


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """Return the scalar ``func(*inputs)`` and H v. H is symmetric, so this is :func:`vhp`, which needs one pass less."""
    return vhp(func, inputs, v, create_graph, strict)


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Return J[i, j] = d func(inputs)[i] / d inputs[j], of shape ``output.shape + input.shape``.

    Parameters
    ----------
    func : callable
        Takes the tensors of `inputs`, returns a Tensor or a tuple of Tensors.
    inputs : Tensor or tuple of Tensor
        Where to differentiate.
    create_graph : bool
        Record, so that the Jacobian can be differentiated again.
    strict : bool
        Raise if the output does not depend on an input, instead of giving zeros.
    vectorize : bool
        Accepted, and changes nothing.
    strategy : {"reverse-mode", "forward-mode"}
        Compute it by rows (a pass per output element) or by columns (a pass per input element).

    Returns
    -------
    Tensor or tuple
        In the form of the output, and in each place in the form of the inputs.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.jacobian(lambda x: x * x, tg.tensor([1., 2.])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"jacobian: strategy must be one of {STRATEGIES}, got {strategy!r}")
    at = _Evaluation("jacobian", func, inputs, create_graph, strict)
    blocks = _rows(at) if strategy == "reverse-mode" else _columns(at)
    done = [at.form(block, True) for block in blocks]
    return done[0] if at.one_output else tuple(done)


def _rows(at: _Evaluation) -> list[list[Tensor]]:
    blocks = []
    for out in at.outputs:
        rows = [at.variables.pull([out], [unit], at.create_graph) for unit in unit_vectors(out)]
        blocks.append([jacobian_block([row[i] for row in rows], 0, out, x) for i, x in enumerate(at.inputs)])
    return blocks


def _columns(at: _Evaluation) -> list[list[Tensor]]:
    push = pushed(at.variables, at.outputs)
    blocks: list[list[Tensor]] = [[] for _ in at.outputs]
    for number, x in enumerate(at.inputs):
        tangents = [wrap(np.zeros_like(t._data)) for t in at.inputs]
        columns = []
        for unit in unit_vectors(x):
            tangents[number] = unit
            columns.append(push(tangents, at.create_graph))
        for i, out in enumerate(at.outputs):
            blocks[i].append(jacobian_block([column[i] for column in columns], -1, out, x))
    return blocks


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Return H[i, j] = d^2 func / d inputs[i] d inputs[j] of a scalar function: the Jacobian of its gradient.

    For several inputs the result is a tuple of tuples, block (a, b) of shape ``inputs[a].shape + inputs[b].shape``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.autograd.functional.hessian(lambda x: (x ** 3).sum(), tg.tensor([1., 2.])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    gradient = _slope("hessian", func)
    single = isinstance(inputs, Tensor)

    def slopes(*ins: Tensor) -> Any:
        found = gradient(*ins)[1:]
        return found[0] if single else found

    return jacobian(slopes, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
