"""Labelled images in memory: what the picture data sets have in common."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.datasets.transforms import batched
from tinygrad_edu.tensor import Tensor, wrap
from tinygrad_edu.utils.data.dataset import Dataset

__all__ = ["LabelledImages"]


class LabelledImages(Dataset[tuple[Any, Any]]):
    """Images and their labels; item i is the pair (image, label), each passed through its transform.

    Attributes
    ----------
    data : Tensor, uint8, shape (N, H, W)
    targets : Tensor, int64, shape (N,)
    classes : list of str
        The name of each label.
    train : bool
        Whether these are the images to train on.

    Notes
    -----
    An image reaches the transform as a Pillow image, as in torchvision; where Pillow is not installed, as a uint8 array.
    With no transform but `ToTensor` and `Normalize` a data loader gets whole batches at once, see :meth:`gather`.
    """

    data: Tensor
    targets: Tensor
    classes: ClassVar[list[str]]
    train: bool

    def __init__(self, transform: Callable | None, target_transform: Callable | None):
        self.transform, self.target_transform = transform, target_transform

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = _picture(self.data.numpy()[index])
        label: Any = int(self.targets[index])  # type: ignore[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def gather(self, indices: Sequence[int]) -> list[Tensor] | None:
        """Return the batch of these items at once where the transform can work on a batch, else None."""
        on_batch = batched(self.transform)
        if on_batch is None or self.target_transform is not None:
            return None
        if not (isinstance(self.data, Tensor) and isinstance(self.targets, Tensor)):  # replaced by the user
            return None
        rows = np.asarray(indices, np.int64)
        images = np.take(self.data.numpy(), rows, axis=0)
        return [wrap(on_batch(images)), wrap(np.take(self.targets.numpy(), rows))]

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        lines.append(f"    Split: {'Train' if self.train else 'Test'}")
        if self.transform is not None:
            lines.append(f"    Transform: {self.transform!r}")
        return "\n".join(lines)


def _picture(pixels: np.ndarray) -> Any:
    try:
        from PIL import Image
    except ImportError:
        return pixels
    return Image.fromarray(pixels)
