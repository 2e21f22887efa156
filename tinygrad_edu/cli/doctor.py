"""``tinygrad-edu doctor``: what this installation runs on, and what would make it faster or whole."""

import argparse
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_edu.cli import machine

__all__ = ["Report", "add_command", "examine", "run"]

NEEDED = (
    "numpy",
    "scipy",
    "matplotlib",
    "scikit-learn",
    "networkx",
    "graphviz",
    "safetensors",
    "pooch",
    "tqdm",
    "threadpoolctl",
)
FASTER = ("numba", "llvmlite")
BESIDE = ("torch",)


@dataclass
class Report:
    """What was found, line by line, and what to fix."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    fixes: list[str] = field(default_factory=list)

    def say(self, label: str, fact: Any) -> None:
        """Add a line."""
        self.lines.append((label, str(fact)))

    def __str__(self) -> str:
        width = max(len(label) for label, _ in self.lines)
        text = [f"{label:{width}}  {fact}" for label, fact in self.lines]
        if not self.fixes:
            return "\n".join([*text, "", "nothing to fix"])
        return "\n".join([*text, "", "what to fix", *(f"- {fix}" for fix in self.fixes)])


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("doctor", help="tell what this installation runs on, and what to fix")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    print(examine())


def examine() -> Report:
    """Look at everything once."""
    report = Report()
    for look in (versions, backend, cpu, threads, blas, memory, kept_kernels, graphviz, data):
        look(report)
    return report


# ---- software ---------------------------------------------------------------------------------------------------------------
def versions(report: Report) -> None:
    """Python and the libraries, as they are installed."""
    report.say("python", f"{platform.python_version()} ({sys.executable})")
    report.say("system", platform.platform())
    report.say("tinygrad_edu", f"{version('tinygrad_edu')} ({Path(__file__).parents[1]})")
    for name in (*NEEDED, *FASTER, *BESIDE):
        report.say(name, version(name) or ("not installed" + (", and not needed" if name in BESIDE else "")))
    missing = [name for name in NEEDED if version(name) is None]
    if missing:
        report.fixes.append(f"{', '.join(missing)} cannot be found: pip install {' '.join(missing)}")
    if sys.flags.dont_write_bytecode:
        report.fixes.append(
            "PYTHONDONTWRITEBYTECODE is set, so every start reads the source again: unset it to start three times as fast."
        )


def version(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def backend(report: Report) -> None:
    """Which kernels run."""
    import warnings

    from tinygrad_edu import kernels

    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        name = kernels.get_backend()
    report.say("backend", f"{name} (see tg.backend)")
    if name == "numba":
        return
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        report.fixes.append("NUMBA_DISABLE_JIT is set, so nothing is compiled: unset it to train many times faster.")
    elif version("numba") is None:
        report.fixes.append("Numba is not installed, so the slower NumPy kernels run: pip install numba")
    else:
        reason = f": {notes[0].message}" if notes else ", and tg.backend chose otherwise."
        report.fixes.append(f"Numba is installed, but does not run{reason}")


# ---- machine ----------------------------------------------------------------------------------------------------------------
def cpu(report: Report) -> None:
    """The processor."""
    report.say("processor", machine.processor())
    report.say("vectors", " ".join(sorted(machine.extensions())) or "unknown")


def threads(report: Report) -> None:
    """Cores, and how many of them we use."""
    from tinygrad_edu import kernels

    cores, (quota, _) = machine.cores(), machine.group_limits()
    ours = kernels.get_num_threads()
    limited = "" if quota is None else f", processor time for {quota:g}"
    report.say("cores", f"{cores} for this process{limited}")
    report.say("threads", f"{ours} in our kernels")
    allowed = max(1, int(min(cores, quota or cores)))
    if ours > allowed:
        report.fixes.append(
            f"{ours} threads share {allowed} core{'s' * (allowed > 1)} and wait for each other: "
            f"tg.set_num_threads({allowed}), or export NUMBA_NUM_THREADS={allowed} and OMP_NUM_THREADS={allowed}."
        )


def blas(report: Report) -> None:
    """The library behind NumPy's matrix products, and whether it uses what the processor has."""
    pools = machine.blas_pools()
    if not pools:
        report.say("BLAS", "unknown to threadpoolctl")
    for pool in pools:
        kind = pool.get("architecture")
        report.say(
            "BLAS", f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads, {kind or 'one'} kernels"
        )
    forced = os.environ.get("OPENBLAS_CORETYPE")
    have, used = machine.processor_generation(machine.extensions()), machine.GENERATIONS.get((forced or "").lower(), 0)
    if forced:
        report.say("OPENBLAS_CORETYPE", forced)
    if forced and 0 < used < have:
        report.fixes.append(
            f"OPENBLAS_CORETYPE={forced} makes NumPy multiply with {machine.REGISTERS[used]}, though this processor has "
            f"{machine.REGISTERS[have]}: unset it, unless you want results to repeat on older machines."
        )


