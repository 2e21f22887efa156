"""The random stream: properties that hold without an oracle, and PyTorch's own numbers where it is installed."""

import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu import random as tgr
from tinygrad_edu.random import Generator


def fresh(seed: int) -> Generator:
    return Generator().manual_seed(seed)


# --- the generator ---


def test_the_first_words_are_the_published_twister():
    # The reference output of MT19937 seeded by init_genrand(5489), the C++ standard's default seed.
    words = fresh(5489).words32(10000)
    assert words[:3].tolist() == [3499211612, 581869302, 3890346734]
    assert words[-1] == 4123659995  # required by the C++ standard for the 10000th word of std::mt19937


def test_same_seed_same_numbers_and_other_seed_other_numbers():
    assert np.array_equal(tgr.uniform((50,), generator=fresh(3)), tgr.uniform((50,), generator=fresh(3)))
    assert not np.array_equal(tgr.uniform((50,), generator=fresh(3)), tgr.uniform((50,), generator=fresh(4)))


def test_manual_seed_returns_the_default_generator():
    before = tgr.default_generator.state_array()
    try:
        assert tgr.manual_seed(11) is tgr.default_generator
        assert tgr.initial_seed() == 11
        first = tgr.normal((3,))
        tgr.manual_seed(11)
        assert np.array_equal(first, tgr.normal((3,)))
        assert tgr.seed() == tgr.initial_seed()
    finally:
        tgr.default_generator.set_state(before)


def test_forking_leaves_the_default_generator_where_it_was():
    state = tgr.get_rng_state()
    with tgr.fork_rng():
        inside = tgr.normal((3,))
    assert np.array_equal(tgr.get_rng_state(), state)
    assert np.array_equal(tgr.normal((3,)), inside)
    tgr.set_rng_state(state)
    with tgr.fork_rng(enabled=False):
        assert np.array_equal(tgr.normal((3,)), inside)
    assert not np.array_equal(tgr.get_rng_state(), state)


def test_numpys_global_generator_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    tgr.normal((100,), generator=fresh(0))
    tgr.permutation(100, fresh(0))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@given(seed=st.integers(-(2**63), 2**64 - 1), drawn=st.integers(0, 1300), odd=st.booleans())
def test_a_saved_state_continues_the_stream(seed, drawn, odd):
    g = fresh(seed)
    g.words32(drawn)
    if odd:
        tgr.normal((3,), generator=g)  # leaves the second normal of a pair waiting
    state = g.get_state()
    expected = tgr.normal((5,), generator=g), tgr.uniform((700,), generator=g)
    other = Generator()
    other.set_state(state)
    assert other.initial_seed() == seed % 2**64
    assert np.array_equal(other.get_state(), state)
    assert np.array_equal(tgr.normal((5,), generator=other), expected[0])
    assert np.array_equal(tgr.uniform((700,), generator=other), expected[1])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))], ids=["deepcopy", "pickle"]
)
def test_a_copy_goes_its_own_way(duplicate):
    g = fresh(9)
    tgr.normal((3,), generator=g)
    twin = duplicate(g)
    assert np.array_equal(tgr.normal((20,), generator=twin), tgr.normal((20,), generator=g))
    tgr.uniform((1,), generator=twin)
    assert not np.array_equal(tgr.uniform((5,), generator=twin), tgr.uniform((5,), generator=g))


def test_threads_share_a_generator_without_losing_words():
    g, pieces = fresh(1), []
    threads = [
        threading.Thread(target=lambda: pieces.extend(tgr.uniform((64,), generator=g) for _ in range(50)))
        for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    together = np.sort(np.concatenate(pieces))
    assert np.array_equal(together, np.sort(tgr.uniform((4 * 50 * 64,), generator=fresh(1))))


def test_a_thread_may_draw_from_a_generator_of_its_own():
    before = tgr.default_generator.get_state()
    elsewhere = []
    with tgr.drawing_from(fresh(6)):
        inside = tgr.uniform((4,))
        other = threading.Thread(target=lambda: elsewhere.append(tgr.uniform((4,))))
        other.start()
        other.join()
    assert np.array_equal(inside, tgr.uniform((4,), generator=fresh(6)))
    after = tgr.default_generator.get_state()
    tgr.default_generator.set_state(before)
    assert np.array_equal(elsewhere[0], tgr.uniform((4,)))  # the other thread used the default one, and nobody else did
    assert np.array_equal(tgr.default_generator.get_state(), after)


@pytest.mark.parametrize("bad", ["a", None, 0.5])
def test_a_seed_that_is_no_integer(bad):
    with pytest.raises(TypeError, match=r"manual_seed: expected an integer.*Fix: manual_seed\(0\)"):
        Generator().manual_seed(bad)


def test_a_seed_out_of_range():
    with pytest.raises(ValueError, match="outside"):
        Generator().manual_seed(2**64)


def test_only_the_cpu():
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        Generator("cuda")


@pytest.mark.parametrize("bad", [np.zeros(3, np.uint8), np.zeros(5056), np.zeros(5056, np.uint8)])
def test_a_state_that_is_none(bad):
    with pytest.raises(RuntimeError, match=r"set_state.*Fix: pass what get_state"):
        Generator().set_state(bad)


# --- the draws ---


@given(seed=st.integers(0, 2**32), n=st.integers(0, 300))
def test_a_permutation_holds_every_number_once(seed, n):
    order = tgr.permutation(n, fresh(seed))
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(n))


