"""``tinygrad-edu warmup``: compile all kernels now and keep them on disk, so that no lesson begins with waiting."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["add_command", "run", "tasks", "warm_up"]

SIZES = (3, 40)  # a small call and a larger one take different ways through some kernels


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("warmup", help="compile all kernels now and keep them on disk")
    command.add_argument("--float64", action="store_true", help="those for float64 too (default: float32 only)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    from tinygrad_edu import kernels

    if not kernels.numba_works():
        raise RuntimeError(
            "there is nothing to compile: Numba is not installed, is broken, or NUMBA_DISABLE_JIT is set. See: tinygrad-edu doctor"
        )
    from tinygrad_edu.kernels.compiler import cache_folder

    dtypes = ("float32", "float64") if options.float64 else ("float32",)
    start = time.perf_counter()
    compiled, loaded = warm_up(dtypes)
    seconds = time.perf_counter() - start
    print(f"{compiled} compiled, {loaded} found on disk, for {' and '.join(dtypes)}, in {seconds:.1f} s")
    folder = cache_folder()
    print(
        f"kept in {folder}"
        if folder
        else "not kept: there is no folder to write to. Fix: export NUMBA_CACHE_DIR=<folder>"
    )


def warm_up(dtypes: tuple[str, ...] = ("float32",)) -> tuple[int, int]:
    """Run every kernel, with a progress bar; returns how many functions were compiled and how many came from disk."""
    from tqdm import tqdm

    from tinygrad_edu import kernels
    from tinygrad_edu.kernels import compiler

    compiler.waiting.told = True  # the progress bar says it better
    before = _counts(compiler.functions)
    with kernels.backend("numba"):
        bar = tqdm(tasks(dtypes), desc="compiling", unit="kernel", leave=False, file=sys.stderr, disable=None)
        for name, task in bar:
            bar.set_postfix_str(name)
            task()
    after = _counts(compiler.functions)
    return after[0] - before[0], after[1] - before[1]


def tasks(dtypes: tuple[str, ...]) -> list[tuple[str, Callable[[], None]]]:
    """Return what there is to do: each kernel in each dtype, by name."""
    from tinygrad_edu.kernels.examples import EXAMPLES

    return [(name, lambda name=name, dtype=dtype: _run_examples(name, dtype)) for dtype in dtypes for name in EXAMPLES]  # type: ignore[misc]


def _run_examples(name: str, dtype: str) -> None:
    import numpy as np

    from tinygrad_edu import kernels
    from tinygrad_edu.kernels.examples import calls

    with np.errstate(all="ignore"):
        for n in SIZES:
            for arguments in calls(name, dtype, n):
                getattr(kernels, name)(*arguments)


def _counts(functions: list[Any]) -> tuple[int, int]:
    """How many versions of our functions this process has compiled, and how many it has loaded."""
    stats = [function.stats for function in functions]
    return sum(sum(s.cache_misses.values()) for s in stats), sum(sum(s.cache_hits.values()) for s in stats)
