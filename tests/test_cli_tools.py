"""``tinygrad-edu bench``, ``doctor`` and ``warmup``."""

import argparse
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu import kernels
from tinygrad_edu.cli import bench, doctor, machine, main, warmup
from tinygrad_edu.kernels import examples, policy

SMALL = {
    "conv2d": ["--batch", "2", "--channels", "2", "--size", "9", "--kernel", "3"],
    "matmul": ["--size", "12"],
    "max_pool2d": ["--batch", "2", "--channels", "3", "--size", "9", "--kernel", "2"],
}


# ---- bench ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("computation", SMALL)
def test_bench_prints_the_ladder(computation, capsys, monkeypatch):
    monkeypatch.setattr(bench, "ENOUGH", 0.002)
    assert main(["bench", computation, *SMALL[computation]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{computation}: ")
    assert "one thread" in lines[1]
    header, *rows = lines[3:]
    assert header.split() == ["ms", "GFLOP/s", "gain"]
    names = [row.split("  ")[0] for row in rows[: 3 + kernels.numba_works()]]
    assert names[0] == "Python loops"
    assert [name.split(":")[0] for name in names[1:]] == ["NumPy", "NumPy", "Numba"][: len(names) - 1]
    assert len({len(row) for row in [header, *rows[1 : len(names)]]}) == 1  # columns end together


def test_bench_counts_operations_as_the_formula_does():
    sizes = {"batch": 3, "channels": 4, "size": 9, "kernel": 3}
    assert bench.conv2d(argparse.Namespace(**sizes)).operations == 2 * 3 * 4 * 7 * 7 * 4 * 3 * 3
    assert bench.max_pool2d(argparse.Namespace(**sizes)).operations == 3 * 4 * 3 * 3 * 9
    assert bench.matmul(argparse.Namespace(size=5)).operations == 2 * 125


@pytest.mark.parametrize("computation", SMALL)
def test_all_rungs_compute_the_same(computation):
    options = bench.COMPUTATIONS[computation]
    given = {name: default for name, (default, _) in options[1].items()}
    given.update({"batch": 2, "size": 9} if "batch" in given else {"size": 9})
    results = [np.asarray(compute()) for _, compute in options[2](argparse.Namespace(**given)).rungs]
    for other in results[1:]:
        assert other.shape == results[0].shape
        np.testing.assert_allclose(other, results[0], rtol=1e-4, atol=1e-5)


def test_a_wrong_answer_is_not_timed():
    rungs = [("right", lambda: np.ones(3)), ("wrong", lambda: np.array([1.0, 1.0, 1.1]))]
    with pytest.raises(AssertionError, match=r"wrong computes something else than the loops: off by 0\.1"):
        bench.climb(bench.Problem("", 3.0, rungs))


def test_the_table_says_how_much_each_rung_gains():
    timed = [bench.Timed("loops", 2.0), bench.Timed("fast", 0.01), bench.Timed("slower", 0.04)]
    rows = bench.table(timed, 4e9).splitlines()[1:]
    assert rows[0].split() == ["loops", "2,000.000", "2.0000"]
    assert rows[1].split() == ["fast", "10.000", "400.0000", "200x"]
    assert rows[2].split() == ["slower", "40.000", "100.0000", "0.25x"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["conv2d", "--kernel", "40"], "--kernel 40 does not fit into images of --size 28"),
        (["matmul", "--size", "2000"], "too many for Python's loops"),
    ],
)
def test_bench_refuses_in_one_line(arguments, says, capsys):
    assert main(["bench", *arguments]) == 1
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("arguments", [[], ["fft"], ["conv2d", "--size", "0"], ["matmul", "--kernel", "3"]])
def test_bench_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *arguments])
    assert stop.value.code == 2


def test_bench_leaves_threads_and_backend_as_they_were(monkeypatch, capsys):
    monkeypatch.setattr(bench, "ENOUGH", 0.001)
    before = kernels.get_num_threads(), kernels.get_backend()
    assert main(["bench", "matmul", "--size", "4", "--threads", "3"]) == 0
    assert "3 threads" in capsys.readouterr().out
    assert (kernels.get_num_threads(), kernels.get_backend()) == before


# ---- doctor -----------------------------------------------------------------------------------------------------------------
def test_doctor_reports_everything(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    labels = {line.split("  ")[0] for line in printed.split("\n\n")[0].splitlines()}
    wanted = {
        "python",
        "numpy",
        "numba",
        "llvmlite",
        "scipy",
        "torch",
        "processor",
        "vectors",
        "cores",
        "threads",
        "BLAS",
        "memory",
    }
    assert wanted | {"Graphviz", "TINYGRAD_EDU_DATA", "MNIST", "backend"} <= labels

    assert np.__version__ in printed
    assert printed.rstrip().endswith("nothing to fix") or "\nwhat to fix\n- " in printed


def fixes(look) -> str:
    report = doctor.Report()
    look(report)
    return "\n".join(report.fixes)


@pytest.mark.parametrize(
    ("core", "flags", "complains"),
    [
        ("Haswell", {"avx512f", "avx2"}, True), ("Nehalem", {"avx2"}, True), ("Haswell", {"avx2"}, False),
        ("SkylakeX", {"avx512f"}, False), ("Haswell", set(), False), ("something new", {"avx512f"}, False), ("", {"avx512f"}, False),
    ],
)  # fmt: skip
def test_doctor_knows_when_blas_is_held_back(core, flags, complains, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", core)
    monkeypatch.setattr(machine, "extensions", lambda: flags)
    assert (f"OPENBLAS_CORETYPE={core}" in fixes(doctor.blas)) == complains


def test_doctor_knows_too_many_threads(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setattr(machine, "group_limits", lambda: (2.5, None))
    monkeypatch.setattr(kernels, "get_num_threads", lambda: 8)
    assert "8 threads share 2 cores and wait for each other: tg.set_num_threads(2)" in fixes(doctor.threads)
    monkeypatch.setattr(machine, "group_limits", lambda: (None, None))
    assert fixes(doctor.threads) == ""


def test_doctor_knows_a_small_container(monkeypatch):
    monkeypatch.setattr(machine, "group_limits", lambda: (None, 300 * 2**20))
    assert "300 MiB" in fixes(doctor.memory)


def test_doctor_misses_graphviz_and_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install graphviz" in fixes(doctor.graphviz)
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "nowhere"))
    assert "names no folder" in fixes(doctor.data)
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path))
    assert fixes(doctor.data) == ""


