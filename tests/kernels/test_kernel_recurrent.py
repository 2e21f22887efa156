"""Kernels of recurrent layers: each equals its twin, on any number of threads; NaN stays in its sequence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal, tolerance

from tinygrad_edu import kernels
from tinygrad_edu.kernels import recurrent_numpy, threads
from tinygrad_edu.ops.recurrent import KINDS, time_steps

lengths = st.lists(st.integers(1, 5), min_size=1, max_size=20).map(lambda n: sorted(n, reverse=True))
widths = st.sampled_from([1, 2, 3, 8, 17, 33])
seeds = st.integers(0, 2**16)


def sizes_of(n: list[int]) -> list[int]:
    """Numbers of sequences still running at each time."""
    return [sum(length > time for length in n) for time in range(n[0])]


def forward(home, kind: str, n, width: int, backwards: bool, dtype, seed: int, scale: float = 1.0) -> dict:
    """All steps; returns everything that the way back reads, and what came out."""
    cell, rows = KINDS[kind], sum(n)
    x = (scale * normal(seed, rows, cell.gates * width)).astype(dtype)
    w = normal(seed + 1, cell.gates * width, width, dtype=dtype) * dtype(width**-0.5)
    bias, state = (
        normal(seed + 2, cell.gates * width, dtype=dtype),
        normal(seed + 3, cell.states, len(n), width, dtype=dtype),
    )
    before, notes = np.zeros((cell.states, rows, width), dtype), np.zeros((rows, cell.notes * width), dtype)
    out, steps = np.zeros((rows, width), dtype), np.array(time_steps(sizes_of(n), backwards))
    home.recurrent_forward(x, w, bias, state, steps, kind, before, notes, out)
    return {"state": state, "before": before, "notes": notes, "out": out, "w": w, "steps": steps}


def backward(home, kind: str, given: dict, seed: int) -> list[np.ndarray]:
    rows, dtype = len(given["out"]), given["out"].dtype
    g, running = normal(seed, *given["out"].shape, dtype=dtype), normal(seed + 1, *given["state"].shape, dtype=dtype)
    dx = np.zeros((rows, given["w"].shape[0]), dtype)
    da = np.zeros_like(dx) if kind == "GRU" else dx
    home.recurrent_backward(g, given["w"], running, given["steps"], kind, given["before"], given["notes"], dx, da)
    return [running, dx, da]


def close(mine, twins, terms: int):
    for a, b in zip(mine, twins, strict=True):
        if b.dtype.kind != "f":
            continue  # the steps
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **tolerance(b.dtype, terms))


@pytest.mark.parametrize("kind", KINDS)
@given(n=lengths, width=widths, backwards=st.booleans(), dtype=st.sampled_from(DTYPES), seed=seeds)
def test_through_time_and_back(kind, n, width, backwards, dtype, seed):
    mine, twins = (forward(home, kind, n, width, backwards, dtype, seed) for home in (kernels, recurrent_numpy))
    close(mine.values(), twins.values(), 30 * width)
    if kind == "RNN_RELU":  # a rounding on one side of the kink would count
        mine = twins
    close(backward(kernels, kind, mine, seed), backward(recurrent_numpy, kind, twins, seed), 100 * width)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads(kind, monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e3)
    before, results = kernels.get_num_threads(), []
    n = sorted(np.random.default_rng(0).integers(1, 7, size=37).tolist(), reverse=True)
    try:
        for count in (1, 2, 3):
            kernels.set_num_threads(count)
            found = forward(kernels, kind, n, 24, False, np.float32, 1)
            results.append([*found.values(), *backward(kernels, kind, found, 2)])
    finally:
        kernels.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", ["RNN_TANH", "LSTM", "GRU"])
@pytest.mark.parametrize("scale", [1e-6, 30.0, 1e30])
def test_inputs_of_any_size(kind, scale):
    with np.errstate(over="ignore"):
        mine, twins = (
            forward(home, kind, [3, 3, 3], 50, False, np.float32, 1, scale) for home in (kernels, recurrent_numpy)
        )
    close(mine.values(), twins.values(), 500)


def test_tanh_to_the_last_digits():
    x = np.concatenate([np.geomspace(1e-30, 100, 501), [0.0, np.inf]]).astype(np.float32)
    x = np.concatenate([-x, x])[None]
    width = x.shape[1]
    zero, out, state = np.zeros_like(x), np.zeros_like(x), np.zeros((1, 1, width), np.float32)
    w, steps = np.zeros((width, width), np.float32), np.array([[0, 1]])
    kernels.recurrent_forward(x, w, zero[0], state, steps, "RNN_TANH", zero[None].copy(), zero.copy(), out)
    np.testing.assert_allclose(out, np.tanh(x.astype(np.float64)), rtol=4 * np.finfo(np.float32).eps, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_in_its_sequence(kind):
    cell, rows, steps = KINDS[kind], 12, np.array(time_steps([4, 4, 4]))
    x = normal(1, rows, cell.gates * 5)
    x[4 + 2] = np.nan  # the third sequence, at the second time
    w, state, out = normal(2, cell.gates * 5, 5), normal(3, cell.states, 4, 5), np.zeros((rows, 5), np.float32)
    before, notes = np.zeros((cell.states, rows, 5), np.float32), np.zeros((rows, cell.notes * 5), np.float32)
    kernels.recurrent_forward(x, w, x[0] * 0, state, steps, kind, before, notes, out)
    bad = np.isnan(out).any(1).reshape(3, 4)
    assert bad.tolist() == [[False] * 4, [False, False, True, False], [False, False, True, False]]
    assert np.isnan(state).any((0, 2)).tolist() == [False, False, True, False]
