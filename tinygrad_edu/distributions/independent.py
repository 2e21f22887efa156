"""Batches read as one distribution of vectors."""

from collections.abc import Sequence

from tinygrad_edu.distributions.distribution import Distribution
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.tensor import Tensor

__all__ = ["Independent"]


class Independent(Distribution):
    """The last dimensions of the batch become part of the event: probabilities are multiplied along them.

    Parameters
    ----------
    base_distribution : Distribution
    reinterpreted_batch_ndims : int
        How many dimensions.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.distributions import Independent, Normal
    >>> Independent(Normal(tg.zeros(4, 3), tg.ones(4, 3)), 1).log_prob(tg.zeros(4, 3)).shape
    tinygrad_edu.Size([4])
    """

    def __init__(
        self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ):
        shape, count = base_distribution.batch_shape, reinterpreted_batch_ndims
        if count > len(shape):
            raise ValueRangeError(
                f"Independent: expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), got {count} and {len(shape)}."
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        kept = len(shape) - count
        super().__init__(shape[:kept], (*shape[kept:], *base_distribution.event_shape), validate_args)
        self.has_rsample = base_distribution.has_rsample

    def _joined(self, values: Tensor) -> Tensor:
        dims = tuple(range(-self.reinterpreted_batch_ndims, 0))
        return sum_(values, dims) if dims else values

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._joined(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self._joined(self.base_dist.entropy())

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
