"""The picture for the README: how many times PyTorch eager's speed, a row a workload and a dot a library."""

from pathlib import Path

from benchmarks.harness import Result
from benchmarks.peers import all_peers
from benchmarks.tables import BASE, OURS, RECORDED, speedups
from benchmarks.workloads import WORKLOADS

COLOURS = ("#e66100", "#5d8aa8", "#7a7a7a", "#8f6bb3", "#3c9d6a", "#b08d3c", "#c05b7d", "#4f4f4f")
MARKERS = "s^vPXd<"  # one fewer than colours, so that no pair comes twice


def draw(results: list[Result], threads: int, path: Path) -> bool:
    """Write the chart for one thread count; False when there is nothing to compare."""
    from matplotlib.figure import Figure

    ratios = {key[:2]: value for key, value in speedups(results).items() if key[2] == threads and key[1] != BASE}
    if not ratios:
        return False
    workloads = [name for name in WORKLOADS if any(workload == name for workload, _ in ratios)]
    figure = Figure(figsize=(9, 1.6 + 0.45 * len(workloads)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(1, color="black", linewidth=1)
    present = [peer for peer in all_peers() if any(other == peer for _, other in ratios)]
    for index, peer in enumerate(present):
        points = [(ratios[workload, peer], row) for row, workload in enumerate(workloads) if (workload, peer) in ratios]
        ours = peer in (OURS, RECORDED)
        axes.scatter(
            *zip(*points, strict=True),
            s=110 if ours else 45,
            marker={OURS: "o", RECORDED: "D"}[peer] if ours else MARKERS[index % len(MARKERS)],
            color="#d00000" if ours else COLOURS[index % len(COLOURS)],
            label=all_peers()[peer].title,
            zorder=4 if ours else 3,
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(workloads)), [f"{name}  {WORKLOADS[name].title}" for name in workloads])
    axes.set_ylim(len(workloads) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(axis="x", which="both", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    cores = "one core" if threads == 1 else f"{threads} cores"
    axes.set_xlabel(f"times PyTorch eager's speed on {cores} (1x = PyTorch, right is faster)")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    return True
