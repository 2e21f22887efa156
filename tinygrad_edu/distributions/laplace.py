"""The Laplace distribution."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.distribution import POSITIVE, REAL, Distribution, as_parameters
from tinygrad_edu.dtypes import finfo
from tinygrad_edu.ops.exponential import expm1, log, log1p
from tinygrad_edu.ops.rounding import clamp, sign
from tinygrad_edu.ops.sampling import rand
from tinygrad_edu.tensor import Tensor

__all__ = ["Laplace"]


class Laplace(Distribution):
    """p(x) = exp(-|x - loc| / scale) / (2 scale): its maximum likelihood is least absolute deviation."""

    has_rsample = True
    domains: ClassVar = {"loc": REAL, "scale": POSITIVE}
    support = REAL

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        lowest = finfo(self.loc.dtype).eps - 1
        u = rand(self._extended_shape(sample_shape), dtype=self.loc.dtype) * (1 - lowest) + lowest  # from (-1, 1)
        return self.loc - self.scale * sign(u) * log1p(-clamp(u.abs(), min=finfo(self.loc.dtype).tiny))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -log(2 * self.scale) - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        away = value - self.loc
        return 0.5 - 0.5 * sign(away) * expm1(-away.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        away = value - 0.5
        return self.loc - self.scale * sign(away) * log1p(-2 * away.abs())

    def entropy(self) -> Tensor:
        return 1 + log(2 * self.scale)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale**2
