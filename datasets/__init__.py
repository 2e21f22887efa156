"""Data sets for the course: real digits and clothes, toy shapes, and image transforms."""

if __name__ != "tinygrad_edu.datasets":
    raise ImportError(
        f"this folder was imported as {__name__!r}, which would make second copies of its classes. "
        "Fix: `import tinygrad_edu.datasets`, after `pip install -e .`."
    )

from tinygrad_edu.datasets import transforms
from tinygrad_edu.datasets.ball import ball
from tinygrad_edu.datasets.csv import load_csv
from tinygrad_edu.datasets.digits import Digits
from tinygrad_edu.datasets.folder import ImageFolder
from tinygrad_edu.datasets.mnist import MNIST, FashionMNIST
from tinygrad_edu.datasets.toy import blobs, circles, moons, spirals
from tinygrad_edu.datasets.transformed import Transformed

__all__ = [
    "MNIST", "Digits", "FashionMNIST", "ImageFolder", "Transformed", "ball", "blobs", "circles", "load_csv", "moons", "spirals",
    "transforms",
]  # fmt: skip
