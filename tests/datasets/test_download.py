"""Files that are found, fetched, replaced or refused: nothing unchecked is ever used."""

import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tests.datasets.conftest import archives, idx
from tinygrad_edu.datasets import MNIST, FashionMNIST
from tinygrad_edu.datasets.mnist import read_idx

IMAGES = "train-images-idx3-ubyte.gz"


def test_a_download_is_checked_kept_and_not_repeated(mirrors, tiny, tmp_path):
    (good,) = mirrors("good")
    data = tiny([good])()
    assert data.data.shape == (6, 28, 28) and data.targets.tolist() == [0, 1, 2, 3, 4, 5]
    folder = tmp_path / "cache" / "tinygrad_edu" / "MNIST"
    assert sorted(p.name for p in folder.iterdir()) == [IMAGES, "train-labels-idx1-ubyte.gz"]
    tiny([good])()
    assert good.asked == [IMAGES, "train-labels-idx1-ubyte.gz"]
    tiny([good])(train=False)  # only what is missing is fetched
    assert good.asked[2:] == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]


def test_with_a_root_downloads_go_where_pytorch_has_them(mirrors, tiny, tmp_path):
    tiny(mirrors("good"))(tmp_path / "data")
    assert (tmp_path / "data" / "MNIST" / "raw" / IMAGES).is_file()


def test_the_next_mirror_helps_out(mirrors, tiny):
    servers = mirrors("lacks everything", "breaks off", "has other files", "good")
    assert len(tiny(servers)()) == 6
    assert all(server.asked[0] == IMAGES for server in servers)


def test_no_mirror_works(mirrors, tiny, tmp_path):
    servers = mirrors("lacks everything", "breaks off", "has other files", "good")
    servers[-1].server.server_close()  # nobody answers there any more
    with pytest.raises(RuntimeError) as caught:
        tiny(servers)(tmp_path / "data")
    text = str(caught.value)
    assert text.startswith("E501 in datasets.MNIST")
    for server in servers:
        assert server.address + IMAGES in text
    other = hashlib.sha256(b"other").hexdigest()
    assert "404" in text and other in text  # what went wrong, and for wrong bytes what was expected and got
    assert str(tmp_path / "data" / "MNIST" / "raw") in text and all(name in text for name in archives())
    assert "TINYGRAD_EDU_DATA" in text and "Digits()" in text
    assert len(text.splitlines()) <= 12
    assert [p for p in (tmp_path / "data").rglob("*") if p.is_file()] == []  # nothing half-written stays


def test_without_download_the_network_is_left_alone(mirrors, tiny):
    (good,) = mirrors("good")
    with pytest.raises(RuntimeError, match=r"E501.*not on this computer, and download=False"):
        tiny([good])(download=False)
    assert good.asked == []


def test_a_damaged_download_is_fetched_again(mirrors, tiny, tmp_path):
    (good,) = mirrors("good")
    data = tiny([good])
    data()
    broken = tmp_path / "cache" / "tinygrad_edu" / "MNIST" / IMAGES
    broken.write_bytes(broken.read_bytes()[:-5])
    with pytest.raises(RuntimeError, match="E502"):
        data(download=False)
    assert len(data()) == 6
    assert good.asked.count(IMAGES) == 2


@pytest.mark.parametrize("below", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("by", ["root", "environment"])
def test_files_are_found(mirrors, tiny, tmp_path, monkeypatch, below, raw, by):
    folder = tmp_path / "files" / below
    folder.mkdir(parents=True)
    for name, content in archives().items():
        if raw:
            (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
        else:
            (folder / name).write_bytes(content)
    if by == "environment":
        monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "files"))
    (unused,) = mirrors("lacks everything")
    data = tiny([unused])(tmp_path / "files" if by == "root" else None, train=False)
    assert data.targets.tolist() == [0, 1, 2, 3]
    assert unused.asked == []


def test_a_damaged_file_of_the_users_is_refused_not_replaced(mirrors, tiny, tmp_path):
    (good,) = mirrors("good")
    path = tmp_path / IMAGES
    path.write_bytes(b"half a file")
    expected, got = hashlib.sha256(archives()[IMAGES]).hexdigest(), hashlib.sha256(b"half a file").hexdigest()
    with pytest.raises(RuntimeError, match=rf"E502.*{IMAGES} is damaged.*{got}, expected {expected}.*Fix: delete"):
        tiny([good])(tmp_path)
    assert path.read_bytes() == b"half a file" and good.asked == []


def test_another_data_sets_files_are_passed_over(mirrors, tiny, tmp_path):
    for name, content in archives().items():
        (tmp_path / name).write_bytes(content)
    (good,) = mirrors("good")
    data = tiny([good])
    foreign = frozenset(data.source.sha256.values())
    data.source = replace(data.source, sha256=dict.fromkeys(archives(), "0" * 64), foreign=foreign)
    with pytest.raises(RuntimeError, match="E501"):
        data(tmp_path, download=False)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\x00\x00\x08", b"\x00\x00\x08\x03\x00", idx(np.zeros((2, 3)))[:-1], idx(np.zeros((2, 3))) + b"\x00",
     b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", b"\x00\x00\x08\x01\xff\xff\xff\xff\x00"],
)  # fmt: skip
def test_what_is_no_idx_file(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"E502.*no IDX file"):
        read_idx(path)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 5), (0, 2)])
def test_idx_files_are_read(tmp_path, shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    (tmp_path / "file.gz").write_bytes(gzip.compress(idx(array)))
    assert np.array_equal(read_idx(tmp_path / "file.gz"), array)


def test_images_and_labels_that_do_not_belong_together(mirrors, tiny, tmp_path):
    data = tiny(mirrors("good"))
    data.source = replace(data.source, sha256={}, raw_sha256={})
    (tmp_path / IMAGES).write_bytes(archives()[IMAGES])
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(archives()["t10k-labels-idx1-ubyte.gz"])
    with pytest.raises(RuntimeError, match=r"E502.*do not belong together"):
        data(tmp_path)


def test_the_mirrors_are_https_and_the_sums_are_complete():
    for data in (MNIST, FashionMNIST):
        assert len(data.source.mirrors) >= 2 and all(mirror.startswith("https://") for mirror in data.source.mirrors)
        assert set(data.source.sha256) == set(archives())
        assert all(len(digest) == 64 for digest in data.source.sha256.values())
        assert not data.source.foreign & set(data.source.sha256.values())
