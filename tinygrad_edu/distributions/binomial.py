"""The binomial distribution: how many of several are a yes."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.choice import YesOrNo, one_of_two
from tinygrad_edu.distributions.distribution import COUNT, REAL, UNIT, Distribution, as_parameters
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.activation import softplus
from tinygrad_edu.ops.creation import arange
from tinygrad_edu.ops.exponential import lgamma
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.ops.sampling import rand
from tinygrad_edu.tensor import Tensor

__all__ = ["Binomial"]


class Binomial(YesOrNo, Distribution):
    """The number of ones among `total_count` draws of a Bernoulli distribution.

    Draws are made by counting, so time and memory grow with the largest count.
    """

    domains: ClassVar = {"total_count": COUNT, "probs": UNIT, "logits": REAL}
    support = COUNT

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        one_of_two("Binomial", probs, logits)
        if probs is not None:
            self.total_count, self.probs = as_parameters(total_count, probs)
        else:
            self.total_count, self.logits = as_parameters(total_count, logits)
        super().__init__(self.total_count.shape, (), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            most = int(self.total_count.max().item()) if self.total_count.numel() else 0
            trial = arange(most).reshape(most, *[1] * len(shape))
            yes = (rand((most, *shape), dtype=self.probs.dtype) < self.probs) & (trial < self.total_count)
            return sum_(yes, 0).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        if self._validate_args and not bool((value <= n).all()):
            raise ValueRangeError("Binomial: no element of the value may be greater than total_count.")
        ways = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        return ways + value * logits - n * softplus(logits)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)
