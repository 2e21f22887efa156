"""The page COURSE.md: every row of the course is there, and whatever it names exists."""

import re
from pathlib import Path

import pytest

from tinygrad_edu.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "COURSE.md").read_text(encoding="utf-8")
ROWS = {"A": 6, "B": 6, "C": 6, "D": 5, "E": 10, "F": 14}


@pytest.mark.parametrize("part", ROWS)
def test_every_row_is_there(part):
    found = re.findall(rf"^\| ({part}\d+) \|", PAGE, flags=re.MULTILINE)
    assert list(dict.fromkeys(found)) == [f"{part}{number}" for number in range(1, ROWS[part] + 1)]


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 40
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_named_files_exist():
    files = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_named_commands_exist():
    known = {module.__name__.rpartition(".")[2] for module in COMMANDS}
    named = set(re.findall(r"`tinygrad-edu (\w+)", PAGE))
    assert "course" in named
    assert named <= known


def test_every_notebook_is_named():
    assert [
        path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if f"notebooks/{path.name}" not in PAGE
    ] == []
