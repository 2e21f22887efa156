"""Finding a data set's files on this computer, or downloading them: every byte is checked before it is used.

The order is: the folder the user names, the folder in ``TINYGRAD_EDU_DATA``, the platform's cache folder, the mirrors. A
download goes to a temporary file first and gets its name only when its checksum is right, so an interrupted one leaves
nothing that could be mistaken for data, and files that are complete are not fetched again.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from tinygrad_edu.errors import message

__all__ = ["Source", "locate"]

_PATIENCE = 15  # seconds a mirror may be silent


@dataclass(frozen=True)
class Source:
    """Where a data set's files come from and how to know them.

    Attributes
    ----------
    name : str
        Also the name of its folder.
    mirrors : tuple of str
        Addresses the compressed files' names are appended to, tried in turn.
    folders : tuple of str
        Where below a root the files may lie.
    sha256 : dict
        Checksums of the compressed files; their names end in ``.gz``.
    raw_sha256 : dict
        Checksums of the same files uncompressed, as far as they are known.
    foreign : frozenset of str
        Checksums of another data set's files of the same names, which are passed over.
    offline : str
        What to use where no file can be had.
    """

    name: str
    mirrors: tuple[str, ...]
    folders: tuple[str, ...]
    sha256: dict[str, str]
    raw_sha256: dict[str, str] = field(default_factory=dict)
    foreign: frozenset[str] = frozenset()
    offline: str = "tg.datasets.Digits(), 1,797 real digits that come with scikit-learn"


def locate(source: Source, archive: str, root: str | os.PathLike | None, download: bool) -> Path:
    """Return the path of one verified file, compressed or not, downloading it if it is not here.

    Raises
    ------
    RuntimeError
        If it is neither here nor to be had (E501), or a file of its name holds something else (E502).
    """
    target = _target(source, root)
    for folder in _folders(source, root):
        for path in _candidates(folder, archive):
            if _is_right(source, path, replaceable=download and folder == target):
                return path
    if not download:
        raise _missing(source, root, f"{archive} is not on this computer, and download=False.")
    return _download(source, archive, target, root)


def _download(source: Source, archive: str, folder: Path, root: str | os.PathLike | None) -> Path:
    import pooch

    failures = []
    for mirror in source.mirrors:
        try:
            path = pooch.retrieve(
                url=mirror + archive,
                known_hash="sha256:" + source.sha256[archive],
                fname=archive,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=_PATIENCE),
            )
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
            failures.append(f"{mirror}{archive}: {type(error).__name__}: {str(error)[:250]}")
        else:
            return Path(path)
    raise _missing(source, root, f"{archive} cannot be downloaded. Tried:\n  " + "\n  ".join(failures) + "\n")


def _folders(source: Source, root: str | os.PathLike | None) -> list[Path]:
    tops = [Path(top).expanduser() for top in (root, os.environ.get("TINYGRAD_EDU_DATA")) if top]
    folders = [top / below for top in tops for below in source.folders]
    return list(dict.fromkeys([*folders, _target(source, root), _cache(source)]))


def _cache(source: Source) -> Path:
    import pooch

    return Path(pooch.os_cache("tinygrad_edu")) / source.name


def _target(source: Source, root: str | os.PathLike | None) -> Path:
    """Return the folder that downloads go to: below `root` where PyTorch's data sets lie, or the cache."""
    return _cache(source) if root is None else Path(root).expanduser() / source.name / "raw"


def _candidates(folder: Path, archive: str) -> list[Path]:
    return [path for path in (folder / archive, folder / archive.removesuffix(".gz")) if path.is_file()]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_right(source: Source, path: Path, replaceable: bool) -> bool:
    """Tell whether this is the data set's file. A damaged one is an error (E502) unless a download may replace it."""
    expected = source.sha256.get(path.name) or source.raw_sha256.get(path.name)
    got = _digest(path)
    if got in source.foreign:
        return False
    if expected is None or got == expected:  # unknown sums are left to the reader, which checks the structure
        return True
    if replaceable:
        return False
    raise RuntimeError(
        message(
            "E502",
            f"datasets.{source.name}",
            f"{path} is damaged or something else: its SHA-256 is {got}, expected {expected}. It is not used.",
            "delete the file and try again, or replace it by a good copy.",
        )
    )


def _missing(source: Source, root: str | os.PathLike | None, facts: str) -> RuntimeError:
    folders = ", ".join(map(str, _folders(source, root)))
    return RuntimeError(
        message(
            "E501",
            f"datasets.{source.name}",
            f"{facts} Looked in: {folders}.",
            f"put {', '.join(source.sha256)} into {_target(source, root)} by hand, or set TINYGRAD_EDU_DATA to a folder that "
            f"has them; without a network use {source.offline}.",
        )
    )
