"""A tiny data set in MNIST's form, and mirrors on this computer that serve it, break off, or have other files."""

import gzip
import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tinygrad_edu.datasets import MNIST

COUNTS = {"train": 6, "t10k": 4}


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def archives() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {}
    for part, n in COUNTS.items():
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(rng.integers(0, 256, (n, 28, 28))), mtime=0)
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(np.arange(n) % 10), mtime=0)
    return files


class Mirror:
    """A web server whose `behave(name)` gives the bytes to send, or None for 404, and how many bytes to promise."""

    def __init__(self, behave):
        mirror = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rsplit("/", 1)[-1]
                mirror.asked.append(name)
                answer = behave(name)
                self.send_response(200 if answer else 404)
                body, promised = answer or (b"", 0)
                self.send_header("Content-Length", str(promised))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def mirrors(monkeypatch, tmp_path):
    """Start mirrors by behaviour; the cache folder is a fresh one."""
    import pooch

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    files, started = archives(), []
    behaviours = {
        "good": lambda name: (files[name], len(files[name])),
        "lacks everything": lambda name: None,
        "breaks off": lambda name: (files[name][:-20], len(files[name])),
        "has other files": lambda name: (b"other", 5),
    }

    def start(*names: str) -> list[Mirror]:
        new = [Mirror(behaviours[name]) for name in names]
        started.extend(new)
        return new

    yield start
    for mirror in started:
        mirror.server.shutdown()
        mirror.server.server_close()


@pytest.fixture
def tiny():
    """Return a function: mirrors in, a data set class that downloads from them out."""

    def make(servers: list[Mirror], **changes) -> type[MNIST]:
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in archives().items()}
        source = replace(
            MNIST.source,
            mirrors=tuple(s.address for s in servers),
            sha256=sums,
            raw_sha256={},
            foreign=frozenset(),
            **changes,
        )
        return type("Tiny", (MNIST,), {"source": source})

    return make
