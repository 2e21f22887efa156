"""The look of the pictures, the same for Graphviz and for the built-in layout.

Hues are from the palette of Okabe and Ito (2008), which readers with any kind of colour vision can tell apart. Printed
in grey the kinds still differ, by the darkness of the fill and by the line around the box: a constant's is dashed, an
output's is double, an input's or parameter's is thick.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinygrad_edu.visualize.drawing import Kind


@dataclass(frozen=True)
class Look:
    """How a box is drawn; line widths are in points."""

    fill: str
    line: str
    line_width: float = 1.0
    dashed: bool = False
    double: bool = False
    rounded: bool = True


LOOKS: dict[Kind, Look] = {
    "leaf": Look(fill="#CFE6F5", line="#0072B2", line_width=2.0),
    "parameter": Look(fill="#CDEBE0", line="#00795A", line_width=2.0),
    "constant": Look(fill="#FFFFFF", line="#777777", dashed=True),
    "op": Look(fill="#FFFFFF", line="#333333", rounded=False),
    "output": Look(fill="#FBE3BE", line="#8F5F00", double=True, rounded=False),
    "layer": Look(fill="#F3F6F8", line="#0072B2", line_width=1.2),
}

TEXT = "#111111"
GRADIENT = "#9E3D00"  # the palette's vermillion, darkened until small text reads well on every fill
ARROW = "#444444"

FONT = "DejaVu Sans"  # comes with matplotlib, has the signs ∂ × ², and the fallback measures with it
TITLE_SIZE = 12
TEXT_SIZE = 10
LABEL_SIZE = 9
PNG_DPI = 200
