"""A drawing to render, and the two worlds: with Graphviz's program and without."""

import shutil

import pytest

from tinygrad_edu.visualize import Drawing


@pytest.fixture
def drawing() -> Drawing:
    """The graph of f = x*y + sin(x), with every kind of text in it."""
    drawing = Drawing(title="f = x·y + sin(x) <&>")
    drawing.add_box("x", "x", ["3"], ["∂f/∂x = 1.01"], kind="leaf")
    drawing.add_box("y", "y", ["2"], ["∂f/∂y = 3"], kind="parameter")
    drawing.add_box("c:1", "const \\N <b>", ["1 < 2 & 3", "$m$"], kind="constant")
    drawing.add_box("p", "p = x * y", ["6"])
    drawing.add_box("s", "sin(x)", ["0.141"])
    drawing.add_box("f", "f = p + s", ["6.141"], kind="output")
    drawing.add_arrow("x", "p", "∂p/∂x = 2\nsecond line")
    drawing.add_arrow("y", "p", "∂p/∂y = 3")
    drawing.add_arrow("x", "s", "cos(x)")
    drawing.add_arrow("x", "f")
    drawing.add_arrow("c:1", "s")
    for part in "ps":
        drawing.add_arrow(part, "f", "1")
    return drawing


@pytest.fixture
def without_dot(monkeypatch, tmp_path):
    """A machine on which no program is found."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def dot():
    if shutil.which("dot") is None:
        pytest.skip("Graphviz's program dot is not installed")
