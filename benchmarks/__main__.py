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
from benchmarks.harness import Result, race, start_all
from benchmarks.kernels import measure_kernels
from benchmarks.machine import available_cores, describe_machine
from benchmarks.peers import all_peers, installed
from benchmarks.report import markdown
from benchmarks.scaling import draw_scaling, measure_scaling
from benchmarks.startup import measure_startup
from benchmarks.tables import BASE, OURS, RECORDED, ordered
from benchmarks.workloads import WORKLOADS

PARTS = ("steps", "kernels", "startup", "scaling")
CORE_TYPE = "OPENBLAS_CORETYPE"


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
    add = parser.add_argument
    counts = "1,2" if available_cores() > 1 else "1"
    add("--only", type=names_of("part", dict.fromkeys(PARTS)), default="all", help=f"parts: {', '.join(PARTS)}, or all")
    add("--workloads", type=names_of("workload", WORKLOADS), default="all", help="names, or all")
    add("--peers", type=names_of("peer", all_peers()), default="all", help="names, or all")
    add("--threads", type=thread_counts, default=counts, help="thread counts, for example 1,2; scaling takes the first")
    add("--repeats", type=at_least_one, default=5, help="timed turns; the median counts (at least 5)")
    add("--seconds", type=float, default=0.4, help="length of one turn")
    add(
        "--core-type",
        choices=("exported", "both"),
        default="exported",
        help=f"both: race the workloads a second time without the exported {CORE_TYPE}",
    )
    add("--largest", type=at_least_one, default=10**6, help="scaling: largest size of any curve")
    add("--out", type=Path, default=REPOSITORY / "out" / "benchmarks", help="folder for the results")
    return parser.parse_args(arguments)


def measure_steps(options: argparse.Namespace, peers: list[str], folder: str, changes=None) -> list[Result]:
    """Race the chosen workloads at all thread counts."""
    results: list[Result] = []
    for threads in options.threads:
        for name in options.workloads:
            print(f"{name} with {threads} thread(s): {', '.join(peers)}", file=sys.stderr, flush=True)
            processes = start_all(peers, threads, folder, changes)
            results += race(name, processes, threads, options.repeats, options.seconds)
    return results


def run(options: argparse.Namespace):
    """Run the chosen parts; yield the report and all results after each one, so that nothing measured is lost."""
    peers = [name for name in options.peers if installed(all_peers()[name])]
    turns = options.repeats, options.seconds
    measured: dict[str, list[Result]] = {}
    report = {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "machine": describe_machine(),
        "repeats": options.repeats,
        "seconds": options.seconds,
        "absent": [all_peers()[name].title for name in options.peers if name not in peers],
    }
    with tempfile.TemporaryDirectory() as folder:
        report["digits"] = prepare_digits(folder)
        if "steps" in options.only:
            measured["steps"] = measure_steps(options, peers, folder)
            yield report, measured
            if options.core_type == "both" and CORE_TYPE in report["machine"]["exported"]:
                concerned = [peer for peer in peers if peer == BASE or all_peers()[peer].uses_openblas]
                measured["core_type"] = measure_steps(options, concerned, folder, {CORE_TYPE: None})
                yield report, measured
        if "kernels" in options.only:
            measured["kernels"] = [
                result for threads in options.threads for result in measure_kernels(peers, threads, *turns, folder)
            ]
            yield report, measured
        if "startup" in options.only:
            libraries = list(dict.fromkeys(all_peers()[name].requires for name in peers))
            report["startup"] = measure_startup(libraries, peers, options.repeats)
            yield report, measured
        if "scaling" in options.only:
            measured["scaling"] = measure_scaling(peers, options.threads[0], *turns, folder, options.largest)
            yield report, measured


def write(report: dict, measured: dict[str, list[Result]], folder: Path) -> str:
    """Put benchmark.json, benchmark.md and the charts into the folder; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(report, measured)
    (folder / "benchmark.md").write_text(text)
    rows = {
        part: [dataclasses.asdict(result) | {"us": result.us} for result in results]
        for part, results in measured.items()
    }
    (folder / "benchmark.json").write_text(json.dumps(report | rows, indent=1) + "\n")
    steps = measured.get("steps", [])
    for threads in ordered(steps, "threads"):
        draw(steps, threads, folder / f"benchmark-{threads}-threads.svg")
    draw_scaling(measured.get("scaling", []), folder / "scaling.svg")
    return text


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 when numbers differ, or when tinygrad_edu could not run; another library's failure is a finding."""
    options = parse(arguments)
    measured: dict[str, list[Result]] = {}
    text = ""
    for report, measured in run(options):
        text = write(report, measured, options.out)
    print(text)
    print(f"written to {options.out}", file=sys.stderr)
    everything = [result for results in measured.values() for result in results]
    return int(any(result.differs or (result.failed and result.peer in (OURS, RECORDED)) for result in everything))


if __name__ == "__main__":
    sys.exit(main())
