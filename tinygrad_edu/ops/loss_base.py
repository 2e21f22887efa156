"""What all losses share: reductions, refusing what is not a Tensor, and the warning about shapes that broadcast."""

import numpy as np

from tinygrad_edu.errors import ValueRangeError, teach
from tinygrad_edu.ops.reduction import mean_along, sum_along
from tinygrad_edu.tensor import Tensor

__all__ = [
    "expect_tensors",
    "fits_fused",
    "reduced",
    "reduction_of",
    "same_shape_fix",
    "warn_if_sizes_differ",
    "weighted",
]


def reduced(losses: Tensor, reduction: str, op: str) -> Tensor:
    """Return the mean or the sum of the losses, or the losses themselves."""
    if reduction == "mean":
        return mean_along(losses, None, False)
    if reduction == "sum":
        return sum_along(losses, None, False)
    if reduction == "none":
        return losses
    raise ValueRangeError(f"{op}: {reduction!r} is not a valid value for reduction. Fix: 'none', 'mean' or 'sum'.")


def reduction_of(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """Translate PyTorch's old pair of flags, which win over `reduction` where given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def expect_tensors(op: str, **tensors) -> None:
    """Refuse what is not a Tensor, by name."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{op}(): argument '{name}' must be Tensor, not {type(tensor).__name__}. Fix: tg.tensor(...) first."
            )


def warn_if_sizes_differ(op: str, input: Tensor, target: Tensor) -> None:
    """Warn (E103) where broadcasting turns N predictions and N targets into N x N differences."""
    x, y = input._data.shape, target._data.shape
    if x == y:
        return
    try:
        result = np.broadcast_shapes(x, y)
    except ValueError:
        return  # the subtraction itself says what is wrong
    facts = (
        f"using a target of shape {y} that is different to the input of shape {x}: they broadcast to {result}, "
        f"{int(np.prod(result))} differences for {max(input._data.size, target._data.size)} values."
    )
    teach("E103", op, facts, same_shape_fix(x, y))


def same_shape_fix(x: tuple[int, ...], y: tuple[int, ...]) -> str:
    if len(x) == len(y) + 1 and x[-1] == 1:
        return f"pred.squeeze({len(x) - 1}) makes the prediction {x[:-1]}, or target.unsqueeze({len(y)}) the target {(*y, 1)}."
    if len(y) == len(x) + 1 and y[-1] == 1:
        return f"target.squeeze({len(y) - 1}) makes the target {y[:-1]}."
    return "give both the same shape."


def fits_fused(input: Tensor, target: Tensor, reduction: str) -> bool:
    """Tell whether a mean over two float arrays of one shape and type is asked for."""
    x, y = input._data, target._data
    return reduction == "mean" and x.shape == y.shape and x.dtype == y.dtype and x.dtype.kind == "f" and x.ndim > 0


def weighted(losses: Tensor, weight: Tensor | None, reduction: str, op: str) -> Tensor:
    if weight is None:
        return reduced(losses, reduction, op)
    if weight.shape != losses.shape:
        raise ValueRangeError(f"{op}: weights and input must have the same size, got {tuple(weight.shape)}.")
    if reduction == "mean":
        return sum_along(losses * weight, None, False) / sum_along(weight, None, False)
    return reduced(losses * weight, reduction, op)
