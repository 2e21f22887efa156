"""Exceptions and warnings that name the op, the facts and the fix.

Every message has one form: ``CODE in op (file:line): facts. Fix: corrected code.`` The classes subclass what PyTorch raises in
the same place, so a program that catches ``RuntimeError`` or ``ValueError`` there keeps working.
"""

import os
import sys
import warnings
from pathlib import Path
from types import CodeType, FrameType

__all__ = ["DtypeError", "GraphError", "IndexOutOfRangeError", "ShapeError", "TeachingWarning", "ValueRangeError"]

_PACKAGE = Path(__file__).resolve().parent
# The four source folders of this package: frames in them are ours, not the user's.
_OURS = tuple(str(folder) + "/" for folder in (_PACKAGE, *(_PACKAGE.parent / n for n in ("nn", "optim", "datasets"))))


class ShapeError(RuntimeError, ValueError):
    """Shapes that do not fit together; PyTorch raises the one class from its kernels and the other from its Python code."""


class DtypeError(RuntimeError):
    """Element types that an operation refuses."""


class GraphError(RuntimeError):
    """A computational graph used in a way that cannot give a gradient."""


class IndexOutOfRangeError(IndexError, RuntimeError):
    """An index or class label outside its range; PyTorch raises the one class in some ops and the other in others."""


class ValueRangeError(ValueError):
    """A parameter with a value the operation refuses."""


class TeachingWarning(UserWarning):
    """A likely mistake that PyTorch lets pass in silence; the program goes on unchanged."""


Place = tuple[CodeType, int]  # a function (or module) of the user's, and the instruction in it

_known_files: dict[str, bool] = {}


def is_ours(filename: str) -> bool:
    """Tell whether a code file belongs to this package (generated code included)."""
    ours = _known_files.get(filename)
    if ours is None:
        ours = _known_files[filename] = filename.startswith(_OURS) or filename.startswith("<tinygrad_edu")
    return ours


def user_frame() -> FrameType | None:
    """Return the innermost frame that is the user's own code."""
    frame: FrameType | None = sys._getframe(1)
    ours = _known_files.get  # asked first: this runs at every step of an optimizer
    while frame is not None and (ours(frame.f_code.co_filename) or is_ours(frame.f_code.co_filename)):
        frame = frame.f_back
    return frame


def user_place() -> Place | None:
    """Return where in the user's own code the call is that led here, cheaply: :func:`location` makes it readable.

    The line's number is looked for when somebody asks: Python finds it by reading the table of a whole function from its start.
    """
    frame = user_frame()
    return None if frame is None else (frame.f_code, frame.f_lasti)


def location(place: Place | None) -> str:
    """Write a place as ``file:line``."""
    if place is None:
        return "unknown line"
    code, instruction = place
    line = next((n for start, stop, n in code.co_lines() if start <= instruction < stop), None)
    return f"{os.path.basename(code.co_filename)}:{line or code.co_firstlineno}"


def user_location() -> str:
    """Return ``file:line`` of the user's own line that led here."""
    return location(user_place())


def message(code: str, where: str, facts: str, fix: str) -> str:
    """Compose one coded message in the project's only form."""
    place = f"{code} in {where}" if code and where else code or where
    return f"{place} ({user_location()}): {facts} Fix: {fix}"


def teach(code: str, where: str, facts: str, fix: str) -> None:
    """Warn about a mistake that PyTorch lets pass; shown at the user's line, and once per line by Python's own filter."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    warnings.warn(message(code, where, facts, fix), TeachingWarning, stacklevel=level)
