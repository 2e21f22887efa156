"""What all tables share: names, ratios, rounding and Markdown."""

from benchmarks.harness import Result
from benchmarks.peers import all_peers

BASE = "torch"  # ratios are to PyTorch eager
OURS = "tinygrad_edu"
RECORDED = "tinygrad_edu_recorded"


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


def ordered(results: list[Result], field: str) -> list:
    """The values of a field, each once, in the order in which they were measured."""
    return list(dict.fromkeys(getattr(result, field) for result in results))


def title(peer: str) -> str:
    return all_peers()[peer].title


def threads_title(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def mark(reached: bool) -> str:
    """The word that stands beside a target."""
    return "reached" if reached else "**missed**"


def megabytes(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f} MB"
