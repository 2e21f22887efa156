"""The ball of many dimensions, tables from CSV files, and pictures in folders."""

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_edu as tg
from tinygrad_edu.datasets import ImageFolder, ball, load_csv, transforms
from tinygrad_edu.utils.data import DataLoader


class TestBall:
    def test_classes_are_decided_by_the_radius(self):
        tg.manual_seed(0)
        X, y = ball(3000, 10, standardize=False)
        radius = np.linalg.norm(X.numpy(), axis=1)
        assert np.array_equal(y.numpy(), radius >= 0.5) and radius.max() <= 1.0
        assert X.dtype is tg.float32 and y.dtype is tg.int64
        # Uniform by radius: both classes, and all tenths, are equally frequent.
        counts = np.histogram(radius, bins=10, range=(0, 1))[0]
        assert (abs(counts - 300) < 5 * np.sqrt(300)).all()

    def test_directions_have_no_preference(self):
        tg.manual_seed(1)
        X, _ = ball(4000, 10, standardize=False)
        directions = X.numpy() / np.linalg.norm(X.numpy(), axis=1, keepdims=True)
        assert abs(directions.mean(0)).max() < 5 / np.sqrt(4000 * 10)
        assert abs(directions.T @ directions / 4000 - np.eye(10) / 10).max() < 0.02

    @given(st.integers(2, 50), st.integers(1, 12), st.integers(0, 2**32))
    def test_standardized(self, n, dimensions, seed):
        X, y = ball(n, dimensions, generator=tg.Generator().manual_seed(seed))
        values = X.numpy().astype(np.float64)
        assert values.shape == (n, dimensions) and set(y.tolist()) <= {0, 1}
        np.testing.assert_allclose(values.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(values.std(0), 1, rtol=1e-4)
        again, _ = ball(n, dimensions, generator=tg.Generator().manual_seed(seed))
        assert np.array_equal(again.numpy(), X.numpy())

    @pytest.mark.parametrize(("n", "dimensions"), [(1, 3), (0, 3), (10, 0)])
    def test_too_few(self, n, dimensions):
        with pytest.raises(ValueError, match=f"got {n} points of {dimensions}"):
            ball(n, dimensions)


def write(folder, text: str, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


class TestCSV:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        X=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=st.floats(-1e6, 1e6, width=32)),
        delimiter=st.sampled_from(",;\t|"),
        header=st.booleans(),
    )  # fmt: skip
    def test_what_was_written_is_read(self, tmp_path, X, delimiter, header):
        path = tmp_path / "table.csv"
        labels = np.arange(len(X)) % 3
        with open(path, "w", newline="") as file:
            rows = csv.writer(file, delimiter=delimiter)
            if header:
                rows.writerow([f"x{delimiter}{i}" for i in range(X.shape[1])] + ["label"])
            rows.writerows([*map(repr, map(float, x)), label] for x, label in zip(X, labels, strict=True))
        table = load_csv(path, delimiter=delimiter)
        assert np.array_equal(table.X.numpy(), X) and table.X.dtype is tg.float32
        assert table.y.tolist() == labels.tolist() and table.y.dtype is tg.int64 and table.classes is None
        assert table.columns == [f"x{delimiter}{i}" if header else str(i) for i in range(X.shape[1])]

    def test_words_become_classes(self, tmp_path):
        path = write(tmp_path, "5.1,3.5,rose\n4.9,3.0,iris\n\n6.2,2.9,rose\n")
        X, y, columns, classes = load_csv(path)
        assert y.tolist() == [1, 0, 1] and classes == ["iris", "rose"]
        assert X.shape == (3, 2) and columns == ["0", "1"]

    @pytest.mark.parametrize(
        ("target", "expected"), [("b", [2.5, 4.5]), (1, [2.5, 4.5]), (-2, [2.5, 4.5]), (0, [1, 3]), (None, None)]
    )
    def test_the_column_to_predict(self, tmp_path, target, expected):
        table = load_csv(write(tmp_path, "\ufeffa, b, c\n1, 2.5, 9\n3, 4.5, 9\n"), target)
        assert (None if table.y is None else table.y.tolist()) == expected
        assert len(table.columns) == (3 if target is None else 2)

    def test_numbers_for_names(self, tmp_path):
        path = write(tmp_path, "2020,2021\n1,2\n")
        assert load_csv(path).X.shape == (2, 1)
        assert load_csv(path, header=True).columns == ["2020"]

    def test_missing_values(self, tmp_path):
        path = write(tmp_path, "a,b\n1,0\n,1\n")
        assert load_csv(path, missing=-1.0).X.tolist() == [[1.0], [-1.0]]
        with pytest.raises(ValueError, match=r"table.csv, line 3, column 'a': the value is missing. Fix: missing=0.0"):
            load_csv(path)

    @pytest.mark.parametrize(
        ("text", "options", "says"),
        [
            ("", {}, "is empty"),
            ("\n \n", {}, "is empty"),
            ("a,b\n", {}, "a header and no rows"),
            ("a,b\n1,2\n1,2,3\n", {}, "line 3: 3 values, but there are 2 columns"),
            ("a,b\n1,2\n\nx,2\n", {}, "line 4, column 'a': 'x' is not a number"),
            ("a,b\n1,\n", {}, "line 2, column 'b': there is nothing to predict"),
            ("a,b\n1,2\n", {"target": "c"}, r"no column 'c'. Fix: one of 'a', 'b'"),
            ("a,b\n1,2\n", {"target": 2}, "has 2 columns; there is no number 2"),
            ('a,b\n1,"2\n', {}, "line 2"),
        ],
    )
    def test_mistakes_are_named_by_line_and_column(self, tmp_path, text, options, says):
        with pytest.raises(ValueError, match=says):
            load_csv(write(tmp_path, text), **options)

    def test_other_files(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            load_csv(tmp_path / "nothing.csv")
        with pytest.raises(ValueError, match="save it as UTF-8"):
            load_csv(write(tmp_path, "größe,b\n1,2\n", "latin-1"))


@pytest.fixture
def zoo(tmp_path):
    """Three dogs and two cats, each of one colour."""
    Image = pytest.importorskip("PIL.Image")
    for name, colours in {"dog": [(200, 0, 0), (0, 200, 0), (0, 0, 200)], "cat": [(10, 20, 30), (40, 50, 60)]}.items():
        (tmp_path / "zoo" / name / "more").mkdir(parents=True)
        for number, colour in enumerate(colours):
            Image.new("RGB", (6 + number, 5), colour).save(
                tmp_path / "zoo" / name / ("more" if number else "") / f"{number}.png"
            )
    (tmp_path / "zoo" / "dog" / "notes.txt").write_text("not a picture")
    (tmp_path / "zoo" / "list.txt").write_text("not a class")
    return tmp_path / "zoo"


class TestImageFolder:
    def test_classes_and_pictures(self, zoo):
        data = ImageFolder(zoo)
        assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
        assert data.targets == [0, 0, 1, 1, 1] and len(data) == 5 and data.imgs is data.samples
        picture, label = data[3]
        assert label == 1 and picture.mode == "RGB" and picture.getpixel((0, 0)) == (0, 200, 0)
        assert "Number of datapoints: 5" in repr(data)

    def test_through_a_loader(self, zoo):
        steps = transforms.Compose([transforms.Resize((4, 4)), transforms.ToTensor()])
        data = ImageFolder(zoo, steps, target_transform=lambda label: label + 10)
        images, labels = next(iter(DataLoader(data, batch_size=5)))
        assert images.shape == (5, 3, 4, 4) and labels.tolist() == [10, 10, 11, 11, 11]
        np.testing.assert_allclose(images.numpy()[2, :, 0, 0], np.array([200, 0, 0]) / 255, rtol=1e-6)

    def test_own_loader_and_choice(self, zoo):
        data = ImageFolder(zoo, loader=lambda path: path, is_valid_file=lambda path: path.endswith((".png", ".txt")))
        assert [path.rsplit("/", 1)[-1] for path, label in data if label == 1] == [
            "0.png",
            "1.png",
            "2.png",
            "notes.txt",
        ]

    def test_equal_to_torchvision(self, zoo):
        pytest.importorskip("torch")
        vision = pytest.importorskip("torchvision.datasets")
        theirs, ours = vision.ImageFolder(str(zoo)), ImageFolder(zoo)
        assert ours.samples == theirs.samples and ours.class_to_idx == theirs.class_to_idx
        assert all(
            np.array_equal(np.array(a), np.array(b)) and n == m for (a, n), (b, m) in zip(ours, theirs, strict=True)
        )

    def test_mistakes_are_named(self, zoo, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            ImageFolder(tmp_path / "nothing")
        (tmp_path / "bare").mkdir()
        with pytest.raises(FileNotFoundError, match=r"Couldn't find any class folder.*Fix: one folder per class"):
            ImageFolder(tmp_path / "bare")
        (zoo / "emu").mkdir()
        with pytest.raises(FileNotFoundError, match="Found no valid file for the class 'emu'"):
            ImageFolder(zoo)
        assert ImageFolder(zoo, allow_empty=True).classes == ["cat", "dog", "emu"]

    @pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
    def test_a_broken_picture_is_named(self, zoo, content):
        (zoo / "cat" / "0.png").write_bytes(content)
        with pytest.raises(OSError, match=r"0.png' cannot be read as a picture"):
            ImageFolder(zoo)[0]
