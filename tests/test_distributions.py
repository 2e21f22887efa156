"""Distributions against PyTorch: probabilities, moments, draws from the same stream, gradients, divergences."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    Exponential,
    Gumbel,
    Independent,
    Laplace,
    MixtureSameFamily,
    Multinomial,
    Normal,
    OneHotCategorical,
    Poisson,
    Uniform,
    kl_divergence,
)

LOC, SCALE = [[0.5, -1.0, 2.0]], [[1.0], [0.3]]
PROBS = [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]]
UNIT = [0.1, 0.5, 0.9]


def double(t, values):
    return t.tensor(values, dtype=t.float64)


# Per name: how to make it in either library, and values to ask the probability of.
MAKE = {
    "normal": (lambda t, d: d.Normal(double(t, LOC), double(t, SCALE)), lambda t: double(t, [0.0, 1.0, 2.0])),
    "standard normal": (lambda t, d: d.Normal(0.0, 1.0), lambda t: t.tensor([0.5, -3.0])),
    "uniform": (lambda t, d: d.Uniform(double(t, LOC), double(t, LOC) + 3), lambda t: double(t, [1.0, 0.0, 3.5])),
    "exponential": (lambda t, d: d.Exponential(double(t, [0.5, 2.0])), lambda t: double(t, [[0.0], [1.5]])),
    "laplace": (lambda t, d: d.Laplace(double(t, LOC), double(t, SCALE)), lambda t: double(t, [0.0, 1.0, 2.0])),
    "gumbel": (lambda t, d: d.Gumbel(double(t, LOC), double(t, SCALE)), lambda t: double(t, [0.0, 1.0, 2.0])),
    "bernoulli": (lambda t, d: d.Bernoulli(double(t, UNIT)), lambda t: double(t, [1.0, 0.0, 1.0])),
    "bernoulli logits": (lambda t, d: d.Bernoulli(logits=double(t, LOC)), lambda t: double(t, [[1.0], [0.0]])),
    "binomial": (lambda t, d: d.Binomial(5, double(t, UNIT)), lambda t: double(t, [1.0, 0.0, 5.0])),
    "binomial logits": (lambda t, d: d.Binomial(double(t, 4.0), logits=double(t, LOC)), lambda t: double(t, [1.0, 0.0, 4.0])),
    "poisson": (lambda t, d: d.Poisson(double(t, [0.5, 4.0])), lambda t: double(t, [[0.0], [3.0]])),
    "categorical": (lambda t, d: d.Categorical(double(t, PROBS)), lambda t: t.tensor([[0, 2], [1, 1], [2, 0]])),
    "categorical logits": (lambda t, d: d.Categorical(logits=double(t, LOC)), lambda t: t.tensor([2])),
    "one hot": (lambda t, d: d.OneHotCategorical(double(t, PROBS)), lambda t: double(t, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])),
    "multinomial": (lambda t, d: d.Multinomial(4, double(t, PROBS)), lambda t: double(t, [[1.0, 2.0, 1.0], [0.0, 4.0, 0.0]])),
    "independent": (
        lambda t, d: d.Independent(d.Normal(double(t, LOC).expand(2, 3), double(t, SCALE)), 1),
        lambda t: double(t, [[0.0, 1.0, 2.0]]),
    ),
    "mixture": (
        lambda t, d: d.MixtureSameFamily(d.Categorical(double(t, UNIT)), d.Normal(double(t, LOC[0]), double(t, UNIT))),
        lambda t: double(t, [0.0, 1.0]),
    ),
    "mixture of vectors": (
        lambda t, d: d.MixtureSameFamily(
            d.Categorical(double(t, [0.3, 0.7])), d.Independent(d.Normal(double(t, PROBS), double(t, SCALE)), 1)
        ),
        lambda t: double(t, [[0.0, 1.0, 0.5], [0.2, 0.2, 0.2]]),
    ),
}  # fmt: skip
# Draws that PyTorch makes by algorithms of its own; here only their moments can be compared.
OWN_DRAWS = {"exponential", "laplace", "binomial", "binomial logits"}


def same(ours, theirs, what, tolerance=1e-12):
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert (a.shape, a.dtype) == (b.shape, b.dtype), what
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("name", MAKE)
def test_pytorch_describes_it_alike(name):
    torch = pytest.importorskip("torch")
    make, values = MAKE[name]
    mine, other = make(tg, tg.distributions), make(torch, torch.distributions)
    assert tuple(mine.batch_shape) == tuple(other.batch_shape)
    assert tuple(mine.event_shape) == tuple(other.event_shape)
    assert mine.has_rsample == other.has_rsample
    tolerance = 1e-6 if name == "standard normal" else 1e-12
    same(mine.log_prob(values(tg)), other.log_prob(values(torch)), "log_prob", tolerance)
    for fact in ("mean", "variance", "stddev", "mode"):
        try:
            expected = getattr(other, fact)
        except NotImplementedError:
            continue
        if hasattr(type(mine), fact):
            same(getattr(mine, fact), expected, fact, tolerance)
    if name not in ("multinomial", "mixture", "mixture of vectors", "poisson", "binomial", "binomial logits"):
        same(mine.entropy(), other.entropy(), "entropy", tolerance)
        same(mine.perplexity(), other.perplexity(), "perplexity", tolerance)
    if name in ("normal", "uniform", "exponential", "laplace", "gumbel"):
        same(mine.cdf(values(tg)), other.cdf(values(torch)), "cdf", tolerance)
        quantiles = [[0.1], [0.8]]
        same(mine.icdf(double(tg, quantiles)), other.icdf(double(torch, quantiles)), "icdf", tolerance)


@pytest.mark.parametrize("name", sorted(MAKE.keys() - OWN_DRAWS))
def test_the_draws_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    make, _ = MAKE[name]
    mine, other = make(tg, tg.distributions), make(torch, torch.distributions)
    for shape in ((), (4,), (2, 3)):
        tg.manual_seed(3)
        torch.manual_seed(3)
        ours, theirs = mine.sample(shape), other.sample(shape)
        assert not ours.requires_grad
        same(ours, theirs, str(shape), 1e-6)
        if mine.has_rsample and "mixture" not in name:
            same(mine.rsample(shape), other.rsample(shape), f"rsample {shape}", 1e-6)


@pytest.mark.parametrize("name", MAKE)
def test_draws_have_the_mean_and_the_variance(name):
    make, _ = MAKE[name]
    mine = make(tg, tg.distributions)
    if name.startswith("categorical"):
        mine = OneHotCategorical(mine.probs)
    tg.manual_seed(0)
    draws = mine.sample((20_000,)).double()
    assert tuple(draws.shape) == (20_000, *mine.batch_shape, *mine.event_shape)
    error = (mine.variance / 20_000).sqrt()
    assert bool(((draws.mean(0) - mine.mean).abs() < 5 * error + 1e-9).all())
    np.testing.assert_allclose(
        draws.var(0).numpy(), np.broadcast_to(mine.variance.numpy(), draws.shape[1:]), rtol=0.15, atol=1e-3
    )


@pytest.mark.parametrize("name", MAKE)
def test_gradients_reach_the_parameters(name):
    torch = pytest.importorskip("torch")
    make, values = MAKE[name]

    def gradients(library):
        leaves = []

        class Recorded:
            """The library, with tensors of parameters that require grad."""

            float64 = library.float64

            @staticmethod
            def tensor(data, dtype):
                leaves.append(library.tensor(data, dtype=dtype, requires_grad=True))
                return leaves[-1]

        make(Recorded, library.distributions).log_prob(values(library)).sum().backward()
        return [leaf.grad for leaf in leaves]

    if name == "standard normal":
        return  # it has numbers for parameters
    for ours, theirs in zip(gradients(tg), gradients(torch), strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            same(ours, theirs, "gradient", 1e-11)


def test_gradients_flow_through_rsample():
    loc, scale = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([0.5, 0.1], requires_grad=True)
    tg.manual_seed(0)
    draws = Normal(loc, scale).rsample((3,))
    draws.sum().backward()
    assert loc.grad.tolist() == [3.0, 3.0]
    np.testing.assert_allclose(scale.grad.numpy(), ((draws - loc) / scale).detach().sum(0).numpy(), rtol=1e-5)
    with pytest.raises(NotImplementedError, match="log_prob"):
        Bernoulli(0.5).rsample()


PAIRS = {
    "normal": lambda t, d: (d.Normal(double(t, LOC), double(t, SCALE)), d.Normal(double(t, 0.5), double(t, 2.0))),
    "bernoulli": lambda t, d: (d.Bernoulli(double(t, UNIT)), d.Bernoulli(double(t, 0.3))),
    "categorical": lambda t, d: (d.Categorical(double(t, PROBS)), d.Categorical(double(t, UNIT))),
    "categorical with zeros": lambda t, d: (d.Categorical(double(t, [0.0, 1.0])), d.Categorical(double(t, [0.5, 0.5]))),
    "one hot": lambda t, d: (d.OneHotCategorical(double(t, PROBS)), d.OneHotCategorical(double(t, UNIT))),
    "exponential": lambda t, d: (d.Exponential(double(t, UNIT)), d.Exponential(double(t, 2.0))),
    "poisson": lambda t, d: (d.Poisson(double(t, UNIT)), d.Poisson(double(t, 2.0))),
    "uniform": lambda t, d: (d.Uniform(double(t, UNIT), double(t, 1.5)), d.Uniform(double(t, 0.3), double(t, 2.0))),
    "independent": lambda t, d: (
        d.Independent(d.Normal(double(t, PROBS), double(t, SCALE)), 1),
        d.Independent(d.Normal(double(t, PROBS) * 0, double(t, SCALE)), 1),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = PAIRS[name](tg, tg.distributions), PAIRS[name](torch, torch.distributions)
    same(kl_divergence(*ours), torch.distributions.kl_divergence(*theirs), name)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Normal(0.0, -1.0), r"scale must be greater than 0, but there is -1\.0"),
        (lambda: Normal(float("nan"), 1.0), "loc must be a real number"),
        (lambda: Uniform(1.0, 1.0), "low >= high"),
        (lambda: Bernoulli(1.5), "between 0 and 1"),
        (lambda: Bernoulli(), "exactly one"),
        (lambda: Bernoulli(0.5, 0.0), "exactly one"),
        (lambda: Bernoulli(0.5).log_prob(tg.tensor(0.5)), "0 or 1"),
        (lambda: Categorical(tg.tensor(0.5)), "at least one-dimensional"),
        (lambda: Categorical(tg.ones(3)).log_prob(tg.tensor(3)), "below 3"),
        (lambda: Poisson(1.0).log_prob(tg.tensor(0.5)), "whole number"),
        (lambda: Exponential(1.0).log_prob(tg.tensor(-0.5)), "0 or greater"),
        (lambda: Binomial(2, 0.5).log_prob(tg.tensor(3.0)), "total_count"),
        (lambda: Multinomial(2, tg.ones(3)).log_prob(tg.tensor([1.0, 1.0, 1.0])), "add up"),
        (lambda: Independent(Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims"),
        (lambda: MixtureSameFamily(Categorical(tg.ones(3)), Normal(tg.zeros(2), 1.0)), "3 weights"),
        (lambda: Gumbel(0.0, 0.0), "greater than 0"),
        (lambda: Laplace(0.0, 1.0).log_prob(1.0), "must be a Tensor"),
    ],
)
def test_mistakes_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_checks_can_be_left_out():
    assert Normal(0.0, -1.0, validate_args=False).scale.item() == -1.0
    with pytest.raises(NotImplementedError, match="p type Normal and q type Gumbel"):
        kl_divergence(Normal(0.0, 1.0), Gumbel(0.0, 1.0))


def test_all_outcomes_in_a_row():
    assert Categorical(tg.ones(2, 3)).enumerate_support().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert Categorical(tg.ones(2, 3)).enumerate_support(expand=False).tolist() == [[0], [1], [2]]


def test_it_prints_its_parameters():
    assert repr(Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
    assert repr(Categorical(tg.ones(2, 3))) == "Categorical(probs: (2, 3))"
