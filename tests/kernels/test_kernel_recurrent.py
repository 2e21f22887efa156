"""Kernels of recurrent steps: each equals its twin, works on the first rows of the state only, and lets NaN through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import recurrent_numpy

sizes = st.tuples(st.integers(0, 5), st.sampled_from([1, 2, 3, 8, 17, 33]), st.integers(0, 2), st.sampled_from(DTYPES))
seeds = st.integers(0, 2**16)
KINDS = {"rnn": (1, 1, 1, (False,)), "relu": (1, 1, 1, (True,)), "lstm": (4, 5, 2, ()), "gru": (3, 4, 1, ())}


def forward(home, kind: str, batch: int, width: int, more: int, dtype, seed: int, scale: float = 1.0):
    """One step: what was given, then state and notes."""
    gates, noted, states, options = KINDS[kind]
    x, hidden = (scale * normal(seed + i, batch, gates * width, dtype=dtype) for i in range(2))
    bias, state = (
        normal(seed + 2, gates * width, dtype=dtype),
        normal(seed + 3, states, batch + more, width, dtype=dtype),
    )
    before, notes = state.copy(), np.zeros((batch, noted * width), dtype)
    getattr(home, f"{'rnn' if kind == 'relu' else kind}_cell")(x, hidden, bias, state, notes, *options)
    return before, state, notes


def backward(home, kind: str, before, notes, seed: int):
    gates, _, states, options = KINDS[kind]
    batch, width = len(notes), before.shape[2]
    g = normal(seed + 4, states, before.shape[1], width, dtype=notes.dtype)
    dx, da = np.zeros((batch, gates * width), notes.dtype), np.zeros((batch, gates * width), notes.dtype)
    if kind in ("rnn", "relu"):
        home.rnn_cell_grad(g, notes, da, *options)
    elif kind == "lstm":
        home.lstm_cell_grad(g, notes, np.ascontiguousarray(before[1, :batch]), da)
    else:
        home.gru_cell_grad(g, notes, np.ascontiguousarray(before[0, :batch]), dx, da)
    return g, dx, da


def close(mine, twins):
    for a, b in zip(mine, twins, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **tolerance(b.dtype, 8))


@pytest.mark.parametrize("kind", KINDS)
@given(size=sizes, seed=seeds)
def test_steps_and_gradients_equal_their_twins(kind, size, seed):
    mine, twins = (forward(home, kind, *size, seed) for home in (kernels, recurrent_numpy))
    close(mine, twins)
    before, _, notes = twins
    np.testing.assert_array_equal(
        mine[1][:, size[0] :], before[:, size[0] :]
    )  # sequences that have ended keep their state
    close(backward(kernels, kind, before, notes, seed), backward(recurrent_numpy, kind, before, notes, seed))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("scale", [1e-6, 30.0, 1e30])
def test_to_the_last_digits_at_any_size(kind, scale):
    with np.errstate(over="ignore"):
        close(
            forward(kernels, kind, 4, 50, 0, np.float32, 1, scale),
            forward(recurrent_numpy, kind, 4, 50, 0, np.float32, 1, scale),
        )


def test_tanh_is_exact_near_zero_and_far_away():
    x = np.concatenate([np.geomspace(1e-30, 100, 5001), [0.0, np.inf]]).astype(np.float32)
    x = np.concatenate([-x, x])[None]
    zero, notes = np.zeros_like(x), np.zeros_like(x)
    kernels.rnn_cell(x, zero, zero[0], zero[None].copy(), notes, False)
    np.testing.assert_allclose(notes, np.tanh(x.astype(np.float64)), rtol=4 * np.finfo(np.float32).eps, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_in_its_row(kind):
    gates, noted, states, options = KINDS[kind]
    x = normal(1, 3, gates * 4)
    x[1] = np.nan
    state, notes = normal(2, states, 3, 4), np.zeros((3, noted * 4), np.float32)
    getattr(kernels, f"{'rnn' if kind == 'relu' else kind}_cell")(x, np.zeros_like(x), x[0] * 0, state, notes, *options)
    assert np.isnan(state[:, 1]).all()
    assert np.isfinite(state[:, [0, 2]]).all()
