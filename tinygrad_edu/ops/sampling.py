"""Random tensors, drawn as PyTorch draws them: new ones (rand, randn, ...) and fillings in place (normal_, uniform_, ...)."""

import math
from typing import Any

import numpy as np

from tinygrad_edu import random as draw
from tinygrad_edu.dtypes import as_dtype, get_default_dtype
from tinygrad_edu.generator import Generator
from tinygrad_edu.ops.comparison import need_floats
from tinygrad_edu.ops.creation import checked_sizes, finish
from tinygrad_edu.ops.expanding import broadcast_shapes
from tinygrad_edu.ops.overwriting import write
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
]  # fmt: skip


def _kind(dtype: Any) -> np.dtype:
    return (get_default_dtype() if dtype is None else as_dtype(dtype)).numpy


# ---- new tensors ------------------------------------------------------------------------------------------------------------
def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Draw from the uniform distribution on [0, 1).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.rand(3).tolist()                                     # PyTorch's numbers
    [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]
    """
    return finish(
        draw.uniform(checked_sizes("rand", sizes, size), _kind(dtype), generator=generator),
        None,
        device,
        requires_grad,
        out,
    )


def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Draw from the normal distribution with mean 0 and standard deviation 1."""
    return finish(
        draw.normal(checked_sizes("randn", sizes, size), _kind(dtype), generator=generator),
        None,
        device,
        requires_grad,
        out,
    )


def randint(
    *bounds_and_size: Any, generator: Generator | None = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, low: int = 0, high: int | None = None, size: Any = None,
) -> Tensor:  # fmt: skip
    """Draw integers from low to high - 1: ``randint(high, size)`` or ``randint(low, high, size)``; int64 unless `dtype` is given."""
    given = list(bounds_and_size)
    if size is None:
        size = given.pop() if given else None
    if given:
        high = given.pop() if high is None else high
    if given:
        low = given.pop()
    if given or high is None or not isinstance(size, tuple | list):
        raise TypeError(f"randint(): received {bounds_and_size}. Fix: randint(10, (2, 3)) or randint(0, 10, (2, 3)).")
    array = draw.integers(
        int(low),
        int(high),
        checked_sizes("randint", tuple(size)),
        np.int64 if dtype is None else _kind(dtype),
        generator,
    )
    return finish(array, None, device, requires_grad, out)


