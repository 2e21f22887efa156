"""Writing a file so that it appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write ``content`` to ``path`` through a temporary neighbour and one atomic replace; return the path.

    Raises
    ------
    OSError
        FileNotFoundError, NotADirectoryError, IsADirectoryError or PermissionError, with what to do. The file that was
        there before, if any, is unchanged then.
    """
    path = Path(path)
    target = path.resolve()  # a link stays a link: the file that it points to is replaced
    folder = target.parent
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder. Fix: add a file name")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"cannot write {str(path)!r}: {str(folder)!r} is a file, not a folder")
    if not folder.exists():
        raise FileNotFoundError(f"cannot write {str(path)!r}: there is no folder {str(folder)!r}. Fix: make it first")
    temporary = folder / f".{secrets.token_hex(8)}.part"  # beside it: a replace is atomic only within one disk
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, target)
    except PermissionError as error:
        raise PermissionError(
            f"cannot write {str(path)!r}: no permission to write in {str(folder)!r}. Fix: choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it is gone after a replace, or never came to be
            temporary.unlink()
    return path
