"""Image transforms: values, shapes and types, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.datasets.transforms import Compose, Lambda, Normalize, ToTensor, batched

pictures = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, max_side=5))


@given(pictures)
def test_to_tensor_puts_channels_first_and_scales(pixels):
    out = ToTensor()(pixels)
    channels_first = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    assert out.dtype is tg.float32 and out.is_contiguous()
    assert np.array_equal(out.numpy(), channels_first.astype(np.float32) / np.float32(255))


@given(pictures, st.sampled_from(["int32", "int64", "float32", "float64"]))
def test_to_tensor_keeps_other_types(pixels, dtype):
    out = ToTensor()(pixels.astype(dtype))
    assert out.numpy().dtype == dtype and out.numpy().max() == pixels.max()


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 51, [0.2]),
        ("RGB", (255, 0, 51), [1.0, 0.0, 0.2]),
        ("1", 1, [1.0]),
        ("I", 70000, [70000]),
        ("F", 0.5, [0.5]),
    ],
)
def test_to_tensor_of_a_picture(mode, value, expected):
    Image = pytest.importorskip("PIL.Image")
    out = ToTensor()(Image.new(mode, (3, 2), value))  # Pillow gives width and height
    assert out.shape == (len(expected), 2, 3)
    assert np.array_equal(out.numpy()[:, 1, 2], np.array(expected, out.numpy().dtype))


@pytest.mark.parametrize(
    ("bad", "error"), [([[1]], TypeError), (np.zeros(3), ValueError), (np.zeros((1, 1, 1, 1)), ValueError)]
)
def test_to_tensor_refuses(bad, error):
    with pytest.raises(error, match="ToTensor: pic should be"):
        ToTensor()(bad)


def test_to_tensor_refuses_a_tensor():
    with pytest.raises(TypeError, match=r"Fix: a Tensor needs no ToTensor\(\)"):
        ToTensor()(tg.zeros(1, 2, 2))


def test_normalize():
    image = ToTensor()(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    out = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(image)
    for c, (mean, std) in enumerate(((0.1, 0.5), (0.2, 1.0), (0.3, 2.0))):
        expected = (image.numpy()[c] - np.float32(mean)) / np.float32(std)
        assert np.array_equal(out.numpy()[c], expected)
    assert np.array_equal(Normalize(0.5, 0.5)(image).numpy(), (image.numpy() - np.float32(0.5)) / np.float32(0.5))


def test_normalize_in_place_and_through_the_graph():
    image = tg.ones(1, 2, 2)
    assert Normalize((1.0,), (2.0,), inplace=True)(image) is image
    assert image.tolist() == [[[0.0, 0.0], [0.0, 0.0]]]
    leaf = tg.ones(1, 2, 2, requires_grad=True)
    Normalize((1.0,), (2.0,))(leaf).sum().backward()
    assert leaf.grad.tolist() == [[[0.5, 0.5], [0.5, 0.5]]]


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (lambda: np.zeros((1, 2, 2)), TypeError, "should be Tensor Image"),
        (lambda: tg.zeros(1, 2, 2, dtype=tg.uint8), TypeError, "should be a float tensor"),
        (lambda: tg.zeros(2, 2), ValueError, r"\(\.\.\., C, H, W\)"),
    ],
)
def test_normalize_refuses(image, error, words):
    with pytest.raises(error, match=words):
        Normalize((0.0,), (1.0,))(image())


def test_normalize_by_zero():
    with pytest.raises(ValueError, match="std evaluated to zero"):
        Normalize((0.0,), (0.0,))(tg.zeros(1, 2, 2))


def test_compose_and_lambda():
    steps = Compose([Lambda(lambda x: x + 1), Lambda(lambda x: x * 10)])
    assert steps(2) == 30
    with pytest.raises(TypeError, match="should be callable"):
        Lambda(3)


def test_a_subclass_is_not_run_on_batches():
    class Inverted(ToTensor):
        def __call__(self, pic):
            return 1 - super().__call__(pic)

    assert batched(Inverted()) is None
    assert batched(Compose([Inverted(), Normalize((0.0,), (1.0,))])) is None
    assert batched(ToTensor()) is not None
