"""One peer in a process of its own; the harness sends requests as lines of JSON and reads the answers.

By hand: ``echo '{"do": "check", "workload": "W4"}' | python -m benchmarks.worker torch 1 FOLDER_OF_PREPARED_DIGITS``
"""

import gc
import json
import os
import sys
from time import perf_counter

import numpy as np

from benchmarks.kernel_cases import KERNELS, Kernel
from benchmarks.machine import confine_to_cores, peak_memory, thread_pools
from benchmarks.peers import all_peers
from benchmarks.peers.base import Peer, Run
from benchmarks.scaling_cases import SCALING
from benchmarks.workloads import WORKLOADS, Chain, Scalar, Training, Workload, load_data

MAX_STEPS = 20_000
WARM_UP = 3  # calls before steps are counted: a step may be recorded in two of them, and compiled in the second
KNOWN: dict[str, Workload | Kernel] = {**WORKLOADS, **KERNELS, **SCALING}


class Worker:
    """Builds the peer's program once for the comparison of losses and once, freshly, for timing."""

    def __init__(self, peer: type[Peer], threads: int, folder: str) -> None:
        self.folder = folder
        self.workload: Workload | Kernel | None = None
        self.data: tuple = ()
        self.run: Run | None = None
        self.cores = confine_to_cores(threads)
        start = perf_counter()
        self.peer = peer(threads)
        self.import_s = perf_counter() - start

    def open(self, name: str) -> None:
        """Make this the workload of the requests that follow."""
        if self.workload is None or self.workload.name != name:
            self.run, self.workload = None, KNOWN[name]
            self.data = load_data(self.workload, self.folder) if isinstance(self.workload, Training) else ()

    def build(self, workload: Workload | Kernel) -> Run:
        match workload:
            case Scalar():
                return self.peer.scalar(workload)
            case Chain():
                return self.peer.chain(workload)
            case Kernel():
                return self.peer.kernel(workload)
        return self.peer.training(workload, *self.data)

    def check(self) -> dict:
        """Losses after the agreed number of steps, and how long the first call took with import and compilation."""
        workload = self.workload.for_check() if isinstance(self.workload, Training) else self.workload
        start = perf_counter()
        run = self.build(workload)
        values = run(self.peer.steps_per_call)
        first = self.import_s + perf_counter() - start
        rest = workload.check_steps - self.peer.steps_per_call
        if rest > 0:
            values = run(rest)
        return {"values": [float(value) for value in np.ravel(values)], "first_step_s": first}

    def calibrate(self, seconds: float) -> dict:
        """Warm up, and choose how many steps fill `seconds`."""
        gc.collect()  # the program of the comparison must not count as memory of the timed one
        self.run = self.build(self.workload)
        unit = steps = self.peer.steps_per_call
        for _ in range(WARM_UP):
            self.run(unit)
        while True:
            taken = self.time(steps)["seconds"]
            if taken > seconds / 4 or steps >= MAX_STEPS:
                break
            steps = min(MAX_STEPS, int(steps * min(8, max(2, seconds / 2 / max(taken, 1e-9)))) // unit * unit)
        return {"steps": max(unit, min(MAX_STEPS, round(steps * seconds / taken)) // unit * unit)}

    def time(self, steps: int) -> dict:
        start = perf_counter()
        self.run(steps)
        return {"seconds": perf_counter() - start}

    def describe(self) -> dict:
        facts = self.peer.facts()
        return {"facts": facts, "pools": thread_pools(), "cores": self.cores, "peak_mb": peak_memory()}

    def answer(self, request: dict) -> dict:
        name = request.pop("do")
        self.open(request.pop("workload"))
        return {"check": self.check, "calibrate": self.calibrate, "time": self.time, "describe": self.describe}[name](
            **request
        )


def main() -> None:
    peer, threads, folder = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w")  # whatever a library prints must not mix with the answers
    os.dup2(2, 1)
    worker = None
    for line in sys.stdin:
        try:
            worker = worker or Worker(all_peers()[peer], int(threads), folder)
            reply = worker.answer(json.loads(line))
        except Exception as error:
            reply = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
