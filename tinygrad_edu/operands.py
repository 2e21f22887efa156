"""Making operands fit: Python numbers, mixed dtypes, shapes that do not broadcast, and views of one memory."""

import weakref
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.registry import registry
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["as_float", "broadcast_error", "constant", "constants", "promoted", "track_view"]

constants: dict[Any, Tensor] = {}  # generated code looks here before it calls `constant`


def constant(value: Any, like: Any) -> Tensor:
    """Return a Python number as a Tensor that mixes with the array `like` as PyTorch says: weakly."""
    key = (value, value.__class__, like.__class__, like.dtype)
    found = constants.get(key)
    if found is None:
        kind = dtypes.of_number(value)
        own = dtypes.from_numpy_dtype(like.dtype)
        array = np.array(value).astype((own if own.category >= kind.category else kind).numpy)
        array.setflags(write=False)  # it is everybody's: writing to it would change the number in every program
        found = wrap(array if like.__class__ is np.ndarray else array[()])
        if len(constants) > 4096:
            constants.clear()
        if value:  # 0.0 == -0.0, so a zero must not be looked up by value
            constants[key] = found
    return found


def promoted(*tensors: Tensor) -> list[Tensor]:
    """Cast mixed operands to their common type; the casts are recorded, so gradients return in each operand's own type."""
    kind = dtypes.result_numpy_dtype(*(t._data for t in tensors))
    ours = dtypes.from_numpy_dtype(kind)
    return [t if t._data.dtype == kind else registry["cast"].function(t, ours) for t in tensors]


def as_float(tensor: Tensor) -> Tensor:
    """Return an integer or bool tensor in the default floating type; floats pass."""
    return tensor if tensor._data.dtype.kind == "f" else registry["cast"].function(tensor, dtypes.get_default_dtype())


def broadcast_error(name: str, shapes: list[tuple]) -> ShapeError:
    """Compose E104: shapes that do not broadcast, naming the axis and the two sizes."""
    width = max(len(s) for s in shapes)
    padded = [(1,) * (width - len(s)) + s for s in shapes]
    for axis in range(width - 1, -1, -1):
        sizes = sorted({s[axis] for s in padded} - {1})
        if len(sizes) > 1:
            facts = (
                f"shapes {' and '.join(map(str, shapes))} do not broadcast: at non-singleton dimension {axis} "
                f"the sizes are {' and '.join(str(s[axis]) for s in padded)}."
            )
            return ShapeError(
                message("E104", name, facts, "sizes must be equal or 1 there; see x.reshape, x.unsqueeze or x.T.")
            )
    return ShapeError(message("E104", name, f"shapes {shapes} do not fit.", "make them equal."))


def track_view(out: Tensor, source: Tensor) -> None:
    """Note that `out` shares the memory of `source`, so that in-place writes through either are seen by both."""
    mine, theirs = out._data, source._data
    base = getattr(mine, "base", None)
    if base is None or (base is not theirs and base is not getattr(theirs, "base", None)):
        return
    root = source if source._base is None else source._base
    out._base = root
    if root.node is not None and not root.node.is_leaf:
        root._views.append(weakref.ref(out))
