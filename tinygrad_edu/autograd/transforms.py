"""Derivatives as functions of functions: ``grad(f)`` is the function that computes f's gradient, and can be put into grad again.

All of them evaluate the function on variables of their own and run the one backward pass of the engine. A transform inside another
one, or of a function that uses tensors which require grad, records its result; otherwise what comes out has no graph.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from tinygrad_edu.autograd import differentiate
from tinygrad_edu.autograd.trees import flatten
from tinygrad_edu.errors import DtypeError, ShapeError
from tinygrad_edu.grad_mode import enable_grad, is_grad_enabled
from tinygrad_edu.ops.conversion import clone
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.shape import reshape
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp"]


class Variables:
    """The tensors a transform differentiates by: copies of the arguments that only this transform knows.

    An argument that already belongs to a graph stays connected to it, so that an outer transform sees through this one.
    """

    def __init__(self, where: str, arguments: list, outside: bool | None = None):
        self.where = where
        # Whether anybody outside may want a derivative of the result.
        self.outside = is_grad_enabled() if outside is None else outside
        self.own: list[Tensor] = []
        for argument in arguments:
            self.own.append(self.variable(argument))

    def variable(self, argument: Any) -> Tensor:
        if not isinstance(argument, Tensor):
            raise ValueError(f"{self.where}: expected the tensors to differentiate by, got {type(argument).__name__}")
        if argument._data.dtype.kind != "f":
            raise DtypeError(
                f"{self.where}: only floating-point tensors have derivatives, got {argument.dtype}. Fix: x.float()."
            )
        if argument.node is None or not self.outside:
            return wrap(argument._data).requires_grad_()
        with enable_grad():
            return clone(argument)

    def seen_outside(self, tensors: Sequence[Tensor | None]) -> bool:
        """Tell whether the tensors depend on a leaf that is not one of ours."""
        if not self.outside:
            return False
        own = {variable.node for variable in self.own}
        seen: set = set()
        waiting = [t.node for t in tensors if t is not None and t.node is not None]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.is_leaf:
                if node not in own:
                    return True
            else:
                waiting += [parent for parent in node.parents if parent is not None]
        return False

    def release(self, tree: Any) -> Any:
        """Return a result as the outside may have it: with a graph only if that leads to somebody else's leaf."""
        leaves, rebuild = flatten(tree)
        return rebuild(
            [t.detach() if isinstance(t, Tensor) and t.node is not None and not self.seen_outside([t]) else t for t in leaves]
        )  # fmt: skip

    def pull(self, outputs: list[Tensor], cotangents: list[Tensor], record: bool) -> list[Tensor]:
        """Return sum_k cotangents[k] . d outputs[k] / d variable for each of our variables; zeros where nothing depends."""
        pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.node is not None]
        if not pairs:
            return [wrap(np.zeros_like(v._data)) for v in self.own]
        outs, seeds = zip(*pairs, strict=True)
        return gradients(outs, self.own, seeds, record)


def gradients(outputs: Sequence[Tensor], inputs: list[Tensor], seeds: Sequence[Tensor], record: bool) -> list[Tensor]:
    """Run one backward pass over a graph that is kept; zeros for inputs that nothing depends on."""
    found: Any = differentiate.grad(
        outputs, inputs, seeds, retain_graph=True, create_graph=record, materialize_grads=True
    )
    return list(found)


def tensors_of(tree: Any, where: str) -> tuple[list[Tensor], Callable]:
    """Return the tensors that a function gave back, and how to rebuild the form it gave them in."""
    leaves, rebuild = flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"{where}: expected the function to return only tensors, got {type(leaf).__name__}")
    return leaves, rebuild


def _chosen(argnums: int | tuple[int, ...], count: int, where: str) -> list[int]:
    """Check which arguments are to be differentiated by."""
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    for number in numbers:
        if not -count <= number < count:
            raise RuntimeError(
                f"{where}: argnums {number} is out of range for a call with {count} positional argument(s)"
            )
    return [number % count for number in numbers]


def _call(func: Callable, argnums: Any, args: tuple, kwargs: dict, has_aux: bool, where: str) -> tuple:
    """Run `func` on variables in the place of the chosen arguments.

    Returns the variables, the form of the chosen arguments, the output, and the auxiliary output.
    """
    numbers = _chosen(argnums, len(args), where)
    chosen = tuple(args[number] for number in numbers)
    leaves, rebuild = flatten(chosen)
    variables = Variables(where, leaves)
    replaced = list(args)
    for number, value in zip(numbers, rebuild(variables.own), strict=True):
        replaced[number] = value
    with enable_grad():
        output = func(*replaced, **kwargs)
    aux = None
    if has_aux:
        if not (isinstance(output, tuple) and len(output) == 2):
            raise RuntimeError(f"{where}: with has_aux=True the function must return a pair (output, aux)")
        output, aux = output
        aux = variables.release(aux)

    def form(values: list) -> Any:
        parts = rebuild(values)
        return parts[0] if isinstance(argnums, int) else parts

    return variables, form, output, aux


