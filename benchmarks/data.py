"""The digits: MNIST where its four files are found, otherwise scikit-learn's small digits enlarged to the same size."""

import gzip
import os
from pathlib import Path

import numpy as np

COUNT = 60_000
IMAGES, LABELS = "images.float32", "labels.int64"
REPOSITORY = Path(__file__).resolve().parent.parent


def find_mnist() -> Path | None:
    """MNIST's training files: under ``TINYGRAD_EDU_DATA``, or in ``../shared/data`` seen from the repository."""
    for root in (os.environ.get("TINYGRAD_EDU_DATA"), REPOSITORY.parent / "shared" / "data"):
        if root:
            for file in sorted(Path(root).glob("**/train-images-idx3-ubyte.gz")):
                if (file.parent / "train-labels-idx1-ubyte.gz").exists():
                    return file.parent
    return None


def _mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return images / np.float32(255), labels.astype(np.int64)


def _small_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits as small

    bunch = small()
    pixels = np.kron(bunch.images, np.ones((3, 3)))  # 8x8 to 24x24
    pixels = np.pad(pixels, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784).astype(np.float32) / np.float32(16)
    chosen = np.arange(COUNT) % len(pixels)
    return pixels[chosen], bunch.target[chosen].astype(np.int64)


def prepare_digits(folder: str) -> str:
    """Write 60,000 float32 images and their labels into `folder` for the worker processes; say where they come from."""
    mnist = find_mnist()
    images, labels = _mnist(mnist) if mnist else _small_digits()
    images.tofile(Path(folder) / IMAGES)
    labels.tofile(Path(folder) / LABELS)
    if mnist:
        return "MNIST"
    return "scikit-learn's 8x8 digits enlarged to 28x28 and repeated to 60,000 images (MNIST was not found)"


def load_digits(folder: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images (count, 784) in [0, 1] and labels; only these reach the memory of the process."""
    images = np.fromfile(Path(folder) / IMAGES, np.float32, count * 784)
    return images.reshape(count, 784), np.fromfile(Path(folder) / LABELS, np.int64, count)