def memory(report: Report) -> None:
    """How much there is, and how much of it we may have."""
    total, (_, limit) = machine.memory(), machine.group_limits()
    fact = "unknown" if total is None else f"{total / 2**30:.1f} GiB"
    if limit is not None and (total is None or limit < total):
        fact += f", of which this process may use {limit / 2**30:.1f} GiB"
        if limit < 2**30:
            report.fixes.append(
                f"this container grants {limit / 2**20:.0f} MiB of memory; training on MNIST wants about 1 GiB."
            )
    report.say("memory", fact)


# ---- files ------------------------------------------------------------------------------------------------------------------
def kept_kernels(report: Report) -> None:
    """The folder of compiled kernels."""
    from tinygrad_edu import kernels

    if not kernels.numba_works():
        return
    from tinygrad_edu.kernels.compiler import cache_folder

    folder = cache_folder()
    if folder is None or not _writable(folder):
        report.say("kernel cache", f"{folder or 'none'}, cannot be written")
        report.fixes.append(
            "compiled kernels cannot be kept, so every start compiles again: export NUMBA_CACHE_DIR=<a folder you may write to>."
        )
        return
    files = [path for path in folder.glob("*.nb[ci]") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 2**20
    count = sum(path.suffix == ".nbc" for path in files)
    report.say(
        "kernel cache",
        f"{folder}, writable, {count} kept, {size:.1f} MiB" + ("" if count else " (see: tinygrad-edu warmup)"),
    )


def _writable(folder: Path) -> bool:
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def graphviz(report: Report) -> None:
    """The program that lays out pictures."""
    import shutil
    import subprocess

    program = shutil.which("dot")
    if program is None:
        report.say("Graphviz", "no program `dot`")
        report.fixes.append(
            "Graphviz's program `dot` is not on the PATH, so a simpler layout draws the graphs: apt install graphviz, brew install graphviz, "
            "or graphviz.org/download."
        )
        return
    told = subprocess.run([program, "-V"], capture_output=True, text=True, check=False, timeout=30)
    report.say("Graphviz", f"{(told.stderr or told.stdout).strip()} ({program})")


def data(report: Report) -> None:
    """Where MNIST is."""
    from tinygrad_edu.datasets import MNIST
    from tinygrad_edu.datasets.files import locate

    named = os.environ.get("TINYGRAD_EDU_DATA")
    report.say("TINYGRAD_EDU_DATA", named or "not set")
    if named and not Path(named).expanduser().is_dir():
        report.fixes.append(f"TINYGRAD_EDU_DATA names no folder: {named!r}. Make it, or unset the variable.")
    try:
        place = locate(MNIST.source, "train-images-idx3-ubyte.gz", None, download=False)
    except RuntimeError as error:
        damaged = "E502" in str(error)
        report.say("MNIST", "damaged" if damaged else "not here; downloaded when first used")
        if damaged:
            report.fixes.append(str(error))
    else:
        report.say("MNIST", place.parent)
