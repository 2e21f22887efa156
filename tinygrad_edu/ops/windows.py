"""What convolution and pooling share: sizes given as a number or a pair, and errors about images that name sizes and fix."""

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.graph import Node
from tinygrad_edu.ops.shape import unsqueeze
from tinygrad_edu.tensor import Tensor

__all__ = ["as_image", "as_sizes", "sizes_so_far", "too_large"]

_NAMES = {
    "convolution": "conv2d",
    "convolution_relu": "conv2d",
    "window_max": "max_pool2d",
    "window_mean": "avg_pool2d",
}  # as users call them
_AXES = {1: "L", 2: "H, W", 3: "D, H, W"}


def as_sizes(value: int | Sequence[int], count: int, op: str, argument: str, least: int = 0) -> tuple[int, ...]:
    """Return one size per spatial dimension from a number or a sequence, refusing those below `least`."""
    sizes = (value,) * count if isinstance(value, int) else tuple(value)
    if len(sizes) == 1:
        sizes *= count
    if len(sizes) != count or not all(isinstance(size, int) for size in sizes):
        error = TypeError if len(sizes) == count else ShapeError
        raise error(f"{op}(): argument '{argument}' must be an int or {count} ints, got {value!r}.")
    if min(sizes) < least:
        kind = "non-positive" if least == 1 else "negative"
        raise RuntimeError(
            f"{op}: {kind} {argument} is not supported, got {value!r}. Fix: {argument}={max(1, least)} or more."
        )
    return sizes


def as_image(input: Any, spatial: int, op: str) -> tuple[Any, bool]:
    """Return the input with a batch dimension, and whether it had one; other numbers of dimensions are refused."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{op}(): argument 'input' must be Tensor, not {type(input).__name__}. Fix: tg.tensor(...) first."
        )
    ndim = input.ndim
    if ndim == spatial + 2:
        return input, True
    if ndim == spatial + 1:
        return unsqueeze(input, 0), False
    shape, axes = tuple(input.shape), _AXES[spatial]
    fix = f"arrange it as (N, C, {axes}) or (C, {axes})."
    if ndim == spatial:
        fix = f"a channel dimension is missing, x.unsqueeze(0) makes (1, {', '.join(map(str, shape))})."
    facts = f"expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input, but got {ndim}D of shape {shape}."
    raise ShapeError(message("E113", op, facts, fix))


def too_large(input: Any, padded: Sequence[int], kernel: Sequence[int], op: str) -> ShapeError:
    """Compose E114: the kernel does not fit into the padded input; tells how the input came to be so small."""
    chain = sizes_so_far(input.node)
    story = f" Sizes so far: {chain} -> {_by(input.shape[-len(kernel) :])}." if chain else ""
    facts = (
        f"Kernel size can't be greater than actual input size: calculated padded input size per channel is "
        f"{_by(padded)} and the kernel covers {_by(kernel)}.{story}"
    )
    return ShapeError(message("E114", op, facts, "a smaller kernel, more padding, or fewer pools and strides before."))


def sizes_so_far(node: Node | None) -> str:
    """Return how the image's size went through the recorded convolutions and pools, oldest first."""
    steps = []
    while node is not None and not node.is_leaf:
        if "x_shape" in node.op.reads and node.saved is not None:
            shape = node.saved[node.op.reads.index("x_shape")]
            if len(shape) == 4:
                steps.append(f"{_by(shape[2:])} -> {_NAMES.get(node.op.name, node.op.name)}")
        node = node.parents[0] if node.parents else None
    return " -> ".join(reversed(steps))


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
