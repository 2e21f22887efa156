"""The switches of a library for other companies' GPUs; programs may set them, and nothing reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "flags", "is_available", "version"]

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Always False: there is no GPU here."""
    return False


def version() -> None:
    """Always None: the library is not here."""


@contextmanager
def flags(**switches: Any) -> Iterator[None]:
    """Set the switches inside a ``with`` block."""
    before = {name: globals()[name] for name in switches}
    globals().update(switches)
    try:
        yield
    finally:
        globals().update(before)
