"""What the picture data sets hold, item by item and batch by batch."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.datasets import MNIST, Digits, FashionMNIST, transforms
from tinygrad_edu.utils.data import DataLoader, Dataset, Subset

PLAIN = transforms.ToTensor()
NORMALIZED = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(train=False, transform=NORMALIZED)


def test_mnist_is_mnist(mnist_root):
    train, test = MNIST(mnist_root, download=False), MNIST(mnist_root, train=False, download=False)
    assert (train.data.shape, test.data.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert train.data.dtype is tg.uint8 and train.targets.dtype is tg.int64
    assert train.targets.numpy()[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.targets.numpy()).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = train.data.numpy() / 255
    assert (
        abs(pixels.mean() - 0.1307) < 5e-5 and abs(pixels.std() - 0.3081) < 5e-5
    )  # the numbers everybody normalizes by
    assert train.classes[5] == "5 - five" and train.class_to_idx["5 - five"] == 5


def test_fashion_is_not_taken_for_mnist(mnist_root, tmp_path, monkeypatch):
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    with pytest.raises(RuntimeError, match="E501"):
        FashionMNIST(mnist_root / "mnist", download=False)
    assert FashionMNIST.classes[9] == "Ankle boot"


def test_digits_are_split_the_same_way_every_time():
    train, test = Digits(), Digits(train=False)
    assert (len(train), len(test)) == (1437, 360)
    assert train.data.shape == (1437, 8, 8) and train.data.dtype is tg.uint8
    assert np.ptp(np.bincount(test.targets.numpy())) <= 2
    assert np.array_equal(train.data.numpy(), Digits().data.numpy())
    rows = {image.tobytes() for image in train.data.numpy()}
    assert sum(image.tobytes() in rows for image in test.data.numpy()) < 5  # the parts share no image but chance twins
    assert train.data.numpy().max() == 255


def test_without_a_transform_an_item_is_a_picture(digits):
    Image = pytest.importorskip("PIL.Image")
    image, label = Digits(train=False)[3]
    assert isinstance(image, Image.Image) and image.mode == "L" and image.size == (8, 8)
    assert np.array_equal(np.asarray(image), digits.data.numpy()[3])
    assert type(label) is int and label == digits.targets.numpy()[3]


def test_transforms_are_applied_to_image_and_label():
    data = Digits(
        train=False, transform=lambda image: np.asarray(image).sum(), target_transform=lambda label: label + 100
    )
    image, label = data[-1]
    assert image == data.data.numpy()[-1].sum() and label == data.targets.numpy()[-1] + 100


def test_a_digit_is_a_dataset(digits):
    assert isinstance(digits, Dataset)
    assert repr(digits).startswith(
        "Dataset Digits\n    Number of datapoints: 360\n    Split: Test\n    Transform: Compose("
    )


@pytest.mark.parametrize("transform", [PLAIN, NORMALIZED], ids=["to tensor", "normalized"])
def test_a_gathered_batch_equals_collated_items(transform):
    data = Digits(train=False, transform=transform)
    chosen = [5, 0, 359, 5]
    for images, labels in (data.gather(chosen), Subset(data, [7, *chosen]).gather([1, 2, 3, 4])):
        items = [data[i] for i in chosen]
        assert images.dtype is tg.float32 and images.shape == (4, 1, 8, 8)
        assert np.array_equal(images.numpy(), np.stack([image.numpy() for image, _ in items]))
        assert labels.dtype is tg.int64 and labels.tolist() == [label for _, label in items]


def test_a_loader_gives_the_same_with_and_without_gathering(digits):
    one_by_one = Digits(
        train=False, transform=lambda image: NORMALIZED(image)
    )  # a function nobody knows works on batches
    assert one_by_one.gather([0]) is None
    for (x, y), (u, v) in zip(DataLoader(digits, 50), DataLoader(one_by_one, 50), strict=True):
        assert np.array_equal(x.numpy(), u.numpy()) and y.tolist() == v.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"transform": None},
        {"target_transform": str},
        {"transform": transforms.Compose([PLAIN, abs])},
        {"targets": [0] * 360},
    ],
    ids=["no transform", "target transform", "another step", "labels in a list"],
)
def test_no_gathering_where_it_might_differ(change):
    data = Digits(train=False, transform=PLAIN)
    for name, value in change.items():
        setattr(data, name, value)
    assert data.gather([0, 1]) is None
