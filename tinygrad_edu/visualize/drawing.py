"""A drawing is boxes and arrows. It knows nothing of tensors, and nothing of how it will be put on paper."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["leaf", "parameter", "constant", "op", "output", "layer"]
"""What a box stands for; each kind has its own look in :mod:`tinygrad_edu.visualize.style`."""

Direction = Literal["right", "down"]
Format = Literal["svg", "png", "pdf", "dot"]


@dataclass(frozen=True)
class Box:
    """A box: a bold ``title``, plain ``lines`` under it, and at the foot ``gradient`` lines in another colour."""

    id: str
    title: str
    lines: tuple[str, ...] = ()
    gradient: tuple[str, ...] = ()
    kind: Kind = "op"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of box {self.kind!r}. Known kinds: {', '.join(get_args(Kind))}")


@dataclass(frozen=True)
class Arrow:
    """An arrow from one box to another; ``label`` may have several lines."""

    src: str
    dst: str
    label: str = ""


@dataclass
class Drawing:
    """Boxes, the arrows between them, a ``title``, and the ``direction`` in which the arrows mostly point.

    A drawing shows itself in a notebook; :meth:`save` writes it to a file.

    Examples
    --------
    >>> from tinygrad_edu.visualize import Drawing
    >>> drawing = Drawing(title="y = 2x")
    >>> drawing.add_box("x", "x", lines=["3"], kind="leaf")
    >>> drawing.add_box("y", "y = 2x", lines=["6"], kind="output")
    >>> drawing.add_arrow("x", "y", "dy/dx = 2")
    >>> print(drawing.to_text())
    y = 2x
    x | 3
    y = 2x | 6
        from x: dy/dx = 2
    """

    title: str = ""
    direction: Direction = "right"
    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)

    def add_box(
        self,
        id: str,
        title: str,
        lines: tuple[str, ...] | list[str] = (),
        gradient: tuple[str, ...] | list[str] = (),
        kind: Kind = "op",
    ) -> None:
        """Add a box. Raises ValueError when its id is taken or its kind unknown."""
        if id in self.boxes:
            raise ValueError(f"the drawing already has a box with the id {id!r}. Fix: give each box its own id")
        self.boxes[id] = Box(id, title, tuple(lines), tuple(gradient), kind)

    def add_arrow(self, src: str, dst: str, label: str = "") -> None:
        """Add an arrow between two boxes that are already there (KeyError otherwise), never from a box to itself."""
        for end in (src, dst):
            if end not in self.boxes:
                known = ", ".join(map(repr, self.boxes)) or "none yet"
                raise KeyError(f"no box with the id {end!r}. Fix: add_box first; the drawing's boxes: {known}")
        if src == dst:
            raise ValueError(f"an arrow from {src!r} to itself: the graph of a calculation has no cycles")
        self.arrows.append(Arrow(src, dst, label))

    def to_text(self) -> str:
        """The drawing in words, for terminals and screen readers: a line for each box and each arrow into it."""
        rows = [self.title] if self.title else []
        for box in self.boxes.values():
            rows.append(in_one_line("\n".join((box.title, *box.lines, *box.gradient)), " | "))
            for arrow in self.arrows:
                if arrow.dst == box.id:
                    label = f": {in_one_line(arrow.label, '; ')}" if arrow.label else ""
                    rows.append(f"    from {self.boxes[arrow.src].title}{label}")
        return "\n".join(rows)

    def to_dot(self) -> str:
        """The drawing as DOT source, the language of Graphviz."""
        from tinygrad_edu.visualize.dot_source import dot_source

        return dot_source(self)

    def to_svg(self) -> str:
        """The drawing as SVG text."""
        from tinygrad_edu.visualize.render import render

        return render(self, "svg").decode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing to ``path``; the ending (.svg, .png, .pdf, .dot) says how. Returns the path.

        The file appears whole or not at all. Without Graphviz's program ``dot`` the built-in layout draws the picture,
        with a warning (E601) that says how to install it; ``.dot`` files need no program.

        Raises
        ------
        ValueError
            The ending is none of the known formats.
        OSError
            The folder does not exist or cannot be written (the subclass says which).
        """
        from tinygrad_edu.visualize.render import save

        return save(self, path)

    def _repr_svg_(self) -> str:
        return self.to_svg()


def in_one_line(text: str, joint: str) -> str:
    """Lines as one; a line that ends in a comma or an equals sign goes on in the next."""
    return text.replace(",\n", ", ").replace("=\n", "= ").replace("\n", joint)
