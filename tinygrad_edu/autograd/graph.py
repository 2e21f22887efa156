"""What is kept for the backward pass, passed through functions of one's own: compressed, written to a file, counted, or only looked at.

>>> import tinygrad_edu as tg
>>> from tinygrad_edu.autograd.graph import saved_tensors_hooks
>>> kept = []
>>> x = tg.tensor([1.0, 2.0], requires_grad=True)
>>> with saved_tensors_hooks(lambda t: kept.append(tuple(t.shape)) or t, lambda t: t):
...     y = (x * x).exp()
>>> kept                                              # x twice, for the product, and the result of exp
[(2,), (2,), (2,)]

Nothing is added to the recording of operations: while a pair of functions is set, an observer (see :mod:`tinygrad_edu.registry`) replaces
what each new node has saved by the packed values.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.graph import Node
from tinygrad_edu.memory import check_unchanged, latest_write, version
from tinygrad_edu.primitive import observers
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Node", "disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks"]


class _State(threading.local):
    """The pairs of this thread, and why there may be none."""

    def __init__(self) -> None:
        self.pairs: list[saved_tensors_hooks] = []
        self.disabled: list[str] = []


_state = _State()


class PackedNode(Node):
    """A node whose values were packed; the engine does not look at them before the rules do."""

    __slots__ = ()
    forgetful = True


class Packed:
    """One value in its packed form, and how to get it back. (It does not hold the node: that would be a circle.)"""

    __slots__ = ("form", "given", "number", "op", "unpack")

    def __init__(self, value: Any, node: Node, hooks: "saved_tensors_hooks"):
        self.op, self.number, self.unpack = node.op, node.number, hooks.unpack_hook
        given = wrap(value)
        before = latest_write(), version(value) if isinstance(value, np.ndarray) else 0
        with no_grad():
            self.form = hooks.pack_hook(given)
        if latest_write() > before[0] and isinstance(value, np.ndarray) and version(value) > before[1]:
            raise RuntimeError(
                f"A saved tensor pack hook is modifying its input in place, a value that the backward of {node.op.name} reads. "
                "Fix: work on tensor.clone()."
            )
        self.given = value.shape, value.dtype

    def restore(self) -> Any:
        """Return the array; a tensor that was only looked at is still checked for in-place changes."""
        if isinstance(self.form, Tensor):
            check_unchanged(self.form._data, self, "a saved tensor")  # type: ignore[arg-type]  # op and number are all it reads
        with no_grad():
            value = self.unpack(self.form)
        if not isinstance(value, Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(value).__name__}"
            )
        shape, kind = self.given
        if value._data.shape != shape:
            raise ShapeError(
                f"saved_tensors_hooks: unpack_hook returned shape {tuple(value._data.shape)} for a tensor of shape {tuple(shape)} that "
                f"the backward of {self.op.name} reads. Fix: return what pack_hook was given."
            )
        return value._data if value._data.dtype == kind else value._data.astype(kind)


class PackedValues:
    """Stands for the tuple of saved values; going through it unpacks them, so each pass over the node calls the hooks once."""

    __slots__ = ("values",)

    def __init__(self, values: tuple):
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator:
        return map(_restored, self.values)

    def __getitem__(self, position: int) -> Any:
        return _restored(self.values[position])


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(v) for v in value]
    return value.restore() if isinstance(value, Packed) else value


class saved_tensors_hooks:
    """Pass every tensor that an operation in the block saves for backward through `pack_hook`, and `unpack_hook` when it is needed.

    Parameters
    ----------
    pack_hook : callable
        Gets a Tensor outside the graph, returns anything. It must not change the tensor in place.
    unpack_hook : callable
        Gets what `pack_hook` returned, returns a Tensor of the same shape and values. It runs in every backward pass over the operation.

    Notes
    -----
    Only the innermost pair counts, as in PyTorch, and only in its own thread. Tensors that operations save for their own use, such as
    indices and masks, are not passed through; those that a Function gave to ``save_for_backward`` are.

    Examples
    --------
    Half the memory at the price of precision:

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda h: h.float()):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad.tolist()
    [2.0, 4.0]
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if _state.disabled:
            raise RuntimeError(_state.disabled[-1])
        _state.pairs.append(self)
        observers.append(_pack_what_was_saved)

    def __exit__(self, *exc: object) -> None:
        _state.pairs.pop()
        observers.remove(_pack_what_was_saved)


def packed(value: Any, node: Node) -> Any:
    """Return `value` packed by the innermost pair of this thread, or as it is if there is none."""
    return value if value is None or not _state.pairs else Packed(value, node, _state.pairs[-1])


def _pack_what_was_saved(name: str, arguments: tuple, parameters: dict, out: Any) -> None:
    """Replace what a new node saved; called after every operation, once per pair that is set in any thread."""
    node = out.node if isinstance(out, Tensor) else None
    if not _state.pairs or node.__class__ is not Node or not node.op.frees or isinstance(node.saved, PackedValues):
        return
    values = []
    for what, value in zip(node.op.reads, node.saved or (), strict=True):
        if what == "tensors":
            value = [packed(v, node) for v in value]
        elif what in node.op.arguments or what == "out":
            value = packed(value, node)
        values.append(value)
    node.saved = PackedValues(tuple(values))  # type: ignore[assignment]
    node.__class__ = PackedNode


class save_on_cpu(saved_tensors_hooks):
    """Keep what is saved in the computer's main memory, where everything is already: it changes nothing, programs that use it run.

    Parameters
    ----------
    pin_memory, device_type
        Accepted as in PyTorch; there is no other device to copy from.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda tensor: (tensor.device, tensor.cpu()), lambda kept: kept[1].to(kept[0]))


class disable_saved_tensors_hooks:
    """Refuse :class:`saved_tensors_hooks` in the block, with this error message."""

    def __init__(self, error_message: str):
        self.error_message = error_message

    def __enter__(self) -> None:
        _state.disabled.append(self.error_message)

    def __exit__(self, *exc: object) -> None:
        _state.disabled.pop()
