"""The Poisson distribution: how often something rare happens."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.distribution import COUNT, NONNEGATIVE, Distribution, as_parameters
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.exponential import lgamma, xlogy
from tinygrad_edu.ops.sampling import poisson
from tinygrad_edu.tensor import Tensor

__all__ = ["Poisson"]


class Poisson(Distribution):
    """p(k) = rate^k exp(-rate) / k!"""

    domains: ClassVar = {"rate": NONNEGATIVE}
    support = COUNT

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = as_parameters(rate)
        super().__init__(self.rate.shape, (), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            return poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return xlogy(value, self.rate) - self.rate - lgamma(value + 1)

    @property
    def mean(self) -> Tensor:
        return self.rate

    variance = mean

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()
