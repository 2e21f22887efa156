"""``python -m benchmarks``: race all installed peers, print the tables, write JSON, Markdown and charts."""

import argparse
import dataclasses
import json
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.data import REPOSITORY, prepare_digits
from benchmarks.harness import Result, race
from benchmarks.machine import available_cores, describe_machine
from benchmarks.peers import all_peers, installed
from benchmarks.report import OURS, markdown
from benchmarks.startup import measure_startup
from benchmarks.workloads import WORKLOADS


def names_of(kind: str, known: dict):
    """A parser of comma-separated names that says which ones exist."""

    def parse(text: str) -> list[str]:
        chosen = list(known) if text == "all" else text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown {kind} {name!r}; choose from {', '.join(known)} or all")
        return chosen

    return parse


def thread_counts(text: str) -> list[int]:
    """A parser of "1,2"."""
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"thread counts start at 1, got {text}")
    if max(counts) > available_cores():
        raise argparse.ArgumentTypeError(f"this process may use {available_cores()} cores, got {text}")
    return counts


def at_least_one(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return int(text)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workloads", type=names_of("workload", WORKLOADS), default="W0,W4,W6", help="names, or all")
    parser.add_argument("--peers", type=names_of("peer", all_peers()), default="all", help="names, or all")
    parser.add_argument("--threads", type=thread_counts, default="1", help="thread counts, for example 1,2")
    parser.add_argument("--repeats", type=at_least_one, default=5, help="timed turns; the median counts (at least 5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one turn")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "benchmarks", help="folder for the results")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> tuple[dict, list[Result]]:
    """Race all workloads at all thread counts; the report holds the circumstances."""
    peers = [name for name in options.peers if installed(all_peers()[name])]
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        digits = prepare_digits(folder)
        for threads in options.threads:
            for workload in options.workloads:
                print(f"{workload} with {threads} thread(s): {', '.join(peers)}", file=sys.stderr, flush=True)
                results += race(workload, peers, threads, options.repeats, options.seconds, folder)
    libraries = list(dict.fromkeys(all_peers()[name].requires for name in peers))
    report = {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "machine": describe_machine(),
        "digits": digits,
        "repeats": options.repeats,
        "seconds": options.seconds,
        "absent": [all_peers()[name].title for name in options.peers if name not in peers],
        "startup": measure_startup(libraries, options.repeats),
    }
    return report, results


def write(report: dict, results: list[Result], folder: Path) -> str:
    """Put benchmark.json, benchmark.md and one chart a thread count into the folder; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(report, results)
    (folder / "benchmark.md").write_text(text)
    rows = [dataclasses.asdict(result) | {"us": result.us} for result in results]
    (folder / "benchmark.json").write_text(json.dumps(report | {"results": rows}, indent=1) + "\n")
    for threads in dict.fromkeys(result.threads for result in results):
        draw(results, threads, folder / f"benchmark-{threads}-threads.svg")
    return text


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 when losses differ, or when tinygrad_edu could not run; another library's failure is a finding."""
    options = parse(arguments)
    report, results = run(options)
    print(write(report, results, options.out))
    print(f"written to {options.out}", file=sys.stderr)
    return int(any(result.differs or (result.failed and result.peer == OURS) for result in results))


if __name__ == "__main__":
    sys.exit(main())
