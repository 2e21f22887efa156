"""The plain data of a drawing, its text form and its DOT source."""

import subprocess

import pytest

from tinygrad_edu.visualize import Drawing


def test_text_form_names_boxes_values_and_arrows(drawing):
    text = drawing.to_text()
    assert "x | 3 | ∂f/∂x = 1.01" in text
    assert "p = x * y | 6\n    from x: ∂p/∂x = 2; second line\n    from y: ∂p/∂y = 3" in text
    assert "    from const \\N <b>\n" in text


def test_dot_source_needs_no_program(drawing, without_dot):
    source = drawing.to_dot()
    assert source.startswith("digraph {")
    assert "rankdir=LR" in source
    assert "1 &lt; 2 &amp; 3" in source
    for arrow in drawing.arrows:
        assert all(line in source for line in arrow.label.split("\n"))


def test_dot_source_is_valid_for_graphviz(drawing, dot):
    plain = subprocess.run(["dot", "-Tplain"], input=drawing.to_dot(), capture_output=True, text=True, check=True)
    assert plain.stderr == ""
    names = [line.split()[1] for line in plain.stdout.splitlines() if line.startswith("node")]
    assert sum(name.startswith("box") for name in names) == len(drawing.boxes)
    assert sum(name.startswith("label") for name in names) == sum(bool(arrow.label) for arrow in drawing.arrows)


def test_direction_reaches_the_source():
    assert "rankdir=TB" in Drawing(direction="down").to_dot()


def test_mistakes_are_named(drawing):
    with pytest.raises(ValueError, match="already has a box with the id 'x'"):
        drawing.add_box("x", "again")
    with pytest.raises(ValueError, match=r"unknown kind of box 'circle'. Known kinds: leaf, parameter"):
        drawing.add_box("z", "z", kind="circle")
    with pytest.raises(KeyError, match=r"no box with the id 'q'. Fix: add_box first; the drawing's boxes: 'x', 'y'"):
        drawing.add_arrow("x", "q")
    with pytest.raises(ValueError, match="from 'x' to itself"):
        drawing.add_arrow("x", "x")