def grad_and_value(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """Return the function that computes both the gradient and the value of `func`.

    Parameters
    ----------
    func : callable
        Returns a one-element Tensor, or a pair (Tensor, aux) with ``has_aux=True``.
    argnums : int or tuple of int
        The positional arguments to differentiate by; each may be a Tensor or a dict, list or tuple of Tensors.
    has_aux : bool
        Whether `func` also returns something that is handed through.

    Returns
    -------
    callable
        Returns ``(gradient, value)``, or ``(gradient, (value, aux))``.
    """

    @wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        variables, form, output, aux = _call(func, argnums, args, kwargs, has_aux, "grad")
        if not isinstance(output, Tensor):
            raise RuntimeError(f"grad: expected the function to return a Tensor, got {type(output).__name__}")
        if output._data.ndim:
            raise ShapeError(
                f"grad: expected the function to return a scalar, got shape {tuple(output.shape)}. Fix: .sum() or .mean() it."
            )
        record = variables.seen_outside([output])
        gradient = variables.release(variables.pull([output], [wrap(np.ones_like(output._data))], record))
        value = variables.release(output)
        return form(gradient), (value, aux) if has_aux else value

    return both


def grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """Return the function that computes the gradient of `func`; see :func:`grad_and_value` for the parameters.

    Examples
    --------
    The second derivative of the sine is its negative:

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(0.5)
    >>> bool(tg.func.grad(tg.func.grad(tg.sin))(x) == -x.sin())
    True
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        slope, rest = both(*args, **kwargs)
        return (slope, rest[1]) if has_aux else slope

    return gradient


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """Return ``func(*primals)`` and the function v -> v'J, the vector-Jacobian product.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> value, pull = tg.func.vjp(lambda x: x * x, tg.tensor([1.0, 2.0]))
    >>> pull(tg.ones(2))[0].tolist()
    [2.0, 4.0]
    """
    variables, form, output, aux = _call(func, tuple(range(len(primals))), primals, {}, has_aux, "vjp")
    outputs, rebuild = tensors_of(output, "vjp")

    def pull(*cotangents: Any) -> tuple:
        tree = cotangents[0] if len(cotangents) == 1 and not isinstance(output, tuple) else cotangents
        if len(cotangents) == 1 and isinstance(output, tuple) and isinstance(tree[0], tuple):
            tree = tree[0]
        given, _ = tensors_of(tree, "vjp")
        check_same_shapes("vjp", given, outputs, "cotangent", "output")
        return form(variables.release(variables.pull(outputs, given, variables.seen_outside([*outputs, *given]))))

    value = variables.release(rebuild(outputs))
    return (value, pull, aux) if has_aux else (value, pull)


def check_same_shapes(where: str, given: list[Tensor], wanted: list[Tensor], what: str, of_what: str) -> None:
    """Refuse vectors that do not have the shapes of what they are multiplied with."""
    if [tuple(t.shape) for t in given] != [tuple(t.shape) for t in wanted]:
        raise ShapeError(
            f"{where}: the shapes {[tuple(t.shape) for t in given]} of the {what}s are not those of the {of_what}s, "
            f"{[tuple(t.shape) for t in wanted]}. Fix: one {what} of the same shape per {of_what}."
        )


def pushed(variables: Variables, outputs: list[Tensor]) -> Callable[[list[Tensor], bool], list[Tensor]]:
    """Return the function t -> Jt, the Jacobian-vector product.

    u'J is linear in u, and its own vector-Jacobian product with t, by u, is Jt: two backward passes make a forward one.
    """
    dual = [wrap(np.zeros_like(out._data)).requires_grad_() for out in outputs]
    variables.own, inputs = variables.own + dual, variables.own  # the dual vectors are ours, too
    live = [(out, u) for out, u in zip(outputs, dual, strict=True) if out.node is not None]
    rows: Sequence[Any] = [None] * len(inputs)
    if live:
        with enable_grad():
            rows = differentiate.grad(
                [out for out, _ in live], inputs, [u for _, u in live], create_graph=True, allow_unused=True
            )

    def push(tangents: list[Tensor], record: bool) -> list[Tensor]:
        pairs = [(row, t) for row, t in zip(rows, tangents, strict=True) if row is not None and row.node is not None]
        if not pairs:
            return [wrap(np.zeros_like(u._data)) for u in dual]
        live_rows, seeds = zip(*pairs, strict=True)
        return gradients(live_rows, dual, seeds, record)

    return push


def jvp(func: Callable, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False) -> tuple:
    """Return ``func(*primals)`` and the Jacobian-vector product J t with `tangents`, the derivative in that direction.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> value, slope = tg.func.jvp(lambda x: x * x, (tg.tensor([1.0, 2.0]),), (tg.tensor([1.0, 0.0]),))
    >>> slope.tolist()
    [2.0, 0.0]
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError("jvp: expected primals and tangents to be tuples. Fix: jvp(f, (x,), (t,)).")
    variables, _, output, aux = _call(func, tuple(range(len(primals))), primals, {}, has_aux, "jvp")
    outputs, rebuild = tensors_of(output, "jvp")
    given, _ = tensors_of(tangents, "jvp")
    check_same_shapes("jvp", given, variables.own, "tangent", "primal")
    if strict and any(out.node is None for out in outputs):
        raise RuntimeError("jvp: the output does not depend on the inputs, and strict=True forbids that.")
    record = variables.seen_outside([*outputs, *given])
    slopes = variables.release(pushed(variables, outputs)(given, record))
    value = variables.release(rebuild(outputs))
    return (value, rebuild(slopes), aux) if has_aux else (value, rebuild(slopes))


def unit_vectors(like: Tensor) -> list[Tensor]:
    """Return e_1, e_2, ... in the shape of `like`."""
    size = like._data.size
    rows = np.eye(size, dtype=like._data.dtype).reshape(size, *like._data.shape)
    return [wrap(row) for row in rows]


def _zeros(tensors: list[Tensor]) -> list[Tensor]:
    return [wrap(np.zeros_like(t._data)) for t in tensors]


def jacobian_block(parts: list[Tensor], dim: int, out: Tensor, x: Tensor) -> Tensor:
    """Stack the rows (dim 0) or columns (dim -1) of d out / d x and give the block its shape."""
    shape = (*out.shape, *x.shape)
    return reshape(stack(parts, dim), shape) if parts else wrap(np.zeros(shape, out._data.dtype))


def jacrev(
    func: Callable,
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """Return the function that computes the Jacobian of `func` row by row: one backward pass per output element.

    The result has the form of the output, and in each place the form of the argument, with shape ``output.shape + input.shape``.
    `chunk_size` is accepted and changes nothing: rows are computed one at a time.
    """

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        variables, form, output, aux = _call(func, argnums, args, kwargs, has_aux, "jacrev")
        outputs, rebuild = tensors_of(output, "jacrev")
        record = variables.seen_outside(outputs)
        blocks = []
        for out in outputs:
            rows = [variables.pull([out], [unit], record) for unit in unit_vectors(out)]
            block = [jacobian_block([row[i] for row in rows], 0, out, v) for i, v in enumerate(variables.own)]
            blocks.append(form(variables.release(block)))
        return (rebuild(blocks), aux) if has_aux else rebuild(blocks)

    return jacobian


def jacfwd(
    func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable:
    """Return the function that computes the Jacobian of `func` column by column: one pass per input element.

    The same numbers as :func:`jacrev`, quicker where there are more outputs than inputs. `randomness` is accepted: the function is
    evaluated once, so whatever it draws is the same for all columns.
    """

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        variables, form, output, aux = _call(func, argnums, args, kwargs, has_aux, "jacfwd")
        outputs, rebuild = tensors_of(output, "jacfwd")
        inputs = variables.own
        record = variables.seen_outside(outputs)
        push = pushed(variables, outputs)
        blocks: list[list[Tensor]] = [[] for _ in outputs]
        for number, variable in enumerate(inputs):
            columns = []
            for unit in unit_vectors(variable):
                tangents = _zeros(inputs)
                tangents[number] = unit
                columns.append(push(tangents, record))
            for i, out in enumerate(outputs):
                blocks[i].append(jacobian_block([c[i] for c in columns], -1, out, variable))
        result = rebuild([form(variables.release(block)) for block in blocks])
        return (result, aux) if has_aux else result

    return jacobian


def hessian(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """Return the function that computes the matrix of second derivatives of `func`: the Jacobian of its gradient.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.func.hessian(lambda x: (x ** 3).sum())(tg.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    return jacfwd(jacrev(func, argnums), argnums)
