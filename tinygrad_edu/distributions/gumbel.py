"""The Gumbel distribution."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.distribution import POSITIVE, REAL, Distribution, as_parameters
from tinygrad_edu.dtypes import finfo
from tinygrad_edu.ops.exponential import exp, log
from tinygrad_edu.ops.sampling import rand
from tinygrad_edu.tensor import Tensor

__all__ = ["Gumbel"]

EULER = 0.57721566490153286060


class Gumbel(Distribution):
    """The distribution of the largest of many draws: the cdf is exp(-exp(-(x - loc) / scale)).

    Adding it to logits and taking the argmax draws from the softmax.
    """

    has_rsample = True
    domains: ClassVar = {"loc": REAL, "scale": POSITIVE}
    support = REAL

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        facts = finfo(self.loc.dtype)
        low, high = facts.tiny, 1 - facts.eps
        u = rand(self._extended_shape(sample_shape), dtype=self.loc.dtype) * (high - low) + low
        return self.loc - self.scale * log(-log(u))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - exp(y) - log(self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        return exp(-exp((self.loc - value) / self.scale))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * log(-log(value))

    def entropy(self) -> Tensor:
        return log(self.scale) + (1 + EULER)

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (math.pi**2 / 6)
