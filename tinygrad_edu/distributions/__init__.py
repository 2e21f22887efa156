"""Probability distributions: to draw from, and to take the logarithms of probabilities of, with gradients.

``sample`` draws outside the graph; ``rsample`` lets gradients flow through the draw to the parameters where that is possible;
``log_prob`` of a draw in the loss is the other way, the one of policy gradients.
"""

from tinygrad_edu.distributions.bernoulli import Bernoulli
from tinygrad_edu.distributions.binomial import Binomial
from tinygrad_edu.distributions.categorical import Categorical
from tinygrad_edu.distributions.distribution import Distribution
from tinygrad_edu.distributions.exponential import Exponential
from tinygrad_edu.distributions.gumbel import Gumbel
from tinygrad_edu.distributions.independent import Independent
from tinygrad_edu.distributions.kl import kl_divergence, register_kl
from tinygrad_edu.distributions.laplace import Laplace
from tinygrad_edu.distributions.mixture_same_family import MixtureSameFamily
from tinygrad_edu.distributions.multinomial import Multinomial
from tinygrad_edu.distributions.normal import Normal
from tinygrad_edu.distributions.one_hot_categorical import OneHotCategorical
from tinygrad_edu.distributions.poisson import Poisson
from tinygrad_edu.distributions.uniform import Uniform

__all__ = [
    "Bernoulli", "Binomial", "Categorical", "Distribution", "Exponential", "Gumbel", "Independent", "Laplace", "MixtureSameFamily",
    "Multinomial", "Normal", "OneHotCategorical", "Poisson", "Uniform", "kl_divergence", "register_kl",
]  # fmt: skip
