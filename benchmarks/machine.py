"""Facts about the machine and the process that a reader needs to judge a figure."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKAGES = (
    *(
        "tinygrad_edu",
        "numpy",
        "numba",
        "llvmlite",
        "torch",
        "jax",
        "jaxlib",
        "keras",
        "mygrad",
        "autograd",
        "micrograd",
    ),
    *("tinygrad", "threadpoolctl"),
)


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in lines.items()}
        vectors = [name for name in ("avx2", "avx512f", "asimd") if name in fields.get("flags", "").split()]
        if "model name" in fields:
            return f"{fields['model name']} ({', '.join(vectors) or 'no AVX2'})"
    return platform.processor() or platform.machine()


def installed_versions() -> dict[str, str]:
    """Versions of the packages that take part, as installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_machine() -> dict[str, object]:
    """Processor, system, Python, versions, and every exported variable that steers BLAS or threads."""
    steering = ("OPENBLAS_", "OMP_", "MKL_", "NUMBA_", "GOMP_", "KMP_", "XLA_", "BLIS_")
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "python": platform.python_version(),
        "packages": installed_versions(),
        "exported": {key: value for key, value in sorted(os.environ.items()) if key.startswith(steering)},
    }


def peak_memory() -> float | None:
    """The largest resident size of this process so far, in MB (10^6 bytes); None where the system does not tell.

    Linux keeps it in ``VmHWM``; there ``ru_maxrss`` also counts the parent, whose pages a child shares until exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def thread_pools() -> list[str]:
    """The BLAS and OpenMP libraries loaded in this process: version, kernels chosen for the CPU, threads."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["unknown: threadpoolctl is not installed"]
    texts = []
    for pool in threadpool_info():
        words = [pool["internal_api"], pool.get("version"), pool.get("architecture"), f"{pool['num_threads']} threads"]
        texts.append(" ".join(word for word in words if word))
    return sorted(texts)


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def confine_to_cores(count: int) -> int | None:
    """Bind this process to `count` cores, so that libraries that read no variable keep to them too; None if impossible.

    The last cores are taken: the first ones also serve the system's interrupts.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))[-count:]
    os.sched_setaffinity(0, cores)
    return len(cores)
