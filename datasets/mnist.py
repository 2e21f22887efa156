"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 pixels in ten classes.

References
----------
.. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
   Proceedings of the IEEE 86(11), 1998.
.. [2] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
   algorithms", arXiv:1708.07747, 2017.
"""

import gzip
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from tinygrad_edu.datasets.files import Source, locate
from tinygrad_edu.datasets.images import LabelledImages
from tinygrad_edu.errors import message
from tinygrad_edu.tensor import wrap

__all__ = ["MNIST", "FashionMNIST"]

_NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _archives(*sums: str) -> dict[str, str]:
    return dict(zip([name + ".gz" for name in _NAMES], sums, strict=True))


_MNIST_SUMS = _archives(
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
_MNIST_RAW_SUMS = dict(
    zip(
        _NAMES,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        strict=True,
    )
)
_FASHION_SUMS = _archives(
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)


class MNIST(LabelledImages):
    """Handwritten digits [1]_.

    Parameters
    ----------
    root : path, optional
        A folder to look in, itself, its ``mnist`` and its ``MNIST/raw``; downloads go to the last. Without one they go to
        the platform's cache folder. ``TINYGRAD_EDU_DATA`` names a further folder to look in.
    train : bool
        The 60,000 images to train on, or the 10,000 to test with.
    transform : callable, optional
        What to do with each image, e.g. ``transforms.ToTensor()``.
    target_transform : callable, optional
        What to do with each label.
    download : bool
        Whether files that are not here may be fetched from the network. Unlike in torchvision the default is True.

    Raises
    ------
    RuntimeError
        If the files cannot be had (E501), or are damaged (E502).
    """

    source = Source(
        name="MNIST",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        folders=("", "mnist", "MNIST/raw"),
        sha256=_MNIST_SUMS,
        raw_sha256=_MNIST_RAW_SUMS,
        foreign=frozenset(_FASHION_SUMS.values()),
    )
    classes: ClassVar[list[str]] = [f"{digit} - {name}" for digit, name in enumerate(_NUMERALS)]

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = True,
    ):
        super().__init__(transform, target_transform)
        self.root, self.train = root, train
        images, labels = (
            read_idx(locate(self.source, name + ".gz", root, download))
            for name in (_NAMES[:2] if train else _NAMES[2:])
        )
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise RuntimeError(
                message(
                    "E502",
                    f"datasets.{self.source.name}",
                    f"images of shape {images.shape} and labels of shape {labels.shape} do not belong together.",
                    "delete the files and try again.",
                )
            )
        self.data, self.targets = wrap(images), wrap(labels.astype(np.int64))


class FashionMNIST(MNIST):
    """Articles of clothing, in the form of MNIST and harder [2]_. The parameters are those of :class:`MNIST`."""

    source = Source(
        name="FashionMNIST",
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        folders=("", "fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
        sha256=_FASHION_SUMS,
        foreign=frozenset([*_MNIST_SUMS.values(), *_MNIST_RAW_SUMS.values()]),
    )
    classes: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of bytes: zero, zero, 8 (for uint8), the number of dimensions, the lengths (big-endian), the values.

    Raises
    ------
    RuntimeError
        If the file is not of this form or not of the length its head says (E502).
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    ndim = content[3] if len(content) > 3 else 0
    start = 4 + 4 * ndim
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist()) if len(content) >= start else ()
    if content[:3] != b"\x00\x00\x08" or len(content) != start + math.prod(shape):
        raise RuntimeError(
            message(
                "E502",
                "read_idx",
                f"{path} holds {len(content)} bytes and begins with {content[:4].hex(' ')}, "
                f"which is no IDX file of uint8 values of shape {shape}.",
                "delete the file and try again.",
            )
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
