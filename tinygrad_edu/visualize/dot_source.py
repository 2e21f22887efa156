"""From a drawing to DOT, the language of Graphviz."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tinygrad_edu.visualize import style
from tinygrad_edu.visualize.drawing import Arrow, Box, Direction, Drawing

if TYPE_CHECKING:
    import graphviz


def dot_source(drawing: Drawing) -> str:
    """DOT source of the drawing. Needs the Python package ``graphviz``, not the program."""
    return to_digraph(drawing).source


def to_digraph(drawing: Drawing) -> graphviz.Digraph:
    """The drawing as a graph of the ``graphviz`` package."""
    import graphviz

    graph = graphviz.Digraph(
        graph_attr={"rankdir": {"right": "LR", "down": "TB"}[drawing.direction], "bgcolor": "white", "pad": "0.15"},
        node_attr={"shape": "box", "fontname": style.FONT, "fontcolor": style.TEXT, "margin": "0.08,0.04"},
        edge_attr={"color": style.ARROW, "arrowsize": "0.75"},
    )
    labelled = any(arrow.label for arrow in drawing.arrows)
    graph.attr(nodesep="0.25", ranksep="0.4")
    if drawing.title:
        graph.attr(label=f"<{font(escape(drawing.title), style.TITLE_SIZE)}<BR/> >", labelloc="t", fontname=style.FONT)
    names = {id: f"box{number}" for number, id in enumerate(drawing.boxes)}  # user ids may hold any sign, ":" included
    for box in drawing.boxes.values():
        graph.node(names[box.id], label=box_label(box), tooltip=graphviz.escape(box.title), **box_attributes(box))
    for number, arrow in enumerate(drawing.arrows):
        if arrow.label:
            add_labelled_arrow(graph, names[arrow.src], f"label{number}", names[arrow.dst], arrow, drawing.direction)
        else:
            graph.edge(names[arrow.src], names[arrow.dst], minlen="2" if labelled else "1")
    return graph


def add_labelled_arrow(
    graph: graphviz.Digraph, src: str, label: str, dst: str, arrow: Arrow, direction: Direction
) -> None:
    """An arrow that runs through its label. As a node of its own the label cannot be taken for another arrow's."""
    entry, exit = {"right": ("w", "e"), "down": ("n", "s")}[direction]
    rows = [font(escape(line), style.LABEL_SIZE) for line in arrow.label.split("\n")]
    graph.node(label, label=table(rows), shape="plain", margin="0")
    graph.edge(src, label, arrowhead="none", headport=entry)
    graph.edge(label, dst, tailport=exit)


def box_label(box: Box) -> str:
    """The box's text in Graphviz's HTML-like form: bold title, plain lines, coloured gradient lines."""
    rows = [font(f"<B>{escape(box.title)}</B>", style.TITLE_SIZE)]
    rows += [font(escape(line), style.TEXT_SIZE) for line in box.lines]
    rows += [font(escape(line), style.TEXT_SIZE, style.GRADIENT) for line in box.gradient]
    return table(rows)


def escape(text: str) -> str:
    """Text as Graphviz's HTML-like form wants it; a single backslash would start a field, such as the node's name."""
    return html.escape(text).replace("\\", 2 * "\\")


def table(rows: list[str]) -> str:
    """Rows of text one below the other; Graphviz's plain line breaks set them too close."""
    cells = "".join(f'<TR><TD CELLPADDING="1">{row}</TD></TR>' for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1">{cells}</TABLE>>'


def font(text: str, size: int, color: str = style.TEXT) -> str:
    return f'<FONT POINT-SIZE="{size}" COLOR="{color}">{text}</FONT>'


def box_attributes(box: Box) -> dict[str, str]:
    look = style.LOOKS[box.kind]
    styles = ["filled"] + ["rounded"] * look.rounded + ["dashed"] * look.dashed
    return {
        "style": ",".join(styles),
        "fillcolor": look.fill,
        "color": look.line,
        "penwidth": str(look.line_width),
        "peripheries": "2" if look.double else "1",
    }
