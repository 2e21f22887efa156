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

from benchmarks.data import REPOSITORY
from benchmarks.machine import THREAD_VARIABLES

TOLERANCE = 1e-4  # relative difference of the losses, float32
PATIENCE = 600.0  # seconds a peer may take for one answer
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


class Contender:
    """A worker process; thread counts reach it through its environment, everything else exported stays as it is."""

    def __init__(self, peer: str, workload: str, threads: int, folder: str) -> None:
        self.result = Result(workload, peer, threads)
        self.folder = folder
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the process; called when its first turn comes, so that nobody's import is timed beside another's."""
        peer, workload, threads = self.result.peer, self.result.workload, self.result.threads
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "benchmarks.worker", peer, workload, str(threads), self.folder]
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: str, **details) -> dict:
        """Send a request and wait for the answer; a process that keeps silent too long is ended."""
        if self.process is None:
            self.start()
        guard = Timer(PATIENCE, self.process.kill)
        guard.start()
        try:
            self.process.stdin.write(json.dumps({"do": request, **details}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            guard.cancel()
        if not line:
            raise Refused("Died", f"the process ended during {request!r} (exit status {self.process.wait()})")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer

    def close(self) -> None:
        if self.process is None:
            return
        with suppress(BrokenPipeError):  # it may have died with a request unread
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


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


def race(workload: str, peers: list[str], threads: int, repeats: int, seconds: float, folder: str) -> list[Result]:
    """Run one workload with all peers at one thread count.

    Parameters
    ----------
    workload, peers : names from `benchmarks.workloads.WORKLOADS` and `benchmarks.peers.all_peers()`.
    threads : cores and threads for each process.
    repeats : timed turns of every peer; the median counts.
    seconds : length of one turn, from which the number of steps follows.
    folder : where `benchmarks.data.prepare_digits` wrote the digits.
    """

    def check(contender: Contender) -> None:
        answer = contender.ask("check")
        contender.result.values, contender.result.first_step_s = answer["values"], answer["first_step_s"]

    def calibrate(contender: Contender) -> None:
        contender.result.steps = contender.ask("calibrate", seconds=seconds)["steps"]

    def time(contender: Contender) -> None:
        steps = contender.result.steps
        contender.result.repeats_us.append(contender.ask("time", steps=steps)["seconds"] / steps * 1e6)

    def describe(contender: Contender) -> None:
        for name, value in contender.ask("describe").items():
            setattr(contender.result, name, value)

    everyone = [Contender(peer, workload, threads, folder) for peer in peers]
    try:
        active = refuse_differing(attempt(everyone, check))
        active = attempt(active, calibrate)
        for _ in range(repeats):
            active = attempt(active, time)
        attempt(active, describe)
    finally:
        for contender in everyone:
            contender.close()
    return [contender.result for contender in everyone]