def test_doctor_names_what_is_missing(monkeypatch):
    known = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name == "networkx" else known(name))
    assert "pip install networkx" in fixes(doctor.versions)


@pytest.mark.skipif(not kernels.numba_works(), reason="nothing is compiled here")
def test_doctor_knows_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    from tinygrad_edu.kernels import compiler

    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file" / "cache"):
        monkeypatch.setattr(compiler, "cache_folder", lambda folder=folder: folder)
        assert "NUMBA_CACHE_DIR" in fixes(doctor.kept_kernels)
    monkeypatch.setattr(compiler, "cache_folder", lambda: tmp_path / "new")
    assert fixes(doctor.kept_kernels) == ""


def test_doctor_says_why_nothing_is_compiled():
    done = run_python("from tinygrad_edu.cli import main; main(['doctor'])", NUMBA_DISABLE_JIT="1")
    assert "backend" in done.stdout
    assert "NUMBA_DISABLE_JIT is set" in done.stdout or "Numba is not installed" in done.stdout


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    import os

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


# ---- what doctor reads ------------------------------------------------------------------------------------------------------
def group(folder: Path, membership: str, **files: str) -> tuple:
    """Limits read from a made-up tree: files are written as ``{"box/cpu.max": "..."}``."""
    (folder / "cgroup").write_text(membership)
    for name, content in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return machine.group_limits(folder / "mount", folder / "cgroup")


def test_limits_of_the_second_version(tmp_path):
    files = {
        "box/cpu.max": "150000 100000\n",
        "box/memory.max": "max\n",
        "memory.max": "1073741824\n",
        "cpu.max": "max 100000\n",
    }
    assert group(tmp_path, "0::/box\n", **files) == (1.5, 2**30)


def test_the_smallest_limit_on_the_way_up_counts(tmp_path):
    files = {
        "a/cpu.max": "100000 100000\n",
        "a/b/cpu.max": "300000 100000\n",
        "a/b/memory.max": "99\n",
        "a/memory.max": "100\n",
    }
    assert group(tmp_path, "0::/a/b\n", **files) == (1.0, 99)


def test_limits_of_the_first_version(tmp_path):
    files = {
        "cpu/box/cpu.cfs_quota_us": "50000\n", "cpu/box/cpu.cfs_period_us": "100000\n", "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n", "memory/box/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.limit_in_bytes": "2147483648\n",
    }  # fmt: skip
    assert group(tmp_path, "4:memory:/box\n3:cpu,cpuacct:/box\n", **files) == (0.5, 2**31)


def test_no_limits(tmp_path):
    assert group(tmp_path, "0::/\n") == (None, None)
    assert machine.group_limits(tmp_path / "nothing", tmp_path / "nothing") == (None, None)


def test_the_processor_is_read_from_the_system(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Abacus 3000\nflags\t\t: fpu sse4_2 avx avx2 fma\n\n")
    assert machine.processor(info).startswith("Abacus 3000 (")
    assert machine.extensions(info) == {"sse4_2", "avx", "avx2", "fma"}
    assert machine.processor_generation({"avx", "avx2"}) == 3
    assert machine.processor_generation({"neon"}) == 0
    assert machine.processor(tmp_path / "nothing")


# ---- warmup -----------------------------------------------------------------------------------------------------------------
def test_every_kernel_is_warmed_up():
    assert set(examples.EXAMPLES) == set(policy._twins)
    names = [name for name, _ in warmup.tasks(("float32", "float64"))]
    assert names == [*examples.EXAMPLES] * 2


def test_warmup_without_numba_says_so(monkeypatch, capsys):
    monkeypatch.setattr(kernels, "numba_works", lambda: False)
    assert main(["warmup"]) == 1
    assert "nothing to compile" in capsys.readouterr().err


TRAIN = """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.nn.models import MLP, CourseCNN
from tinygrad_edu.cli import warmup
from tinygrad_edu.kernels import compiler

warmup.warm_up()
before = warmup._counts(compiler.functions)
y = tg.arange(20) % 10
for net, x in ((CourseCNN(28), tg.randn(20, 1, 28, 28)), (MLP((784, 30, 10), activation="sigmoid"), tg.randn(20, 784))):
    for make in (optim.SGD, optim.Adam, optim.RMSprop):
        optimizer = make(net.parameters(), lr=0.01)
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
print(before == warmup._counts(compiler.functions), sum(before) > 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not kernels.numba_works(), reason="nothing is compiled here")
def test_after_warmup_training_compiles_nothing():
    assert run_python(TRAIN).stdout.strip().endswith("True True")


@pytest.mark.slow
@pytest.mark.skipif(not kernels.numba_works(), reason="nothing is compiled here")
def test_a_second_warmup_finds_everything_on_disk():
    warm = "from tinygrad_edu.cli import main; main(['warmup'])"
    run_python(warm)
    told = run_python(warm).stdout
    assert re.match(r"0 compiled, \d\d+ found on disk, for float32, in [\d.]+ s\nkept in ", told), told
