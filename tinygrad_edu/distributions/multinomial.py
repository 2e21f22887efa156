"""The multinomial distribution: how often each of several possibilities comes up."""

from collections.abc import Sequence
from typing import ClassVar

from tinygrad_edu.distributions.categorical import Categorical
from tinygrad_edu.distributions.distribution import COUNT, Distribution
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.ops.exponential import lgamma
from tinygrad_edu.ops.masking import one_hot, where
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.tensor import Tensor

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """Counts of each possibility among `total_count` draws of a :class:`Categorical`."""

    support: ClassVar = COUNT

    def __init__(
        self, total_count: int = 1, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ):  # fmt: skip
        if not isinstance(total_count, int):
            raise NotImplementedError("Multinomial: total_count must be one int for the whole batch.")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        return sum_(one_hot(drawn, self.event_shape[0]), 0).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        if self._validate_args and not bool((sum_(value, -1) == self.total_count).all()):
            raise ValueRangeError(f"Multinomial: the counts must add up to total_count, {self.total_count}.")
        logits = where((value == 0) & self.logits.isinf(), 0.0, self.logits)
        ways = lgamma(sum_(value, -1) + 1) - sum_(lgamma(value + 1), -1)
        return ways + sum_(logits * value, -1)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)
