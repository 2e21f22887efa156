"""The race: each peer in a fresh process, losses compared first, then timed in turns A B C A B C ..., medians taken."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from threading import Timer
from time import sleep

from benchmarks.data import REPOSITORY
from benchmarks.machine import THREAD_VARIABLES

TOLERANCE = 1e-4  # relative difference of the losses, float32
PATIENCE = 600.0  # seconds a peer may take for one answer
PAUSE = 0.3  # seconds before a turn of several threads: those of the peer before wait for more work, busily, before they sleep
REFERENCES = ("torch", "numpy")


@dataclass
class Result:
    """What one peer did with one workload; `note` says why there is no time."""

    workload: str
    peer: str
    threads: int
    repeats_us: list[float] = field(default_factory=list)
    steps: int = 0
    values: list[float] = field(default_factory=list)
    first_step_s: float | None = None
    peak_mb: float | None = None
    facts: dict[str, str] = field(default_factory=dict)
    pools: list[str] = field(default_factory=list)
    cores: int | None = None
    note: str = ""
    failed: bool = False
    differs: bool = False

    @property
    def us(self) -> float | None:
        """Median microseconds a step."""
        return median(self.repeats_us) if self.repeats_us else None


class Refused(Exception):
    """The worker answered with an error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text if name == "NotSupported" else f"{name}: {text}")
        self.unsupported = name == "NotSupported"


class Process:
    """A peer's worker process; thread counts reach it through its environment, everything else stays as it is exported.

    Parameters
    ----------
    changes : variables of the environment to set, or with None to take away, in this process only.
    """

    def __init__(self, peer: str, threads: int, folder: str, changes: dict[str, str | None] | None = None) -> None:
        self.command = [sys.executable, "-m", "benchmarks.worker", peer, str(threads), folder]
        self.environment = child_environment(threads, changes)
        self.running: subprocess.Popen | None = None

    def start(self) -> subprocess.Popen:
        """Start when the first turn comes, so that nobody's import is timed beside another's."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command,
            cwd=REPOSITORY,
            env=self.environment,
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: str, **details) -> dict:
        """Send a request and wait for the answer; a process that keeps silent too long is ended."""
        self.running = process = self.running or self.start()
        guard = Timer(PATIENCE, process.kill)
        guard.start()
        try:
            process.stdin.write(json.dumps({"do": request, **details}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            guard.cancel()
        if not line:
            status = process.wait()
            self.close()
            raise Refused("Died", f"the process ended during {request!r} (exit status {status})")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer

    def close(self) -> None:
        """End the process; a later request would start another one."""
        process, self.running = self.running, None
        if process is None:
            return
        with suppress(BrokenPipeError):  # it may have died with a request unread
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Contender:
    """One peer at one workload."""

    def __init__(self, process: Process, peer: str, workload: str, threads: int) -> None:
        self.process = process
        self.result = Result(workload, peer, threads)

    def ask(self, request: str, **details) -> dict:
        return self.process.ask(request, workload=self.result.workload, **details)


def child_environment(threads: int, changes: dict[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment with the thread counts and the changes; None takes a variable away."""
    wanted = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"JAX_PLATFORMS": "cpu"} | (changes or {})
    return {key: value for key, value in wanted.items() if value is not None}


def agree(values: list[float], reference: list[float]) -> bool:
    """Whether all numbers are within the tolerance; infinity agrees with itself, NaN with nothing."""
    return len(values) == len(reference) and all(
        math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(values, reference, strict=True)
    )


def reference_peer(contenders: list[Contender]) -> Contender | None:
    """PyTorch where it takes part, else NumPy by hand, else whoever comes first; None when nobody answered."""
    answered = {contender.result.peer: contender for contender in contenders if contender.result.values}
    for name in (*REFERENCES, *answered):
        if name in answered:
            return answered[name]
    return None


def refuse_differing(contenders: list[Contender]) -> list[Contender]:
    """Keep those whose numbers agree with the reference; the others are not timed, and the run counts as failed."""
    reference = reference_peer(contenders)
    kept = []
    for contender in contenders:
        result = contender.result
        if agree(result.values, reference.result.values):
            kept.append(contender)
        else:
            result.failed = result.differs = True
            result.note = f"loss differs: {result.values}, {reference.result.peer} has {reference.result.values}"
    return kept


def attempt(contenders: list[Contender], action: Callable[[Contender], None]) -> list[Contender]:
    """Do something with each contender in turn and keep those that answered."""
    kept = []
    for contender in contenders:
        try:
            action(contender)
        except Refused as refusal:
            contender.result.note = str(refusal)
            contender.result.repeats_us.clear()
            contender.result.failed = not refusal.unsupported
        else:
            kept.append(contender)
    return kept


def start_all(
    peers: list[str], threads: int, folder: str, changes: dict[str, str | None] | None = None
) -> dict[str, Process]:
    """Processes for several workloads in a row."""
    return {peer: Process(peer, threads, folder, changes) for peer in peers}


def race(
    workload: str, processes: dict[str, Process], threads: int, repeats: int, seconds: float, close: bool = True
) -> list[Result]:
    """Run one workload with all peers at one thread count.

    Parameters
    ----------
    workload : a name from `benchmarks.worker.KNOWN`.
    processes : one process a peer, from `start_all`.
    threads : cores and threads that the processes were given.
    repeats : timed turns of every peer; the median counts.
    seconds : length of one turn, from which the number of steps follows.
    close : whether to end the processes. What is kept for the next workload says nothing about first steps and memory.
    """

    def check(contender: Contender) -> None:
        answer = contender.ask("check")
        contender.result.values, contender.result.first_step_s = answer["values"], answer["first_step_s"]

    def calibrate(contender: Contender) -> None:
        contender.result.steps = contender.ask("calibrate", seconds=seconds)["steps"]

    def time(contender: Contender) -> None:
        steps = contender.result.steps
        sleep(PAUSE if threads > 1 else 0.0)
        contender.result.repeats_us.append(contender.ask("time", steps=steps)["seconds"] / steps * 1e6)

    def describe(contender: Contender) -> None:
        for name, value in contender.ask("describe").items():
            setattr(contender.result, name, value)

    everyone = [Contender(process, peer, workload, threads) for peer, process in processes.items()]
    try:
        active = refuse_differing(attempt(everyone, check))
        active = attempt(active, calibrate)
        for _ in range(repeats):
            active = attempt(active, time)
        attempt(active, describe)
    finally:
        for process in processes.values() if close else ():
            process.close()
    return [contender.result for contender in everyone]
