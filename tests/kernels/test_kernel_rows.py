"""Adding into rows equals its twin to the last bit: both add one value after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal

from tinygrad_edu import kernels
from tinygrad_edu.kernels import rows_numpy


@given(st.integers(0, 30), st.sampled_from([0, 1, 2, 7, 16, 33]), st.integers(1, 9), st.sampled_from(DTYPES),
       st.sampled_from([np.int64, np.int32, np.uint8]), st.integers(0, 2**16))  # fmt: skip
def test_add_rows(size, width, count, dtype, index, seed):
    values, rows = (
        normal(seed, size, width, dtype=dtype),
        np.random.default_rng(seed).integers(0, count, size).astype(index),
    )
    out = kernels.add_rows(values, rows, count)
    assert out.dtype == dtype
    assert out.shape == (count, width)
    np.testing.assert_array_equal(out, rows_numpy.add_rows(values, rows, count))
    np.testing.assert_array_equal(out, kernels.add_rows(np.asfortranarray(values), rows, count))
    loop = np.zeros((count, width), dtype)
    for row, value in zip(rows, values, strict=True):
        loop[row] += value
    np.testing.assert_array_equal(out, loop)


@pytest.mark.parametrize("width", [1, 3])
def test_a_row_that_does_not_exist(width):
    with pytest.raises(IndexError, match="out of bounds"):
        kernels.add_rows(normal(1, 2, width), np.array([0, 4]), 4)
    with pytest.raises(ValueError, match="broadcast"):
        kernels.add_rows(normal(1, 3, width), np.array([0, 1]), 4)
    last = kernels.add_rows(normal(1, 1, width), np.array([-1]), 4)
    np.testing.assert_array_equal(last[3], normal(1, 1, width)[0])
