"""Random numbers equal their twin to the last bit, and leave the Twister in the same state."""

import numpy as np
import pytest

from tinygrad_edu import kernels
from tinygrad_edu.kernels import random_numpy

SIZES = (0, 1, 63, 64, 65, 311, 312, 313, 624, 1000, 2047, 2049, 5000)  # around states of 624 words and chunks of 2048


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_bernoulli(dtype):
    mine, theirs = np.random.MT19937(3), np.random.MT19937(3)
    for turn, size in enumerate(SIZES * 2):
        got, expected = np.empty(size, dtype), np.empty(size, dtype)
        kernels.bernoulli_into(got, mine, 0.3, 2.0)
        random_numpy.bernoulli_into(expected, theirs, 0.3, 2.0)
        np.testing.assert_array_equal(got, expected)
        assert set(got.tolist()) <= {0, 2}
        np.testing.assert_array_equal(mine.random_raw(turn), theirs.random_raw(turn))  # an odd place in the stream, too


@pytest.mark.parametrize("p", [0.0, 1e-300, 2.0**-53, 0.5, 1 - 2.0**-53, 1.0])
def test_bernoulli_at_the_ends(p):
    got, expected = np.empty((40, 50), np.float32), np.empty((40, 50), np.float32)
    kernels.bernoulli_into(got, np.random.MT19937(1), p, 1.0)
    random_numpy.bernoulli_into(expected, np.random.MT19937(1), p, 1.0)
    np.testing.assert_array_equal(got, expected)
    kernels.bernoulli_into(got.T, np.random.MT19937(1), 0.5, 1.0)  # memory in another order
    random_numpy.bernoulli_into(expected.T, np.random.MT19937(1), 0.5, 1.0)
    np.testing.assert_array_equal(got, expected)
