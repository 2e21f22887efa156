"""Image transforms under torchvision's names: what happens to an image between the data set and the batch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.datasets.pictures import InterpolationMode, RandomImageTransform, is_pillow
from tinygrad_edu.datasets.transforms_affine import RandomAffine, RandomRotation
from tinygrad_edu.datasets.transforms_color import Grayscale, RandomErasing, RandomGrayscale
from tinygrad_edu.datasets.transforms_shape import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    Resize,
)
from tinygrad_edu.dtypes import get_default_dtype
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "CenterCrop", "Compose", "Grayscale", "InterpolationMode", "Lambda", "Normalize", "Pad", "RandomAffine", "RandomCrop",
    "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomRotation", "RandomVerticalFlip", "Resize", "ToTensor",
]  # fmt: skip


class Compose:
    """Apply transforms one after the other.

    Examples
    --------
    >>> from tinygrad_edu.datasets import transforms
    >>> transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    Compose(
        ToTensor()
        Normalize(mean=(0.1307,), std=(0.3081,))
    )
    """

    def __init__(self, transforms: Sequence[Callable]):
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return "\n".join([f"{type(self).__name__}(", *(f"    {t!r}" for t in self.transforms), ")"])


class ToTensor:
    """Turn an image, H x W or H x W x C, into a Tensor of shape (C, H, W).

    Pillow images and uint8 arrays are divided by 255 and become floats in [0, 1]; arrays of other types keep their values.

    Raises
    ------
    TypeError
        For anything but a Pillow image or an array.
    ValueError
        For an array of other than 2 or 3 dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_edu.datasets import transforms
    >>> transforms.ToTensor()(np.array([[0, 255]], np.uint8)).tolist()
    [[[0.0, 1.0]]]
    """

    def __call__(self, pic: Any) -> Tensor:
        pixels = _pixels(pic)
        if pixels.ndim not in (2, 3):
            raise ValueError(
                f"ToTensor: pic should be 2/3 dimensional. Got {pixels.ndim} dimensions, shape {pixels.shape}."
            )
        return wrap(self.on_batch(pixels[None])[0])

    def on_batch(self, images: np.ndarray) -> np.ndarray:
        """Turn images (N, H, W) or (N, H, W, C) into (N, C, H, W)."""
        channels_first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        if images.dtype != np.uint8:
            return np.ascontiguousarray(channels_first)
        scaled = channels_first.astype(get_default_dtype().numpy, order="C")
        scaled /= scaled.dtype.type(255)
        return scaled

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Normalize:
    """Shift and scale each channel: ``out[c] = (image[c] - mean[c]) / std[c]``.

    Parameters
    ----------
    mean, std : sequence of float
        One per channel.
    inplace : bool
        Overwrite the image.

    Raises
    ------
    TypeError
        If the image is no floating-point Tensor.
    ValueError
        If it has fewer than three dimensions, or a deviation is zero.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False):
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"Normalize: img should be Tensor Image. Got {type(tensor)}. Fix: put ToTensor() before it."
            )
        if not tensor.is_floating_point():
            raise TypeError(f"Normalize: Input tensor should be a float tensor. Got {tensor.dtype}. Fix: ToTensor().")
        if tensor.ndim < 3:
            raise ValueError(
                f"Normalize: Expected tensor to be a tensor image of size (..., C, H, W). Got {tuple(tensor.shape)}."
            )
        mean, std = self._per_channel(tensor._data.dtype)
        if self.inplace:
            return tensor.sub_(wrap(mean)).div_(wrap(std))  # type: ignore[attr-defined]
        if tensor.requires_grad:
            return (tensor - wrap(mean)) / wrap(std)  # type: ignore[operator]
        return wrap(self.on_batch(tensor._data))

    def on_batch(self, images: np.ndarray) -> np.ndarray:
        """Normalize images of shape (..., C, H, W)."""
        mean, std = self._per_channel(images.dtype)
        return (images - mean) / std

    def _per_channel(self, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        mean, std = (np.asarray(values, dtype).reshape(-1, 1, 1) for values in (self.mean, self.std))
        if (std == 0).any():
            raise ValueError(
                f"Normalize: std evaluated to zero after conversion to {dtype}, leading to division by zero: {self.std}."
            )
        return mean, std

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class Lambda:
    """Apply a function of your own.

    Raises
    ------
    TypeError
        If it cannot be called.
    """

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise TypeError(f"Lambda: Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


_ON_BATCHES = (
    CenterCrop, Grayscale, Normalize, Pad, RandomAffine, RandomCrop, RandomErasing, RandomGrayscale, RandomHorizontalFlip,
    RandomRotation, RandomVerticalFlip, Resize,
)  # fmt: skip


def batched(transform: Callable | None) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the same transform for a batch of uint8 images, (N, H, W) to (N, C, H, W), or None if it has none.

    That is so for `ToTensor` alone or followed by what :func:`batched_tensors` can do.
    """
    steps = _steps(transform)
    if not steps or type(steps[0]) is not ToTensor:
        return None
    return _on_batch(steps) if len(steps) == 1 or batched_tensors(Compose(steps[1:])) is not None else None


def batched_tensors(transform: Callable | None) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the same transform for a batch of Tensors, (N, C, H, W), or None if it has none.

    That is so for the transforms of this module, as long as at most one of them decides by chance: two would draw in another order
    than picture by picture. A subclass may mean something else, so it does not count.
    """
    steps = _steps(transform)
    if any(type(step) not in _ON_BATCHES for step in steps):
        return None
    return _on_batch(steps) if sum(isinstance(step, RandomImageTransform) for step in steps) <= 1 else None


def _steps(transform: Any) -> list:
    return list(transform.transforms) if type(transform) is Compose else [transform]


def _on_batch(steps: list) -> Callable[[np.ndarray], np.ndarray]:
    def on_batch(images: np.ndarray) -> np.ndarray:
        for step in steps:
            images = step.on_batch(images)
        return images

    return on_batch


def _pixels(pic: Any) -> np.ndarray:
    if isinstance(pic, np.ndarray):
        return pic
    if not is_pillow(pic):
        raise TypeError(
            f"ToTensor: pic should be PIL Image or ndarray. Got {type(pic)}. Fix: a Tensor needs no ToTensor()."
        )
    pixels = np.array(pic)
    return pixels.astype(np.uint8) * np.uint8(255) if pixels.dtype == np.bool_ else pixels
