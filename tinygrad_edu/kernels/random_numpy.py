"""Random numbers from the words of the Mersenne Twister, as PyTorch makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import MT19937


def bernoulli_into(out: np.ndarray, twister: MT19937, p: float, value: float) -> None:
    """Write `value` with probability p and 0 otherwise to every element of `out`.

    An element takes two words of the Twister, the high half first; their lowest 53 bits are a fraction u of 1, and the
    element becomes `value` where u < p.

    Parameters
    ----------
    out : array
    twister : numpy.random.MT19937
        It has moved on by two words per element afterwards.
    p : float
        Between 0 and 1.
    value : float
    """
    halves = twister.random_raw(2 * out.size)
    bits = ((halves[0::2] << np.uint64(32)) | halves[1::2]) & np.uint64(2**53 - 1)
    out[...] = np.where(bits.reshape(out.shape) * 2.0**-53 < p, value, 0)
