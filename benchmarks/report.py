"""The report in Markdown: the tables of every part that was run, and what a reader needs to judge them."""

from collections.abc import Callable

from benchmarks.harness import TOLERANCE, Result
from benchmarks.kernels import kernel_table
from benchmarks.scaling import scaling_tables
from benchmarks.startup import startup_table
from benchmarks.tables import BASE, OURS, RECORDED, number, ordered, speedups, table, threads_title, title
from benchmarks.targets import memory_lines, target_table
from benchmarks.workloads import WORKLOADS


def speed_table(results: list[Result], threads: int) -> str:
    """One row a peer, one column a workload."""
    ratios = speedups(results)
    chosen = {(r.peer, r.workload): r for r in results if r.threads == threads}
    workloads = ordered(results, "workload")
    rows = []
    for peer in ordered(results, "peer"):
        cells = []
        for workload in workloads:
            result = chosen.get((peer, workload))
            if result is None or result.us is None:
                cells.append("failed" if result and result.failed else "")
                continue
            ratio = ratios.get((workload, peer, threads))
            shown = "" if ratio is None or peer == BASE else f" ({number(ratio)}x)"
            cells.append(number(result.us) + shown)
        label = title(peer)
        rows.append([f"**{label}**" if peer in (OURS, RECORDED) else label, *cells])
    return table(["microseconds a step", *[f"{w} {WORKLOADS[w].title}" for w in workloads]], rows)


def cost_table(results: list[Result], threads: int) -> str:
    """Seconds from `import` to the end of the first step, and the peak memory of the whole process."""
    chosen = {(r.peer, r.workload): r for r in results if r.threads == threads}
    workloads = ordered(results, "workload")
    rows = []
    for peer in ordered(results, "peer"):
        cells = []
        for workload in workloads:
            result = chosen.get((peer, workload))
            if result is None or result.us is None:
                cells.append("")
            else:
                memory = "?" if result.peak_mb is None else f"{result.peak_mb:,.0f}"
                cells.append(f"{result.first_step_s:.2f} s, {memory} MB")
        rows.append([title(peer), *cells])
    return table(["first step, peak memory", *workloads], rows)


def losing(results: list[Result]) -> list[str]:
    """Where another library is faster than ours, out of the box: said before anybody has to look for it."""
    ours = {(r.workload, r.threads): r.us for r in results if r.peer == OURS and r.us}
    lines = []
    for result in results:
        mine = ours.get((result.workload, result.threads))
        if mine and result.us and result.us < mine and result.peer not in (OURS, RECORDED):
            where = f"{result.workload}, {threads_title(result.threads)}"
            lines.append(f"- {where}: {title(result.peer)} is {mine / result.us:.2f} times as fast as tinygrad_edu")
    return lines


def notes(results: list[Result]) -> list[str]:
    """Why there is no figure, once for each reason."""
    seen: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.note:
            names = seen.setdefault((result.peer, result.note), [])
            if result.workload not in names:
                names.append(result.workload)
    return [f"- {title(peer)}, {', '.join(names)}: {note}" for (peer, note), names in seen.items()]


def core_type_advice(exported: dict[str, str]) -> list[str]:
    """An exported OPENBLAS_CORETYPE can halve NumPy's matrix product: said aloud, never changed."""
    if "OPENBLAS_CORETYPE" not in exported:
        return []
    kind = exported["OPENBLAS_CORETYPE"]
    return [
        f"OPENBLAS_CORETYPE keeps OpenBLAS to its {kind} kernels, whatever this processor could do; libraries that"
        " compute with NumPy's OpenBLAS may be slower for it. `python -m benchmarks --core-type both` also measures without."
    ]


