"""``python -m benchmarks.coverage CENSUS.md``: how much of the PyTorch that teaching code uses exists here.

The census is a Markdown file with one table a group of names, ``| # | `name` | files | repos | uses | ...``, and lines
``Further N names (files/uses): `name` 2/3, ...`` below a table. Every name is looked up on the real objects of tinygrad_edu.
"""

import argparse
import importlib
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tinygrad_edu as tg
from benchmarks.left_out import reason_to_leave_out

TITLE = re.compile(r"^## (.+)")
TOTALS = re.compile(r"^([\d,]+) names?, ([\d,]+) uses?, ([\d,]+) files?")
ROW = re.compile(r"^\| *\d+ *\| *`([^`]+)` *\| *(\d+) *\| *\d+ *\| *(\d+) *\|")
FURTHER = re.compile(r"`([^`]+)` (\d+)/(\d+)")
HOMES = {
    "torch": "tinygrad_edu",
    "torchvision.datasets": "tinygrad_edu.datasets",
    "torchvision.transforms": "tinygrad_edu.datasets.transforms",
}


@dataclass
class Name:
    """A name of the census: in how many files it is met, and how often; whether it exists here."""

    text: str
    files: int
    uses: int
    exists: bool = False

    @property
    def reason(self) -> str:
        """Why it is deliberately left out; empty if it is simply missing."""
        return reason_to_leave_out(self.text)


@dataclass
class Group:
    """One table of the census."""

    title: str
    files: int = 0
    names: list[Name] = field(default_factory=list)

    @property
    def uses(self) -> int:
        return sum(name.uses for name in self.names)

    def missing(self) -> list[Name]:
        """The names that do not exist here, most used first."""
        return sorted((n for n in self.names if not n.exists), key=lambda n: (-n.uses, n.text))

    def share_of_uses(self) -> float:
        return sum(n.uses for n in self.names if n.exists) / max(self.uses, 1)

    def share_of_files(self) -> tuple[float, float]:
        """Bounds on the share of files that need nothing missing.

        The census does not say which names meet in one file. If no two missing names ever met, their counts would add up;
        if they always met, the largest would be all.
        """
        counts = [n.files for n in self.missing()]
        total = max(self.files, 1)
        return max(0.0, 1 - sum(counts) / total), 1 - max(counts, default=0) / total


def read_census(text: str) -> list[Group]:
    """Return the groups of names in a census; sections without a table of names are passed over."""
    groups: list[Group] = []
    for line in text.splitlines():
        if title := TITLE.match(line):
            groups.append(Group(title[1].strip()))
        elif not groups:
            continue
        elif totals := TOTALS.match(line):
            groups[-1].files = int(totals[3].replace(",", ""))
        elif row := ROW.match(line):
            groups[-1].names.append(Name(row[1], int(row[2]), int(row[3])))
        elif line.startswith("Further "):
            groups[-1].names += [Name(n, int(files), int(uses)) for n, files, uses in FURTHER.findall(line)]
    return [group for group in groups if group.names and group.files]


def find(path: str) -> Any:
    """Return the object with this dotted name, importing sub-modules on the way; raise AttributeError if there is none."""
    first, *rest = path.split(".")
    found, so_far = importlib.import_module(first), first
    for part in rest:
        so_far += "." + part
        try:
            found = getattr(found, part)
        except AttributeError:
            if not hasattr(found, "__path__"):
                raise
            try:
                found = importlib.import_module(so_far)
            except ModuleNotFoundError:
                raise AttributeError(f"there is no {so_far}") from None
    return found


@cache
def examples() -> dict[str, tuple]:
    """The objects on which names without a dot are looked up, by a word of their group's title."""
    layer = tg.nn.Linear(1, 1)
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    schedule = tg.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    return {"Tensor": (tg.ones(1, 1),), "Module": (layer,), "Optimizer": (optimizer, schedule)}


def exists(name: str, group: str) -> bool:
    """Tell whether a name of PyTorch's, as the census writes it, exists here."""
    if name.split(".")[0] in ("torch", "torchvision"):
        home = max((h for h in HOMES if name == h or name.startswith(h + ".")), key=len, default=None)
        if home is None:
            return False
        try:
            find(HOMES[home] + name[len(home) :])
        except AttributeError:
            return False
        return True
    kind = next((kind for kind in ("Module", "Optimizer", "Tensor") if kind in group.split("(")[0]), None)
    if kind is None:
        raise ValueError(f"{name!r} of the group {group!r}: neither a dotted name nor a group of members is known")
    return any(hasattr(example, name) for example in examples()[kind])


def look_up(groups: list[Group]) -> list[Group]:
    """Look up every name of every group."""
    for group in groups:
        for name in group.names:
            name.exists = exists(name.text, group.title)
    return groups


def report(groups: list[Group]) -> str:
    """Return the shares as a Markdown table, then what is missing and what is left out on purpose."""
    lines = ["| group | names | uses | files |", "|:--|--:|--:|--:|"]
    for group in groups:
        low, high = group.share_of_files()
        known = sum(n.exists for n in group.names)
        files = f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"
        lines.append(f"| {group.title} | {known} of {len(group.names)} | {group.share_of_uses():.1%} | {files} |")
    everything = [name for group in groups for name in group.names]
    wanted = [name for name in everything if name.exists or not name.reason]
    for title, names in (("all", everything), ("all but what is left out on purpose", wanted)):
        known, uses = sum(n.uses for n in names if n.exists), sum(n.uses for n in names)
        lines.append(f"| {title} | {sum(n.exists for n in names)} of {len(names)} | {known / max(uses, 1):.1%} | |")
    for group in groups:
        lines += what_lacks(group)
    return "\n".join(lines)


def what_lacks(group: Group) -> list[str]:
    """Return the paragraph on a group's missing names."""
    wanted = [n for n in group.missing() if not n.reason]
    lines = []
    if wanted:
        lines.append("missing (uses): " + ", ".join(f"`{n.text}` {n.uses}" for n in wanted))
    by_reason: dict[str, list[str]] = {}
    for n in group.missing():
        if n.reason:
            by_reason.setdefault(n.reason, []).append(f"`{n.text}` {n.uses}")
    lines += [f"left out, {reason}: " + ", ".join(names) for reason, names in by_reason.items()]
    return ["", f"## {group.title}", "", *(f"- {line}" for line in lines)] if lines else []


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coverage", description="Which of PyTorch's names exist."
    )
    parser.add_argument("census", type=Path, help="Markdown file with the tables of names")
    options = parser.parse_args(arguments)
    groups = read_census(options.census.read_text(encoding="utf-8"))
    if not groups:
        parser.error(
            f"no table of names in {options.census}: expected rows like | 1 | `torch.tensor` | 399 | 30 | 1321 |"
        )
    print(report(look_up(groups)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
