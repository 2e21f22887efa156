"""Start-up, each time in a fresh process, libraries in turns: `import`, and import plus the first step of a CNN."""

import json
import subprocess
import sys
import tempfile
from statistics import median
from typing import Any

from benchmarks.data import REPOSITORY
from benchmarks.harness import child_environment
from benchmarks.tables import OURS, mark, megabytes, table, title
from benchmarks.targets import COLD_STEP_S, FIRST_STEP_S, IMPORT_S

IMPORT = """
import json, sys
from time import perf_counter
start = perf_counter()
__import__(sys.argv[1])
seconds = perf_counter() - start
from benchmarks.machine import peak_memory
print(json.dumps([seconds, peak_memory()]))
"""
FIRST_STEP = """
import json, sys
from time import perf_counter
start = perf_counter()
import numpy as np
from benchmarks.peers import all_peers
from benchmarks.workloads import WORKLOADS
workload = WORKLOADS["W6"]
images = np.full((workload.batch, 1, 28, 28), 0.5, np.float32)
run = all_peers()[sys.argv[1]](1).training(workload, images, np.arange(workload.batch) % 10)
run(all_peers()[sys.argv[1]].steps_per_call)
seconds = perf_counter() - start
from benchmarks.machine import peak_memory
print(json.dumps([seconds, peak_memory()]))
"""
STEP_PEERS = (OURS, "torch", "jax")


def fresh(program: str, name: str, changes: dict[str, str | None] | None = None) -> list | None:
    """[seconds, peak MB] of a program in a new process with one thread; None when it fails."""
    command = [sys.executable, "-c", program, name]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=child_environment(1, changes), capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def in_turns(program: str, names: list[str], repeats: int) -> dict[str, dict[str, float | None]]:
    """Medians with warm caches: the first turn fills them and does not count."""
    samples: dict[str, list] = {name: [] for name in names}
    for turn in range(repeats + 1):
        for name in names:
            found = fresh(program, name)
            if found and turn:
                samples[name].append(found)
    return {name: medians(found) for name, found in samples.items()}


def medians(found: list) -> dict[str, float | None]:
    """Of [seconds, MB] pairs; None where there is nothing."""
    memory = [size for _, size in found if size is not None]
    return {
        "seconds": median(seconds for seconds, _ in found) if found else None,
        "peak_mb": median(memory) if memory else None,
    }


def cold_step() -> dict[str, float | None]:
    """Our import and first step when every kernel must be compiled: the cache of Numba is an empty folder. Once."""
    with tempfile.TemporaryDirectory() as folder:
        found = fresh(FIRST_STEP, OURS, {"NUMBA_CACHE_DIR": folder})
    return medians([found] if found else [])


def measure_startup(libraries: list[str], peers: list[str], repeats: int) -> dict[str, Any]:
    """Median seconds of imports and of first steps, with the largest resident size in MB."""
    chosen = [peer for peer in STEP_PEERS if peer in peers]
    return {
        "imports": in_turns(IMPORT, libraries, repeats),
        "first_steps": in_turns(FIRST_STEP, chosen, repeats),
        "cold_step": cold_step() if OURS in chosen else None,
    }


def startup_table(startup: dict[str, Any]) -> str:
    """Imports, then first steps, with the targets."""
    rows = [
        [f"`import {library}`", *row(found, IMPORT_S if library == OURS else None)]
        for library, found in startup["imports"].items()
    ]
    rows += [
        [f"{title(peer)}: import and first step of W6", *row(found, FIRST_STEP_S if peer == OURS else None)]
        for peer, found in startup["first_steps"].items()
    ]
    if startup["cold_step"]:
        rows.append([f"{title(OURS)}: the same, all kernels compiled anew", *row(startup["cold_step"], COLD_STEP_S)])
    return table(["in a fresh process, one thread", "seconds", "peak memory", "target", ""], rows)


def row(found: dict[str, float | None], target: float | None) -> list[str]:
    """Seconds, memory, target and mark."""
    seconds = found["seconds"]
    if seconds is None:
        return ["failed", "", "" if target is None else f"{target:g} s", ""]
    return [
        f"{seconds:.3f} s",
        megabytes(found["peak_mb"]),
        "" if target is None else f"{target:g} s",
        "" if target is None else mark(seconds <= target),
    ]
