"""The continuous uniform distribution."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.distribution import REAL, Distribution, as_parameters
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.rounding import clamp
from tinygrad_edu.ops.sampling import rand
from tinygrad_edu.tensor import Tensor

__all__ = ["Uniform"]


class Uniform(Distribution):
    """p(x) = 1 / (high - low) on [low, high), else 0."""

    has_rsample = True
    domains: ClassVar = {"low": REAL, "high": REAL}

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None):
        self.low, self.high = as_parameters(low, high)
        super().__init__(self.low.shape, (), validate_args)
        if self._validate_args and not bool((self.low < self.high).all()):
            raise ValueRangeError("Uniform is not defined when low >= high. Fix: Uniform(low, high) with low < high.")

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.low + rand(self._extended_shape(sample_shape), dtype=self.low.dtype) * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args and not bool(((value >= self.low) & (value <= self.high)).all()):
            raise ValueRangeError("Uniform: every element of the value must be between low and high.")
        inside = (value >= self.low) & (value < self.high)
        return log(inside.to(self.low.dtype)) - log(self.high - self.low)

    def cdf(self, value: Tensor) -> Tensor:
        return clamp((value - self.low) / (self.high - self.low), 0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return log(self.high - self.low)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low) ** 2 / 12
