"""How a step's time, and the memory of the process, grow with one quantity: a table and a figure."""

import sys
from pathlib import Path

from benchmarks.harness import Result, race, start_all
from benchmarks.scaling_cases import CURVES, Curve
from benchmarks.tables import BASE, OURS, number, table, title

PEERS = (OURS, BASE)
TURNS = 3  # at most: the largest graphs take seconds a step
TURNS = 3  # at most: the largest graphs take seconds a step
COLOURS = {OURS: "#d00000", BASE: "#5d8aa8"}


def measure_scaling(
    peers: list[str], threads: int, repeats: int, seconds: float, folder: str, largest: int
) -> list[Result]:
    """Race all curves up to a largest size; where the memory counts, every point has processes of its own."""
    chosen = [peer for peer in PEERS if peer in peers]
    results = []
    for curve in CURVES:
        print(f"scaling: {curve.title}, {threads} thread(s)", file=sys.stderr, flush=True)
        processes = start_all(chosen, threads, folder)
        try:
            for size in (size for size in curve.sizes if size <= largest):
                results += race(curve.case(size), processes, threads, min(repeats, TURNS), seconds, close=curve.memory)
        finally:
            for process in processes.values():
                process.close()
    return results


def points(results: list[Result], curve: Curve, peer: str) -> list[tuple[int, Result]]:
    """The sizes that a peer has times for."""
    found = {r.workload: r for r in results if r.peer == peer and r.us}
    return [(size, found[curve.case(size)]) for size in curve.sizes if curve.case(size) in found]


def scaling_tables(results: list[Result]) -> str:
    """One table a curve: microseconds a step, and what the curve is about."""
    tables = []
    for curve in CURVES:
        measured = {peer: dict(points(results, curve, peer)) for peer in PEERS}
        sizes = [size for size in curve.sizes if any(size in found for found in measured.values())]
        rows = [row for peer, found in measured.items() if found for row in rows_of(curve, peer, sizes, found)]
        if rows:
            tables.append(table([curve.title, *[f"{size:,}" for size in sizes]], rows))
    return "\n\n".join(tables)


def rows_of(curve: Curve, peer: str, sizes: list[int], found: dict[int, Result]) -> list[list[str]]:
    """A peer's rows in the table of a curve."""

    def row(unit: str, value) -> list[str]:
        return [
            f"{title(peer)}, {unit}",
            *[number(value(size, found[size])) if size in found else "" for size in sizes],
        ]

    rows = [row("microseconds", lambda _, result: result.us)]
    if curve.per_unit:
        rows.append(row("nanoseconds an operation", lambda size, result: result.us / size * 1e3))
    if curve.memory and all(result.peak_mb for result in found.values()):
        rows.append(row("peak memory in MB", lambda _, result: result.peak_mb))
    return rows


def draw_scaling(results: list[Result], path: Path) -> bool:
    """A panel a curve, and one more where the memory counts; False when there is nothing to draw."""
    import matplotlib
    from matplotlib.figure import Figure

    present = [curve for curve in CURVES if any(points(results, curve, peer) for peer in PEERS)]
    if not present:
        return False
    panels = [(curve, kind) for curve in present for kind in (["time", "memory"] if curve.memory else ["time"])]
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    for index, (curve, kind) in enumerate(panels):
        axes = figure.add_subplot(rows, 2, index + 1)
        for peer in PEERS:
            plot(axes, curve, kind, points(results, curve, peer), peer)
        if kind == "memory" or curve.per_unit:
            axes.set_ylim(bottom=0)  # after all lines are in: it ends the automatic choice of the range
        else:
            axes.set_yscale("log")
        axes.set_xscale("log")
        axes.set_xticks(curve.sizes, [f"{size:,}" for size in curve.sizes], fontsize=8)
        axes.minorticks_off()
        axes.set_title(curve.title, fontsize=9)
        axes.grid(which="major", color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scaling"}):
        figure.savefig(path, metadata={"Date": None})
    return True


def plot(axes, curve: Curve, kind: str, found: list[tuple[int, Result]], peer: str) -> None:
    """One line: memory, time an operation where that shall be flat, or time a step."""
    sizes = [size for size, _ in found]
    if kind == "memory":
        values = [result.peak_mb or float("nan") for _, result in found]
        axes.set_ylabel("peak MB")
    elif curve.per_unit:
        values = [result.us / size * 1e3 for size, result in found]
        axes.set_ylabel("ns an operation")
    else:
        values = [result.us for _, result in found]
        axes.set_ylabel("µs a step")
    axes.plot(sizes, values, marker="o", markersize=4, color=COLOURS[peer], label=title(peer))
