"""Operations of one's own: a forward pass and its derivative, written by the user as in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.autograd.graph import Packed, packed
from tinygrad_edu.engine import add
from tinygrad_edu.errors import GraphError, ShapeError, message
from tinygrad_edu.grad_mode import mode, no_grad
from tinygrad_edu.graph import Node
from tinygrad_edu.memory import check_unchanged
from tinygrad_edu.primitive import new_node
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What forward leaves for backward.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        Per argument of ``apply``, whether its gradient is wanted.
    saved_tensors : tuple of Tensor
        What ``save_for_backward`` was given; reading an overwritten one is an error (E201).
    """

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self.dirty: tuple[Tensor, ...] = ()
        self.non_differentiable: tuple[Tensor, ...] = ()
        self._to_save: tuple = ()
        self._saved: list = []  # (array, node it came from) or an output's number
        self._node: Node | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for backward."""
        self._to_save = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Tell which inputs forward changed in place."""
        self.dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Tell which outputs have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """With False, backward gets None instead of zeros for outputs that nothing used."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple:
        restored: list[Tensor | None] = []
        for saved in self._saved:
            if saved is None:
                restored.append(None)
                continue
            array, parent, number = saved
            if isinstance(array, Packed):
                array = array.restore()
            elif self._node is not None:
                check_unchanged(array, self._node, "a saved tensor")
            if (
                number is not None and self._node is not None
            ):  # an output: its node, made again because it must not be owned here
                several = len(self._node.saved[1]) > 1  # type: ignore[index]
                parent = new_node(OUTPUT, (self._node,), (number, len(self._node.saved[1]))) if several else self._node  # type: ignore
            restored.append(wrap(array, parent))
        return tuple(restored)


class FunctionOp:
    """What a graph node of a user's Function refers to; it plays the part of a primitive for the engine."""

    reads = ()
    frees = True

    def __init__(self, function: type["Function"]):
        self.function = function
        self.name = function.__name__
        self.node_name = f"{function.__name__}Backward"

    def pull(self, node: Node, gradient: Any) -> None:
        """Run the user's backward without recording it."""
        with no_grad():
            self._hand_on(node, gradient, unwrap=True)

    def pull_tensors(self, node: Node, gradient: Any) -> None:
        """Run the user's backward and record it."""
        self._hand_on(node, gradient, unwrap=False)

    def _hand_on(self, node: Node, gradient: Any, unwrap: bool) -> None:
        ctx, outputs, wanted = node.saved  # type: ignore[misc]
        ctx._node = node
        try:
            answers = self.function.backward(ctx, *_as_tensors(gradient, outputs, ctx.materialize_grads))
        finally:
            ctx._node = None
        answers = list(answers) if isinstance(answers, tuple | list) else [answers]
        while len(answers) > len(wanted) and answers[-1] is None:
            answers.pop()
        if len(answers) != len(wanted):
            raise RuntimeError(
                f"function {self.node_name} returned an incorrect number of gradients (expected {len(wanted)}, got {len(answers)}). "
                "Fix: return one gradient, or None, per argument of forward."
            )
        parents = iter(node.parents)
        for position, (shape, answer) in enumerate(zip(wanted, answers, strict=True)):
            if shape is None:
                continue
            parent = next(parents)
            if parent is None or parent.mark is not node.mark or answer is None:
                continue
            if tuple(answer._data.shape) != shape:
                raise ShapeError(
                    f"Function {self.node_name} returned an invalid gradient at index {position} - got {list(answer.shape)} but expected "
                    f"shape compatible with {list(shape)}"
                )
            add(parent, answer._data if unwrap else answer)


def _as_tensors(gradient: Any, outputs: list, materialize: bool) -> list[Tensor | None]:
    """The gradient of every output as a Tensor; zeros for outputs that nothing used."""
    parts = gradient if isinstance(gradient, list) else [gradient]
    made: list[Tensor | None] = []
    for part, (shape, kind) in zip(parts, outputs, strict=True):
        if part is None:
            made.append(wrap(np.zeros(shape, kind)) if materialize else None)
        else:
            made.append(part if isinstance(part, Tensor) else wrap(part))
    return made


class _Output:
    """The op of a node that stands for one of several outputs: it files its gradient with the node they share."""

    name = "output"
    node_name = "SelectOutput"
    reads = ()
    frees = False

    def pull(self, node: Node, gradient: Any) -> None:
        shared, (number, count) = node.parents[0], node.saved  # type: ignore[misc]
        if shared.mark is not node.mark:
            return
        if shared.grad is None:
            shared.grad, shared.owned = [None] * count, False
        before = shared.grad[number]
        shared.grad[number] = gradient if before is None else before + gradient

    pull_tensors = pull