def conditions(report: dict, results: list[Result]) -> str:
    """The machine, the versions, the BLAS libraries at work and how it was measured."""
    machine = report["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    exported = ", ".join(f"`{key}={value}`" for key, value in machine["exported"].items()) or "nothing"
    host = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}"
    cores = {result.cores for result in results if result.us}
    bound = "not bound to cores" if None in cores else "bound to as many cores as threads"
    lines = [
        f"{report['date']}; {host}; other work on the machine: load average {machine['load']}",
        packages,
        *libraries(results),
        f"exported, and left as it was: {exported}",
        *core_type_advice(machine["exported"]),
        f"digits: {report['digits']}; all arithmetic in float32, except micrograd's Python floats",
        f"each peer in a fresh process, {bound}; same initial weights, same batches; the losses after 20 steps (W7: at"
        f" a tenth of the rate, without dropout) agree to {TOLERANCE:g} before anything is timed, and so do the results of"
        " single operations",
        f"peers take turns; median of {report['repeats']} turns of about {report['seconds']:g} s each after a warm-up",
        "first step in the tables of workloads: from importing the library (NumPy is loaded already) to the end of the first"
        " step, caches of compiled code as they were found; the memory includes the data set",
    ]
    return "\n".join(f"- {line}" for line in lines)


def libraries(results: list[Result]) -> list[str]:
    """The BLAS and OpenMP libraries in the processes, with the kernels they chose for this processor."""
    pools = {pool.rsplit(" ", 2)[0] for result in results for pool in result.pools}
    capability = {r.facts["cpu capability"] for r in results if "cpu capability" in r.facts}
    chosen = f"; PyTorch uses {', '.join(sorted(capability))}" if capability else ""
    return [f"libraries loaded, with the kernels they chose: {', '.join(sorted(pools)) or 'none'}{chosen}"]


def steps_part(results: list[Result]) -> list[str]:
    """The race of the workloads, for each thread count with the targets."""
    parts = []
    for threads in ordered(results, "threads"):
        parts += [f"## {threads_title(threads)}", "In brackets: times PyTorch eager's speed."]
        parts += [speed_table(results, threads), cost_table(results, threads)]
        if targets := target_table(results, threads):
            parts += [f"### Targets, {threads_title(threads)}", targets, "\n".join(memory_lines(results, threads))]
    return [part for part in parts if part]


def core_type_part(results: list[Result]) -> list[str]:
    """The same race without the exported OPENBLAS_CORETYPE."""
    parts = [
        "## Without the exported OPENBLAS_CORETYPE",
        "The variable is taken away from the peers' processes only. Peers that compute with NumPy's OpenBLAS, and PyTorch.",
        *["- " + line for line in libraries(results)],
    ]
    for threads in ordered(results, "threads"):
        parts += [f"### {threads_title(threads)}, OPENBLAS_CORETYPE not set", speed_table(results, threads)]
    return parts


def by_threads(heading: str, results: list[Result], show: Callable[[list[Result], int], str]) -> list[str]:
    """A heading and a table for each thread count."""
    return [
        part
        for threads in ordered(results, "threads")
        for part in (f"## {heading}, {threads_title(threads)}", show(results, threads))
    ]


def markdown(report: dict, measured: dict[str, list[Result]]) -> str:
    """The whole report, of the parts that were run: "steps", "core_type", "kernels" and "scaling"."""
    steps = measured.get("steps", [])
    parts = ["# Benchmarks", *steps_part(steps)]
    if measured.get("core_type"):
        parts += core_type_part(measured["core_type"])
    parts += by_threads("Single operations", measured.get("kernels", []), kernel_table)
    if report.get("startup"):
        parts += ["## Start-up", startup_table(report["startup"])]
    if measured.get("scaling"):
        parts += ["## Scaling, 1 thread", "![curves](scaling.svg)", scaling_tables(measured["scaling"])]
    if any(result.peer == OURS and result.us for result in steps):
        parts += ["## Where tinygrad_edu is behind", "\n".join(losing(steps)) or "Nowhere in this run."]
    everything = [result for results in measured.values() for result in results]
    reasons = notes(everything) + [f"- {name}: not installed, left out" for name in report["absent"]]
    if reasons:
        parts += ["## Without a figure", "\n".join(reasons)]
    parts += ["## Conditions", conditions(report, everything)]
    return "\n\n".join(parts) + "\n"
