"""Shapes and settings of convolutions and poolings for Hypothesis, with the arrays to go with them."""

import numpy as np
from hypothesis import strategies as st

DTYPES = (np.float32, np.float64)


def tolerance(dtype, terms: int) -> dict[str, float]:
    """Rounding of a sum of `terms` products of standard normal numbers, taken in another order.

    The k-th partial sum is about sqrt(k) large and rounded by half an eps of it; the errors add up at random to about
    0.2 * terms * eps, and the largest of many thousand such errors is five times that.
    """
    bound = np.finfo(dtype).eps * max(8, terms)
    return {"rtol": bound, "atol": bound}


def normal(seed: int, *shape: int, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def pairs(low: int, high: int):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw, plain: bool = False):
    """(x, w, bias or None, g, settings): a convolution whose output exists. `plain` keeps stride and dilation at 1."""
    dtype = draw(st.sampled_from(DTYPES))
    groups = 1 if plain else draw(st.sampled_from([1, 1, 2, 3]))
    cg, og = draw(st.integers(1, 4)), draw(st.integers(1, 11))
    kernel = draw(pairs(1, 5))
    stride = (1, 1) if plain else draw(pairs(1, 3))
    dilation = (1, 1) if plain else draw(pairs(1, 2))
    padding = draw(pairs(0, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    hw = tuple(low + draw(st.integers(0, 19)) for low in least)
    n = draw(st.sampled_from([0, 1, 2, 3]))
    seed = draw(st.integers(0, 2**16))
    out = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(hw, kernel, stride, padding, dilation, strict=True)
    ]
    x = normal(seed, n, cg * groups, *hw, dtype=dtype)
    w = normal(seed + 1, og * groups, cg, *kernel, dtype=dtype)
    bias = normal(seed + 2, og * groups, dtype=dtype) if draw(st.booleans()) else None
    g = normal(seed + 3, n, og * groups, *out, dtype=dtype)
    return x, w, bias, g, (stride, padding, dilation, groups)


@st.composite
def poolings(draw, dilated: bool = True):
    """(x, kernel, stride, padding, dilation, ceil_mode) as PyTorch allows them; x has ties, at times NaN, Inf."""
    kernel = draw(st.sampled_from([(2, 2), (2, 2), (3, 3), (1, 2), (3, 2)]))
    stride = draw(st.sampled_from([kernel, (1, 1), (2, 2), (3, 2)]))
    dilation = draw(pairs(1, 2)) if dilated and draw(st.booleans()) else (1, 1)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    hw = tuple(d * (k - 1) + 1 + draw(st.integers(0, 33)) for k, d in zip(kernel, dilation, strict=True))
    dtype = draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.integers(-3, 3, (draw(st.sampled_from([0, 1, 2])), draw(st.integers(1, 3)), *hw)).astype(dtype)
    if draw(st.booleans()):
        x[rng.random(x.shape) < 0.2] = np.nan
        x[rng.random(x.shape) < 0.2] = -np.inf
        x[rng.random(x.shape) < 0.1] = np.inf
    return x, kernel, stride, padding, dilation, draw(st.booleans())
