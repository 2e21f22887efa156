"""The Kullback-Leibler divergence of two distributions."""

from collections.abc import Callable

from tinygrad_edu.distributions.bernoulli import Bernoulli
from tinygrad_edu.distributions.categorical import Categorical
from tinygrad_edu.distributions.distribution import Distribution
from tinygrad_edu.distributions.exponential import Exponential
from tinygrad_edu.distributions.independent import Independent
from tinygrad_edu.distributions.normal import Normal
from tinygrad_edu.distributions.one_hot_categorical import OneHotCategorical
from tinygrad_edu.distributions.poisson import Poisson
from tinygrad_edu.distributions.uniform import Uniform
from tinygrad_edu.ops.activation import softplus
from tinygrad_edu.ops.exponential import log, xlogy
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.reduction import sum as sum_
from tinygrad_edu.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]

_formulas: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """Declare the function below as the divergence of a `type_p` from a `type_q`."""

    def declare(formula: Callable) -> Callable:
        _formulas[type_p, type_q] = formula
        return formula

    return declare


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return KL(p || q), the mean of log p(x) - log q(x) over draws x of p: how much worse q is at coding what p draws.

    Raises
    ------
    NotImplementedError
        For a pair without a formula; :func:`register_kl` adds one.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0)).item()
    0.5
    """
    for kind_p in type(p).__mro__:
        for kind_q in type(q).__mro__:
            if (kind_p, kind_q) in _formulas:
                return _formulas[kind_p, kind_q](p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
    )


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - log(ratio))


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    yes = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    return yes + (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    each = p.probs * (p.logits - q.logits)
    each = where((q.probs == 0).expand_as(each), float("inf"), each)
    return sum_(where((p.probs == 0).expand_as(each), 0.0, each), -1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - log(ratio) - 1


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return xlogy(p.rate, p.rate) - xlogy(p.rate, q.rate) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    outside = (q.low > p.low) | (q.high < p.high)
    return where(outside, float("inf"), log((q.high - q.low) / (p.high - p.low)))


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "kl_divergence: the two Independent distributions join different numbers of dimensions."
        )
    return p._joined(kl_divergence(p.base_dist, q.base_dist))
