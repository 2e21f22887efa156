"""What ``tinygrad-edu doctor`` asks the machine: processor, limits of a container, the library that multiplies matrices."""

import os
import platform
from pathlib import Path
from typing import Any

__all__ = [
    "GENERATIONS",
    "blas_pools",
    "cores",
    "extensions",
    "group_limits",
    "memory",
    "processor",
    "processor_generation",
]

# The kernels that OpenBLAS names by processors, by the vector registers that they use: 1 SSE, 2 AVX, 3 AVX2, 4 AVX-512.
GENERATIONS = {
    **dict.fromkeys(("prescott", "core2", "penryn", "dunnington", "nehalem", "atom", "barcelona", "bobcat"), 1),
    **dict.fromkeys(("sandybridge", "bulldozer", "piledriver", "steamroller"), 2),
    **dict.fromkeys(("haswell", "zen", "excavator"), 3),
    **dict.fromkeys(("skylakex", "cooperlake", "sapphirerapids"), 4),
}
REGISTERS = {1: "SSE, 128 bits", 2: "AVX, 256 bits", 3: "AVX2, 256 bits", 4: "AVX-512, 512 bits"}


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, as the system calls it and as the compiler does."""
    name = platform.processor() or platform.machine()
    for line in _lines(cpuinfo):
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    try:
        from llvmlite.binding import get_host_cpu_name
    except ImportError:
        return f"{name} ({platform.machine()})"
    return f"{name} ({platform.machine()}, {get_host_cpu_name()})"


def extensions(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Return the vector extensions by their short names, such as "avx2"; empty where the system does not tell."""
    for line in _lines(cpuinfo):
        key, _, flags = line.partition(":")
        if key.strip() in ("flags", "Features"):
            wanted = ("sse4", "avx", "fma", "f16c", "amx", "neon", "asimd", "sve")
            return {flag for flag in flags.split() if flag.startswith(wanted)}
    try:
        from llvmlite.binding import get_host_cpu_features
    except ImportError:
        return set()
    return {
        name for name, has in get_host_cpu_features().items() if has and name.startswith(("sse4", "avx", "fma", "neon"))
    }


def processor_generation(found: set[str]) -> int:
    """Return how wide the registers are, by the numbers of `GENERATIONS`; 0 where it is not an x86 or not known."""
    for generation, flag in ((4, "avx512f"), (3, "avx2"), (2, "avx"), (1, "sse4_2")):
        if flag in found:
            return generation
    return 0


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """Return the machine's memory in bytes, None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def blas_pools() -> list[dict[str, Any]]:
    """Return what the libraries that multiply matrices say of themselves, see ``threadpoolctl.threadpool_info``."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # some libraries wake up at the first product
    return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]


# ---- limits of the control group --------------------------------------------------------------------------------------------
def group_limits(
    mount: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> tuple[float | None, int | None]:
    """Return the processor time (in cores) and the memory (in bytes) that a container grants; None where it sets no limit.

    The limits of a group are those of the groups around it too, so the smallest on the way up counts. Both versions of the
    kernel's interface are read.
    """
    cpus: list[float] = []
    sizes: list[int] = []
    for line in _lines(membership):
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else [""]:
            base = mount / controller
            place = base / path.lstrip("/")
            for folder in [place, *(parent for parent in place.parents if parent == base or base in parent.parents)]:
                cpus += _cpu_limit(folder)
                sizes += _memory_limit(folder)
    return min(cpus, default=None), min(sizes, default=None)


def _cpu_limit(folder: Path) -> list[float]:
    words = " ".join(_lines(folder / "cpu.max")).split()
    if not words:
        words = _lines(folder / "cpu.cfs_quota_us")[:1] + _lines(folder / "cpu.cfs_period_us")[:1]
    if len(words) != 2 or words[0] in ("max", "-1") or float(words[1]) <= 0:
        return []
    return [float(words[0]) / float(words[1])]


def _memory_limit(folder: Path) -> list[int]:
    words = _lines(folder / "memory.max") or _lines(folder / "memory.limit_in_bytes")
    if not words or words[0] == "max" or int(words[0]) >= 1 << 60:  # the largest number there is means "no limit"
        return []
    return [int(words[0])]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] or []
    except OSError:
        return []
