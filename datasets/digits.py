"""Digits: 1,797 real handwritten digits of 8 x 8 pixels, which come with scikit-learn and need no network.

References
----------
.. [1] E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from tinygrad_edu.datasets.images import LabelledImages
from tinygrad_edu.tensor import wrap

__all__ = ["Digits"]

_BRIGHTEST = 16  # the originals count dark pixels in 4 x 4 blocks: 0 .. 16
_TEST_SHARE = 0.2


class Digits(LabelledImages):
    """Handwritten digits of 8 x 8 pixels [1]_, split the same way every time: 1,437 to train on, 360 to test with.

    Parameters
    ----------
    train : bool
        Which part. Both have every digit in the same proportion.
    transform : callable, optional
        What to do with each image, e.g. ``transforms.ToTensor()``.
    target_transform : callable, optional
        What to do with each label.

    Notes
    -----
    The grey values, 0 to 16 in the originals, are spread over 0 to 255 as in other images.

    Examples
    --------
    >>> from tinygrad_edu.datasets import Digits
    >>> len(Digits(train=True)), len(Digits(train=False))
    (1437, 360)
    """

    classes: ClassVar[list[str]] = [str(digit) for digit in range(10)]

    def __init__(self, train: bool = True, transform: Callable | None = None, target_transform: Callable | None = None):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        super().__init__(transform, target_transform)
        self.train = train
        original = load_digits()
        parts = train_test_split(
            original.images, original.target, test_size=_TEST_SHARE, random_state=0, stratify=original.target
        )
        images, labels = (parts[0], parts[2]) if train else (parts[1], parts[3])
        self.data = wrap(np.rint(images * (255 / _BRIGHTEST)).astype(np.uint8))
        self.targets = wrap(labels.astype(np.int64))
