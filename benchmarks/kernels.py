"""Single operations: tinygrad_edu's time as a share of PyTorch's, beside the share that it shall need at most."""

import sys

from benchmarks.harness import Result, race, start_all
from benchmarks.kernel_cases import KERNELS
from benchmarks.tables import BASE, OURS, mark, number, table

FUSED = "torch_fused"


def measure_kernels(peers: list[str], threads: int, repeats: int, seconds: float, folder: str) -> list[Result]:
    """Race every case at one thread count; each peer stays in one process for all of them."""
    processes = start_all([peer for peer in (OURS, BASE, FUSED) if peer in peers], threads, folder)
    results = []
    try:
        for kernel in KERNELS.values():
            print(f"{kernel.name} with {threads} thread(s)", file=sys.stderr, flush=True)
            entrants = {peer: p for peer, p in processes.items() if kernel.optimizer or peer != FUSED}
            results += race(kernel.name, entrants, threads, repeats, seconds, close=False)
    finally:
        for process in processes.values():
            process.close()
    return results


def kernel_table(results: list[Result], threads: int) -> str:
    """One row an operation; an optimizer's step has a second one against PyTorch's fused optimizers."""
    found = {(r.workload, r.peer): r for r in results if r.threads == threads}
    rows = []
    for kernel in KERNELS.values():
        for peer, target in ((BASE, kernel.target), (FUSED, kernel.fused_target)):
            ours, theirs = found.get((kernel.name, OURS)), found.get((kernel.name, peer))
            if ours is None or (theirs is None and peer == FUSED):
                continue
            title = kernel.title + (", PyTorch's fused" if peer == FUSED else "")
            rows.append([title, *shares(ours, theirs, target)])
    return table(["microseconds", "tinygrad_edu", "PyTorch", "ours / PyTorch's", "target", ""], rows)


def shares(ours: Result, theirs: Result | None, target: float | None) -> list[str]:
    """The cells of a row: both times, their ratio, the target and its mark."""
    times = [r.us if r else None for r in (ours, theirs)]
    ratio = times[0] / times[1] if times[0] and times[1] else None
    return [
        *[
            number(time) if time else "failed" if r and r.failed else ""
            for time, r in zip(times, (ours, theirs), strict=True)
        ],
        "" if ratio is None else f"{ratio:.2f}",
        "" if target is None else f"{target:g}",
        "" if target is None or ratio is None else mark(ratio <= target),
    ]
