"""Choosing an implementation, threads, the cache on disk, and living without Numba."""

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import normal

from tinygrad_edu import kernels
from tinygrad_edu.kernels import policy, threads

compiles = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is not installed")


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run `code` in a fresh interpreter that does not share this one's compiled kernels."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


COMPUTE = """
import numpy as np
from tinygrad_edu import kernels
from tinygrad_edu.kernels import elementwise_numpy
x = np.random.default_rng(0).standard_normal((40, 50)).astype("f4")
np.testing.assert_array_equal(kernels.relu(x), elementwise_numpy.relu(x))
print(kernels.get_backend())
"""


def test_every_kernel_has_a_twin_and_numba_versions_add_no_names():
    assert set(policy._twins) <= set(kernels.__all__)
    for name, twin in policy._twins.items():
        public = getattr(kernels, name)
        assert public.__name__ == twin.__name__ == name
        assert public.__doc__


def test_impossible_thread_counts_are_refused():
    for count in (0, -1, 1.5):
        with pytest.raises(RuntimeError, match="positive integer"):
            kernels.set_num_threads(count)


def test_broken_numba_costs_one_warning(monkeypatch):
    def broken(name):
        raise ImportError("Numba needs NumPy 1.0 or less")

    monkeypatch.setattr(policy.importlib, "import_module", broken)
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setattr(policy, "_numba_works", None)
    monkeypatch.setattr(policy, "_backend", None)
    with pytest.warns(RuntimeWarning, match="pip install --force-reinstall numba") as notes:
        assert kernels.get_backend() == "numpy"
        assert kernels.get_backend() == "numpy"
    assert len(notes) == 1
    with pytest.raises(RuntimeError, match="Numba cannot be used here"):
        kernels.backend("numba")


def test_missing_numba_is_silent(monkeypatch, recwarn):
    def missing(name):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(policy.importlib, "import_module", missing)
    monkeypatch.setattr(policy, "_numba_works", None)
    assert policy.numba_works() is False
    assert not recwarn.list


def test_chunks_cover_everything_once_and_ignore_the_thread_count():
    for count in (0, 1, 2, 7, 50, 1000):
        for flops in (0, 1e6, 1e7, 1e10):
            pieces = threads.chunks(count, flops)
            assert [i for start, stop in pieces for i in range(start, stop)] == list(range(count))
            assert 1 <= len(pieces) <= threads.CHUNKS
    assert len(threads.chunks(1000, 1e10)) == threads.CHUNKS


def test_run_chunks_runs_each_piece_once_and_passes_errors_on():
    before = kernels.get_num_threads()
    try:
        for count in (1, 2, 5):
            kernels.set_num_threads(count)
            seen: list[tuple[int, int, int]] = []

            def note(i, start, stop, seen=seen):
                seen.append((i, start, stop))

            threads.run_chunks(note, threads.chunks(100, 1e9))
            assert sorted(seen) == [(i, *piece) for i, piece in enumerate(threads.chunks(100, 1e9))]

            def fail(i, start, stop):
                raise KeyError(i)

            with pytest.raises(KeyError):
                threads.run_chunks(fail, threads.chunks(100, 1e9))
    finally:
        kernels.set_num_threads(before)


def test_kernels_may_be_called_from_several_threads_at_once(monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_FLOPS", 1e5)
    settings = ((1, 1), (2, 2), (1, 1), 1)
    cases = [(normal(i, 6, 8, 14, 14), normal(i + 1, 16, 8, 5, 5), normal(i + 2, 6, 16, 14, 14)) for i in range(4)]

    def work(x, w, g):
        return (
            kernels.conv2d_forward(x, w, None, *settings),
            kernels.conv2d_weight_grad(x, g, (5, 5), *settings),
            kernels.conv2d_input_grad(g, w, (14, 14), *settings),
            kernels.max_pool2d_forward(x, (2, 2), (2, 2), (0, 0), (1, 1), False)[0],
        )

    before = kernels.get_num_threads()
    kernels.set_num_threads(2)
    try:
        expected = [work(*case) for case in cases]
        failures = []

        def repeat(i):
            for _ in range(15):
                for got, want in zip(work(*cases[i]), expected[i], strict=True):
                    if not np.array_equal(got, want):
                        failures.append(i)

        callers = [threading.Thread(target=repeat, args=(i,)) for i in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert not failures
    finally:
        kernels.set_num_threads(before)


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, tinygrad_edu.kernels; print([m for m in ('numba', 'scipy', 'llvmlite') if m in sys.modules])"
    assert run_python(code).stdout.strip() == "[]"


@pytest.mark.slow
@compiles
def test_an_unwritable_cache_folder_is_no_error(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = run_python(COMPUTE, NUMBA_CACHE_DIR=str(blocked / "cache"), NUMBA_DISABLE_JIT="0")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "numba"


@pytest.mark.slow
@compiles
def test_first_compilation_is_kept_on_disk_and_a_long_one_is_announced(tmp_path: Path):
    code = COMPUTE.replace("from tinygrad_edu import kernels\n", "from tinygrad_edu import kernels\n"
                            "from tinygrad_edu.kernels import compiler\ncompiler.PATIENCE = 0.01\n")  # fmt: skip
    first = run_python(code, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("compiling kernels") == 1
    assert list(tmp_path.rglob("*.nbc"))
    again = run_python(code, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""


@pytest.mark.slow
@compiles
def test_a_damaged_cache_is_made_anew(tmp_path: Path):
    assert run_python(COMPUTE, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0").returncode == 0
    kept = list(tmp_path.rglob("*.nbc"))
    for i, file in enumerate(kept):
        file.write_bytes(b"" if i % 2 else file.read_bytes()[: file.stat().st_size // 2])
    again = run_python(COMPUTE, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() == "numba"


@pytest.mark.slow
@compiles
def test_kept_kernels_run_without_the_compilers_libraries(tmp_path: Path):
    """Numba compiles with SciPy's linear algebra at hand; running what is kept must not wait for its import."""
    code = COMPUTE + "import sys; print('scipy.linalg' in sys.modules)"
    for expected in ("True", "False"):
        done = run_python(code, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
        assert done.stdout.split() == ["numba", expected], done.stderr


@pytest.mark.slow
def test_without_compilation_the_twins_run():
    result = run_python(COMPUTE, NUMBA_DISABLE_JIT="1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "numpy"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_too():
    code = """
import os, numpy as np
from tinygrad_edu import kernels
kernels.set_num_threads(2)
from tinygrad_edu.kernels import threads
threads.PARALLEL_FLOPS = 1e5
x, w = np.random.rand(8, 8, 14, 14).astype("f4"), np.random.rand(16, 8, 5, 5).astype("f4")
plain = ((1, 1), (0, 0), (1, 1), 1)
y = kernels.conv2d_forward(x, w, None, *plain)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(y, kernels.conv2d_forward(x, w, None, *plain)) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = run_python(code)
    assert result.stdout.strip() == "0", result.stderr
