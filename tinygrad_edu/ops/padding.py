"""Padding the edges of a tensor: with a constant, or with its own values (reflect, replicate, circular)."""

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.gathering import take_rows
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []


@primitive(method=False, names=("input",), node_name="ConstantPadNdBackward0")
def pad_constant(x, /, widths, value=0.0):
    """Add ``widths[d] = (before, after)`` positions holding `value` along each dimension; negative widths crop.

    Its adjoint is the same with the widths negated.
    """
    shape = [n + before + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    out = np.empty(shape, x.dtype) if _only_crops(widths) else np.full(shape, value, x.dtype)
    inside = tuple(slice(max(before, 0), n - max(after, 0)) for n, (before, after) in zip(shape, widths, strict=True))
    kept = tuple(slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, widths, strict=True))
    out[inside] = x[kept]
    return out


def _only_crops(widths):
    return all(before <= 0 and after <= 0 for before, after in widths)


pad_constant.derivative(x=lambda g, widths: pad_constant(g, [(-before, -after) for before, after in widths]))


@composite(method=False)
def pad(input, pad, mode="constant", value=None):
    """Pad the last dimensions: `pad` is (left, right) of the last one, then of the one before it, and so on.

    Parameters
    ----------
    pad : sequence of int
        Negative numbers crop.
    mode : {"constant", "reflect", "replicate", "circular"}
        What goes there: `value` (default 0), the mirror image without the edge, the edge, or the values from the other side.

    Raises
    ------
    RuntimeError
        For more pairs than dimensions, or an edge too wide to be filled from the tensor.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.ops.padding import pad
    >>> pad(tg.tensor([1, 2, 3]), (1, 2)).tolist()
    [0, 1, 2, 3, 0, 0]
    """
    widths = _pairs(input, pad)
    if mode == "constant":
        return pad_constant(input, widths, 0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(
            f"pad: Unrecognised padding mode {mode!r}. Fix: 'constant', 'reflect', 'replicate' or 'circular'."
        )
    if value:
        raise RuntimeError(f"pad: Padding mode {mode!r} doesn't take in value argument, got {value}.")
    for dim, (before, after) in enumerate(widths):
        if before or after:
            input = take_rows(input, wrap(_edge_index(mode, input._data.shape[dim], before, after, dim)), dim)
    return input


def _pairs(input: Tensor, pad: tuple) -> list[tuple[int, int]]:
    """Return (before, after) for each dimension from PyTorch's list, which starts at the last dimension."""
    flat, shape = [int(n) for n in pad], tuple(input._data.shape)
    if len(flat) % 2:
        raise RuntimeError(
            f"pad: Padding length must be divisible by 2, got {len(flat)} numbers {tuple(flat)}. Fix: (left, right)."
        )
    if len(flat) > 2 * len(shape):
        raise ShapeError(
            f"pad: Padding length should be less than or equal to two times the input dimension but got padding length {len(flat)} "
            f"and input of dimension {len(shape)}."
        )
    pairs = list(zip(flat[::2], flat[1::2], strict=True))[::-1]
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs
    for dim, (before, after) in enumerate(widths):
        n = shape[dim]
        if n + before + after < 0 or -before > n or -after > n:
            facts = (
                f"pad {(before, after)} of dimension {dim} leaves {n + before + after} of {n} positions, shape {shape}."
            )
            raise ShapeError(message("", "pad", facts, "crop less."))
    return widths


def _edge_index(mode: str, size: int, before: int, after: int, dim: int) -> np.ndarray:
    """Return which position of the input stands at each position of the result."""
    limit = {"reflect": size - 1, "circular": size}.get(mode)
    if limit is not None and max(before, after) > limit:
        raise ShapeError(
            message(
                "",
                "pad",
                f"Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) at dimension "
                f"{dim} of length {size}, mode {mode!r}.",
                "a narrower edge, or mode='replicate'.",
            )
        )
    index = np.arange(-before, size + after)
    if mode == "replicate":
        return index.clip(0, size - 1)
    if mode == "circular":
        return index % size
    return size - 1 - np.abs(size - 1 - np.abs(index))
