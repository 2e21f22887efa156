"""The categorical distribution: one of several, by number."""

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_edu.distributions.choice import clamped, one_of_two
from tinygrad_edu.distributions.distribution import COUNT, NONNEGATIVE, REAL, Distribution
from tinygrad_edu.dtypes import finfo
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.creation import arange
from tinygrad_edu.ops.expanding import broadcast_tensors
from tinygrad_edu.ops.exponential import log
from tinygrad_edu.ops.gathering import gather
from tinygrad_edu.ops.reduction import logsumexp
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.ops.sampling import multinomial
from tinygrad_edu.ops.softmax import softmax
from tinygrad_edu.tensor import Tensor

__all__ = ["Categorical"]


class Categorical(Distribution):
    """The number k with probability ``probs[..., k]``.

    Parameters
    ----------
    probs, logits : Tensor
        One of them: probabilities, which are normalized to the sum 1, or their logarithms up to a constant. The last
        dimension counts the possibilities.

    Examples
    --------
    The loss of a policy gradient:

    >>> import tinygrad_edu as tg
    >>> scores = tg.tensor([0.0, 0.0], requires_grad=True)
    >>> policy = tg.distributions.Categorical(logits=scores)
    >>> (-policy.log_prob(tg.tensor(1)) * 2.0).backward()
    >>> scores.grad.tolist()
    [1.0, -1.0]
    """

    domains: ClassVar = {"probs": NONNEGATIVE, "logits": REAL}
    support = COUNT

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None):
        one_of_two("Categorical", probs, logits)
        given: Any = probs if probs is not None else logits
        if given.ndim < 1:
            name = "probs" if probs is not None else "logits"
            raise ValueRangeError(f"Categorical: `{name}` must be at least one-dimensional.")
        if probs is not None:
            self.probs = probs / sum_(probs, -1, True)
        else:
            self.logits = given - logsumexp(given, -1, True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], (), validate_args)

    def __getattr__(self, name: str) -> Any:
        # Only reached for the one of the two that was not given.
        if name == "probs" and "logits" in self.__dict__:
            return softmax(self.__dict__["logits"], -1)
        if name == "logits" and "probs" in self.__dict__:
            return log(clamped(self.__dict__["probs"]))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        count = 1
        for length in sample_shape:
            count *= length
        with no_grad():
            drawn = multinomial(self.probs.reshape(-1, self._num_events), count, True)
            return drawn.t().reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        if self._validate_args and not bool((value < self._num_events).all()):
            raise ValueRangeError(f"Categorical: every element of the value must be below {self._num_events}.")
        places, table = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return gather(table, -1, places[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits
        return -sum_(self.probs * logits.clamp(min=finfo(logits.dtype).min), -1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all possible draws along a new first dimension."""
        numbers = arange(self._num_events).reshape(-1, *[1] * len(self.batch_shape))
        return numbers.expand(-1, *self.batch_shape) if expand else numbers

    @property
    def mean(self) -> Tensor:
        return self.probs[..., 0] * float("nan")  # numbers of categories have no mean

    variance = mean

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)
