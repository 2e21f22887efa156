"""Pictures in folders, one folder for each class."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygrad_edu.utils.data.dataset import Dataset

__all__ = ["IMG_EXTENSIONS", "ImageFolder"]

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class ImageFolder(Dataset[tuple[Any, Any]]):
    """Pictures from a folder of folders: ``root/cat/1.png``, ``root/dog/nested/2.jpg``; the inner folders' names are the classes.

    Parameters
    ----------
    root : path
    transform : callable, optional
        What to do with each picture, an RGB Pillow image, e.g. ``Compose([Resize((32, 32)), ToTensor()])``.
    target_transform : callable, optional
        What to do with each label.
    loader : callable, optional
        Opens a path, instead of Pillow.
    is_valid_file : callable, optional
        Tells of a path whether it is a picture, instead of its extension (:data:`IMG_EXTENSIONS`).
    allow_empty : bool
        Let classes have no pictures.

    Attributes
    ----------
    classes : list of str
        Sorted by name.
    class_to_idx : dict
        The label of each class.
    samples : list of (str, int)
        The path and label of each picture, sorted; `imgs` is the same.
    targets : list of int

    Raises
    ------
    FileNotFoundError
        If there is no such folder, it has no folders in it, or one of them has no pictures.
    OSError
        When a picture is asked for that cannot be read.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ):
        self.root, self.transform, self.target_transform = os.fspath(root), transform, target_transform
        self.loader = loader or open_rgb
        self.extensions = IMG_EXTENSIONS if is_valid_file is None else None
        self.classes = classes_in(Path(root))
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        is_picture = is_valid_file or (lambda path: path.lower().endswith(IMG_EXTENSIONS))
        self.samples: list[tuple[str, int]] = []
        for name, label in self.class_to_idx.items():
            found = [path for path in files_in(Path(root) / name) if is_picture(path)]
            if not found and not allow_empty:
                raise FileNotFoundError(
                    f"ImageFolder: Found no valid file for the class {name!r} in {str(Path(root) / name)!r}. "
                    f"Supported extensions are: {', '.join(IMG_EXTENSIONS)}. Fix: remove the folder, or allow_empty=True."
                )
            self.samples += [(path, label) for path in found]
        self.imgs = self.samples
        self.targets = [label for _, label in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        picture = self.loader(path)
        if self.transform is not None:
            picture = self.transform(picture)
        return picture, target if self.target_transform is None else self.target_transform(target)

    def __repr__(self) -> str:
        lines = ["Dataset ImageFolder", f"    Number of datapoints: {len(self)}", f"    Root location: {self.root}"]
        if self.transform is not None:
            lines.append(f"    Transform: {self.transform!r}")
        return "\n".join(lines)


def classes_in(root: Path) -> list[str]:
    """Return the names of the folders in `root`, sorted."""
    if not root.is_dir():
        raise FileNotFoundError(f"ImageFolder: there is no folder {str(root)!r}.")
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if not names:
        raise FileNotFoundError(
            f"ImageFolder: Couldn't find any class folder in {str(root)!r}. Fix: one folder per class, e.g. {root.name}/cat/1.png."
        )
    return names


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, sorted; links to folders are followed."""
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names)


def open_rgb(path: str) -> Any:
    """Open a picture in colours."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a SyntaxError
        raise OSError(
            f"ImageFolder: {path!r} cannot be read as a picture: {error}. Fix: delete or replace it."
        ) from error