OUTPUT = _Output()


class Function:
    """Base class of operations with a derivative of their own.

    Subclasses define static methods ``forward(ctx, *args)`` and ``backward(ctx, *grad_outputs)``, or ``forward(*args)`` with
    ``setup_context(ctx, inputs, output)``, and are called through ``apply``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x ** 2
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad.item()
    12.0
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("You must implement the backward function for your custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        raise NotImplementedError

    vjp = backward
    _op: FunctionOp

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward without recording its inside, and record the whole as one operation."""
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.node is not None for a in args)
        separate = cls.setup_context is not Function.setup_context
        with no_grad():
            result = cls.forward(*args) if separate else cls.forward(ctx, *args)
            if separate:
                cls.setup_context(ctx, args, result)
        several = isinstance(result, tuple)
        outputs = list(result) if several else [result]
        if mode.enabled and any(ctx.needs_input_grad):
            outputs = cls._record(ctx, args, outputs)
        return tuple(outputs) if several else outputs[0]

    @classmethod
    def _record(cls, ctx: FunctionCtx, args: tuple, outputs: list) -> list:
        """Make the node, connect the outputs to it, and note what was saved."""
        refuse = [a for a in ctx.dirty if a.node is not None and a.node.is_leaf]
        if refuse:
            raise GraphError(message("E208", cls.__name__, "a leaf Variable that requires grad is being used in an in-place operation.",
                                     "work on a clone."))  # fmt: skip
        op = cls.__dict__.get("_op")
        if op is None:
            op = cls._op = FunctionOp(cls)
        wanted = [tuple(a._data.shape) if isinstance(a, Tensor) else None for a in args]
        facts = [(o._data.shape, o._data.dtype) if isinstance(o, Tensor) else ((), np.dtype("f4")) for o in outputs]
        parents = tuple(a.node for a in args if isinstance(a, Tensor))
        originals = list(outputs)
        node = new_node(op, parents, (ctx, facts, wanted))  # type: ignore[arg-type]
        silent = {id(t) for t in ctx.non_differentiable}
        for number, out in enumerate(originals):
            if not isinstance(out, Tensor) or id(out) in silent or out._data.dtype.kind != "f":
                continue
            own = node if len(outputs) == 1 else new_node(OUTPUT, (node,), (number, len(outputs)))  # type: ignore[arg-type]
            if any(out is dirty for dirty in ctx.dirty):
                out.node = own
            else:
                outputs[number] = wrap(out._data, own)
        ctx._saved = [cls._note_saved(t, args, originals, node) for t in ctx._to_save]
        ctx._to_save = ctx.dirty = ctx.non_differentiable = ()
        return outputs

    @staticmethod
    def _note_saved(tensor: Tensor | None, args: tuple, outputs: list, node: Node) -> tuple | None:
        if tensor is None:
            return None
        value = packed(tensor._data, node)
        for number, out in enumerate(outputs):
            if tensor is out and not any(tensor is a for a in args):
                return value, None, number
        return value, tensor.node, None


def once_differentiable(backward: Callable) -> Callable:
    """Declare that a Function's backward cannot itself be differentiated (it leaves the recorded operations)."""

    def wrapper(ctx: Any, *grads: Any) -> Any:
        recording = mode.enabled and any(isinstance(g, Tensor) and g.node is not None for g in grads)
        with no_grad():
            answers = backward(ctx, *(g.detach() if isinstance(g, Tensor) else g for g in grads))
        if not recording:
            return answers
        several = isinstance(answers, tuple | list)
        parents = tuple(g.node for g in grads if isinstance(g, Tensor))
        marked = [
            wrap(a._data, new_node(_REFUSE, parents, (), None)) if isinstance(a, Tensor) else a  # type: ignore[arg-type]
            for a in (answers if several else [answers])
        ]
        return tuple(marked) if several else marked[0]

    return wrapper


class _Refuse:
    """The op of a gradient that must not be differentiated again."""

    name = node_name = "once_differentiable"
    reads = ()
    frees = False

    def pull(self, node: Node, gradient: Any) -> None:
        raise GraphError("trying to differentiate twice a function that was marked with @once_differentiable")

    pull_tensors = pull


_REFUSE = _Refuse()
