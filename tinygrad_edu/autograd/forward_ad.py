"""Forward-mode differentiation under PyTorch's names: a tensor carries a direction (its tangent), results carry their slope along it.

The engine records and goes backwards only, and no second set of rules is needed for the other way. For out = f(x), one backward pass
with a symbolic vector u gives J'u, recorded. That is linear in u, so its own derivative by u, with the tangent t as the vector, is J t:
two backward passes make a forward one.

The price: what is computed from dual tensors is recorded and kept until the level ends, and each :func:`unpack_dual` costs about as much
as two backward passes, where a true forward mode costs one extra forward pass and no memory. For one direction and many outputs it still
beats building the Jacobian; for a single number, ``backward()`` is cheaper.

References
----------
J. Townsend, "A new trick for calculating Jacobian vector products", 2017.
"""

from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.autograd.transforms import gradients
from tinygrad_edu.errors import GraphError, ShapeError, ValueRangeError, message
from tinygrad_edu.grad_mode import enable_grad
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.ops.conversion import clone
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """The two halves of a dual tensor; `tangent` is None where nothing depends on a direction."""

    primal: Tensor
    tangent: Tensor | None


class _Level:
    """The dual tensors of one level: what each was made of, and its tangent."""

    def __init__(self) -> None:
        self.duals: list[tuple[Tensor, Tensor]] = []
        self.nodes: set[Node] = set()  # of the dual tensors
        self.leaves: set[Node] = set()  # our own, under dual tensors whose primal needs no gradient

    def reached(self, tensor: Tensor) -> tuple[bool, bool]:
        """Tell whether `tensor` was computed from a dual tensor, and whether from a leaf that is somebody else's."""
        inside = outside = False
        seen: set[Node] = set()
        waiting = [tensor.node]
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            inside |= node in self.nodes
            outside |= node.is_leaf and node not in self.leaves
            waiting += node.parents
        return inside, outside


_level: _Level | None = None


def enter_dual_level() -> int:
    """Open a level; prefer :class:`dual_level`, which closes it again."""
    global _level
    if _level is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment. Fix: leave the first dual_level().")
    _level = _Level()
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: every tangent is forgotten, and the graph with it."""
    global _level
    if _level is None or level not in (None, 0):
        raise RuntimeError("Trying to exit a forward AD level that was not entered. Fix: enter_dual_level() first.")
    _level = None


class dual_level(enable_grad):
    """The block in which dual tensors live; operations are recorded in it, also inside ``no_grad()``.

    Examples
    --------
    The slope of x^2 at 3 in the direction 1:

    >>> import tinygrad_edu as tg
    >>> import tinygrad_edu.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(tg.tensor(3.0), tg.tensor(1.0))
    ...     value, slope = fwAD.unpack_dual(x * x)
    >>> value.item(), slope.item()
    (9.0, 6.0)
    """

    def __enter__(self) -> Any:
        level = enter_dual_level()
        super().__enter__()
        return level

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """Return `tensor` carrying the direction `tangent`.

    Unlike PyTorch's, the result requires grad, because its operations have to be recorded, and it is a copy: writing to it in place does
    not change `tensor`. A `tensor` that requires grad stays connected, so that tangents can be differentiated backwards.

    Parameters
    ----------
    tensor, tangent : Tensor
        Floating-point, of the same shape.

    Raises
    ------
    RuntimeError
        Outside :class:`dual_level`, for different shapes, or if `tensor` has a direction already.
    ValueError
        If one of them is not floating-point.
    """
    if _level is None:
        raise GraphError(
            message("", "make_dual", "Trying to create a dual Tensor for forward AD but no level exists.",
                    "call it inside `with dual_level():`.")
        )  # fmt: skip
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not isinstance(value, Tensor):
            raise TypeError(f"make_dual(): the {name} must be Tensor, not {type(value).__name__}")
        if value._data.dtype.kind != "f":
            raise ValueRangeError(f"make_dual: Expected {name} to be floating point, but got: {value.dtype}")
    if tensor._data.shape != tangent._data.shape:
        raise ShapeError(
            f"make_dual: Trying to set a forward gradient that has a different size than that of the original Tensor: the tensor is of "
            f"shape {tuple(tensor.shape)}, the tangent of shape {tuple(tangent.shape)}."
        )
    if tensor.node is not None and _level.reached(tensor)[0]:
        raise RuntimeError(
            "make_dual: Making a dual Tensor based on a Tensor that already has a forward gradient is not supported."
        )
    if tensor.node is None:
        tensor = wrap(tensor._data)
        tensor.node = Leaf(tensor)
        _level.leaves.add(tensor.node)
    with enable_grad():
        dual = clone(tensor)
    _level.nodes.add(dual.node)
    _level.duals.append((wrap(dual._data, dual.node), tangent))  # not `dual` itself: an in-place operation moves it on
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """Return the value and the tangent of what was computed from dual tensors.

    Where the computation also depends on tensors that require grad, both halves have a graph and can be differentiated backwards;
    otherwise both are without one. Without a level, or where no direction enters, the tangent is None.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"unpack_dual(): argument 'tensor' must be Tensor, not {type(tensor).__name__}")
    if _level is None or tensor.node is None:
        return UnpackedDualTensor(tensor, None)
    inside, outside = _level.reached(tensor)
    if not inside:
        return UnpackedDualTensor(tensor, None)
    record = outside or any(tangent.node is not None for _, tangent in _level.duals)
    return UnpackedDualTensor(tensor if outside else tensor.detach(), _slope(tensor, record))


def _slope(out: Tensor, record: bool) -> Tensor:
    """Return J t for all dual tensors together."""
    duals, tangents = zip(*_level.duals, strict=True)  # type: ignore[union-attr]
    u = wrap(np.zeros_like(np.asarray(out._data))).requires_grad_()
    with enable_grad():
        rows = gradients([out], list(duals), [u], True)
    pairs = [
        (row, t if t.dtype == row.dtype else t.to(row.dtype))
        for row, t in zip(rows, tangents, strict=True)
        if row.node is not None
    ]
    if not pairs:
        return wrap(np.zeros_like(out._data))
    live, seeds = zip(*pairs, strict=True)
    return gradients(live, [u], seeds, record)[0]
