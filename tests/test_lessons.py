"""Every lesson tells the truth: its first program makes the mistake and is told so, its second one is silent."""

import linecache
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass

import pytest

import tinygrad_edu as tg
from tinygrad_edu.cli import main
from tinygrad_edu.lessons import LESSONS, Contents, Lesson

RANGES = [(101, 114), (120, 122), (201, 210), (301, 307), (401, 403), (501, 504), (601, 601)]
CODES = [f"E{number}" for first, last in RANGES for number in range(first, last + 1)]


@dataclass
class Outcome:
    """What a program raised or warned, as a person sees it."""

    messages: list[str]


def run(name: str, program: str) -> Outcome:
    """Execute a program as if it were a file, so that messages can name its lines."""
    program = program.strip() + "\n"
    linecache.cache[name] = (len(program), None, program.splitlines(keepends=True), name)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")  # once per line, as a person sees them
            raised = []
            try:
                exec(compile(program, name, "exec"), {"__name__": "lesson"})
            except Exception as error:
                raised = ["\n".join([str(error), *getattr(error, "__notes__", [])])]
    finally:
        del linecache.cache[name]
    return Outcome(raised + [str(w.message) for w in caught])


def test_there_is_a_lesson_for_every_code():
    assert list(LESSONS) == CODES


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
class TestLesson:
    @pytest.fixture(autouse=True)
    def _no_data_sets_on_this_computer(self, lesson: Lesson, monkeypatch, tmp_path):
        if lesson.code in ("E501", "E502"):
            monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def test_the_mistake_is_named(self, lesson: Lesson):
        said = run(f"{lesson.code}_failing.py", lesson.failing).messages
        assert len(said) == 1, said
        assert said[0].startswith(f"{lesson.code} in "), said[0]
        assert f"({lesson.code}_failing.py:" in said[0], "the user's own line is missing"
        assert "Fix: " in said[0]
        assert len(said[0].splitlines()) <= 12

    def test_the_line_is_the_guilty_one(self, lesson: Lesson):
        said = run(f"{lesson.code}_failing.py", lesson.failing).messages[0]
        number = int(re.search(rf"{lesson.code}_failing.py:(\d+)\)", said).group(1))
        line = lesson.failing.strip().splitlines()[number - 1].strip()
        assert line
        assert not line.startswith(("import", "from", "#", "class")), line

    def test_done_right_is_silent(self, lesson: Lesson):
        assert run(f"{lesson.code}_passing.py", lesson.passing).messages == []

    def test_it_teaches_in_a_few_sentences(self, lesson: Lesson):
        sentences = re.findall(r"[.?!](?=\s|$|\")", lesson.text)
        assert 2 <= len(sentences) <= 7
        assert not lesson.title.endswith(".")
        assert "PyTorch" in lesson.text or lesson.code in ("E501", "E601")


class TestExplain:
    def test_one(self):
        lesson = tg.explain("E101")
        assert lesson is LESSONS["E101"]
        assert str(lesson).startswith("E101: The inner sizes of a matrix product differ\n")
        assert "The mistake:\n    import tinygrad_edu as tg" in str(lesson)
        assert "```python\nimport tinygrad_edu as tg" in lesson._repr_markdown_()

    def test_small_letters(self):
        assert tg.explain(" e204") is LESSONS["E204"]

    def test_an_error_explains_itself(self):
        with pytest.raises(RuntimeError) as caught:
            tg.ones(2, 3) @ tg.ones(2, 3)
        assert tg.explain(caught.value) is LESSONS["E101"]

    def test_all(self):
        contents = tg.explain()
        assert isinstance(contents, Contents)
        assert len(contents) == len(CODES)
        assert str(contents).splitlines()[0] == "E101  The inner sizes of a matrix product differ"
        assert "- **E601** " in contents._repr_markdown_()

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"no lesson 'E119'; the nearest codes are .*E11\d"):
            tg.explain("E119")
        with pytest.raises(ValueError, match="codes look like E101"):
            tg.explain("matmul")
        with pytest.raises(ValueError, match="no lesson 'no code here'"):
            tg.explain(RuntimeError("no code here"))


class TestCommand:
    def test_one(self, capsys):
        assert main(["explain", "E102"]) == 0
        assert capsys.readouterr().out.startswith("E102: ")

    def test_all(self, capsys):
        assert main(["explain"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len(CODES)

    def test_unknown(self, capsys):
        assert main(["explain", "E999"]) == 1
        assert "no lesson 'E999'" in capsys.readouterr().err


def test_lessons_load_only_when_asked_for():
    code = "import tinygrad_edu, sys; print('tinygrad_edu.lessons' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "False", done.stderr
