"""What PyTorch programs ask about NVIDIA's GPUs: there is none, so that they go on with the CPU.

Questions are answered as PyTorch answers them on a computer without a GPU; what can only be done with one is an error.
"""

from contextlib import AbstractContextManager
from typing import Any, NoReturn

from tinygrad_edu import amp as _amp
from tinygrad_edu.device import require_cpu

__all__ = [
    "amp", "current_device", "device_count", "empty_cache", "is_available", "is_bf16_supported", "is_initialized", "manual_seed",
    "manual_seed_all", "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
    "reset_peak_memory_stats", "set_device", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Always False."""
    return False


is_initialized = is_bf16_supported = is_available


def device_count() -> int:
    """Always 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing to seed: there is no such device (PyTorch also ignores the call then)."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Nothing to empty."""


def synchronize(device: Any = None) -> None:
    """Nothing to wait for."""


def memory_allocated(device: Any = None) -> int:
    """Always 0 bytes."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing to reset."""


def set_device(device: Any) -> None:
    """Refuse: there is no GPU.

    Raises
    ------
    RuntimeError
        Always, with the line that asks first.
    """
    require_cpu(f"cuda:{device}" if isinstance(device, int) else device)


def current_device() -> NoReturn:
    """Refuse: there is no GPU."""
    raise RuntimeError(
        "cuda: this engine computes on the CPU only. Fix: ask tg.cuda.is_available() before you use a GPU."
    )


class amp:
    """The former place of :mod:`tinygrad_edu.amp`."""

    GradScaler = _amp.GradScaler

    @staticmethod
    def autocast(enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> AbstractContextManager:
        """See :class:`tinygrad_edu.amp.autocast`."""
        return _amp.autocast("cuda", dtype, enabled, cache_enabled)
