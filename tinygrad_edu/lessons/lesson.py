"""What one lesson consists of."""

from dataclasses import dataclass

__all__ = ["Lesson"]


@dataclass(frozen=True)
class Lesson:
    """The teaching behind one code of an error or warning.

    Attributes
    ----------
    code : str
        Such as ``"E101"``.
    title : str
    text : str
        What happens, why, and what PyTorch does.
    failing, passing : str
        Two small programs: one that makes the mistake, and one that does it right.
    """

    code: str
    title: str
    text: str
    failing: str
    passing: str

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.title}", self.text.strip()]
        parts += [f"The mistake:\n{_indented(self.failing)}", f"Done right:\n{_indented(self.passing)}"]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return (
            f"### {self.code}: {self.title}\n\n{self.text.strip()}\n\n"
            f"The mistake:\n\n```python\n{self.failing.strip()}\n```\n\nDone right:\n\n```python\n{self.passing.strip()}\n```\n"
        )


def _indented(program: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in program.strip().splitlines())
