"""Lessons on pictures: E601."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E601",
        "Graphviz's program dot is not installed",
        """
Graphs are laid out by Graphviz. The Python package of that name only talks to the program `dot`, which is installed separately, by the
system or by conda. Without it nothing fails: a built-in layout draws the same boxes and arrows, less neatly. to_text() describes a graph in
words and needs no program at all.
""",
        """
import os
import tempfile
from unittest import mock
import tinygrad_edu as tg
from tinygrad_edu.visualize import draw_graph

x = tg.tensor(3., requires_grad=True)
with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, PATH=folder):  # as if dot were not there
    draw_graph(x * x).to_svg()
""",
        """
import tinygrad_edu as tg
from tinygrad_edu.visualize import draw_graph

x = tg.tensor(3., requires_grad=True)
print(draw_graph(x * x).to_text())
""",
    ),
)
