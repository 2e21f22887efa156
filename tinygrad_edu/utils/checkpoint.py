"""Less memory for more computation: intermediate values are thrown away, and computed again when the backward pass needs them.

The forward pass is recorded as always; then the nodes of the stretch forget the values that they saved. The first of them that is asked
for its values runs the stretch again and hands every node its own. Which nodes depend on which is never lost, so gradients reach
parameters, inputs, and derivatives of derivatives as if nothing had happened.

References
----------
.. [1] T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from tinygrad_edu.autograd.trees import flatten, map_leaves
from tinygrad_edu.grad_mode import enable_grad, is_grad_enabled
from tinygrad_edu.graph import Node, tick
from tinygrad_edu.memory import check_unchanged
from tinygrad_edu.primitive import Primitive
from tinygrad_edu.random import fork_rng, get_rng_state, set_rng_state
from tinygrad_edu.tensor import Tensor

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]

_slot: Any = Node.saved  # type: ignore[misc]  # the place in a node where its values are


class CheckpointError(RuntimeError):
    """The second run of a function did something else than the first."""


class ForgetfulNode(Node):
    """A node whose values are computed again when they are read; a stretch stands in their place until then."""

    __slots__ = ()
    forgetful = True

    @property
    def saved(self) -> tuple | None:  # type: ignore[override]
        _slot.__get__(self).recompute()
        return _slot.__get__(self)

    @saved.setter
    def saved(self, values: tuple | None) -> None:
        self.__class__ = Node  # type: ignore[assignment]
        _slot.__set__(self, values)


class Stretch:
    """A piece of the forward pass that can be run again."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict, context: Any, keep_random_state: bool):
        self.function, self.args, self.kwargs, self.context = function, args, kwargs, context
        self.random_state = get_rng_state() if keep_random_state else None
        self.nodes: list[Node] = []

    def forget(self, output: Any, start: int) -> None:
        """Let every node recorded since `start` on the way to the output forget its values."""
        self.nodes = recorded_since(start, output)
        # The inputs of the second run are leaves of its own: what it records ends there, and is not part of the graph.
        self.args, self.kwargs = map_leaves(_cut_off, (self.args, self.kwargs))
        for node in self.nodes:
            if node.saved:
                node.__class__ = ForgetfulNode
                _slot.__set__(node, self)

    def recompute(self) -> None:
        """Run the function again and give every node that still waits its values."""
        for leaf in flatten((self.args, self.kwargs))[0]:
            if isinstance(leaf, Tensor):
                check_unchanged(leaf._data, self.nodes[0], "an argument of checkpoint()")
        with fork_rng(enabled=self.random_state is not None), enable_grad(), self.context:
            if self.random_state is not None:
                set_rng_state(self.random_state)
            start = tick()
            again = recorded_since(start, self.function(*self.args, **self.kwargs))
        if [_kind(node) for node in again] != [_kind(node) for node in self.nodes]:
            raise CheckpointError(
                "checkpoint: the function recorded other operations when it was run again for the backward pass "
                f"({len(self.nodes)} the first time, {len(again)} now). Fix: it must do the same in every call."
            )
        for node, twin in zip(self.nodes, again, strict=True):
            if node.forgetful:
                node.saved = twin.saved


def _kind(node: Node) -> tuple:
    return node.op.name, node.shapes


def _cut_off(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.detach().requires_grad_() if leaf.requires_grad else leaf


def recorded_since(start: int, output: Any) -> list[Node]:
    """Return the nodes of ops on the way to `output` that are younger than `start`, oldest first."""
    waiting = [t.node for t in flatten(output)[0] if isinstance(t, Tensor) and t.node is not None]
    found: dict[Node, None] = {}
    while waiting:
        node = waiting.pop()
        if node.number > start and node not in found:
            found[node] = None
            waiting += [parent for parent in node.parents if parent is not None]
    return sorted((n for n in found if isinstance(n.op, Primitive)), key=lambda n: n.number)


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Return ``function(*args, **kwargs)`` and keep of its inside only what is needed to run it again in the backward pass.

    Parameters
    ----------
    function : callable
        Must do the same when it is run a second time; random draws are repeated, as long as `preserve_rng_state` is True.
    context_fn : callable, optional
        Returns two context managers: for the first run, and for the second.
    use_reentrant, determinism_check, debug, early_stop
        Accepted as in PyTorch. There is one implementation, which behaves as ``use_reentrant=False``: gradients also reach
        parameters when no input requires one. That both runs record the same operations is always checked.

    Raises
    ------
    CheckpointError
        A RuntimeError, if the second run differs from the first.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.checkpoint import checkpoint
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x * x).exp(), x).sum().backward()
    >>> bool(tg.allclose(x.grad, 2 * x * (x * x).exp()))
    True
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check must be 'default' or 'none', got {determinism_check!r}")
    first, second = context_fn() if context_fn is not None else (nullcontext(), nullcontext())
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    stretch = Stretch(function, args, kwargs, second, preserve_rng_state)
    start = tick()
    with first:
        output = function(*args, **kwargs)
    stretch.forget(output, start)
    return output


def checkpoint_sequential(
    functions: Iterable[Callable],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Run a Sequential, or a list of modules, in `segments` stretches; all but the last are checkpointed.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.checkpoint import checkpoint_sequential
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Tanh(), tg.nn.Linear(3, 1))
    >>> x = tg.ones(4, 2)
    >>> bool((checkpoint_sequential(model, 2, x) == model(x)).all())
    True
    """
    steps = list(functions)
    if not 1 <= segments <= max(len(steps), 1):
        raise ValueError(
            f"checkpoint_sequential: segments must be between 1 and {len(steps)}, the number of modules, got {segments}"
        )

    def stretch(start: int, stop: int) -> Callable:
        def run(value: Any) -> Any:
            for step in steps[start:stop]:
                value = step(value)
            return value

        return run

    size = len(steps) // segments
    for number in range(segments - 1):
        input = checkpoint(stretch(number * size, (number + 1) * size), input, preserve_rng_state=preserve_rng_state)
    return stretch((segments - 1) * size, len(steps))(input)
