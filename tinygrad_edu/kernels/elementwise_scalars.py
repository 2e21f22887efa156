"""exp, log, tanh and their like for one number, written so that a compiler can send whole vectors through them.

The C library's functions take one number at a time. Ours have no branches and no tables: a loop that calls them is
turned into vector instructions. They exist for float32, to two units in the last place; float64 uses the C library.
`exp_of` and the others choose by the type of their argument, when a kernel is compiled.

No function here may be compiled with "reassoc": x - n*A + n*B is exact only in this order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from tinygrad_edu.kernels.compiler import EXACT, compiled

f32 = np.float32
OPTIONS: Any = {"fastmath": EXACT, "error_model": "numpy", "nogil": True}
LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504088896341), f32(0.693359375), f32(-2.12194440e-4)  # high + low = ln 2
# Near 1.5 * 2^23 neighbouring float32 are 1 apart: adding this number rounds to a whole one.
ROUNDING, ROUNDING_BITS = f32(12582912.0), np.int32(0x4B400000)
SQRT_HALF, TINY, TWO_23 = f32(0.70710678118654752), f32(1.17549435e-38), f32(8388608.0)


@compiled()
def exp32(x):
    """exp for float32, to about one unit in the last place.

    Cody and Waite: x = n*ln 2 + r with |r| <= ln(2)/2; ln 2 is split into two numbers so that r is exact; a polynomial
    gives exp(r), and 2^n is made by writing n into the exponent bits. n is halved first because 2^128 has no float32.
    NaN stays NaN, large x gives Inf and very negative x 0.
    """
    bounded = min(max(x, f32(-104.0)), f32(89.0))  # of a NaN and a number, max and min take what stands first: the NaN
    shifted = bounded * LOG2E + ROUNDING
    n = shifted - ROUNDING
    r = (bounded - n * LN2_HIGH) - n * LN2_LOW
    whole = _lowest_bits(shifted)
    half = np.int32(whole >> np.int32(1))
    power = _power_of_two(half)
    return (power + power * _exp_less_one(r)) * _power_of_two(np.int32(whole - half))


@compiled()
def _exp_less_one(r):
    """exp(r) - 1 for |r| <= ln(2)/2, by a polynomial of degree 6 that is off by at most 4e-9.

    Its terms are grouped in pairs: a processor that works on several instructions at a time waits for the longest chain of
    results that need each other, and Horner's rule is one long chain.
    """
    square = r * r
    high = square * f32(1.3814539989e-3) + (r * f32(8.3687452460e-3) + f32(4.1668390797e-2))
    low = r * f32(1.6666520398e-1) + f32(4.9999993432e-1)
    return (high * square + low) * square + r


@compiled()
def _lowest_bits(shifted):
    """n as an integer, from the float32 n + ROUNDING: adding moved it to the last bits, rounded to a whole number."""
    return np.int32(f32(shifted).view(np.int32) - ROUNDING_BITS)


@compiled()
def _power_of_two(n):
    """2^n for an int32 n between -126 and 127, by shifting n into the exponent bits of a float32.

    Numba makes int64 of every result of two int32, which would halve the vectors; hence the conversions.
    """
    return np.int32(np.int32(n + np.int32(127)) << np.int32(23)).view(np.float32)


@compiled()
def sigmoid32(x):
    """1 / (1 + exp(-x)) for float32. Beside 1 an exponential need not be right to its last digits where it is tiny,
    nor where it is huge: 2^n is made in one piece, and is Inf from 2^128 on. Times a positive number Inf stays what it is.
    """
    bounded = min(max(-x, f32(-80.0)), f32(89.0))
    shifted = bounded * LOG2E + ROUNDING
    n = shifted - ROUNDING
    r = (bounded - n * LN2_HIGH) - n * LN2_LOW
    power = _power_of_two(_lowest_bits(shifted))
    return f32(1.0) / (f32(1.0) + power * (f32(1.0) + _exp_less_one(r)))


@compiled()
def tanh32(x):
    """tanh for float32 through e = exp(2|x|) - 1: tanh |x| = e / (e + 2), and e is exact to the last digits near 0."""
    y = min(f32(2.0) * abs(x), f32(20.0))  # tanh of 10 and of anything larger is 1
    shifted = y * LOG2E + ROUNDING
    n = shifted - ROUNDING
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    power = _power_of_two(_lowest_bits(shifted))
    e = power * _exp_less_one(r) + (power - f32(1.0))
    t = e / (e + f32(2.0))
    return -t if x < f32(0.0) else t


@compiled()
def log32(x):
    """log for float32: x = 2^n m with sqrt(1/2) <= m < sqrt(2), and a polynomial in m - 1 gives log m.

    log 0 is -Inf, of a negative number NaN; NaN and Inf stay what they are.
    """
    small = x < TINY  # not normalized: its exponent bits are 0
    scaled = x * TWO_23 if small else x
    bits = f32(scaled).view(np.int32)
    exponent = np.int32(np.int32(bits >> np.int32(23)) - np.int32(126))
    m = np.int32(np.int32(bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    low = m < SQRT_HALF
    n = f32(exponent) - (f32(23.0) if small else f32(0.0)) - (f32(1.0) if low else f32(0.0))
    z = (m + m if low else m) - f32(1.0)
    y = _log_series(z) * z * (z * z) + n * LN2_LOW - f32(0.5) * (z * z)
    result = z + y + n * LN2_HIGH
    result = result if x > f32(0.0) else (f32(-np.inf) if x == f32(0.0) else f32(np.nan))
    return result if x < f32(np.inf) else x


@compiled()
def _log_series(z):
    """(log(1 + z) - z + z^2/2) / z^3 for 1 + z between sqrt(1/2) and sqrt(2)."""
    p = f32(7.0376836292e-2)
    p = p * z - f32(1.1514610310e-1)
    p = p * z + f32(1.1676998740e-1)
    p = p * z - f32(1.2420140846e-1)
    p = p * z + f32(1.4249322787e-1)
    p = p * z - f32(1.6668057665e-1)
    p = p * z + f32(2.0000714765e-1)
    p = p * z - f32(2.4999993993e-1)
    return p * z + f32(3.3333331174e-1)


@compiled()
def log1p32(s):
    """log(1 + s) for s from 0 to 1: with t = s/(2+s) it is log((1+t)/(1-t)) = 2 (t + t^3/3 + t^5/5 + ...), t <= 1/3."""
    t = s / (f32(2) + s)
    q = t * t
    series = f32(1 / 13) + q * f32(1 / 15)
    series = f32(1 / 11) + q * series
    series = f32(1 / 9) + q * series
    series = f32(1 / 7) + q * series
    series = f32(1 / 5) + q * series
    series = f32(1 / 3) + q * series
    return f32(2) * (t + t * (q * series))


@compiled()
def log1m32(p):
    """log(1 - p) for 0 <= p <= 1. Where 1 - p is rounded, the quotient of what was and what should have been taken
    away puts it right: near 1, log u is proportional to u - 1.
    """
    u = f32(1) - p
    return -p if u == f32(1) else log32(u) * (-p / (u - f32(1)))


def exp_of(x):
    """exp(x) for float32 or float64."""
    return math.exp(x)


def log_of(x):
    """log(x) for float32 or float64."""
    return math.log(x)


def log1p_of(x):
    """log(1 + x) for 0 <= x <= 1, float32 or float64."""
    return math.log1p(x)


def log1m_of(p):
    """log(1 - p) for 0 <= p <= 1, float32 or float64."""
    return math.log1p(-p)


def tanh_of(x):
    """tanh(x) for float32 or float64."""
    return math.tanh(x)


def sigmoid_of(x):
    """1 / (1 + exp(-x)) for float32 or float64."""
    return 1.0 / (1.0 + math.exp(-x))


@overload(exp_of, jit_options=OPTIONS)
def _choose_exp(x):
    return (lambda x: exp32(x)) if x == types.float32 else (lambda x: math.exp(x))


@overload(log_of, jit_options=OPTIONS)
def _choose_log(x):
    return (lambda x: log32(x)) if x == types.float32 else (lambda x: math.log(x))


@overload(log1p_of, jit_options=OPTIONS)
def _choose_log1p(x):
    return (lambda x: log1p32(x)) if x == types.float32 else (lambda x: math.log1p(x))


@overload(log1m_of, jit_options=OPTIONS)
def _choose_log1m(p):
    return (lambda p: log1m32(p)) if p == types.float32 else (lambda p: math.log1p(-p))


@overload(tanh_of, jit_options=OPTIONS)
def _choose_tanh(x):
    return (lambda x: tanh32(x)) if x == types.float32 else (lambda x: math.tanh(x))


@overload(sigmoid_of, jit_options=OPTIONS)
def _choose_sigmoid(x):
    return (lambda x: sigmoid32(x)) if x == types.float32 else (lambda x: 1.0 / (1.0 + math.exp(-x)))
