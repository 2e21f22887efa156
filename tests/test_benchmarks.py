"""The benchmarks' own bookkeeping, and one short race without regard to who wins."""

import json

import numpy as np
import pytest

from benchmarks.__main__ import main, parse
from benchmarks.data import load_digits, prepare_digits
from benchmarks.harness import Contender, Refused, Result, agree, race, refuse_differing
from benchmarks.peers import all_peers, installed
from benchmarks.report import losing, markdown, speed_table, speedups
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
    assert WORKLOADS["W4"].for_check() == WORKLOADS["W4"]


def test_agreement():
    assert agree([1.0], [1.00009])
    assert not agree([1.0], [1.00011])
    assert agree([0.0, float("inf")], [0.0, float("inf")])
    assert not agree([float("nan")], [float("nan")])
    assert not agree([1.0], [1.0, 2.0])


def test_a_peer_with_another_loss_is_not_timed():
    contenders = [Contender(peer, "W4", 1, "") for peer in ("numpy", "torch", "jax")]
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


def test_report_states_the_conditions():
    report = {
        "date": "today",
        "digits": "MNIST",
        "repeats": 5,
        "seconds": 0.5,
        "absent": ["MyGrad"],
        "startup": {"torch": {"import_s": 0.8, "peak_mb": None}},
        "machine": {
            "cpu": "a processor",
            "cores": 2,
            "system": "Linux",
            "python": "3.11",
            "packages": {"numpy": "2.4"},
            "exported": {"OPENBLAS_CORETYPE": "Haswell"},
        },
    }
    results = [result("torch", 10, first_step_s=1.0, peak_mb=300.0, pools=["openblas 0.3 Haswell 1 threads"], cores=1)]
    results.append(result("micrograd", note="no arrays"))
    text = markdown(report, results)
    for part in ("`OPENBLAS_CORETYPE=Haswell`", "openblas 0.3 Haswell,"[:-1], "MyGrad: not installed", "W4: no arrays"):
        assert part in text
    assert "1.00 s, 300 MB" in text and "0.800 s | ? |" in text


def test_command_line_names_what_exists(capsys):
    options = parse(["--workloads", "W0,W4", "--peers", "all", "--threads", "1"])
    assert options.workloads == ["W0", "W4"] and options.threads == [1] and options.peers == list(all_peers())
    for wrong in (["--workloads", "W77"], ["--threads", "0"], ["--threads", "4096"], ["--repeats", "0"]):
        with pytest.raises(SystemExit):
            parse(wrong)
    assert "unknown workload 'W77'; choose from W0, W1" in capsys.readouterr().err


def test_peers_are_found_and_ours_comes_first():
    assert next(iter(all_peers())) == "tinygrad_edu"
    assert {"torch", "torch_fused", "jax", "jax_scan", "mygrad", "micrograd", "numpy", "autograd"} < set(all_peers())
    assert installed(all_peers()["numpy"])


@pytest.mark.slow
def test_a_race_in_processes(small_digits):
    """NumPy against itself in effect: the protocol, the refusals, the circumstances."""
    (numpy,) = race("W1", ["numpy"], threads=1, repeats=3, seconds=0.01, folder=small_digits)
    assert len(numpy.repeats_us) == 3 and min(numpy.repeats_us) > 0 and numpy.steps >= 1
    assert numpy.values[0] == pytest.approx(0.0767, abs=1e-3) and numpy.first_step_s > 0
    assert any("1 threads" in pool or "unknown" in pool for pool in numpy.pools)
    (refused,) = race("W0", ["numpy"], threads=1, repeats=1, seconds=0.01, folder=small_digits)
    assert refused.us is None and not refused.failed and refused.note == "no automatic differentiation"


@pytest.mark.slow
def test_a_dead_process_is_a_note(small_digits):
    contender = Contender("numpy", "W1", 1, small_digits)
    contender.ask("check")
    contender.process.kill()
    contender.process.wait()
    with pytest.raises(Refused, match="the process ended during 'time'"):
        contender.ask("time", steps=1)
    contender.close()


@pytest.mark.slow
def test_everything_is_written(tmp_path, capsys):
    assert (
        main(["--workloads", "W1", "--peers", "numpy", "--repeats", "1", "--seconds", "0.01", "--out", str(tmp_path)])
        == 0
    )
    assert "NumPy, written by hand" in capsys.readouterr().out
    stored = json.loads((tmp_path / "benchmark.json").read_text())
    assert stored["results"][0]["workload"] == "W1" and stored["results"][0]["us"] > 0
    assert (tmp_path / "benchmark.md").read_text().startswith("# Benchmarks")


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["W0", "W2", "W4", "W6", "W8"])
def test_libraries_compute_the_same_losses(workload, small_digits):
    """Each library's program is the same mathematics as PyTorch's."""
    pytest.importorskip("torch")
    peers = [
        name for name in ("torch", "torch_fused", "tinygrad_edu", "numpy", "mygrad") if installed(all_peers()[name])
    ]
    results = race(workload, peers, threads=1, repeats=1, seconds=0.01, folder=small_digits)
    assert [found.note for found in results if found.failed] == []
