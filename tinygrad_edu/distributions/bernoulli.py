"""The Bernoulli distribution: yes or no."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.choice import YesOrNo, one_of_two
from tinygrad_edu.distributions.distribution import BOOLEAN, REAL, UNIT, Distribution, as_parameters
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.expanding import broadcast_tensors
from tinygrad_edu.ops.loss_binary import binary_cross_entropy_with_logits
from tinygrad_edu.ops.sampling import bernoulli
from tinygrad_edu.tensor import Tensor

__all__ = ["Bernoulli"]


class Bernoulli(YesOrNo, Distribution):
    """1 with probability `probs`, else 0.

    Parameters
    ----------
    probs, logits : Tensor or float
        One of them: the probability p of a 1, or log(p / (1 - p)).
    """

    domains: ClassVar = {"probs": UNIT, "logits": REAL}
    support = BOOLEAN

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        one_of_two("Bernoulli", probs, logits)
        if probs is not None:
            (self.probs,) = as_parameters(probs)
        else:
            (self.logits,) = as_parameters(logits)
        super().__init__((self.probs if probs is not None else self.logits).shape, (), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = broadcast_tensors(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        half = self.probs == 0.5
        return (self.probs >= 0.5).to(self.probs.dtype).masked_fill(half, float("nan"))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)
