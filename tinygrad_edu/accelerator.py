"""What programs ask about accelerators before they choose a device: there is none, so they choose the CPU.

>>> import tinygrad_edu as tg
>>> tg.accelerator.current_accelerator().type if tg.accelerator.is_available() else "cpu"
'cpu'
"""

from typing import Any, NoReturn

__all__ = [
    "current_accelerator", "current_device_index", "device_count", "is_available", "set_device_index", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Always False."""
    return False


def device_count() -> int:
    """Always 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """Always None."""


def current_device_index() -> NoReturn:
    """Refuse: there is no accelerator."""
    raise RuntimeError(
        "accelerator: this engine computes on the CPU only. Fix: ask tg.accelerator.is_available() before you use one."
    )


def set_device_index(device: Any) -> NoReturn:
    """Refuse: there is no accelerator."""
    current_device_index()


def synchronize(device: Any = None) -> None:
    """Nothing to wait for."""
