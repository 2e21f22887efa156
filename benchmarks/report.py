"""Tables in Markdown: microseconds a step, times PyTorch eager's speed, and what a reader needs to judge them."""

from benchmarks.harness import TOLERANCE, Result
from benchmarks.peers import all_peers
from benchmarks.workloads import WORKLOADS

BASE = "torch"  # ratios are to PyTorch eager
OURS = "tinygrad_edu"


def speedups(results: list[Result]) -> dict[tuple[str, str, int], float]:
    """(workload, peer, threads) -> PyTorch eager's time divided by the peer's time, where both have one."""
    base = {(r.workload, r.threads): r.us for r in results if r.peer == BASE and r.us}
    return {
        (r.workload, r.peer, r.threads): base[r.workload, r.threads] / r.us
        for r in results
        if r.us and (r.workload, r.threads) in base
    }


def number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ordered(results: list[Result], field: str) -> list:
    return list(dict.fromkeys(getattr(result, field) for result in results))


def _title(peer: str) -> str:
    return all_peers()[peer].title


def speed_table(results: list[Result], threads: int) -> str:
    """One row a peer, one column a workload."""
    ratios = speedups(results)
    chosen = {(r.peer, r.workload): r for r in results if r.threads == threads}
    workloads = _ordered(results, "workload")
    rows = []
    for peer in _ordered(results, "peer"):
        cells = []
        for workload in workloads:
            result = chosen.get((peer, workload))
            if result is None or result.us is None:
                cells.append("failed" if result and result.failed else "")
                continue
            ratio = ratios.get((workload, peer, threads))
            shown = "" if ratio is None or peer == BASE else f" ({number(ratio)}x)"
            cells.append(number(result.us) + shown)
        title = _title(peer)
        rows.append([f"**{title}**" if peer == OURS else title, *cells])
    return table(["microseconds a step", *[f"{w} {WORKLOADS[w].title}" for w in workloads]], rows)


def cost_table(results: list[Result], threads: int) -> str:
    """Seconds from `import` to the end of the first step, and the peak memory of the whole process."""
    chosen = {(r.peer, r.workload): r for r in results if r.threads == threads}
    workloads = _ordered(results, "workload")
    rows = []
    for peer in _ordered(results, "peer"):
        cells = []
        for workload in workloads:
            result = chosen.get((peer, workload))
            if result is None or result.us is None:
                cells.append("")
            else:
                memory = "?" if result.peak_mb is None else f"{result.peak_mb:,.0f}"
                cells.append(f"{result.first_step_s:.2f} s, {memory} MB")
        rows.append([_title(peer), *cells])
    return table(["first step, peak memory", *workloads], rows)


def startup_table(startup: dict[str, dict]) -> str:
    rows = [
        [
            f"`import {library}`",
            f"{found['import_s']:.3f} s",
            "?" if found["peak_mb"] is None else f"{found['peak_mb']:,.0f} MB",
        ]
        for library, found in startup.items()
    ]
    return table(["start-up, in a fresh process", "seconds", "peak memory"], rows)


def losing(results: list[Result]) -> list[str]:
    """Where another library is faster than ours: said before anybody has to look for it."""
    ours = {(r.workload, r.threads): r.us for r in results if r.peer == OURS and r.us}
    lines = []
    for result in results:
        mine = ours.get((result.workload, result.threads))
        if mine and result.us and result.us < mine and result.peer != OURS:
            where = f"{result.workload}, {result.threads} thread{'s' * (result.threads > 1)}"
            lines.append(f"- {where}: {_title(result.peer)} is {mine / result.us:.2f} times as fast as tinygrad_edu")
    return lines


def notes(results: list[Result]) -> list[str]:
    """Why there is no figure, once for each reason."""
    seen: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.note:
            names = seen.setdefault((result.peer, result.note), [])
            if result.workload not in names:
                names.append(result.workload)
    return [f"- {_title(peer)}, {', '.join(names)}: {note}" for (peer, note), names in seen.items()]


def core_type_advice(exported: dict[str, str]) -> list[str]:
    """An exported OPENBLAS_CORETYPE can halve NumPy's matrix product: said aloud, never changed."""
    if "OPENBLAS_CORETYPE" not in exported:
        return []
    kind = exported["OPENBLAS_CORETYPE"]
    return [
        f"OPENBLAS_CORETYPE keeps OpenBLAS to its {kind} kernels, whatever this processor could do; libraries that"
        " compute with NumPy's OpenBLAS may be slower for it. `env -u OPENBLAS_CORETYPE python -m benchmarks` measures without."
    ]


def conditions(report: dict, results: list[Result]) -> str:
    """The machine, the versions, the BLAS libraries at work and how it was measured."""
    machine = report["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    exported = ", ".join(f"`{key}={value}`" for key, value in machine["exported"].items()) or "nothing"
    pools = {pool.rsplit(" ", 2)[0] for result in results for pool in result.pools}
    capability = {r.facts["cpu capability"] for r in results if "cpu capability" in r.facts}
    cores = {result.cores for result in results if result.us}
    bound = "not bound to cores" if None in cores else "bound to as many cores as threads"
    host = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}"
    lines = [
        f"{report['date']}; {host}",
        packages,
        f"libraries loaded, with the kernels they chose: {', '.join(sorted(pools)) or 'none'}"
        + (f"; PyTorch uses {', '.join(sorted(capability))}" if capability else ""),
        f"exported, and left as it was: {exported}",
        *core_type_advice(machine["exported"]),
        f"digits: {report['digits']}; all arithmetic in float32, except micrograd's Python floats",
        f"each peer in a fresh process, {bound}; same initial weights, same batches; the losses after 20 steps (W7: at"
        f" a tenth of the rate, without dropout) agree to {TOLERANCE:g} before anything is timed",
        f"peers take turns; median of {report['repeats']} turns of about {report['seconds']:g} s each after a warm-up",
        "first step: from importing the library (NumPy is loaded already) to the end of the first step, caches of"
        " compiled code as they were found; the memory includes the data set",
    ]
    return "\n".join(f"- {line}" for line in lines)


def markdown(report: dict, results: list[Result]) -> str:
    """The whole report."""
    parts = ["# Benchmarks"]
    for threads in _ordered(results, "threads"):
        parts += [f"## {threads} thread{'s' * (threads > 1)}", "In brackets: times PyTorch eager's speed."]
        parts += [speed_table(results, threads), cost_table(results, threads)]
    if report["startup"]:
        parts += ["## Start-up", startup_table(report["startup"])]
    behind = losing(results)
    if any(result.peer == OURS and result.us for result in results):
        parts += ["## Where tinygrad_edu is behind", "\n".join(behind) or "Nowhere in this run."]
    reasons = notes(results) + [f"- {name}: not installed, left out" for name in report["absent"]]
    if reasons:
        parts += ["## Without a figure", "\n".join(reasons)]
    parts += ["## Conditions", conditions(report, results)]
    return "\n\n".join(parts) + "\n"
