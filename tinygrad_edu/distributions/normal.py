"""The normal distribution."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.distribution import POSITIVE, REAL, Distribution, as_parameters
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.exponential import erf, erfinv, log
from tinygrad_edu.ops.sampling import normal, randn
from tinygrad_edu.tensor import Tensor

__all__ = ["Normal"]


class Normal(Distribution):
    """p(x) = exp(-((x - loc) / scale)^2 / 2) / (scale sqrt(2 pi)).

    Parameters
    ----------
    loc, scale : Tensor or float
        Mean and standard deviation.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.distributions.Normal(0.0, 1.0).log_prob(tg.tensor(0.0))
    tensor(-0.9189, shape=(), dtype=float32)
    """

    has_rsample = True
    domains: ClassVar = {"loc": REAL, "scale": POSITIVE}
    support = REAL

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.loc + randn(self._extended_shape(sample_shape), dtype=self.loc.dtype) * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - log(self.scale) - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + log(self.scale)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return self.scale**2
