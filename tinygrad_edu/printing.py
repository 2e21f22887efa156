"""How a tensor looks when printed: its numbers as PyTorch shows them, then always its shape and element type, then its origin."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = ["describe", "set_printoptions"]


@dataclass(frozen=True)
class PrintOptions:
    """What :func:`set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_options = PrintOptions()


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Set how tensors are printed; what is left out stays as it is (`sci_mode` goes back to automatic).

    Parameters
    ----------
    precision : int
        Digits after the decimal point.
    threshold : float
        Tensors of more elements are shown by their edges.
    edgeitems : int
        How many elements an edge has.
    linewidth : int
        Characters to a line.
    profile : {"default", "short", "full"}
        A set of values to start from.
    sci_mode : bool, optional
        Always or never 1.0000e+00; by default for values of very different sizes.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.printing import set_printoptions
    >>> set_printoptions(precision=2)
    >>> tg.tensor([1 / 3])
    tensor([0.33], shape=(1,), dtype=float32)
    >>> set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: unknown profile {profile!r}. Fix: one of {', '.join(_PROFILES)}.")
    start = _options if profile is None else _PROFILES[profile]
    given: dict[str, Any] = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    _options = replace(start, **{k: v for k, v in given.items() if v is not None}, sci_mode=sci_mode)


def describe(tensor: "Tensor") -> str:
    """Return what ``repr(tensor)`` shows: values, shape, dtype, and the operation it came from or whether it requires grad."""
    array = np.asarray(tensor._data)
    values = values_text(array, indent=len("tensor("))
    facts = [f"shape={tuple(array.shape)}", f"dtype={tensor.dtype.name}"]
    if tensor.grad_fn is not None:
        facts.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        facts.append("requires_grad=True")
    ending = ", ".join(facts)
    last = values.rpartition("\n")[2]
    beside = len(last) + len(ending) + 3 + (0 if "\n" in values else len("tensor("))
    gap = ", " if beside <= _options.linewidth or "\n" not in values else ",\n" + " " * len("tensor(")
    return f"tensor({values}{gap}{ending})"


def values_text(array: np.ndarray, indent: int = 0) -> str:
    """Return the numbers in brackets, aligned, shortened by ``...`` beyond the threshold."""
    options = _options
    shown = edges(array, options.edgeitems) if array.size > options.threshold else array
    return np.array2string(
        array,
        max_line_width=options.linewidth,
        separator=", ",
        prefix=" " * indent,
        threshold=int(min(options.threshold, np.iinfo(np.int64).max))
        if options.threshold < math.inf
        else array.size + 1,
        edgeitems=options.edgeitems,
        formatter={"all": number_format(shown, options)},
    )


def edges(array: np.ndarray, count: int) -> np.ndarray:
    """Return the first and last `count` positions along every dimension: what a shortened print shows."""
    for dim, size in enumerate(array.shape):
        if size > 2 * count:
            array = np.take(array, np.r_[0:count, size - count : size], dim)
    return array


def number_format(shown: np.ndarray, options: PrintOptions) -> Callable[[Any], str]:
    """Return the function that writes one element, all to the same width."""
    write: Callable[[Any], str] = _float_format(shown, options) if shown.dtype.kind == "f" else str
    width = max((len(write(v)) for v in shown.ravel().tolist()), default=0) if shown.ndim else 0
    return lambda value: write(value.item() if isinstance(value, np.generic) else value).rjust(width)


def _float_format(shown: np.ndarray, options: PrintOptions) -> Callable[[float], str]:
    """Choose between ``2.``, ``2.5000`` and ``2.5000e+00``, for all elements alike."""
    sizes = np.abs(shown[np.isfinite(shown) & (shown != 0)].astype(np.float64))
    whole = bool((sizes == np.ceil(sizes)).all())
    scientific = False
    if sizes.size:
        small, large = sizes.min(), sizes.max()
        scientific = bool(large / small > 1000 or large > 1e8 or (small < 1e-4 and not whole))
    if options.sci_mode is not None:
        scientific = options.sci_mode
    if scientific:
        return lambda v: f"{v:.{options.precision}e}"
    if whole:
        return lambda v: f"{v:.0f}." if math.isfinite(v) else f"{v:.0f}"
    return lambda v: f"{v:.{options.precision}f}"
