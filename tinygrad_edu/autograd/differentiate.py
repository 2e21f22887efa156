"""`grad` and `backward`: the chain rule for chosen outputs and inputs."""

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.engine import backpropagate
from tinygrad_edu.errors import GraphError, message
from tinygrad_edu.tensor import Tensor, backward_into, deposit, seed_of, wrap

__all__ = ["backward", "grad"]

Tensors = Tensor | Sequence[Tensor]


def _as_tuple(tensors: Tensors | None) -> tuple:
    if tensors is None or isinstance(tensors, Tensor):
        return (tensors,)
    return tuple(tensors)


def _seeds(outputs: tuple, gradients: tuple, create_graph: bool) -> list:
    if len(gradients) == 1 and gradients[0] is None:
        gradients = (None,) * len(outputs)
    if len(gradients) != len(outputs):
        raise RuntimeError(
            f"grad: got {len(outputs)} tensors and {len(gradients)} gradients. Fix: one gradient (or None) per tensor."
        )
    return [seed_of(output, gradient, create_graph) for output, gradient in zip(outputs, gradients, strict=True)]


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the sum of gradients of `outputs` with respect to each of `inputs`, leaving every ``.grad`` as it is.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        Inputs may be leaves or interior tensors.
    grad_outputs : Tensor or sequence, optional
        The vectors v of v'J, one per output; None for one-element outputs.
    retain_graph : bool, optional
        Keep the graph for another pass; defaults to `create_graph`.
    create_graph : bool
        Record the computation of the gradients, so that they can be differentiated again.
    allow_unused : bool, optional
        Return None for an input the outputs do not depend on, instead of raising; defaults to `materialize_grads`.
    is_grads_batched : bool
        Take the first dimension of `grad_outputs` as a batch of vectors, one backward pass each; the results are stacked.
    materialize_grads : bool
        Return zeros instead of None for such inputs.

    Examples
    --------
    Second derivative of x^3 at 2:

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> (slope,) = tg.autograd.grad(x ** 3, x, create_graph=True)
    >>> (curvature,) = tg.autograd.grad(slope, x)
    >>> slope.item(), curvature.item()
    (12.0, 12.0)
    """
    if is_grads_batched:
        return _row_by_row(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    outs, ins = _as_tuple(outputs), _as_tuple(inputs)
    if allow_unused is None:
        allow_unused = materialize_grads
    seeds = _seeds(outs, _as_tuple(grad_outputs), create_graph)
    for position, tensor in enumerate(ins):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"grad: inputs must be Tensors, input {position} is {type(tensor).__name__}")
        if tensor.node is None:
            raise GraphError(message("E203", "grad", f"One of the differentiated Tensors (input {position}) does not require grad.",
                                     "make it with requires_grad=True before computing the outputs."))  # fmt: skip
    found = backpropagate(
        seeds,
        {tensor.node for tensor in ins},
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
        deposit=deposit,
    )
    gradients = []
    for position, tensor in enumerate(ins):
        gradient = found.get(tensor.node)
        if gradient is None and materialize_grads:
            gradient = tensor._data * 0
        if gradient is None and not allow_unused:
            raise GraphError(
                message("", "grad", f"One of the differentiated Tensors (input {position}) appears to not have been used in the graph.",
                        "set allow_unused=True if this is the desired behavior, and expect None for it."))  # fmt: skip
        gradients.append(gradient if gradient is None or isinstance(gradient, Tensor) else wrap(gradient))
    return tuple(gradients)


def _row_by_row(
    outputs: Tensors,
    inputs: Tensors,
    vectors: Tensors | None,
    retain_graph: bool | None,
    create_graph: bool,
    *rest: Any,
) -> tuple[Tensor | None, ...]:
    """Return the gradients for every vector of a batch, stacked."""
    from tinygrad_edu.ops.joining import stack

    batch = _as_tuple(vectors)
    if any(not isinstance(v, Tensor) or not v.ndim for v in batch) or len({v.shape[0] for v in batch}) != 1:
        raise RuntimeError(
            "grad: with is_grads_batched=True every one of grad_outputs must be a Tensor whose first dimension counts the vectors."
        )
    count = batch[0].shape[0]
    keep = create_graph if retain_graph is None else retain_graph
    rows = [
        grad(outputs, inputs, [v[i] for v in batch], keep or i < count - 1, create_graph, rest[0], False, rest[1])
        for i in range(count)
    ]
    return tuple(None if column[0] is None else stack(column) for column in zip(*rows, strict=True))


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Accumulate the sum of gradients of `tensors` into the leaves; see :meth:`Tensor.backward`."""
    seeds = _seeds(_as_tuple(tensors), _as_tuple(grad_tensors), create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        backpropagate(seeds, None, keep, create_graph, deposit)
    else:
        backward_into(seeds, inputs, keep, create_graph)
