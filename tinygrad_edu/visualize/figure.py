"""A matplotlib figure that shows and saves itself without pyplot. Loaded when the first plot is drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tinygrad_edu.visualize.files import write_whole
from tinygrad_edu.visualize.render import figure_bytes, format_of

MARGIN = 0.08  # inches


class Plot(Figure):
    """A matplotlib ``Figure`` with a white ground and no window; every method of ``Figure`` is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        layout = ConstrainedLayoutEngine(w_pad=MARGIN, h_pad=MARGIN)
        super().__init__(*args, **{"layout": layout, "facecolor": "white", **kwargs})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the figure to ``path`` (.svg, .png or .pdf), whole or not at all; return the path.

        Raises ValueError for an unknown ending and OSError for a folder that cannot be written.
        """
        format = format_of(path)
        if format == "dot":
            raise ValueError(
                f"a plot has no boxes and arrows to write to {str(path)!r}. Known endings: .svg, .png, .pdf"
            )
        return write_whole(path, figure_bytes(self, format))

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png")

    def plain_axes(self, *position: Any) -> Axes:
        """Axes with a light grid behind the data and without the lines that frame nothing."""
        axes = self.add_subplot(*position)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#DDDDDD", linewidth=0.8)
        axes.set_axisbelow(True)
        return axes
