"""The same seed gives PyTorch's numbers: exactly for uniforms, integers and orders, to rounding for normals."""

import numpy as np
import pytest

from tinygrad_edu import random as tgr
from tinygrad_edu.random import Generator

torch = pytest.importorskip("torch")

SEEDS = [0, 1, 42, 2**31 + 5, 2**32 + 7, 2**63, -1]
SIZES = [0, 1, 2, 15, 16, 17, 31, 100, 1000, 4097]
FLOATS = ["float32", "float64"]
each_seed = pytest.mark.parametrize("seed", SEEDS)
each_float = pytest.mark.parametrize("dtype", FLOATS)


def pair(seed: int):
    return Generator().manual_seed(seed), torch.Generator().manual_seed(seed)


def words_taken(draw) -> int:
    g = torch.Generator().manual_seed(0)
    draw(g)
    return int(g.get_state().numpy()[16:24].view(np.int64)[0])


# On Intel processors PyTorch seeds Intel's library with one word instead of drawing from its own stream.
intels_bernoulli = words_taken(lambda g: torch.empty(20).bernoulli_(0.5, generator=g)) == 1
intels_exponential = words_taken(lambda g: torch.empty(20).exponential_(1.0, generator=g)) == 1


def ulps(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest distance in units of the last place of the larger of |b| and 1 (cosines near 0 cancel)."""
    return float((np.abs(a - b) / np.spacing(np.maximum(np.abs(b), b.dtype.type(1)))).max(initial=0))


@each_seed
def test_seeds(seed):
    ours, theirs = pair(seed)
    assert ours.initial_seed() == theirs.initial_seed()
    assert np.array_equal(ours.get_state(), theirs.get_state().numpy())


def test_a_fresh_generator():
    assert Generator().initial_seed() == torch.Generator().initial_seed()


@each_seed
@each_float
def test_uniform(seed, dtype):
    ours, theirs = pair(seed)
    for n in SIZES:
        expected = torch.rand(n, generator=theirs, dtype=getattr(torch, dtype)).numpy()
        assert np.array_equal(tgr.uniform((n,), dtype, generator=ours), expected)


def test_uniform_half():
    ours, theirs = pair(3)
    expected = torch.rand(1000, generator=theirs, dtype=torch.float16).numpy()
    assert np.array_equal(tgr.uniform((1000,), np.float16, generator=ours), expected)


@each_float
@pytest.mark.parametrize("bounds", [(-0.3, 0.3), (-0.1234, 0.771), (2.0, 3.3), (0.0, 1e-3), (5.0, 5.0)])
def test_uniform_between_bounds(dtype, bounds):
    ours, theirs = pair(5)
    expected = torch.empty(100, 50, dtype=getattr(torch, dtype)).uniform_(*bounds, generator=theirs).numpy()
    assert np.array_equal(tgr.uniform((100, 50), dtype, *bounds, generator=ours), expected)


@each_seed
@each_float
def test_normal(seed, dtype):
    ours, theirs = pair(seed)
    for n in SIZES:  # one stream through all sizes: the waiting second normal is carried along
        expected = torch.randn(n, generator=theirs, dtype=getattr(torch, dtype)).numpy()
        assert ulps(tgr.normal((n,), dtype, generator=ours), expected) <= 3
    assert np.array_equal(ours.words32(5), pair_words(theirs))


def pair_words(theirs) -> np.ndarray:
    g = Generator()
    g.set_state(theirs.get_state().numpy())
    return g.words32(5)


@each_float
@pytest.mark.parametrize("n", [5, 1000])
def test_normal_with_mean_and_std(dtype, n):
    ours, theirs = pair(8)
    expected = torch.empty(n, dtype=getattr(torch, dtype)).normal_(0.3, 1.7, generator=theirs).numpy()
    assert ulps(tgr.normal((n,), dtype, 0.3, 1.7, ours), expected) <= 4


@each_seed
@pytest.mark.parametrize(
    "bounds",
    [
        (0, 1),
        (0, 10),
        (-5, 5),
        (0, 2**28 - 1),
        (0, 2**28),
        (3, 2**31),
        (-7, 2**32),
        (0, 2**63 - 1),
        (-(2**63), 2**63 - 1),
    ],
)
def test_integers(seed, bounds):
    ours, theirs = pair(seed)
    for n in (0, 1, 100):
        expected = torch.randint(*bounds, (n,), generator=theirs).numpy()
        assert np.array_equal(tgr.integers(*bounds, (n,), generator=ours), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "float32", "float64"])
def test_integers_of_every_type(dtype):
    ours, theirs = pair(4)
    expected = torch.randint(0, 100, (3, 70), generator=theirs, dtype=getattr(torch, dtype)).numpy()
    drawn = tgr.integers(0, 100, (3, 70), dtype, ours)
    assert drawn.dtype == expected.dtype and np.array_equal(drawn, expected)


def test_the_sixty_three_bit_draw_that_seeds_a_data_loader():
    ours, theirs = pair(4)
    expected = torch.empty((), dtype=torch.int64).random_(generator=theirs).item()
    assert tgr.integers(0, 2**63, (), generator=ours) == expected


@each_seed
def test_permutation(seed):
    ours, theirs = pair(seed)
    for n in [*SIZES, 30_000]:
        assert np.array_equal(tgr.permutation(n, ours), torch.randperm(n, generator=theirs).numpy())


@each_seed
@each_float
def test_bernoulli_of_a_tensor(seed, dtype):
    ours, theirs = pair(seed)
    p = np.linspace(0, 1, 200, dtype=dtype).reshape(10, 20)
    expected = torch.bernoulli(torch.from_numpy(p), generator=theirs).numpy()
    assert np.array_equal(tgr.bernoulli(p, dtype=dtype, generator=ours), expected)


@pytest.mark.skipif(intels_bernoulli, reason="on Intel processors PyTorch draws these from Intel's library")
@each_seed
def test_bernoulli_of_a_number(seed):
    ours, theirs = pair(seed)
    expected = torch.empty(300).bernoulli_(0.3, generator=theirs).numpy()
    assert np.array_equal(tgr.bernoulli(0.3, (300,), generator=ours), expected)


@pytest.mark.skipif(intels_exponential, reason="on Intel processors PyTorch draws these from Intel's library")
@each_float
def test_exponential(dtype):
    ours, theirs = pair(6)
    for n, rate in ((1, 1.0), (100, 1.0), (1000, 2.5)):
        expected = torch.empty(n, dtype=getattr(torch, dtype)).exponential_(rate, generator=theirs).numpy()
        assert ulps(tgr.exponential((n,), dtype, rate, ours), expected) <= 2


@each_seed
@each_float
def test_multinomial_with_replacement(seed, dtype):
    ours, theirs = pair(seed)
    for shape in ((7,), (5, 7), (3, 200)):
        weights = np.random.default_rng(0).random(shape).astype(dtype)
        for n in (50, 2) if intels_exponential else (50, 2, 1):  # a single sample is drawn with exponentials
            expected = torch.multinomial(torch.from_numpy(weights), n, True, generator=theirs).numpy()
            assert np.array_equal(tgr.multinomial(weights, n, True, ours), expected)


@pytest.mark.skipif(intels_exponential, reason="on Intel processors PyTorch draws these from Intel's library")
@each_seed
@each_float
def test_multinomial_without_replacement(seed, dtype):
    ours, theirs = pair(seed)
    for shape, n in (((7,), 1), ((7,), 7), ((5, 7), 3), ((3, 200), 90)):
        weights = np.random.default_rng(0).random(shape).astype(dtype)
        expected = torch.multinomial(torch.from_numpy(weights), n, False, generator=theirs).numpy()
        assert np.array_equal(tgr.multinomial(weights, n, False, ours), expected)


@pytest.mark.parametrize("drawn", [0, 1, 623, 624, 625, 2000])
def test_states_travel_between_the_libraries(drawn):
    ours, theirs = pair(2)
    tgr.integers(0, 10, (drawn,), generator=ours)
    torch.randint(0, 10, (drawn,), generator=theirs)
    tgr.normal((3,), generator=ours)
    torch.randn(3, generator=theirs)
    back, forth = Generator(), torch.Generator()
    back.set_state(theirs.get_state())
    forth.set_state(torch.from_numpy(ours.get_state().numpy()))
    assert np.allclose(tgr.normal((4,), generator=back), torch.randn(4, generator=forth).numpy(), rtol=1e-6, atol=0)
    assert np.array_equal(tgr.uniform((50,), generator=back), torch.rand(50, generator=forth).numpy())
