"""From a drawing to the bytes of a picture: by Graphviz where it is installed, else by the built-in layout."""

from __future__ import annotations

import io
import os
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tinygrad_edu.errors import message
from tinygrad_edu.visualize import style
from tinygrad_edu.visualize.drawing import Drawing, Format
from tinygrad_edu.visualize.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_IMAGE = 30_000  # pixels along a side; a longer one would be refused by matplotlib and by most viewers


def render(drawing: Drawing, format: Format) -> bytes:
    """The drawing in one of the formats ``svg``, ``png``, ``pdf`` and ``dot``. Raises ValueError for any other."""
    if format not in get_args(Format):
        raise ValueError(
            f"cannot draw {format!r}. Known formats: {', '.join(get_args(Format))}. Fix: save('graph.svg')"
        )
    if format == "dot":
        return drawing.to_dot().encode()
    return by_graphviz(drawing, format) or by_matplotlib(drawing, format)


def save(drawing: Drawing, path: str | os.PathLike[str]) -> Path:
    """Write the drawing to a file in the format its ending names, whole or not at all."""
    return write_whole(path, render(drawing, format_of(path)))


def format_of(path: str | os.PathLike[str]) -> Format:
    ending: Any = Path(path).suffix.lstrip(".").lower()
    if ending not in get_args(Format):
        known = ", ".join(f".{format}" for format in get_args(Format))
        raise ValueError(f"cannot tell a format from {str(path)!r}. Known endings: {known}. Fix: save('graph.svg')")
    return ending


def by_graphviz(drawing: Drawing, format: Format) -> bytes | None:
    """What Graphviz's ``dot`` makes of the drawing; None, with a warning, where it cannot."""
    import graphviz

    from tinygrad_edu.visualize.dot_source import to_digraph

    graph = to_digraph(drawing)
    if format == "png":
        graph.attr(dpi=str(style.PNG_DPI))
    try:
        return graph.pipe(format=format, quiet=True)
    except graphviz.ExecutableNotFound:
        reason = "Graphviz's program dot was not found"
    except (OSError, subprocess.SubprocessError) as error:  # an installation that is there but broken
        reason = f"Graphviz's program dot failed ({str(error).splitlines()[0]})"
    warnings.warn(
        message(
            "E601",
            "visualize",
            f"{reason}; the built-in layout drew the picture.",
            "`apt install graphviz`, `brew install graphviz`, `conda install graphviz` or https://graphviz.org/download",
        ),
        UserWarning,
        stacklevel=4,
    )
    return None


def by_matplotlib(drawing: Drawing, format: Format) -> bytes:
    """The drawing by the built-in layout."""
    from tinygrad_edu.visualize.matplotlib_canvas import draw

    return figure_bytes(draw(drawing), format)


def figure_bytes(figure: Figure, format: str) -> bytes:
    """A matplotlib figure as bytes that depend on the figure alone, not on the clock or the user's settings."""
    import matplotlib

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
    dpi = min(style.PNG_DPI, LARGEST_IMAGE / max(figure.get_size_inches()))
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "tinygrad_edu", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=format, dpi=dpi, metadata=undated, facecolor="white", bbox_inches=None)
    return buffer.getvalue()
