"""Mixtures: one of several distributions of a kind is chosen, and drawn from."""

from collections.abc import Sequence

from tinygrad_edu.distributions.categorical import Categorical
from tinygrad_edu.distributions.distribution import Distribution
from tinygrad_edu.errors import ValueRangeError
from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.ops.gathering import gather
from tinygrad_edu.ops.reduction import logsumexp
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.ops.softmax import log_softmax
from tinygrad_edu.tensor import Tensor

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """p(x) = sum over k of mixture.probs[k] * component[k].p(x), e.g. a mixture of Gaussians.

    Parameters
    ----------
    mixture_distribution : Categorical
    component_distribution : Distribution
        The last dimension of its batch counts the components.
    """

    def __init__(
        self, mixture_distribution: Categorical, component_distribution: Distribution, validate_args: bool | None = None
    ):  # fmt: skip
        shape = component_distribution.batch_shape
        if not isinstance(mixture_distribution, Categorical):
            raise ValueRangeError("MixtureSameFamily: the mixture distribution must be a Categorical.")
        if not shape or shape[-1] != mixture_distribution._num_events:
            raise ValueRangeError(
                f"MixtureSameFamily: {mixture_distribution._num_events} weights for components of batch shape {tuple(shape)}. "
                "Fix: the last dimension counts the components."
            )
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        self._event_dims = len(component_distribution.event_shape)
        super().__init__(shape[:-1], component_distribution.event_shape, validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with no_grad():
            place = -1 - self._event_dims
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            ones = (1,) * (self._event_dims + 1)
            index = chosen.expand(tuple(sample_shape) + self.batch_shape).reshape(
                *sample_shape, *self.batch_shape, *ones
            )
            shape = list(drawn.shape)
            shape[place] = 1
            return gather(drawn, drawn.ndim + place, index.expand(shape)).squeeze(place)

    def log_prob(self, value: Tensor) -> Tensor:
        each = self.component_distribution.log_prob(value.unsqueeze(-1 - self._event_dims))
        return logsumexp(each + log_softmax(self.mixture_distribution.logits, -1), -1)

    def _weights(self) -> Tensor:
        probs = self.mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * self._event_dims)

    @property
    def mean(self) -> Tensor:
        return sum_(self._weights() * self.component_distribution.mean, -1 - self._event_dims)

    @property
    def variance(self) -> Tensor:
        place = -1 - self._event_dims
        within = sum_(self._weights() * self.component_distribution.variance, place)
        away = self.component_distribution.mean - self.mean.unsqueeze(place)
        return within + sum_(self._weights() * away**2, place)
