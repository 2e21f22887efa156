"""Pictures in every format, by Graphviz and by the built-in layout, and files that appear whole or not at all."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tinygrad_edu.visualize import Drawing, files
from tinygrad_edu.visualize.matplotlib_canvas import draw
from tinygrad_edu.visualize.render import by_matplotlib, render

MAGIC = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF"}
NO_DOT = r"E601 in visualize \(.*\): Graphviz's program dot was not found.*apt install graphviz"


@pytest.mark.parametrize("direction", ["right", "down"])
@pytest.mark.parametrize("format", MAGIC)
def test_by_graphviz(drawing, format, direction, dot, tmp_path):
    drawing.direction = direction
    path = drawing.save(tmp_path / f"graph.{format}")
    assert path.read_bytes().startswith(MAGIC[format])
    assert os.listdir(tmp_path) == [f"graph.{format}"]


@pytest.mark.parametrize("direction", ["right", "down"])
@pytest.mark.parametrize("format", MAGIC)
def test_by_the_built_in_layout(drawing, format, direction, without_dot, tmp_path):
    drawing.direction = direction
    with pytest.warns(UserWarning, match=NO_DOT):
        path = drawing.save(str(tmp_path / f"graph.{format.upper()}"))
    assert path.read_bytes().startswith(MAGIC[format])
    assert by_matplotlib(drawing, format) == path.read_bytes()  # nothing in it depends on the clock


def test_every_text_is_in_both_pictures(drawing, dot):
    svg = ElementTree.fromstring(drawing.to_svg())
    by_dot = " ".join("".join(svg.itertext()).split())
    by_layout = {text.get_text() for text in draw(drawing).axes[0].texts}
    for box in drawing.boxes.values():
        for line in (box.title, *box.lines, *box.gradient):
            assert line in by_dot
            assert line in by_layout
    for arrow in drawing.arrows:
        for line in filter(None, arrow.label.split("\n")):
            assert line in by_dot
            assert line in by_layout
    assert drawing.title in by_dot
    assert drawing.title in by_layout


def test_text_of_the_built_in_layout_stays_in_its_box(drawing):
    """Measured on the finished canvas, with matplotlib's own text extents."""
    figure = draw(drawing)
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    frames = [patch.get_window_extent(renderer) for patch in axes.patches if patch.get_zorder() >= 2]
    for text in axes.texts:
        if text.get_text() != drawing.title:
            inside = text.get_window_extent(renderer)
            assert any(
                f.x0 <= inside.x0 and inside.x1 <= f.x1 and f.y0 - 1 <= inside.y0 and inside.y1 <= f.y1 + 1
                for f in frames
            ), text.get_text()


def test_a_notebook_shows_it_even_where_warnings_of_lessons_are_errors(drawing, without_dot):
    with pytest.warns(UserWarning, match=NO_DOT):
        assert "<svg" in drawing._repr_svg_()


def test_a_broken_dot_is_replaced_by_the_built_in_layout(drawing, monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho 'no plugin' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.warns(UserWarning, match=r"E601 in visualize \(.*\): Graphviz's program dot failed"):
        assert render(drawing, "png").startswith(MAGIC["png"])


def test_very_long_drawings_fit_into_an_image():
    drawing = Drawing()
    for number in range(400):
        drawing.add_box(str(number), f"step number {number}")
        if number:
            drawing.add_arrow(str(number - 1), str(number), "label")
    image = by_matplotlib(drawing, "png")
    assert int.from_bytes(image[16:20], "big") == pytest.approx(30_000, abs=1)  # the width in a PNG's header


def test_empty_drawings():
    assert Drawing().to_svg()
    assert by_matplotlib(Drawing(title="nothing"), "svg")


@pytest.mark.parametrize("name", ["graph.gif", "graph", "graph.svg.bak"])
def test_unknown_endings_list_the_known_ones(drawing, tmp_path, name):
    with pytest.raises(ValueError, match=r"Known endings: \.svg, \.png, \.pdf, \.dot. Fix: save\('graph.svg'\)"):
        drawing.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_unknown_formats_list_the_known_ones(drawing):
    with pytest.raises(ValueError, match=r"cannot draw 'gif'. Known formats: svg, png, pdf, dot"):
        render(drawing, "gif")


def test_folders_that_cannot_be_written(drawing, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*Fix: make it first"):
        drawing.save(tmp_path / "missing" / "graph.dot")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        drawing.save(tmp_path / "file" / "graph.dot")
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(IsADirectoryError, match=r"it is a folder. Fix: add a file name"):
        drawing.save(tmp_path / "folder.dot")


def test_a_forbidden_folder_is_named(drawing, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # the tests may run as a user whom no folder refuses
    with pytest.raises(PermissionError, match=r"no permission to write in .*Fix: choose another folder"):
        files.write_whole(tmp_path / "graph.dot", b"digraph {}")


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "graph.dot"
    path.write_text("old")

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, b"new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["graph.dot"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.dot").write_text("old")
    (tmp_path / "link.dot").symlink_to(tmp_path / "real.dot")
    files.write_whole(tmp_path / "link.dot", b"new")
    assert (tmp_path / "link.dot").is_symlink()
    assert (tmp_path / "real.dot").read_text() == "new"


def test_pyplot_and_the_backend_are_left_alone():
    program = """
import sys
from tinygrad_edu.visualize import Drawing
assert not {"matplotlib", "graphviz", "networkx", "scipy"} & set(sys.modules), "loaded by the import alone"
from tinygrad_edu.visualize.render import by_matplotlib
drawing = Drawing("one")
drawing.add_box("a", "a")
by_matplotlib(drawing, "png")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
