"""Random draws with PyTorch's numbers: recipes that turn the generator's words into values.

``manual_seed(0)`` and then ``rand``, ``randint``, ``randperm``, ``bernoulli`` or a shuffled data loader gives PyTorch's
CPU numbers exactly, and ``randn`` gives them to the last digit or two. A lesson's printed outputs, initial weights and
batch orders are therefore the same in both libraries. The draws return plain arrays; the creation operations wrap them.

PyTorch on an Intel processor hands ``bernoulli_(p)`` with a number `p` (and so dropout) and ``exponential_`` to Intel's
own generator. Here, as in PyTorch on every other processor, they come from the one stream.

References
----------
.. [1] G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", Annals of Mathematical
   Statistics 29(2), 1958.
.. [2] R. Durstenfeld, "Algorithm 235: random permutation", Communications of the ACM 7(7), 1964.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_edu import kernels
from tinygrad_edu.generator import Generator
from tinygrad_edu.recorders import again, drawn

if TYPE_CHECKING:
    from tinygrad_edu.tensor import Tensor

__all__ = [
    "Generator", "default_generator", "drawing_from", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state",
]  # fmt: skip

default_generator = Generator()
default_generator.seed()


class _OfThisThread(threading.local):
    generator: Generator | None = None


_of_this_thread = _OfThisThread()


@contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """Let this thread's draws come from `generator` instead of the default one.

    A data loader's workers need it: what each drew from a shared generator would depend on who came first.
    """
    before, _of_this_thread.generator = _of_this_thread.generator, generator
    try:
        yield
    finally:
        _of_this_thread.generator = before


def _or_default(generator: Generator | None) -> Generator:
    return generator or _of_this_thread.generator or default_generator


@again
def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which every draw without a ``generator=`` uses, and return it."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """Return the seed that the default generator started from."""
    return default_generator.initial_seed()


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default_generator.seed()


def get_rng_state() -> "Tensor":
    """Return the default generator's state, a Tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: "Tensor") -> None:
    """Let the default generator go on from a state that `get_rng_state` returned."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: object = None, enabled: bool = True) -> Iterator[None]:
    """Draw inside the ``with`` block as if it had not happened for the draws after it. There are no devices to name."""
    state = default_generator.state_array()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(state)


Shape = tuple[int, ...]


@drawn
def uniform(
    shape: Shape, dtype: DTypeLike = np.float32, low: float = 0.0, high: float = 1.0, generator: Generator | None = None
) -> np.ndarray:
    """Draw from the uniform distribution on [low, high): ``low + (high - low) u``.

    Raises
    ------
    RuntimeError
        If `low` is above `high`, or `dtype` is not floating-point.
    """
    kind = _float_kind("uniform_", dtype)
    if not low <= high:
        raise RuntimeError(
            f"uniform_: expects a range [from, to), got from={low} > to={high}. Fix: uniform_({high}, {low})."
        )
    generator = _or_default(generator)
    with generator.lock:
        units = generator.units(math.prod(shape), kind)
    if (low, high) != (0.0, 1.0):
        start, stop = kind.type(low), kind.type(high)
        units = _multiply_add(units, stop - start, start)
    return units.reshape(shape).astype(dtype, copy=False)


@drawn
def normal(
    shape: Shape, dtype: DTypeLike = np.float32, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> np.ndarray:
    """Draw from the normal distribution by Box and Muller's transform [1]_.

    Two uniforms give two normals: with ``r = sqrt(-2 log u1)``, ``r cos(2 pi u2)`` and ``r sin(2 pi u2)``. From 16
    values on the whole array is made in blocks; below that pair by pair in float64, and an odd one waits its turn.

    Raises
    ------
    RuntimeError
        If `std` is negative, or `dtype` is not floating-point.
    """
    kind = _float_kind("normal_", dtype)
    if not std >= 0.0:
        raise RuntimeError(f"normal_: expects std >= 0.0, got std={std}. Fix: a standard deviation, e.g. std=1.0.")
    generator = _or_default(generator)
    n = math.prod(shape)
    with generator.lock:
        values = _normal_blocks(generator, n, kind) if n >= _BLOCK else _normal_pairs(generator, n)
    if (mean, std) != (0.0, 1.0):
        values = _multiply_add(values, values.dtype.type(std), values.dtype.type(mean))
    return values.reshape(shape).astype(dtype, copy=False)


@drawn
def integers(
    low: int, high: int, shape: Shape, dtype: DTypeLike = np.int64, generator: Generator | None = None
) -> np.ndarray:
    """Draw integers from low to high - 1: ``low + word % (high - low)``.

    Words have 64 bits for ranges from 2**28 on, where the remainder of 32 bits would visibly favour small values.

    Raises
    ------
    RuntimeError
        If the range is empty, or does not fit the integer type `dtype`.
    """
    kind = np.dtype(dtype)
    if low >= high:
        raise RuntimeError(
            f"randint: expects low < high, got low={low} and high={high}. Fix: randint({high}, {low + 1}, ...)."
        )
    _check_integer_bounds(low, high, kind)
    generator = _or_default(generator)
    span, n = high - low, math.prod(shape)
    with generator.lock:
        words = generator.words64(n) if span >= 2**28 else generator.words32(n)
    if span < 2**64:
        words %= np.uint64(span)
    words += np.uint64(low % 2**64)  # unsigned sums wrap round, so this is right for a negative `low` too
    return words.view(np.int64).reshape(shape).astype(kind, copy=False)


@drawn
def permutation(n: int, generator: Generator | None = None) -> np.ndarray:
    """Draw an ordering of 0 .. n - 1 (int64): item i changes places with a random one at or after it [2]_.

    Raises
    ------
    RuntimeError
        If `n` is negative.
    """
    if n < 0:
        raise RuntimeError(f"randperm: n must not be negative, got {n}. Fix: randperm(len(data)).")
    generator = _or_default(generator)
    with generator.lock:
        words = generator.words32(max(n - 1, 0))
    steps = words % np.arange(n, 1, -1, dtype=np.uint64)
    order = list(range(n))  # each swap depends on those before it, and a list swaps faster than an array
    for i, step in enumerate(steps.tolist()):
        order[i], order[i + step] = order[i + step], order[i]
    return np.array(order, np.int64)


@drawn
def bernoulli(
    p: float | np.ndarray, shape: Shape | None = None, dtype: DTypeLike = np.float32, generator: Generator | None = None,
    value: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Draw ones with probability `p` and zeros otherwise: ``u < p``.

    Parameters
    ----------
    p : float or floating-point ndarray
        One probability for all, or one for each element (then broadcast to `shape`, by default its own shape).
    value : float
        Draw this instead of one.

    Raises
    ------
    RuntimeError
        If a probability lies outside [0, 1].
    """
    p = p if isinstance(p, np.ndarray) else np.float64(p)
    _float_kind("bernoulli", p.dtype)
    if not ((p >= 0) & (p <= 1)).all():
        wrong = np.ravel(p)[~np.ravel((p >= 0) & (p <= 1))][0]
        raise RuntimeError(
            f"bernoulli: expects probabilities in [0, 1], got {wrong}. Fix: pass probabilities, e.g. x.sigmoid()."
        )
    generator = _or_default(generator)
    shape = p.shape if shape is None else shape
    dtype = np.dtype(dtype)
    if isinstance(p, float):
        out = kernels.empty(shape, dtype)
        with generator.lock:
            generator.choose(out, p, value)
        return out
    with generator.lock:
        units = generator.units(math.prod(shape), np.dtype(np.float64 if p.dtype == np.float64 else np.float32))
    return (units.reshape(shape) < p) * np.asarray(value, dtype)[()]


