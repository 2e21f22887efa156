"""The lessons behind the codes of errors and warnings: ``tg.explain("E101")``."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tinygrad_edu.lessons.e100 import LESSONS as E100
from tinygrad_edu.lessons.e120 import LESSONS as E120
from tinygrad_edu.lessons.e200 import LESSONS as E200
from tinygrad_edu.lessons.e300 import LESSONS as E300
from tinygrad_edu.lessons.e400 import LESSONS as E400
from tinygrad_edu.lessons.e500 import LESSONS as E500
from tinygrad_edu.lessons.e600 import LESSONS as E600
from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS", "Contents", "Lesson", "explain"]

LESSONS: dict[str, Lesson] = {lesson.code: lesson for lesson in (*E100, *E120, *E200, *E300, *E400, *E500, *E600)}


@dataclass(frozen=True)
class Contents:
    """All lessons, by code."""

    lessons: tuple[Lesson, ...]

    def __iter__(self) -> Iterator[Lesson]:
        return iter(self.lessons)

    def __len__(self) -> int:
        return len(self.lessons)

    def __str__(self) -> str:
        return "\n".join(f"{lesson.code}  {lesson.title}" for lesson in self.lessons)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- **{lesson.code}** {lesson.title}" for lesson in self.lessons)


def explain(code: str | BaseException | None = None) -> Lesson | Contents:
    """Return the lesson of a code: what the mistake is, why it is one, a program that makes it and one that does not.

    Parameters
    ----------
    code : str or exception, optional
        Such as ``"E101"``, or an error or warning whose message begins with a code. Without it all lessons are listed.

    Raises
    ------
    ValueError
        If there is no such lesson; names the nearest codes.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> print(tg.explain("E110").title)
    Whole numbers cannot require a gradient
    """
    if code is None:
        return Contents(tuple(LESSONS.values()))
    wanted = str(code).strip().upper()
    if isinstance(code, BaseException):
        found = re.search(r"\bE\d{3}\b", wanted)
        wanted = found.group() if found else "no code"
    if wanted in LESSONS:
        return LESSONS[wanted]
    near = difflib.get_close_matches(wanted, LESSONS, 3, cutoff=0.5)
    hint = f"the nearest codes are {', '.join(sorted(near))}" if near else "codes look like E101"
    raise ValueError(f"there is no lesson {str(code)[:80]!r}; {hint}. Fix: tg.explain() lists all.")
