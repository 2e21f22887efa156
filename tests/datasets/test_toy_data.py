"""Toy shapes: types, classes, geometry, and seeds that decide them."""

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.conftest import REPOSITORY
from tinygrad_edu.datasets import blobs, circles, moons, spirals

SHAPES = [(blobs, 3), (circles, 2), (moons, 2), (spirals, 3)]


@pytest.mark.parametrize(("make", "classes"), SHAPES)
def test_types_and_seeds(make, classes):
    X, y = make(90, generator=tg.Generator().manual_seed(1))
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((90, 2), tg.float32, (90,), tg.int64)
    assert np.bincount(y.numpy()).tolist() == [90 // classes] * classes
    again, _ = make(90, generator=tg.Generator().manual_seed(1))
    other, _ = make(90, generator=tg.Generator().manual_seed(2))
    assert np.array_equal(X.numpy(), again.numpy()) and not np.array_equal(X.numpy(), other.numpy())


def test_the_default_generator_decides_without_another():
    tg.manual_seed(5)
    first, _ = moons()
    tg.manual_seed(5)
    assert np.array_equal(moons()[0].numpy(), first.numpy())


def test_circles_have_their_radii():
    X, y = circles(200, noise=0.0, factor=0.25)
    radius = np.hypot(*X.numpy().T)
    assert np.allclose(radius, np.where(y.numpy() == 0, 1.0, 0.25), atol=1e-6)


def test_spirals_follow_their_formula():
    X, y = spirals(400, classes=4, noise=0.0, turns=0.75)
    x, k = X.numpy().astype(np.float64), y.numpy()
    radius = np.hypot(x[:, 0], x[:, 1])
    angle = np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi)
    assert np.allclose(np.sort(radius[k == 0]), np.arange(1, 101) / 100, atol=1e-6)
    turned = (angle - 0.75 * radius - k / 4 + 0.5) % 1.0 - 0.5
    assert np.abs(turned).max() < 1e-5


@pytest.mark.parametrize("classes", [0, 11])
def test_spirals_refuse(classes):
    with pytest.raises(ValueError, match=f"got {classes} classes for 10 points"):
        spirals(10, classes=classes)


@pytest.mark.slow
def test_the_folder_refuses_to_be_imported_by_another_name():
    done = subprocess.run([sys.executable, "-c", "import datasets"], cwd=REPOSITORY, capture_output=True, text=True)
    assert "imported as 'datasets'" in done.stderr and "import tinygrad_edu.datasets" in done.stderr