@drawn
def exponential(
    shape: Shape, dtype: DTypeLike = np.float32, rate: float = 1.0, generator: Generator | None = None
) -> np.ndarray:
    """Draw from the exponential distribution: ``-log(1 - u) / rate``, computed in float64.

    Raises
    ------
    RuntimeError
        If `rate` is not positive, or `dtype` is not floating-point.
    """
    _float_kind("exponential_", dtype)
    if not rate > 0.0:
        raise RuntimeError(f"exponential_: expects lambda > 0.0, got {rate}. Fix: exponential_(1.0).")
    generator = _or_default(generator)
    with generator.lock:
        units = generator.units(math.prod(shape), np.dtype(np.float64))
    return (-1.0 / rate * np.log1p(-units)).reshape(shape).astype(dtype, copy=False)


@drawn
def multinomial(
    weights: np.ndarray, num_samples: int, replacement: bool = False, generator: Generator | None = None
) -> np.ndarray:
    """Draw positions with chances proportional to their weights, for each row of `weights`.

    With replacement: the place of a uniform number among the cumulative sums. Without, and for a single sample: the
    positions of the largest ``weight / e`` with `e` exponential, which has the right distribution and needs no loop.

    Parameters
    ----------
    weights : ndarray, shape (C,) or (N, C), floating-point
        Non-negative, each row with a positive sum; rows need not sum to one.

    Returns
    -------
    ndarray of int64, shape (num_samples,) or (N, num_samples)

    Raises
    ------
    RuntimeError
        For other weights, or more samples than positions without replacement.
    """
    _check_multinomial(weights, num_samples, replacement)
    rows = weights if weights.ndim == 2 else weights[None]
    if replacement and num_samples > 1:
        chosen = _with_replacement(rows, num_samples, _or_default(generator))
    else:
        # A weight of zero over a draw of zero is no number; that draw has probability 2**-53.
        scores = rows / exponential(rows.shape, weights.dtype, 1.0, generator)
        chosen = np.argsort(-scores, axis=-1, kind="stable")[:, :num_samples]
    return chosen if weights.ndim == 2 else chosen[0]


_BLOCK = 16  # normals are filled in blocks of this many: the first half cosines, the second half sines