@given(seed=st.integers(0, 2**32), low=st.integers(-(2**62), 2**62), span=st.integers(1, 2**62))
def test_integers_stay_in_their_range(seed, low, span):
    drawn = tgr.integers(low, low + span, (40,), generator=fresh(seed))
    assert drawn.min() >= low and drawn.max() < low + span


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_moments(dtype):
    g, shape, n = fresh(12), (40, 2500), 100_000
    uniform = tgr.uniform(shape, dtype, -1.0, 3.0, g).astype(np.float64)
    normal = tgr.normal(shape, dtype, 2.0, 0.5, g).astype(np.float64)
    exponential = tgr.exponential(shape, dtype, 4.0, g).astype(np.float64)
    for values, mean, std in ((uniform, 1.0, 4 / 12**0.5), (normal, 2.0, 0.5), (exponential, 0.25, 0.25)):
        assert values.shape == shape
        assert abs(values.mean() - mean) < 5 * std / n**0.5 + np.finfo(dtype).eps
        assert abs(values.std() / std - 1) < 0.02
    assert uniform.min() >= -1.0 and (uniform.max() < 3.0 or dtype == np.float16)
    assert tgr.uniform((3,), dtype, generator=g).dtype == dtype


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial_follows_the_weights(replacement):
    weights = np.tile(np.array([1.0, 0.0, 3.0, 6.0]), (20_000, 1))
    chosen = tgr.multinomial(weights, 1, replacement, fresh(5))
    assert chosen.shape == (20_000, 1) and chosen.dtype == np.int64
    assert np.allclose(np.bincount(chosen[:, 0], minlength=4) / 20_000, [0.1, 0.0, 0.3, 0.6], atol=0.02)


def test_multinomial_without_replacement_never_repeats():
    chosen = tgr.multinomial(np.ones((100, 6), np.float32), 6, False, fresh(5))
    assert np.array_equal(np.sort(chosen, axis=1), np.tile(np.arange(6), (100, 1)))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: tgr.uniform((3,), low=2.0, high=1.0), "from=2.0 > to=1.0"),
        (lambda: tgr.uniform((3,), np.int64), "floating-point dtype, got int64"),
        (lambda: tgr.normal((3,), std=-1.0), "std=-1.0"),
        (lambda: tgr.integers(5, 3, (2,)), "low=5 and high=3"),
        (lambda: tgr.integers(0, 300, (2,), np.uint8), "does not fit uint8, which holds 0 .. 255"),
        (lambda: tgr.integers(0, 3, (2,), np.bool_), "does not fit bool"),
        (lambda: tgr.permutation(-1), "must not be negative"),
        (lambda: tgr.bernoulli(2.0, (3,)), "got 2.0"),
        (lambda: tgr.bernoulli(np.array([0.5, -0.25])), "got -0.25"),
        (lambda: tgr.bernoulli(np.array([0.5, np.nan])), "got nan"),
        (lambda: tgr.exponential((3,), rate=0.0), "lambda > 0.0"),
        (lambda: tgr.multinomial(np.ones(2), 3), "cannot take 3 of 2"),
        (lambda: tgr.multinomial(np.ones(2), 0), "must be positive"),
        (lambda: tgr.multinomial(np.ones((2, 2, 2)), 1), r"\(2, 2, 2\)"),
        (lambda: tgr.multinomial(np.array([1.0, -1.0]), 1), "negative"),
        (lambda: tgr.multinomial(np.zeros(2), 1, True), "sums to zero"),
        (lambda: tgr.multinomial(np.array([1, 2]), 1), "got int64"),
    ],
)
def test_errors_name_the_value(draw, words):
    with pytest.raises(RuntimeError, match=words):
        draw()
