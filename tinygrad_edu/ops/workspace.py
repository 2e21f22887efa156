"""Notes that a fused op's forward pass leaves for its derivative rules."""

from typing import Any

__all__ = ["Workspace"]


class Workspace:
    """What an op computed on the way and its array rule can use again: the index of a maximum, a mean, the slope of a loss.

    A caller makes one per call and passes it as a parameter; the forward function writes attributes to it. Rules that are to be
    differentiated again read from it only what does not depend on the arguments smoothly (an index, never a mean).
    """

    __slots__ = ("index", "mask", "mean", "rstd", "slope", "tile", "var")

    index: Any
    mean: Any
    mask: Any
    rstd: Any
    slope: Any
    tile: Any
    var: Any

    def __repr__(self) -> str:
        return "Workspace()"
