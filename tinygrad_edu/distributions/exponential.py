"""The exponential distribution."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.distribution import NONNEGATIVE, POSITIVE, Distribution, as_parameters
from tinygrad_edu.ops.creation import empty
from tinygrad_edu.ops.exponential import exp, log, log1p
from tinygrad_edu.tensor import Tensor

__all__ = ["Exponential"]


class Exponential(Distribution):
    """p(x) = rate exp(-rate x) for x >= 0: the waiting time for what happens `rate` times a second."""

    has_rsample = True
    domains: ClassVar = {"rate": POSITIVE}
    support = NONNEGATIVE

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = as_parameters(rate)
        super().__init__(self.rate.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return empty(self._extended_shape(sample_shape), dtype=self.rate.dtype).exponential_() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return log(self.rate) - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        return 1 - exp(-self.rate * value)

    def icdf(self, value: Tensor) -> Tensor:
        return -log1p(-value) / self.rate

    def entropy(self) -> Tensor:
        return 1.0 - log(self.rate)

    @property
    def mean(self) -> Tensor:
        return 1 / self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate * 0

    @property
    def variance(self) -> Tensor:
        return self.rate**-2