def _normal_blocks(generator: Generator, n: int, kind: np.dtype) -> np.ndarray:
    """Return `n` >= 16 standard normals; unless 16 divides `n`, the last 16 are drawn again as a block of their own."""
    tail = _BLOCK if n % _BLOCK else 0
    units = generator.units(n + tail, kind)
    whole = n - n % _BLOCK
    values = np.empty(n, kind)
    values[:whole] = _box_muller(units[:whole])
    if tail:
        values[n - _BLOCK :] = _box_muller(units[n:])
    return values


def _box_muller(units: np.ndarray) -> np.ndarray:
    first, second = units.reshape(-1, 2, _BLOCK // 2).transpose(1, 0, 2)
    number = units.dtype.type
    radius = np.sqrt(number(-2) * np.log(number(1) - first))
    angle = number(2 * math.pi) * second
    values = np.empty((len(radius), 2, _BLOCK // 2), units.dtype)
    np.multiply(radius, np.cos(angle), out=values[:, 0])
    np.multiply(radius, np.sin(angle), out=values[:, 1])
    return values.ravel()


def _normal_pairs(generator: Generator, n: int) -> np.ndarray:
    """Return `n` standard normals (float64) made two by two, starting with the one left over from the last draw."""
    values: list[float] = []
    while len(values) < n:
        if generator.spare_normal is None:
            first, second = generator.units(2, np.dtype(np.float64)).tolist()
            radius, angle = math.sqrt(-2.0 * math.log1p(-second)), 2.0 * math.pi * first
            values.append(radius * math.cos(angle))
            generator.spare_normal = radius * math.sin(angle)
        else:
            values.append(generator.spare_normal)
            generator.spare_normal = None
    return np.array(values, np.float64)


def _multiply_add(x: np.ndarray, scale: np.floating, offset: np.floating) -> np.ndarray:
    """Return ``x * scale + offset`` rounded once, as the fused instruction does that PyTorch's compiled loops use."""
    if x.dtype == np.float32:
        return (x.astype(np.float64) * scale + offset).astype(
            np.float32
        )  # the product of two float32 is exact in float64
    product = x * scale
    total = product + offset
    # Dekker's and Knuth's sums of what the product and the sum have rounded off.
    x_high, s_high = _upper_half(x), _upper_half(scale)
    x_low, s_low = x - x_high, scale - s_high
    product_error = x_low * s_low - (((product - x_high * s_high) - x_low * s_high) - x_high * s_low)
    shift = total - product
    sum_error = (product - (total - shift)) + (offset - shift)
    return total + (product_error + sum_error)


def _upper_half(x: Any) -> Any:
    scaled = x * (2.0**27 + 1.0)
    return scaled - (scaled - x)


def _with_replacement(rows: np.ndarray, n: int, generator: Generator) -> np.ndarray:
    sums = np.cumsum(rows, axis=-1, dtype=rows.dtype)
    sums = sums / sums[:, -1:]
    sums[:, -1] = 1
    with generator.lock:
        units = generator.units(len(rows) * n, np.dtype(np.float64)).reshape(len(rows), n)
    return np.stack([np.searchsorted(s, u) for s, u in zip(sums.astype(np.float64), units, strict=True)]).astype(
        np.int64
    )


def _float_kind(name: str, dtype: DTypeLike) -> np.dtype:
    """Return the type to compute in: float64 for itself, float32 for float32 and float16."""
    kind = np.dtype(dtype)
    if kind.kind != "f":
        raise NotImplementedError(f"{name}: expects a floating-point dtype, got {kind}. Fix: dtype=tg.float32.")
    return kind if kind == np.float64 else np.dtype(np.float32)


def _check_integer_bounds(low: int, high: int, kind: np.dtype) -> None:
    if kind.kind == "f":
        return
    least, most = (0, 1) if kind == np.bool_ else (np.iinfo(kind).min, np.iinfo(kind).max)
    if low < least or high - 1 > most:
        raise RuntimeError(
            f"randint: {low} .. {high - 1} does not fit {kind}, which holds {least} .. {most}. "
            "Fix: a wider dtype, e.g. tg.int64."
        )


def _check_multinomial(weights: np.ndarray, n: int, replacement: bool) -> None:
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: expects weights of shape (C,) or (N, C), got {weights.shape}.")
    _float_kind("multinomial", weights.dtype)
    if n <= 0:
        raise RuntimeError(f"multinomial: num_samples must be positive, got {n}. Fix: num_samples=1.")
    if not replacement and n > weights.shape[-1]:
        raise RuntimeError(
            f"multinomial: cannot take {n} of {weights.shape[-1]} positions without replacement. Fix: replacement=True."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise RuntimeError(
            "multinomial: weights hold inf, nan or a negative number. Fix: probabilities, e.g. logits.softmax(-1)."
        )
    if not (weights.sum(-1) > 0).all():
        raise RuntimeError("multinomial: a row of weights sums to zero. Fix: give some position a positive weight.")
