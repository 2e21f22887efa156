"""What must hold for every public kernel: it equals its twin, whatever the numbers, the memory, the threads and the process.

The calls come from `kernels.examples`, so that a new kernel is tested here as soon as it has an example there.
"""

import copy
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from kernel_cases import DTYPES

from tinygrad_edu import kernels
from tinygrad_edu.kernels import examples, policy, threads

NAMES = sorted(examples.EXAMPLES)
SIZES = (0, 1, 2, 3, 7, 15, 16, 17, 33)  # around tiles and vectors of 4, 8 and 16, and nothing at all
# Kernels that whole numbers may be given to, and how many of the first arguments those are: the others say where.
WHOLE = {
    "add_rows": 1, "conv2d_forward": 3, "conv2d_input_grad": 2, "conv2d_weight_grad": 2, "matmul": 2, "max_pool2d_backward": 1,
    "max_pool2d_forward": 1, "max_pool2d_gather": 1, "relu": 1, "relu_grad": 2,
}  # fmt: skip
IN_PLACE = {
    "adam_step",
    "bernoulli_into",
    "sgd_step",
    "rmsprop_step",
    "recurrent_forward",
    "recurrent_backward",
}  # write to the caller's arrays
READING = [name for name in NAMES if name not in IN_PLACE]

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NaN and Inf are the point


def run(function, arguments: tuple) -> list:
    """Call it on copies; returns the results, and the arguments, which kernels that work in place have written to."""
    arguments = copy.deepcopy(arguments)
    out = function(*arguments)
    everything = [*(out if isinstance(out, tuple) else (out,)), *arguments]
    return [each for each in everything if isinstance(each, np.ndarray | np.generic)]


def public(name: str, arguments: tuple) -> list:
    return run(getattr(kernels, name), arguments)


def largest(arrays) -> float:
    """The size of the numbers involved: sums of large numbers may leave small ones with large errors."""
    finite = [
        np.abs(a[np.isfinite(a)].astype(np.float64)).max(initial=0.0)
        for a in map(np.asarray, arrays)
        if a.dtype.kind == "f"
    ]
    return max(finite, default=0.0)


def assert_equal_to_rounding(got: list, expected: list, arguments: tuple, terms: int = 64) -> None:
    scale = largest([*expected, *(a for a in arguments if isinstance(a, np.ndarray))])
    assert len(got) == len(expected)
    for one, two in zip(got, expected, strict=True):
        assert one.dtype == two.dtype
        assert np.shape(one) == np.shape(two)
        if two.dtype.kind == "f":
            bound = np.finfo(two.dtype).eps * terms
            np.testing.assert_allclose(one, two, rtol=bound, atol=bound * scale)
        else:
            np.testing.assert_array_equal(one, two)


def assert_same_bits(got: list, expected: list) -> None:
    for one, two in zip(got, expected, strict=True):
        assert np.asarray(one).tobytes() == np.asarray(two).tobytes()


def test_every_kernel_has_examples():
    assert set(examples.EXAMPLES) == set(policy._twins)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_equals_its_twin_at_odd_sizes_and_when_empty(name, dtype):
    for n in SIZES:
        for arguments in examples.calls(name, dtype, n):
            assert_equal_to_rounding(public(name, arguments), run(policy._twins[name], arguments), arguments)


def converted(arguments: tuple, dtype, only: int | None = None, limit: float = np.inf) -> tuple:
    """The leading arrays of the same dtype as the first one, converted; an array that is given twice stays one array."""
    old, made = arguments[0].dtype, {}
    for a in arguments[:only]:
        if isinstance(a, np.ndarray) and a.dtype == old:
            made[id(a)] = np.clip(a, -limit, limit).astype(dtype)
    return tuple(made.get(id(a), a) for a in arguments)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_too(name):
    for n in (0, 1, 7):
        for half in examples.calls(name, np.float16, n):
            exact = run(policy._twins[name], converted(half, np.float64))
            expected = [e.astype(np.float16) if e.dtype == np.float64 else e for e in exact]
            results = (
                1 if "pool" in name else None
            )  # in half precision another of two windows' pixels may be the largest
            assert_equal_to_rounding(public(name, half)[:results], expected[:results], half, terms=128)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_stay_whole_and_exact(name, dtype):
    numbers = WHOLE[name]
    for n in (0, 1, 7):
        for arguments in examples.calls(name, np.float64, n):
            small = converted(arguments, dtype, numbers, limit=1)
            got, expected = public(name, small)[0], run(policy._twins[name], converted(small, np.float64, numbers))[0]
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_nan_and_infinity_go_where_the_twin_sends_them(name, dtype):
    for n in (2, 7, 17, 33):
        for arguments in examples.calls(name, dtype, n):
            first = arguments[0]
            places = np.random.default_rng(n).random(first.shape)
            first[places < 0.06], first[places < 0.04], first[places < 0.02] = np.nan, np.inf, -np.inf
            assert_equal_to_rounding(public(name, arguments), run(policy._twins[name], arguments), arguments)