def randperm(
    n: int, *, generator: Generator | None = None, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Draw an ordering of 0 .. n - 1."""
    return finish(draw.permutation(n, generator), dtype, device, requires_grad, out)


def rand_like(input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
              memory_format: Any = None, generator: Generator | None = None) -> Tensor:  # fmt: skip
    """Draw from the uniform distribution on [0, 1) in the shape and type of `input`."""
    return rand(
        *input._data.shape or ((),),
        generator=generator,
        dtype=dtype or input.dtype,
        device=device,
        requires_grad=requires_grad,
    )


def randn_like(input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
               memory_format: Any = None, generator: Generator | None = None) -> Tensor:  # fmt: skip
    """Draw from the standard normal distribution in the shape and type of `input`."""
    return randn(
        *input._data.shape or ((),),
        generator=generator,
        dtype=dtype or input.dtype,
        device=device,
        requires_grad=requires_grad,
    )


def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, layout: Any = None, device: Any = None,
                 requires_grad: bool = False, memory_format: Any = None, generator: Generator | None = None) -> Tensor:  # fmt: skip
    """Draw integers from low to high - 1 in the shape and type of `input`; with one bound it is `high`."""
    low, high = (0, low) if high is None else (low, high)
    return randint(
        low,
        high,
        tuple(input._data.shape),
        generator=generator,
        dtype=dtype or input.dtype,
        device=device,
        requires_grad=requires_grad,
    )


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, out: Any = None, dtype: Any = None,
           device: Any = None, requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Draw from normal distributions with the given means and standard deviations: numbers with `size`, or tensors.

    Raises
    ------
    RuntimeError
        If a standard deviation is negative.
    """
    if size is not None:
        shape = checked_sizes("normal", tuple(size) if isinstance(size, tuple | list) else (size,))
        return finish(draw.normal(shape, _kind(dtype), mean, std, generator), None, device, requires_grad, out)
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    if not tensors:
        raise TypeError("normal(): numbers for mean and std need a size. Fix: normal(0.0, 1.0, (2, 3)).")
    shape = tuple(broadcast_shapes(*(v._data.shape for v in tensors)))
    kind = tensors[0]._data.dtype
    mean_data, std_data = (v._data if isinstance(v, Tensor) else kind.type(v) for v in (mean, std))
    if np.any(std_data < 0):
        raise RuntimeError("normal: expects all elements of std >= 0.0. Fix: std.abs().")
    return finish(
        draw.normal(shape, kind, generator=generator) * std_data + mean_data, None, device, requires_grad, out
    )


@composite
def bernoulli(input, p=None, *, generator=None, out=None):
    """Draw ones with the probabilities in `input` (or with probability `p` everywhere) and zeros otherwise; not differentiable."""
    data = input._data
    chances = np.asarray(data) if p is None else float(p)
    return finish(draw.bernoulli(chances, tuple(data.shape), data.dtype, generator), out=out)


@composite
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Draw positions (int64) with chances proportional to the weights in each row: (C,) gives (n,), (N, C) gives (N, n)."""
    return finish(draw.multinomial(np.asarray(input._data), num_samples, replacement, generator), out=out)


@composite(method=False)
def poisson(input, generator=None):
    """Draw counts from Poisson distributions with the rates in `input`; not differentiable.

    Rates below 10 multiply uniforms until the product falls below exp(-rate) [1]_; larger ones use transformed rejection [2]_.

    References
    ----------
    .. [1] D. E. Knuth, "The Art of Computer Programming", volume 2, section 3.4.1.
    .. [2] W. Hormann, "The transformed rejection method for generating Poisson random variables", Insurance: Mathematics
       and Economics 12(1), 1993.
    """
    rates = np.asarray(input._data)
    need_floats("poisson", rates)
    if rates.size and not (rates >= 0).all():
        raise RuntimeError("poisson: invalid Poisson rate, expected all rates to be non-negative. Fix: x.clamp(min=0).")
    unit = _units(generator)
    counts = [
        _poisson_small(rate, unit) if rate < 10 else _poisson_large(rate, unit) for rate in rates.ravel().tolist()
    ]
    return wrap(np.array(counts, rates.dtype).reshape(rates.shape))


def _units(generator: Generator | None) -> Any:
    def unit() -> float:
        return float(draw.uniform((), np.float64, generator=generator))

    return unit


def _poisson_small(rate: float, unit: Any) -> int:
    if rate == 0:
        return 0
    limit, product, count = math.exp(-rate), unit(), 0
    while product > limit:
        product *= unit()
        count += 1
    return count


def _poisson_large(rate: float, unit: Any) -> int:
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    accept = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = unit() - 0.5, unit()
        closeness = 0.5 - abs(u)
        count = math.floor((2 * a / closeness + b) * u + rate + 0.43)
        if closeness >= 0.07 and v <= accept:
            return count
        if count < 0 or (closeness < 0.013 and v > closeness):
            continue
        left = math.log(v) + math.log(inverse_alpha) - math.log(a / closeness**2 + b)
        if left <= -rate + count * math.log(rate) - math.lgamma(count + 1):
            return count


# ---- in place ---------------------------------------------------------------------------------------------------------------
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with draws from a normal distribution."""
    return write(self, draw.normal(tuple(self._data.shape), self._data.dtype, mean, std, generator), "normal_")


def uniform_(
    self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None, **keyword: float
) -> Tensor:
    """Fill with draws from the uniform distribution on [from, to)."""
    low = keyword.get("from", from_)
    return write(self, draw.uniform(tuple(self._data.shape), self._data.dtype, low, to, generator), "uniform_")


def random_(self: Tensor, from_: int = 0, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill with integers from `from_` to ``to - 1``; ``random_(n)`` draws below n, ``random_()`` over the type's whole range."""
    kind = self._data.dtype
    if to is None:
        low, high = (0, from_) if from_ else (0, _integers_up_to(kind))
    else:
        low, high = from_, to
    shape = tuple(self._data.shape)
    return write(self, draw.integers(low, high, shape, np.int64, generator).astype(kind), "random_")


def _integers_up_to(kind: np.dtype) -> int:
    """Return one more than the largest integer that every smaller one fits beside."""
    if kind.kind == "f":
        return 2 ** (np.finfo(kind).nmant + 1) + 1
    return 2 if kind.kind == "b" else int(np.iinfo(kind).max) + 1


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones with probability `p` (a number, or a tensor of probabilities) and zeros otherwise."""
    chances = np.asarray(p._data) if isinstance(p, Tensor) else float(p)
    return write(self, draw.bernoulli(chances, tuple(self._data.shape), self._data.dtype, generator), "bernoulli_")


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with draws from the exponential distribution with rate `lambd`."""
    return write(self, draw.exponential(tuple(self._data.shape), self._data.dtype, lambd, generator), "exponential_")


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exp of draws from a normal distribution."""
    draws = draw.normal(tuple(self._data.shape), self._data.dtype, mean, std, generator)
    return write(self, np.exp(draws), "log_normal_")


for _fill in (normal_, uniform_, random_, bernoulli_, exponential_, log_normal_):
    setattr(Tensor, _fill.__name__, _fill)
