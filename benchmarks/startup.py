"""How long `import` takes and how much memory it needs, each time in a fresh process, libraries in turns."""

import json
import subprocess
import sys
from statistics import median

from benchmarks.data import REPOSITORY

PROGRAM = """
import json, sys
from time import perf_counter
start = perf_counter()
__import__(sys.argv[1])
seconds = perf_counter() - start
from benchmarks.machine import peak_memory
print(json.dumps([seconds, peak_memory()]))
"""


def measure_startup(libraries: list[str], repeats: int) -> dict[str, dict[str, float | None]]:
    """Median seconds of ``import library`` with warm file caches, and the largest resident size in MB after it."""
    samples: dict[str, list] = {library: [] for library in libraries}
    for turn in range(repeats + 1):
        for library in libraries:
            command = [sys.executable, "-c", PROGRAM, library]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            if done.returncode == 0 and turn:  # the first turn fills the caches
                samples[library].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        library: {
            "import_s": median(seconds for seconds, _ in found),
            "peak_mb": None if found[0][1] is None else median(memory for _, memory in found),
        }
        for library, found in samples.items()
        if found
    }
