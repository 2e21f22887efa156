"""The Mersenne Twister several words at a time: NumPy hands out one word a call, and is asked for a million of them.

The Twister itself stays NumPy's. We read its words where NumPy keeps them, make the next 624 there when they are used up,
and leave it as if NumPy had handed out the words: whoever draws next, here or there, goes on with the next one.
"""

from __future__ import annotations

import ctypes
import functools
import math
import sys

import numpy as np

from tinygrad_edu.kernels import random_numpy as twin
from tinygrad_edu.kernels.compiler import compiled

u32, u64 = np.uint32, np.uint64
WORDS, SHIFT = 624, 397  # words of a state, and how far ahead of itself a new word looks
CHUNK = 2048  # elements whose words are kept at a time, in the cache
SHORTEST = 64  # elements; for fewer, NumPy is sooner done


def bernoulli_into(out: np.ndarray, twister, p: float, value: float) -> None:
    if out.size < SHORTEST or not out.flags.c_contiguous or not _is_known():
        twin.bernoulli_into(out, twister, p, value)
    else:
        # u * 2^-53 < p is u < p * 2^53, and u is a whole number
        _bernoulli(out.reshape(-1), _state(twister), np.int64(math.ceil(p * 2.0**53)), out.dtype.type(value))


def _state(twister) -> np.ndarray:
    """NumPy's own memory of a Twister, valid as long as it lives: its words, and the place of the next one."""
    place = twister.ctypes.state_address
    return np.ctypeslib.as_array((ctypes.c_uint32 * (WORDS + 1)).from_address(place))


@functools.cache
def _is_known() -> bool:
    """Whether this processor orders bytes, and this NumPy keeps a Twister's state, as we think they do."""
    twister = np.random.MT19937(1)
    twister.random_raw(5)
    seen, told = _state(twister), twister.state["state"]
    return sys.byteorder == "little" and bool((seen[:WORDS] == told["key"]).all()) and seen[WORDS] == told["pos"]


@compiled()
def _bernoulli(out, state, bound, value):
    zero, words = out.dtype.type(0), np.empty(2 * CHUNK, u32)
    pairs = words.view(u64)  # the first of two words in the low half
    for start in range(0, out.size, CHUNK):
        piece = out[start : start + CHUNK]
        _take(state, words[: 2 * piece.size])
        for i in range(piece.size):
            bits = (pairs[i] & u64(0x1FFFFF)) << u64(32) | pairs[i] >> u64(32)
            piece[i] = value if np.int64(bits) < bound else zero


@compiled()
def _take(state, words):
    """Fill `words` with the Twister's next ones."""
    place, done = np.int64(state[WORDS]), 0
    while done < words.size:
        if place == WORDS:
            _twist(state)
            place = 0
        count = min(WORDS - place, words.size - done)
        source, target = state[place : place + count], words[done : done + count]
        for i in range(count):
            target[i] = _tempered(source[i])
        place += count
        done += count
    state[WORDS] = u32(place)


@compiled(inline="always")
def _tempered(word):
    """Numba makes 64 bits of every result of two 32-bit integers, which would halve the vectors; hence the conversions."""
    word = u32(word ^ u32(word >> u32(11)))
    word = u32(word ^ u32(u32(word << u32(7)) & u32(0x9D2C5680)))
    word = u32(word ^ u32(u32(word << u32(15)) & u32(0xEFC60000)))
    return u32(word ^ u32(word >> u32(18)))


@compiled()
def _twist(state):
    """Replace the words by the next 624, in stretches that read no new word of their own: those become vectors."""
    lead = WORDS - SHIFT
    _mix(state[: lead + 1], state[SHIFT:WORDS])
    _mix(state[lead : 2 * lead + 1], state[:lead])
    _mix(state[2 * lead : WORDS], state[lead : SHIFT - 1])
    state[WORDS - 1] = _mixed(state[WORDS - 1], state[0], state[SHIFT - 1])


@compiled()
def _mix(words, far):
    for i in range(far.size):
        words[i] = _mixed(words[i], words[i + 1], far[i])


@compiled(inline="always")
def _mixed(first, second, far):
    word = u32(u32(first & u32(0x80000000)) | u32(second & u32(0x7FFFFFFF)))
    odd = u32(word & u32(1))
    return u32(u32(far ^ u32(word >> u32(1))) ^ u32(odd * u32(0x9908B0DF)))
