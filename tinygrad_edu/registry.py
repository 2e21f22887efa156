"""The table of ops by name, and who is told when one is executed."""

from collections.abc import Callable
from typing import Any

__all__ = ["observers", "registry"]

registry: dict[str, Any] = {}  # Primitive or Composite by name
observers: list[Callable[[str, tuple, dict, Any], None]] = []  # called for every executed op, see visualize
