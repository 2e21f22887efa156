"""Transforms that move, cut, flip and erase: what they do, one seed one result, and torchvision as an oracle where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.datasets import Transformed
from tinygrad_edu.datasets import transforms as T
from tinygrad_edu.datasets.transforms import batched, batched_tensors
from tinygrad_edu.utils.data import DataLoader, TensorDataset

Image = pytest.importorskip("PIL.Image")

# Each pair: the name, and the arguments, of a transform that torchvision has too.
CALLS = [
    ("RandomRotation", {"degrees": 40}),
    ("RandomRotation", {"degrees": (10, 80), "center": (3, 5)}),
    ("RandomRotation", {"degrees": 35, "fill": 7}),
    ("RandomRotation", {"degrees": (20, 160), "expand": True}),
    ("RandomAffine", {"degrees": 30}),
    ("RandomAffine", {"degrees": 0, "translate": (0.3, 0.2)}),
    ("RandomAffine", {"degrees": 15, "translate": (0.1, 0.1), "scale": (0.7, 1.4), "shear": 10}),
    ("RandomAffine", {"degrees": 5, "shear": (-5, 5, -20, 20), "fill": 3, "center": (2, 4)}),
    ("RandomCrop", {"size": 5}),
    ("RandomCrop", {"size": (7, 4), "padding": 2, "fill": 9}),
    ("RandomCrop", {"size": 15, "pad_if_needed": True}),
    ("RandomCrop", {"size": 8, "padding": (1, 2, 3, 4), "padding_mode": "reflect"}),
    ("RandomHorizontalFlip", {}),
    ("RandomVerticalFlip", {"p": 0.3}),
    ("RandomGrayscale", {"p": 0.5}),
    ("Pad", {"padding": (1, 2)}),
    ("Pad", {"padding": 2, "padding_mode": "symmetric"}),
    ("Pad", {"padding": 3, "padding_mode": "edge"}),
    ("CenterCrop", {"size": 5}),
    ("CenterCrop", {"size": (14, 3)}),
    ("Resize", {"size": (5, 7)}),
    ("Resize", {"size": 20}),
    ("Resize", {"size": 4, "max_size": 5}),
    ("Resize", {"size": (21, 16), "interpolation": "bicubic"}),
    ("Resize", {"size": (4, 13), "interpolation": "nearest"}),
    ("Grayscale", {}),
    ("Grayscale", {"num_output_channels": 3}),
]
SMOOTH = [
    (name, {**options, "interpolation": "bilinear"})
    for name, options in CALLS
    if name in ("RandomRotation", "RandomAffine")
]
ids = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in CALLS]


SMOOTH_OPTIONS = [options for _, options in SMOOTH]


def colours(channels: int = 3, height: int = 9, width: int = 11, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (channels, height, width)).astype(np.uint8)


def theirs(name: str, options: dict):
    vision = pytest.importorskip("torchvision.transforms")
    options = dict(options)
    if "interpolation" in options:
        options["interpolation"] = vision.InterpolationMode(options["interpolation"])
    return getattr(vision, name)(**options)


@pytest.mark.parametrize(("name", "options"), CALLS + SMOOTH, ids=ids + [f"smooth-{i}" for i in range(len(SMOOTH))])
@pytest.mark.parametrize("seed", range(4))
def test_pictures_equal_torchvisions(name, options, seed):
    torch = pytest.importorskip("torch")
    oracle = theirs(name, options)
    picture = Image.fromarray(colours().transpose(1, 2, 0))
    tg.manual_seed(seed)
    torch.manual_seed(seed)
    assert np.array_equal(np.array(getattr(T, name)(**options)(picture)), np.array(oracle(picture)))


@pytest.mark.parametrize(
    ("name", "options"),
    [(n, o) for n, o in CALLS if n not in ("RandomRotation", "RandomAffine") and o.get("interpolation") != "nearest"]
    + SMOOTH,
)
@pytest.mark.parametrize("seed", range(4))
def test_tensors_equal_torchvisions(name, options, seed):
    torch = pytest.importorskip("torch")
    pixels = colours().astype(np.float32) / np.float32(255)
    without_fill = theirs(name, {k: v for k, v in options.items() if k != "fill"})
    ours, expected = [], []
    for oracle, image in ((theirs(name, options), pixels), (without_fill, np.ones_like(pixels))):
        tg.manual_seed(seed)
        torch.manual_seed(seed)
        ours.append(getattr(T, name)(**options)(tg.tensor(image)).numpy())
        expected.append(oracle(torch.tensor(image)).numpy())
    assert ours[0].shape == expected[0].shape and ours[0].dtype == expected[0].dtype
    # Where a turned picture fades out torchvision multiplies by the share inside twice; the padding test below looks at these pixels.
    inside = np.isclose(expected[-1], 1.0) if options in SMOOTH_OPTIONS else np.ones(expected[0].shape, bool)
    assert inside.any()
    np.testing.assert_allclose(ours[0][inside], expected[0][inside], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@given(seed=st.integers(0, 1000))
def test_outside_is_as_if_the_picture_went_on_with_the_fill(mode, seed):
    pixels = tg.tensor(colours().astype(np.float32))
    for move in (T.RandomRotation(80, mode, fill=50), T.RandomAffine(30, (0.2, 0.2), (0.8, 1.2), 10, mode, fill=50)):
        tg.manual_seed(seed)
        values = move.draw(*pixels.shape)
        direct = move.on_array(pixels.numpy(), *values)
        framed = move.on_array(T.Pad(30, fill=50)(pixels).numpy(), *values)
        np.testing.assert_allclose(direct, framed[..., 30:-30, 30:-30], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    "options", [{"p": 1.0}, {"p": 0.5, "value": "random"}, {"p": 1.0, "value": (1, 2, 3), "scale": (0.1, 0.2)}], ids=str
)
def test_erasing_equals_torchvisions(options):
    torch = pytest.importorskip("torch")
    oracle = theirs("RandomErasing", options)
    pixels = colours(height=30, width=20).astype(np.float32)
    tg.manual_seed(1)
    torch.manual_seed(1)
    ours = T.RandomErasing(**options)
    for _ in range(20):
        np.testing.assert_allclose(
            ours(tg.tensor(pixels)).numpy(), oracle(torch.tensor(pixels)).numpy(), rtol=1e-5, atol=1e-6
        )


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
def test_doing_nothing_changes_nothing(channels, height, width):
    pixels = tg.tensor(colours(channels, height, width).astype(np.float32))
    for idle in (
        T.RandomRotation((0, 0), "bilinear"), T.RandomAffine(0, interpolation="bilinear"), T.RandomAffine(0), T.Pad(0),
        T.RandomCrop((height, width)), T.CenterCrop((height, width)), T.RandomHorizontalFlip(0.0), T.RandomErasing(0.0),
        T.Resize((height, width)),
    ):  # fmt: skip
        out = idle(pixels)
        assert np.array_equal(out.numpy(), pixels.numpy()) and out is not pixels
        out.fill_(0)
        assert pixels.numpy().any() == colours(channels, height, width).any(), (
            "the result shares memory with the picture"
        )


@given(st.integers(1, 8), st.integers(1, 8))
def test_quarter_turns_and_flips_move_pixels_exactly(height, width):
    pixels = tg.tensor(colours(1, height, width).astype(np.float32))
    half = T.RandomRotation((180, 180))(pixels).numpy()
    assert np.array_equal(half, pixels.numpy()[:, ::-1, ::-1])
    if (height - width) % 2 == 0:  # else its middle lies between two pixels
        quarter = T.RandomRotation((90, 90), expand=True)(pixels).numpy()
        assert np.array_equal(quarter, np.rot90(pixels.numpy(), axes=(1, 2)))
    both = T.RandomVerticalFlip(1.0)(T.RandomHorizontalFlip(1.0)(pixels)).numpy()
    assert np.array_equal(both, half)


def test_a_shift_is_a_shift():
    pixels = tg.tensor(colours(1, 28, 28).astype(np.float32))
    for seed in range(5):
        tg.manual_seed(seed)
        moved = T.RandomAffine(0, translate=(0.1, 0.1), interpolation="bilinear", fill=-1)(pixels).numpy()[0]
        inside = moved != -1
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        down = rows[0] if rows[0] else rows[-1] - 27
        across = columns[0] if columns[0] else columns[-1] - 27
        assert abs(down) <= 2 and abs(across) <= 2
        np.testing.assert_allclose(moved[inside], np.roll(pixels.numpy()[0], (down, across), (0, 1))[inside], rtol=1e-5)


def test_seeds_decide_and_differ():
    pixels = tg.tensor(colours().astype(np.float32))
    for make in (
        lambda: T.RandomRotation(30), lambda: T.RandomAffine(20), lambda: T.RandomCrop(4), lambda: T.RandomErasing(1.0)
    ):  # fmt: skip
        results = []
        for seed in (0, 0, 1):
            tg.manual_seed(seed)
            results.append(make()(pixels).numpy())
        assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_probabilities(p):
    tg.manual_seed(0)
    pixels = tg.tensor([[[0.0, 1.0]]])
    share = np.mean([T.RandomHorizontalFlip(p)(pixels).tolist() == [[[1.0, 0.0]]] for _ in range(2000)])
    assert abs(share - p) <= 4 * (p * (1 - p) / 2000) ** 0.5


@pytest.mark.parametrize("dtype", [tg.uint8, tg.int64, tg.float32, tg.float64])
def test_types_and_leading_dimensions_are_kept(dtype):
    clip = tg.tensor(np.stack([colours(), colours(seed=1)])).to(dtype)
    for transform in (
        T.RandomAffine(20, interpolation="bilinear"),
        T.Resize((4, 4)),
        T.Pad(1, fill=(1, 2, 3)),
        T.Grayscale(3),
    ):
        tg.manual_seed(0)
        together = transform(clip)
        tg.manual_seed(0)
        first = transform(clip[0])
        assert together.dtype is dtype and together.shape[:2] == (2, 3)
        assert np.array_equal(together.numpy()[0], first.numpy())


RANDOM = [
    T.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), 5, "bilinear"), T.RandomRotation(10), T.RandomCrop(8, padding=1),
    T.RandomHorizontalFlip(), T.RandomErasing(), T.RandomGrayscale(0.5), T.RandomVerticalFlip(),
]  # fmt: skip


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_batches_equal_the_pictures_one_by_one(transform):
    data = TensorDataset(tg.tensor(np.stack([colours(seed=s) for s in range(9)]).astype(np.float32)), tg.arange(9))
    steps = T.Compose([transform, T.Pad(1), T.Normalize((0.5,) * 3, (2.0,) * 3)])
    both = []
    for source in (Transformed(data, steps), Transformed(data, lambda image: steps(image))):
        tg.manual_seed(0)
        both.append([(x.numpy(), y.numpy()) for x, y in DataLoader(source, batch_size=4, shuffle=True)])
    assert batched_tensors(steps) is not None
    for (x, y), (other_x, other_y) in zip(*both, strict=True):
        assert np.array_equal(x, other_x) and np.array_equal(y, other_y)


def test_what_is_done_to_batches():
    assert batched(T.Compose([T.ToTensor(), T.RandomRotation(5), T.Normalize((0.0,), (1.0,))])) is not None
    assert batched(T.Compose([T.RandomRotation(5), T.ToTensor()])) is None
    assert batched(T.RandomRotation(5)) is None
    assert batched_tensors(T.Compose([T.RandomRotation(5), T.RandomHorizontalFlip()])) is None
    assert batched_tensors(lambda image: image) is None


def test_pictures_of_the_data_sets_go_through():
    from tinygrad_edu.datasets import Digits

    steps = T.Compose([T.RandomAffine(10, interpolation="bilinear"), T.Resize((28, 28)), T.ToTensor()])
    image, label = Digits(transform=steps)[0]
    assert image.shape == (1, 28, 28) and image.max() <= 1.0 and label == Digits()[0][1]
    later = T.Compose([T.ToTensor(), T.RandomAffine(10, interpolation="bilinear")])
    tg.manual_seed(0)
    batch, _ = next(iter(DataLoader(Digits(transform=later), batch_size=5)))
    tg.manual_seed(0)
    single = DataLoader(Digits(transform=lambda image: later(image)), batch_size=5)
    assert np.array_equal(batch.numpy(), next(iter(single))[0].numpy())


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: T.RandomRotation(-5), ValueError, "degrees is a single number"),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees should be a number or 2 numbers"),
        (lambda: T.RandomRotation(5, interpolation="cubic"), ValueError, "'bilinear', 'bicubic'"),
        (lambda: T.RandomAffine(5, translate=(2, 0)), ValueError, "shares between 0 and 1"),
        (lambda: T.RandomAffine(5, scale=(0, 1)), ValueError, "positive"),
        (lambda: T.RandomAffine(5, shear=(1, 2, 3)), ValueError, "2 or 4 numbers"),
        (lambda: T.RandomCrop(0), ValueError, "positive int"),
        (lambda: T.RandomCrop(3, padding=(1, 2, 3)), ValueError, "1, 2, or 4"),
        (lambda: T.Pad(-1), ValueError, "not negative"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "'symmetric'"),
        (lambda: T.RandomHorizontalFlip(1.5), ValueError, "between 0 and 1"),
        (lambda: T.RandomErasing(scale=(0.5, 0.1)), ValueError, "scale"),
        (lambda: T.RandomErasing(value="noise"), ValueError, "'random'"),
        (lambda: T.Grayscale(2), ValueError, "either 1 or 3"),
        (lambda: T.Resize((3, 4), max_size=9), ValueError, "single int"),
        (lambda: T.Resize(4, max_size=4), ValueError, "greater than"),
        (lambda: T.RandomCrop(9)(tg.zeros(1, 5, 9)), ValueError, r"larger than input image size \(5, 9\). Fix: pad_if_needed"),
        (lambda: T.Pad(1, fill=(1, 2))(tg.zeros(3, 2, 2)), ValueError, "3, one per channel"),
        (lambda: T.Grayscale()(tg.zeros(2, 2, 2)), ValueError, "1 or 3 channels"),
        (lambda: T.RandomErasing()(Image.new("L", (3, 3))), TypeError, r"put ToTensor\(\) before it"),
        (lambda: T.CenterCrop(2)(np.zeros((1, 3, 3))), TypeError, r"Fix: put ToTensor\(\) before it"),
        (lambda: T.CenterCrop(2)(tg.zeros(3, 3)), TypeError, r"shape \(3, 3\). Fix: x.unsqueeze\(0\)"),
        (lambda: Transformed(TensorDataset(tg.ones(1)), 3), TypeError, "callable"),
    ],
)  # fmt: skip
def test_mistakes_are_named(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_they_print():
    steps = T.Compose([T.RandomAffine(10, scale=(0.9, 1.1)), T.RandomHorizontalFlip(), T.Resize(4)])
    assert repr(steps) == (
        "Compose(\n    RandomAffine(degrees=(-10.0, 10.0), scale=(0.9, 1.1), interpolation=nearest, fill=0)\n"
        "    RandomHorizontalFlip(p=0.5)\n    Resize(size=4, interpolation=bilinear, max_size=None)\n)"
    )
