"""Settings of the whole process, under PyTorch's names: threads, the default device and type, and promises that always hold here."""

from typing import Any

from tinygrad_edu.device import CPU, device, require_cpu
from tinygrad_edu.dtypes import as_dtype, dtype, set_default_dtype
from tinygrad_edu.kernels import threads

__all__ = [
    "are_deterministic_algorithms_enabled", "get_default_device", "get_float32_matmul_precision", "get_num_threads",
    "set_default_device", "set_default_tensor_type", "set_float32_matmul_precision", "set_num_threads",
    "use_deterministic_algorithms",
]  # fmt: skip

PRECISIONS = ("highest", "high", "medium")
_chosen = {"matmul_precision": "highest", "deterministic": False}


def get_default_device() -> device:
    """Return the CPU."""
    return CPU


def set_default_device(device: Any) -> None:
    """Accept the CPU as the place where tensors are made, and refuse every other."""
    require_cpu(device)


def set_default_tensor_type(t: Any) -> None:
    """Set the default floating type by the old name of a tensor type, such as ``tg.DoubleTensor``; see ``set_default_dtype``."""
    from tinygrad_edu.ops.conversion import TYPE_NAMES

    name = t if isinstance(t, str) else getattr(t, "__name__", "")
    kind = t if isinstance(t, dtype) else TYPE_NAMES.get(name.rpartition(".")[2])
    if kind is None or not as_dtype(kind).is_floating_point:
        raise TypeError(
            f"set_default_tensor_type: only floating-point types are supported as the default type, got {t!r}. "
            "Fix: tg.set_default_dtype(tg.float64)."
        )
    set_default_dtype(kind)


def set_float32_matmul_precision(precision: str) -> None:
    """Allow matrix products of float32 to be computed less precisely. Here they never are: the setting is only remembered."""
    if precision not in PRECISIONS:
        raise RuntimeError(f"set_float32_matmul_precision: expected one of {PRECISIONS}, got {precision!r}")
    _chosen["matmul_precision"] = precision


def get_float32_matmul_precision() -> str:
    """Return what :func:`set_float32_matmul_precision` was given last, "highest" at first."""
    return str(_chosen["matmul_precision"])


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for the same result in every run. Kernels here always give it, for every number of threads; the wish is remembered."""
    _chosen["deterministic"] = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """Return what :func:`use_deterministic_algorithms` was given last, False at first."""
    return bool(_chosen["deterministic"])


def get_num_threads() -> int:
    """Return how many threads a kernel may use."""
    return threads.get_num_threads()


def set_num_threads(num: int) -> None:
    """Let kernels, and the matrix products of NumPy, use `num` threads from now on."""
    from threadpoolctl import threadpool_limits

    threads.set_num_threads(num)
    threadpool_limits(limits=num, user_api="blas")