def every_second(array: np.ndarray) -> np.ndarray:
    """The same numbers, with others in between."""
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 7, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def assert_layout_does_not_matter(name: str, dtype, layout, least_dimensions: int) -> None:
    for n in (0, 17):
        for arguments in examples.calls(name, dtype, n):
            expected = run(policy._twins[name], arguments)
            placed = tuple(
                layout(a) if isinstance(a, np.ndarray) and a.ndim >= least_dimensions else a for a in arguments
            )
            out = getattr(kernels, name)(*placed)
            got = [*(out if isinstance(out, tuple) else (out,)), *placed]
            got = [each for each in got if isinstance(each, np.ndarray | np.generic)]
            assert_equal_to_rounding(got, expected, arguments)


@pytest.mark.parametrize("layout", [every_second, np.asfortranarray])
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", READING)
def test_any_layout_of_memory(name, dtype, layout):
    assert_layout_does_not_matter(name, dtype, layout, least_dimensions=2)


@pytest.mark.slow  # some kernels are compiled anew for these
@pytest.mark.parametrize("layout", [every_second, read_only])
@pytest.mark.parametrize("name", READING)
def test_vectors_with_gaps_and_arrays_that_may_not_be_written(name, layout):
    assert_layout_does_not_matter(name, np.float32, layout, least_dimensions=1)


@pytest.fixture
def eager_threads(monkeypatch):
    """Threads that start for the smallest piece of work; the number is as before afterwards."""
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 200)
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_bits_on_one_two_and_three_threads(name, dtype, eager_threads):
    for n in (7, 33):
        for arguments in examples.calls(name, dtype, n):
            results = []
            for count in (1, 2, 3):
                kernels.set_num_threads(count)
                results.append(public(name, arguments))
            for other in results[1:]:
                assert_same_bits(other, results[0])


def test_all_kernels_at_once_from_several_python_threads(eager_threads):
    kernels.set_num_threads(2)
    calls = [(name, arguments) for name in NAMES for arguments in examples.calls(name, np.float32, 17)]
    expected = [public(name, arguments) for name, arguments in calls]
    wrong: list[str] = []

    def work(start: int) -> None:
        for i in range(len(calls)):
            name, arguments = calls[(start + i) % len(calls)]
            try:
                assert_same_bits(public(name, arguments), expected[(start + i) % len(calls)])
            except Exception as error:
                wrong.append(f"{name}: {error!r}")

    callers = [threading.Thread(target=work, args=(len(calls) * k // 4,)) for k in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


FORKED = """
import os, sys, warnings
import numpy as np
from tinygrad_edu import kernels
from tinygrad_edu.kernels import examples, threads
warnings.simplefilter("ignore")
threads.PARALLEL_FLOPS = 200
kernels.set_num_threads(2)

def results():
    for name in sorted(examples.EXAMPLES):
        for arguments in examples.calls(name, np.float32, 17):
            out = getattr(kernels, name)(*arguments)
            for each in (*(out if isinstance(out, tuple) else (out,)), *arguments):
                if isinstance(each, np.ndarray | np.generic):
                    yield name, np.asarray(each).tobytes()

expected = list(results())
sys.stdout.flush()
child = os.fork()
if child == 0:
    different = {name for (name, one), (_, two) in zip(results(), expected, strict=True) if one != two}
    print(sorted(different), flush=True)
    os._exit(len(different))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_the_same_bits():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stdout + done.stderr
