"""What tinygrad_edu sets out to reach, beside what this run measured."""

from benchmarks.harness import Result
from benchmarks.tables import BASE, OURS, RECORDED, mark, number, speedups, table

# Times PyTorch eager's speed, at the same number of threads in the same run.
DYNAMIC = {
    "W0": 10.0,
    "W1": 11.0,
    "W2": 10.0,
    "W3": 2.0,
    "W4": 5.5,
    "W5": 2.5,
    "W6": 3.3,
    "W7": 1.5,
    "W8": 4.7,
    "W9a": 7.0,
    "W9b": 4.5,
}
STEP_RECORDED = {"W1": 20.0, "W2": 40.0, "W3": 2.4, "W4": 7.0, "W6": 3.5, "W7": 1.5, "W8": 5.5}
RIVAL = "jax"  # to be passed on every workload

IMPORT_S = 0.1
FIRST_STEP_S = 0.5  # import included, kernels in the cache
COLD_STEP_S = 15.0  # import included, nothing in the cache
LIGHTER = ("W4", "W6")  # workloads in which the peak memory shall be below PyTorch's


def target_table(results: list[Result], threads: int) -> str:
    """One row a workload: target, measured and mark, for the program as written, recorded, and against JAX."""
    ratios = speedups(results)
    rows = []
    for workload in DYNAMIC:
        ours = ratios.get((workload, OURS, threads))
        if ours is None:
            continue
        rival = ratios.get((workload, RIVAL, threads))
        recorded = ratios.get((workload, RECORDED, threads))
        against = [cell for mine in (ours, recorded) for cell in passing(mine, rival)]
        rows.append(
            [workload, *compare(DYNAMIC[workload], ours), *compare(STEP_RECORDED.get(workload), recorded), *against]
        )
    header = ["times PyTorch eager's speed", "target", "measured", "", "recorded: target", "measured", ""]
    return table([*header, "times JAX jit's speed", "", "recorded", ""], rows) if rows else ""


def passing(measured: float | None, rival: float | None) -> list[str]:
    """Two cells: how many times the rival's speed, and the mark."""
    if measured is None or rival is None:
        return ["", ""]
    return [f"{number(measured / rival)}x", mark(measured > rival)]


def compare(target: float | None, measured: float | None) -> list[str]:
    """Three cells: the target, what was measured, and the mark where there are both."""
    return [
        "" if target is None else f"{target:g}x",
        "" if measured is None else f"{number(measured)}x",
        "" if target is None or measured is None else mark(measured >= target),
    ]


def memory_lines(results: list[Result], threads: int) -> list[str]:
    """Peak memory of the whole process, the data set included, where it is to be below PyTorch's."""
    peaks = {(r.workload, r.peer): r.peak_mb for r in results if r.threads == threads and r.peak_mb}
    return [
        f"- {name}: peak memory {peaks[name, OURS]:,.0f} MB, PyTorch eager {peaks[name, BASE]:,.0f} MB:"
        f" {mark(peaks[name, OURS] < peaks[name, BASE])}"
        for name in LIGHTER
        if (name, OURS) in peaks and (name, BASE) in peaks
    ]
