"""The benchmarks' own bookkeeping, and one short race without regard to who wins."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main, parse
from benchmarks.data import load_digits, prepare_digits
from benchmarks.harness import (
    Contender,
    Process,
    Refused,
    Result,
    agree,
    child_environment,
    race,
    refuse_differing,
    start_all,
)
from benchmarks.kernel_cases import KERNELS, distribution, fingerprint
from benchmarks.kernels import kernel_table
from benchmarks.peers import all_peers, installed
from benchmarks.report import losing, markdown, speed_table
from benchmarks.scaling import CURVES, draw_scaling, scaling_tables
from benchmarks.scaling_cases import SCALING
from benchmarks.startup import startup_table
from benchmarks.tables import speedups
from benchmarks.targets import DYNAMIC, STEP_RECORDED, memory_lines, target_table
from benchmarks.workloads import WORKLOADS, Conv, Dense, Dropout, Training, batch_indices, initial_weights, load_data

TRAININGS = [workload for workload in WORKLOADS.values() if isinstance(workload, Training)]


@pytest.fixture(scope="module")
def small_digits(tmp_path_factory):
    """The prepared digits, from scikit-learn: the fallback that a machine without MNIST uses."""
    folder = str(tmp_path_factory.mktemp("digits"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.data.find_mnist", lambda: None)
        assert "scikit-learn" in prepare_digits(folder)
    return folder


def result(peer, *times, workload="W4", threads=1, **fields):
    return Result(workload, peer, threads, repeats_us=list(times), **fields)


def test_every_workload_of_the_table_is_there():
    assert list(WORKLOADS) == ["W0", "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9a", "W9b"]


@pytest.mark.parametrize("workload", TRAININGS, ids=lambda workload: workload.name)
def test_weights_follow_the_network(workload):
    expected = []
    for layer in workload.network:
        if isinstance(layer, Dense):
            expected += [(layer.inputs, layer.outputs), (layer.outputs,)]
        elif isinstance(layer, Conv):
            expected += [(layer.outputs, layer.inputs, layer.kernel, layer.kernel), (layer.outputs,)]
    first, second = initial_weights(workload), initial_weights(workload)
    assert [array.shape for array in first] == expected
    assert all(array.dtype == np.float32 for array in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_parameter_counts_are_the_courses():
    counts = {name: sum(array.size for array in initial_weights(WORKLOADS[name])) for name in ("W3", "W6", "W8")}
    assert counts == {"W3": 785 * 30 + 31 * 10, "W6": 289_630, "W8": 41_601}


@pytest.mark.parametrize("workload", TRAININGS, ids=lambda workload: workload.name)
def test_data_fit_the_network(workload, small_digits):
    inputs, targets = load_data(workload, small_digits)
    assert inputs.dtype == np.float32 and len(inputs) == len(targets)
    first = workload.network[0]
    assert inputs.shape[1:] == ((1, 28, 28) if isinstance(first, Conv) else (first.inputs,))
    if workload.loss == "cross_entropy":
        assert targets.dtype == np.int64 and set(np.unique(targets)) == set(range(10))
    else:
        assert targets.dtype == np.float32 and targets.shape == (
            len(inputs),
            workload.network[-2].outputs if not isinstance(workload.network[-1], Dense) else 1,
        )


def test_digits_are_read_partly(small_digits):
    images, labels = load_digits(small_digits, 500)
    assert images.shape == (500, 784) and labels.shape == (500,)
    assert images.min() == 0 and images.max() == 1


def test_batches_are_one_shuffled_epoch_of_full_batches():
    batches = batch_indices(1000, 32)
    assert {len(batch) for batch in batches} == {32} and len(batches) == 31
    drawn = np.concatenate(batches)
    assert len(set(drawn)) == len(drawn) and drawn.max() < 1000 and not np.array_equal(drawn, np.sort(drawn))


def test_comparison_is_free_of_chance():
    assert any(isinstance(layer, Dropout) for layer in WORKLOADS["W7"].network)
    assert not any(isinstance(layer, Dropout) for layer in WORKLOADS["W7"].for_check().network)
    assert WORKLOADS["W4"].for_check() == replace(WORKLOADS["W4"], compared=True)


def test_agreement():
    assert agree([1.0], [1.00009])
    assert not agree([1.0], [1.00011])
    assert agree([0.0, float("inf")], [0.0, float("inf")])
    assert not agree([float("nan")], [float("nan")])
    assert not agree([1.0], [1.0, 2.0])


def test_a_peer_with_another_loss_is_not_timed():
    contenders = [
        Contender(process, peer, "W4", 1) for peer, process in start_all(["numpy", "torch", "jax"], 1, "").items()
    ]
    for contender, loss in zip(contenders, (1.5, 1.50001, 1.6), strict=True):
        contender.result.values = [loss]
    assert [contender.result.peer for contender in refuse_differing(contenders)] == ["numpy", "torch"]
    assert contenders[2].result.differs and "1.6" in contenders[2].result.note


def test_ratios_medians_and_defeats():
    results = [result("torch", 90, 100, 500), result("tinygrad_edu", 50), result("jax", 25), result("numpy", note="no")]
    assert results[0].us == 100
    assert speedups(results) == {("W4", "torch", 1): 1, ("W4", "tinygrad_edu", 1): 2, ("W4", "jax", 1): 4}
    assert "| **tinygrad_edu** | 50.0 (2.00x) |" in speed_table(results, 1)
    assert losing(results) == ["- W4, 1 thread: JAX, jit per step is 2.00 times as fast as tinygrad_edu"]


REPORT = {
    "date": "today",
    "digits": "MNIST",
    "repeats": 5,
    "seconds": 0.5,
    "absent": ["MyGrad"],
    "startup": {
        "imports": {"torch": {"seconds": 0.8, "peak_mb": None}, "tinygrad_edu": {"seconds": 0.09, "peak_mb": 35.0}},
        "first_steps": {"tinygrad_edu": {"seconds": None, "peak_mb": None}},
        "cold_step": {"seconds": 20.0, "peak_mb": 100.0},
    },
    "machine": {
        "cpu": "a processor",
        "cores": 2,
        "system": "Linux",
        "load": "0.1",
        "python": "3.11",
        "packages": {"numpy": "2.4"},
        "exported": {"OPENBLAS_CORETYPE": "Haswell"},
    },
}


def test_report_states_the_conditions():
    results = [result("torch", 10, first_step_s=1.0, peak_mb=300.0, pools=["openblas 0.3 Haswell 1 threads"], cores=1)]
    results.append(result("micrograd", note="no arrays"))
    text = markdown(REPORT, {"steps": results})
    for part in ("`OPENBLAS_CORETYPE=Haswell`", "openblas 0.3 Haswell", "MyGrad: not installed", "W4: no arrays"):
        assert part in text
    assert "1.00 s, 300 MB" in text and "0.800 s | ? |" in text
    assert "Without the exported" not in text and "## Single operations" not in text
    without = [result("torch", 5, first_step_s=1.0, pools=["openblas 0.3 SkylakeX 1 threads"], cores=1)]
    text = markdown(REPORT, {"steps": results, "core_type": without})
    assert "## Without the exported OPENBLAS_CORETYPE" in text and "openblas 0.3 SkylakeX" in text


def test_start_up_is_held_against_its_targets():
    lines = startup_table(REPORT["startup"]).splitlines()
    assert "| `import tinygrad_edu` | 0.090 s | 35 MB | 0.1 s | reached |" in lines
    assert "| tinygrad_edu: import and first step of W6 | failed |  | 0.5 s |  |" in lines
    assert lines[-1].endswith("| 20.000 s | 100 MB | 15 s | **missed** |")


def test_targets_are_marked():
    assert set(DYNAMIC) == set(WORKLOADS) and set(STEP_RECORDED) < set(WORKLOADS)
    results = [result("torch", 55, peak_mb=400.0), result("tinygrad_edu", 10, peak_mb=300.0), result("jax", 11)]
    assert (
        target_table(results, 1).splitlines()[-1]
        == "| W4 | 5.5x | 5.50x | reached | 7x |  |  | 1.10x | reached |  |  |"
    )
    results += [result("tinygrad_edu_recorded", 9)]
    results[1].repeats_us = [11.5]
    row = "| W4 | 5.5x | 4.78x | **missed** | 7x | 6.11x | **missed** | 0.96x | **missed** | 1.22x | reached |"
    assert target_table(results, 1).splitlines()[-1] == row
    assert memory_lines(results, 1) == ["- W4: peak memory 300 MB, PyTorch eager 400 MB: reached"]
    assert target_table(results, 2) == ""


def test_single_operations_are_marked():
    results = [result("tinygrad_edu", 10, workload="adam"), result("torch", 100, workload="adam")]
    results += [
        result("torch_fused", 20, workload="adam"),
        result("tinygrad_edu", note="broken", failed=True, workload="exp"),
    ]
    lines = kernel_table(results, 1).splitlines()
    assert lines[2] == "| Adam step, 407,050 weights | 10.0 | 100 | 0.10 | 0.13 | reached |"
    assert lines[3] == "| Adam step, 407,050 weights, PyTorch's fused | 10.0 | 20.0 | 0.50 | 0.4 | **missed** |"
    assert lines[4] == "| exp of 1024x512 | failed |  |  |  |  |"


def test_fingerprints_see_values_signs_and_order():
    array = np.array([1.0, -2.0, 3.0])
    for other in (array * 1.001, -array, array[::-1]):
        assert not agree(fingerprint(array), fingerprint(other))
    assert agree(fingerprint(array), fingerprint(array + 1e-9))
    assert distribution(np.array([0.0, 2.0, 2.0, 0.0])) == [4.0, 0.5, 2.0]


def test_curves_have_their_own_names():
    assert len(SCALING) == sum(len(curve.sizes) for curve in CURVES)
    assert not set(SCALING) & set(WORKLOADS) and not set(SCALING) & set(KERNELS) and not set(KERNELS) & set(WORKLOADS)
    depth = next(curve for curve in CURVES if curve.name == "depth")
    assert len(initial_weights(depth.make("depth", 3))) == 2 * 4


def test_curves_are_tabled_and_drawn(tmp_path):
    assert not draw_scaling([], tmp_path / "none.svg")
    results = [
        result(peer, 10.0 * size, workload=f"graph-{size}", peak_mb=30.0)
        for peer in ("tinygrad_edu", "torch")
        for size in (100, 1000)
    ]
    text = scaling_tables(results)
    assert "| tinygrad_edu, nanoseconds an operation | 10,000 | 10,000 |" in text
    assert "| PyTorch eager, peak memory in MB | 30.0 | 30.0 |" in text and "batch size" not in text
    assert draw_scaling(results, tmp_path / "scaling.svg")
    assert "ns an operation" in (tmp_path / "scaling.svg").read_text()


def test_only_the_child_loses_a_variable(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert child_environment(2)["OPENBLAS_CORETYPE"] == "Haswell"
    without = child_environment(2, {"OPENBLAS_CORETYPE": None})
    assert "OPENBLAS_CORETYPE" not in without and without["OMP_NUM_THREADS"] == "2"


def test_command_line_names_what_exists(capsys):
    options = parse(["--workloads", "W0,W4", "--peers", "all", "--threads", "1"])
    assert options.workloads == ["W0", "W4"] and options.threads == [1] and options.peers == list(all_peers())
    assert options.only == ["steps", "kernels", "startup", "scaling"] and parse(["--only", "kernels"]).only == [
        "kernels"
    ]
    for wrong in (
        ["--workloads", "W77"],
        ["--threads", "0"],
        ["--threads", "4096"],
        ["--repeats", "0"],
        ["--only", "x"],
    ):
        with pytest.raises(SystemExit):
            parse(wrong)
    assert "unknown workload 'W77'; choose from W0, W1" in capsys.readouterr().err


def test_peers_are_found_and_ours_comes_first():
    assert next(iter(all_peers())) == "tinygrad_edu"
    assert list(all_peers())[1] == "tinygrad_edu_recorded"
    others = (
        "torch torch_fused torch_foreach torch_compiled jax jax_scan keras tinygrad mygrad micrograd numpy autograd"
    )
    assert set(others.split()) < set(all_peers())
    assert installed(all_peers()["numpy"])


@pytest.mark.slow
def test_a_race_in_processes(small_digits):
    """NumPy against itself in effect: the protocol, the refusals, the circumstances."""
    (numpy,) = race("W1", start_all(["numpy"], 1, small_digits), threads=1, repeats=3, seconds=0.01)
    assert len(numpy.repeats_us) == 3 and min(numpy.repeats_us) > 0 and numpy.steps >= 1
    assert numpy.values[0] == pytest.approx(0.0767, abs=1e-3) and numpy.first_step_s > 0
    assert any("1 threads" in pool or "unknown" in pool for pool in numpy.pools)
    (refused,) = race("W0", start_all(["numpy"], 1, small_digits), threads=1, repeats=1, seconds=0.01)
    assert refused.us is None and not refused.failed and refused.note == "no automatic differentiation"


@pytest.mark.slow
def test_a_dead_process_is_a_note(small_digits):
    contender = Contender(Process("numpy", 1, small_digits), "numpy", "W1", 1)
    contender.ask("check")
    contender.process.running.kill()
    contender.process.running.wait()
    with pytest.raises(Refused, match="the process ended during 'time'"):
        contender.ask("time", steps=1)
    assert contender.ask("check")["values"]  # the next request starts a new one
    contender.process.close()


@pytest.mark.slow
def test_one_process_serves_several_workloads(small_digits):
    processes = start_all(["numpy"], 1, small_digits)
    try:
        values = [
            race(name, processes, threads=1, repeats=1, seconds=0.01, close=False)[0].values
            for name in ("W1", "W2", "W1")
        ]
    finally:
        processes["numpy"].close()
    assert values[0] == values[2] != values[1]


@pytest.mark.slow
def test_everything_is_written(tmp_path, capsys):
    choices = (
        "--workloads W1 --threads 1 --peers numpy --repeats 1 --seconds 0.01 --only steps,startup --core-type both"
    )
    assert main([*choices.split(), "--out", str(tmp_path)]) == 0
    assert "NumPy, written by hand" in capsys.readouterr().out
    stored = json.loads((tmp_path / "benchmark.json").read_text())
    assert stored["steps"][0]["workload"] == "W1" and stored["steps"][0]["us"] > 0
    assert stored["startup"]["imports"]["numpy"]["seconds"] > 0
    assert (tmp_path / "benchmark.md").read_text().startswith("# Benchmarks")


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["W0", "W2", "W4", "W6", "W8"])
def test_libraries_compute_the_same_losses(workload, small_digits):
    """Each library's program is the same mathematics as PyTorch's."""
    pytest.importorskip("torch")
    names = (
        "torch",
        "torch_fused",
        "torch_foreach",
        "tinygrad_edu",
        "tinygrad_edu_recorded",
        "numpy",
        "mygrad",
        "keras",
    )
    processes = start_all([name for name in names if installed(all_peers()[name])], 1, small_digits)
    results = race(workload, processes, threads=1, repeats=1, seconds=0.01)
    assert [found.note for found in results if found.failed] == []


@pytest.mark.slow
def test_single_operations_compute_the_same(small_digits):
    pytest.importorskip("torch")
    processes = start_all(["tinygrad_edu", "torch"], 1, small_digits)
    try:
        for name in KERNELS:
            results = race(name, processes, threads=1, repeats=1, seconds=0.001, close=False)
            assert [(name, found.note) for found in results if found.note] == []
    finally:
        for process in processes.values():
            process.close()


@pytest.mark.slow
def test_curves_are_measured(small_digits):
    pytest.importorskip("torch")
    processes = start_all(["tinygrad_edu", "torch"], 1, small_digits)
    try:
        for curve in CURVES:
            results = race(curve.case(curve.sizes[0]), processes, threads=1, repeats=1, seconds=0.001, close=False)
            assert all(found.us for found in results), [found.note for found in results]
    finally:
        for process in processes.values():
            process.close()
