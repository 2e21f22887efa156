"""``tinygrad-edu bench conv2d``: one computation on every rung of the ladder, from Python loops to compiled kernels."""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tinygrad_edu.cli.train import positive

__all__ = ["Problem", "add_command", "climb", "run"]

ENOUGH = 0.2  # seconds: what is quicker is repeated for as long
LOOPS_CAN_DO = 2e8  # operations: some minutes of plain Python


class Problem(NamedTuple):
    """What is computed, how many additions, multiplications or comparisons that takes, and who computes it."""

    title: str
    operations: float
    rungs: list[tuple[str, Callable[[], Any]]]


class Timed(NamedTuple):
    """One line of the table."""

    name: str
    seconds: float


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser(
        "bench",
        help="time one computation as Python loops, in NumPy, compiled, and in torch",
        description="Every line computes the same numbers, which is checked; the times are the shortest of many.",
    )
    what = command.add_subparsers(dest="computation", required=True, metavar="computation")
    for name, (help_text, defaults, build) in COMPUTATIONS.items():
        one = what.add_parser(name, help=help_text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        for option, (default, meaning) in defaults.items():
            one.add_argument(f"--{option}", type=positive(int), default=default, help=meaning)
        one.add_argument("--threads", type=positive(int), default=1, help="threads of all contenders but the loops")
        one.set_defaults(run=run, build=build)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    from tinygrad_edu import kernels

    with _threads(options.threads):
        problem = options.build(options)
        refuse_too_much(problem)
        threads = "one thread" if options.threads == 1 else f"{options.threads} threads"
        print(problem.title)
        print(
            f"{problem.operations / 1e6:,.3g} million operations, {threads}, shortest times\n",
            flush=True,
        )
        print(table(climb(problem), problem.operations))
    if not kernels.numba_works():
        print("\nThe compiled kernels are left out: Numba is not here, or NUMBA_DISABLE_JIT is set.")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Give our kernels, NumPy's BLAS and torch the same number of threads, for a while."""
    from threadpoolctl import threadpool_limits

    from tinygrad_edu import kernels

    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    before, torch_before = kernels.get_num_threads(), torch.get_num_threads() if torch else 0
    try:
        kernels.set_num_threads(count)
        if torch:
            torch.set_num_threads(count)
        with threadpool_limits(limits=count, user_api="blas"):
            yield
    finally:
        kernels.set_num_threads(before)
        if torch:
            torch.set_num_threads(torch_before)


def refuse_too_much(problem: Problem) -> None:
    """Raise ValueError if the loops of the first rung would run for many minutes."""
    if problem.operations > LOOPS_CAN_DO:
        raise ValueError(
            f"{problem.operations:.2g} operations are too many for Python's loops, which do a few million a second. "
            f"Fix: smaller sizes, at most {LOOPS_CAN_DO:.0e} operations."
        )


def climb(problem: Problem) -> list[Timed]:
    """Time every rung, after checking that it computes what the rung before it did."""
    expected, timed = None, []
    for i, (name, compute) in enumerate(problem.rungs):
        result, seconds = measure(compute, loops=i == 0)
        expected = check(name, result, expected)
        timed.append(Timed(name, seconds))
    return timed


def measure(compute: Callable[[], Any], *, loops: bool = False) -> tuple[Any, float]:
    """Return the result and the shortest time of several calls: whatever else the machine does can only make a call longer.

    The first call, which may compile and wake threads, does not count; but for `loops`, which take seconds, it is enough.
    """
    result, seconds = _clock(compute)
    times = [seconds] if loops else []
    end = time.perf_counter() + ENOUGH - (seconds if loops else 0)
    while time.perf_counter() < end or (not loops and len(times) < 5):
        times.append(_clock(compute)[1])
    return result, min(times)


def _clock(compute: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = compute()
    return result, time.perf_counter() - start


def check(name: str, result: Any, expected: Any) -> Any:
    """Refuse to time a wrong answer."""
    import numpy as np

    result = np.asarray(result)
    if expected is not None and not np.allclose(result, expected, rtol=1e-3, atol=1e-3):
        worst = float(np.abs(result - expected).max())
        raise AssertionError(f"{name} computes something else than the loops: off by {worst:.3g}")
    return result


def table(timed: list[Timed], operations: float) -> str:
    """Write the lines in columns; the last one says how many times quicker each is than the line above it."""
    width = max(len(each.name) for each in timed)
    lines = [f"{'':{width}}  {'ms':>11}  {'GFLOP/s':>9}  {'gain':>9}"]
    for i, (name, seconds) in enumerate(timed):
        times = timed[i - 1].seconds / seconds if i else 0.0
        gain = "" if not i else f"{times:,.0f}x" if times >= 10 else f"{times:.2g}x"
        lines.append(
            f"{name:{width}}  {1e3 * seconds:>11,.3f}  {operations / seconds / 1e9:>9,.4f}  {gain:>9}".rstrip()
        )
    return "\n".join(lines)


# ---- the computations -------------------------------------------------------------------------------------------------------
def _ladder(kernel: str, arguments: tuple, half_way: tuple[str, Callable], library: str, torch_call: Callable) -> list:
    """The rungs of a kernel: loops, NumPy half-way, NumPy's best, compiled, and torch where it is installed."""
    from tinygrad_edu import kernels

    def under(backend: str) -> Callable:
        def compute():
            with kernels.backend(backend):
                return first(getattr(kernels, kernel)(*arguments))

        return compute

    rungs = [("Python loops", under("naive")), half_way, (f"NumPy: {library}", under("numpy"))]
    if kernels.numba_works():
        rungs.append(("Numba: our kernel", under("numba")))
    if importlib.util.find_spec("torch"):
        rungs.append(torch_call())
    return rungs


def first(result: Any) -> Any:
    """Return the first of several results; the others are notes for the backward pass."""
    return result[0] if isinstance(result, tuple) else result


def _numbers(*shape: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _torch(call: Callable, *arrays: Any) -> tuple[str, Callable]:
    import torch

    tensors = [torch.from_numpy(array) for array in arrays]

    def compute():
        with torch.no_grad():
            return call(torch.nn.functional, *tensors)

    return f"torch {torch.__version__.split('+')[0]}", compute


def matmul(options: argparse.Namespace) -> Problem:
    """The product of two square matrices."""
    import numpy as np

    n = options.size
    a, b = _numbers(n, n), _numbers(n, n).T.copy()

    def by_rows():
        c = np.zeros((n, n), np.float32)
        for k in range(n):
            c += a[:, k, None] * b[k]
        return c

    rungs = _ladder(
        "matmul",
        (a, b),
        ("NumPy: row times column, in a loop", by_rows),
        "BLAS",
        lambda: _torch(lambda F, x, y: x @ y, a, b),
    )
    return Problem(f"matmul: {n}x{n} times {n}x{n}, float32", 2.0 * n**3, rungs)


def conv2d(options: argparse.Namespace) -> Problem:
    """Convolution of a batch of square images with as many filters as channels."""
    import numpy as np

    n, c, size, k = options.batch, options.channels, options.size, options.kernel
    _require_fit(k, size)
    x, w, out = _numbers(n, c, size, size), _numbers(c, c, k, k), size - k + 1

    def by_weights():
        y = np.zeros((n, c, out, out), np.float32)
        for o, channel, u, v in np.ndindex(*w.shape):
            y[:, o] += w[o, channel, u, v] * x[:, channel, u : u + out, v : v + out]
        return y

    arguments = (x, w, None, (1, 1), (0, 0), (1, 1), 1)
    half_way = ("NumPy: whole images, a weight at a time", by_weights)
    rungs = _ladder(
        "conv2d_forward", arguments, half_way, "columns and BLAS", lambda: _torch(lambda F, x, w: F.conv2d(x, w), x, w)
    )
    title = f"conv2d: {n} images {c}x{size}x{size}, {c} filters {c}x{k}x{k}, float32"
    return Problem(title, 2.0 * n * c * out * out * c * k * k, rungs)


def max_pool2d(options: argparse.Namespace) -> Problem:
    """Max-pooling of a batch of square images with windows side by side."""
    import numpy as np

    n, c, size, k = options.batch, options.channels, options.size, options.kernel
    _require_fit(k, size)
    x, out = _numbers(n, c, size, size), size // k

    def by_places():
        y = np.full((n, c, out, out), -np.inf, np.float32)
        for u, v in np.ndindex(k, k):
            np.maximum(y, x[:, :, u : u + out * k : k, v : v + out * k : k], out=y)
        return y

    arguments = (x, (k, k), (k, k), (0, 0), (1, 1), False)
    half_way = ("NumPy: whole images, a place at a time", by_places)
    rungs = _ladder(
        "max_pool2d_forward", arguments, half_way, "windows, with positions",
        lambda: _torch(lambda F, x: F.max_pool2d(x, k, return_indices=True)[0], x),
    )  # fmt: skip
    title = f"max_pool2d: {n} images {c}x{size}x{size}, windows {k}x{k}, float32 (an operation is a comparison)"
    return Problem(title, float(n * c * out * out * k * k), rungs)


def _require_fit(kernel: int, size: int) -> None:
    if kernel > size:
        raise ValueError(f"--kernel {kernel} does not fit into images of --size {size}.")


IMAGES = {"batch": (20, "images"), "channels": (4, "channels"), "size": (28, "height and width of an image")}
COMPUTATIONS: dict[str, tuple[str, dict[str, tuple[int, str]], Callable[[argparse.Namespace], Problem]]] = {
    "conv2d": ("convolution", {**IMAGES, "kernel": (5, "height and width of a filter")}, conv2d),
    "matmul": ("product of matrices", {"size": (128, "rows and columns of both matrices")}, matmul),
    "max_pool2d": ("max-pooling", {**IMAGES, "batch": (100, "images"), "kernel": (2, "size of a window")}, max_pool2d),
}
