"""A drawing put on paper by matplotlib, for machines without Graphviz. Touches no pyplot state and no backend."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tinygrad_edu.visualize import style
from tinygrad_edu.visualize.drawing import Box, Drawing
from tinygrad_edu.visualize.layout import Point, Size, lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Curve

POINTS_PER_INCH = 72.0
LINE_HEIGHT = 1.32  # of the type size
PADDING = (9.0, 6.0)
MARGIN = 12.0
DOUBLE = 3.0  # between the two lines of a double outline
Row = tuple[str, int, str, str]  # text, size, weight, colour


def draw(drawing: Drawing) -> Figure:
    """The drawing as a matplotlib figure, one unit of the axes a point."""
    boxes = {box.id: box_size(box) for box in drawing.boxes.values()}
    labels = [block_size(rows_of_label(arrow.label), (3.0, 1.5)) for arrow in drawing.arrows]
    turn = (lambda p: p) if drawing.direction == "right" else (lambda p: (p[1], p[0]))
    ends = [(arrow.src, arrow.dst) for arrow in drawing.arrows]
    layout = lay_out(
        {id: turn(size) for id, size in boxes.items()},
        [(src, dst, turn(size)) for (src, dst), size in zip(ends, labels, strict=True)],
    )
    figure, axes = paper(turn(layout.size), drawing.title)
    for route in layout.routes:
        draw_arrow(axes, curve_through(route, turn))
    for arrow, size, place in zip(drawing.arrows, labels, layout.labels, strict=True):
        if arrow.label:
            draw_rows(axes, rows_of_label(arrow.label), turn(place), size, background=True)
    for box in drawing.boxes.values():
        draw_box(axes, box, turn(layout.boxes[box.id]), boxes[box.id])
    return figure


def rows_of(box: Box) -> list[Row]:
    """The rows of text in a box: what, how large, how bold, in which colour."""
    rows = [(box.title, style.TITLE_SIZE, "bold", style.TEXT)]
    rows += [(line, style.TEXT_SIZE, "normal", style.TEXT) for line in box.lines]
    return rows + [(line, style.TEXT_SIZE, "normal", style.GRADIENT) for line in box.gradient]


def rows_of_label(label: str) -> list[Row]:
    return [(line, style.LABEL_SIZE, "normal", style.TEXT) for line in label.split("\n")] if label else []


def block_size(rows: list[Row], padding: Size) -> Size:
    """Width and height of rows of text with padding around them, in points."""
    if not rows:
        return (0.0, 0.0)
    width = max(text_width(text, size, weight) for text, size, weight, _ in rows)
    return width + 2 * padding[0], sum(row[1] for row in rows) * LINE_HEIGHT + 2 * padding[1]


def box_size(box: Box) -> Size:
    extra = DOUBLE if style.LOOKS[box.kind].double else 0.0
    return block_size(rows_of(box), (PADDING[0] + extra, PADDING[1] + extra))


def text_width(text: str, size: float, weight: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=style.FONT, size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(plain(text), font, ismath=False)[0]


def plain(text: str) -> str:
    """The text as it is to be read: a tab or line end has no width of its own."""
    return " ".join(text.split())


def paper(size: Size, title: str) -> tuple[Figure, Axes]:
    """A figure just large enough, and empty axes that fill it, with y downwards."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title_width = text_width(title, style.TITLE_SIZE, "normal") if title else 0.0
    head = style.TITLE_SIZE * LINE_HEIGHT + 6.0 if title else 0.0
    width, height = max(size[0], title_width) + 2 * MARGIN, size[1] + head + 2 * MARGIN
    figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    left = (width - size[0]) / 2
    axes.set(xlim=(-left, width - left), ylim=(size[1] + MARGIN, -MARGIN - head))
    axes.set_axis_off()
    if title:
        draw_rows(
            axes, [(title, style.TITLE_SIZE, "normal", style.TEXT)], (size[0] / 2, -MARGIN / 2 - head / 2), (0, 0)
        )
    return figure, axes


def draw_box(axes: Axes, box: Box, centre: Point, size: Size) -> None:
    look = style.LOOKS[box.kind]
    if look.double:
        outline(axes, replace(look, fill="white"), centre, size)
        size = (size[0] - 2 * DOUBLE, size[1] - 2 * DOUBLE)
    outline(axes, look, centre, size)
    draw_rows(axes, rows_of(box), centre, size)


def outline(axes: Axes, look: style.Look, centre: Point, size: Size) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (centre[0] - size[0] / 2, centre[1] - size[1] / 2),
            *size,
            boxstyle="round,pad=0,rounding_size=7" if look.rounded else "square,pad=0",
            facecolor=look.fill,
            edgecolor=look.line,
            linewidth=look.line_width,
            linestyle=(0, (4, 3)) if look.dashed else "solid",
            zorder=3,
        )
    )


def draw_rows(axes: Axes, rows: list[Row], centre: Point, size: Size, background: bool = False) -> None:
    """Rows of text around a centre, on a white ground when an arrow runs beneath them."""
    from matplotlib.patches import Rectangle

    if background:
        corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
        axes.add_patch(Rectangle(corner, *size, facecolor="white", edgecolor="none", zorder=2))
    top = centre[1] - sum(row[1] for row in rows) * LINE_HEIGHT / 2
    for text, type_size, weight, colour in rows:
        height = type_size * LINE_HEIGHT
        axes.text(
            centre[0],
            top + height / 2,
            plain(text),
            size=type_size,
            weight=weight,
            color=colour,
            family=style.FONT,
            ha="center",
            va="center_baseline",
            parse_math=False,
            zorder=4,
        )
        top += height


def curve_through(route: list[Point], turn) -> Curve:
    """A smooth curve through the points, running straight along the drawing's direction at each of them."""
    from matplotlib.path import Path as Curve

    points, codes = [route[0]], [Curve.MOVETO]
    for (x, y), (to_x, to_y) in pairwise(route):
        middle = (x + to_x) / 2
        points += [(middle, y), (middle, to_y), (to_x, to_y)]
        codes += [Curve.CURVE4] * 3
    return Curve([turn(point) for point in points], codes)


def draw_arrow(axes: Axes, curve: Curve) -> None:
    from matplotlib.patches import FancyArrowPatch

    axes.add_patch(
        FancyArrowPatch(
            path=curve, arrowstyle="-|>,head_length=5,head_width=2.2", color=style.ARROW, linewidth=1.0, zorder=1
        )
    )
