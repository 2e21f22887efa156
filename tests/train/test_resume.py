"""A run that was interrupted and taken up again ends with the bits of one that was not."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.train import runs
from tinygrad_edu import nn, optim
from tinygrad_edu.train import Callback, CSVLog, fit
from tinygrad_edu.utils.data import DataLoader, TensorDataset
from tinygrad_edu.utils.serialization import CheckpointError


@functools.cache
def uninterrupted(**options) -> dict:
    return runs.everything(*runs.run(**options))


class Interruption(Exception):
    pass


class BreakOff(Callback):
    """Break off after so many batches, where a crash would."""

    def __init__(self, batches: int):
        self.batches = batches

    def after_batch(self, training, loss):
        if training.batches == self.batches:
            raise Interruption


def same(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype and np.array_equal(value, second[name], equal_nan=True), name


@pytest.mark.parametrize(
    "options", [{}, {"workers": 2}, {"generator": True}, {"workers": 1, "generator": True}, {"every": 1}], ids=str
)
@pytest.mark.parametrize("batches", [1, 15, 23, 44])
def test_a_resumed_run_ends_bit_equal(tmp_path, options, batches):
    whole = uninterrupted(**{k: v for k, v in options.items() if k != "every"})
    path = tmp_path / "run.safetensors"
    with pytest.raises(Interruption):
        runs.run(path, callbacks=[BreakOff(batches)], **options)
    same(whole, runs.everything(*runs.run(path, resume=True, **options)))


def test_it_may_be_interrupted_again_and_again(tmp_path):
    path = tmp_path / "run.safetensors"
    for batches in (5, 11, 12, 31, 47):
        with pytest.raises(Interruption):
            runs.run(path, resume=True, callbacks=[BreakOff(batches)])
    same(uninterrupted(), runs.everything(*runs.run(path, resume=True)))


def test_writing_checkpoints_changes_nothing(tmp_path):
    same(uninterrupted(), runs.everything(*runs.run(tmp_path / "run.safetensors", every=2)))


def test_a_finished_run_is_not_trained_again_and_may_be_continued(tmp_path):
    path = tmp_path / "run.safetensors"
    _, _, history = line(path, epochs=2)
    trained = []
    again = line(path, epochs=2, resume=True, after_epoch=trained.append)
    assert trained == [] and again[2].epochs == history.epochs
    _, _, longer = line(path, epochs=3, resume=True, after_epoch=trained.append)
    assert [epoch.number for epoch in trained] == [3] and len(longer.epochs) == 3


def line(path, *, optimizer=None, scheduler=None, resume=False, **options):
    """Fit a line to points on one."""
    tg.manual_seed(1)
    x = tg.linspace(-1, 1, 24).reshape(24, 1)
    model = nn.Linear(1, 1)
    optimizer = (optimizer or (lambda p: optim.SGD(p, lr=0.1)))(model.parameters())
    schedule = None if scheduler is None else scheduler(optimizer)
    loader = DataLoader(TensorDataset(x, 2 * x + 1), batch_size=4, shuffle=True)
    history = fit(
        model, loader, nn.MSELoss(), optimizer, progress=False, scheduler=schedule, checkpoint=path, resume=resume, **options
    )  # fmt: skip
    return model, optimizer, history


OPTIMIZERS = [
    optim.SGD, optim.RMSprop, optim.Adam, optim.AdamW, optim.Adagrad, optim.Adadelta, optim.Adamax, optim.NAdam, optim.RAdam,
    optim.ASGD, optim.Rprop,
]  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_every_optimizer(tmp_path, kind):
    options = {"optimizer": lambda p: kind(p, lr=0.05), "epochs": 2, "checkpoint_every": 1}
    whole = runs.everything(*line(tmp_path / "whole.safetensors", **options))
    path = tmp_path / "run.safetensors"
    with pytest.raises(Interruption):
        line(path, callbacks=[BreakOff(9)], **options)
    same(whole, runs.everything(*line(path, resume=True, **options)))


SCHEDULES = {
    "step": lambda o: optim.lr_scheduler.StepLR(o, 1, gamma=0.5),
    "steps": lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 2, 2], gamma=0.5),
    "function": lambda o: optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "factors": lambda o: optim.lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "constant": lambda o: optim.lr_scheduler.ConstantLR(o, total_iters=2),
    "linear": lambda o: optim.lr_scheduler.LinearLR(o, total_iters=2),
    "exponential": lambda o: optim.lr_scheduler.ExponentialLR(o, 0.7),
    "polynomial": lambda o: optim.lr_scheduler.PolynomialLR(o, total_iters=4, power=2.0),
    "plateau": lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=10.0),
    "warm-up": lambda o: optim.lr_scheduler.SequentialLR(
        o, [optim.lr_scheduler.LinearLR(o), optim.lr_scheduler.ExponentialLR(o, 0.7)], milestones=[1]
    ),
    "together": lambda o: optim.lr_scheduler.ChainedScheduler(
        [optim.lr_scheduler.ConstantLR(o), optim.lr_scheduler.ExponentialLR(o, 0.7)]
    ),
    "cosine": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, T_max=3),
    "restarts": lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2),
    "cycle": lambda o: optim.lr_scheduler.CyclicLR(o, 0.01, 0.1),
    "one cycle": lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=4),
}


def test_every_schedule_is_among_them():
    def kinds(scheduler) -> set[str]:
        parts = getattr(scheduler, "_schedulers", ())
        return {type(scheduler).__name__}.union(*map(kinds, parts))

    tried = set().union(*(kinds(make(optim.SGD([tg.zeros(1, requires_grad=True)]))) for make in SCHEDULES.values()))
    base = optim.lr_scheduler.LRScheduler
    public = {n for n, kind in vars(optim.lr_scheduler).items() if isinstance(kind, type) and issubclass(kind, base)}
    assert public - {"LRScheduler", "_LRScheduler"} == tried


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_kind_of_schedule(tmp_path, name):
    options = {"scheduler": SCHEDULES[name], "epochs": 3, "checkpoint_every": 2}
    whole = line(tmp_path / "whole.safetensors", **options)
    assert len(set(whole[2].rate)) > 1, "the schedule does nothing, so this shows nothing"
    path = tmp_path / "run.safetensors"
    with pytest.raises(Interruption):
        line(path, callbacks=[BreakOff(15)], **options)
    same(runs.everything(*whole), runs.everything(*line(path, resume=True, **options)))


def test_without_a_file_it_starts_at_the_beginning(tmp_path):
    same(
        runs.everything(*line(tmp_path / "a", epochs=1)), runs.everything(*line(tmp_path / "b", epochs=1, resume=True))
    )


def test_a_table_may_be_added_when_going_on(tmp_path):
    path = tmp_path / "run.safetensors"
    line(path, epochs=1)
    line(path, epochs=2, resume=True, callbacks=[CSVLog(tmp_path / "run.csv")])
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 3


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    tg.save({"weight": tg.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r"holds no training run.*Fix"):
        line(path, resume=True)
    path.write_bytes(b"half a fi")
    with pytest.raises(CheckpointError, match="E504"):
        line(path, resume=True)
    line(path, epochs=1)
    with pytest.raises(CheckpointError, match=r"had history, model, optimizer, this one has .*scheduler"):
        line(path, resume=True, scheduler=SCHEDULES["step"])


def test_less_data_than_then_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(Interruption):
        line(path, checkpoint_every=4, callbacks=[BreakOff(5)])
    model = nn.Linear(1, 1)
    loader = DataLoader(TensorDataset(tg.ones(8, 1), tg.ones(8, 1)), batch_size=4)
    with pytest.raises(CheckpointError, match=r"broke off after batch 4 of an epoch, but the loader gives only 2"):
        fit(
            model,
            loader,
            nn.MSELoss(),
            optim.SGD(model.parameters(), lr=0.1),
            progress=False,
            checkpoint=path,
            resume=True,
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resume": True}, "need a file"),
        ({"checkpoint_every": 3}, "need a file"),
        ({"checkpoint": "run", "checkpoint_every": 0}, "at least 1"),
        ({"scheduler_every": "step"}, "'epoch' or 'batch'"),
        ({"scheduler_every": "batch"}, "needs a schedule"),
        ({"epochs": -1}, "negative"),
    ],
)
def test_contradictions_are_refused(options, says):
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=says):
        fit(model, [], nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), progress=False, **options)


def test_what_cannot_be_taken_up_again_is_refused(tmp_path):
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    data = TensorDataset(tg.ones(4, 1), tg.ones(4, 1))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        fit(model, DataLoader(data), nn.MSELoss(), optimizer, checkpoint=tmp_path / "missing" / "run")
    lasting = DataLoader(data, num_workers=1, persistent_workers=True)
    with pytest.raises(ValueError, match="persistent_workers"):
        fit(model, lasting, nn.MSELoss(), optimizer, checkpoint=tmp_path / "run")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_at_random_moments_it_ends_bit_equal(tmp_path):
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def start(folder: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "tests.train.runs", str(folder)], env=environment)

    assert start(folders[0]).wait(300) == 0
    moments, killed = random.Random(), 0
    while killed < 4:
        process = start(folders[1])
        file = folders[1] / "run.safetensors"
        before, patience = file.stat().st_mtime_ns if file.exists() else 0, time.monotonic() + 120
        while process.poll() is None and time.monotonic() < patience:
            if file.exists() and file.stat().st_mtime_ns != before:  # it is training: now at any moment
                time.sleep(moments.uniform(0, 0.25))
                break
        process.send_signal(signal.SIGKILL)
        if process.wait(60) != -signal.SIGKILL:
            break  # it was faster
        killed += 1
    assert killed, "the run ended before it could be killed"
    assert start(folders[1]).wait(300) == 0
    ends = [{n: t.numpy() for n, t in tg.load(folder / "end.safetensors").items()} for folder in folders]
    same(*ends)
    best = [tg.load(folder / "best.safetensors") for folder in folders]
    same(*({n: t.numpy() for n, t in state.items()} for state in best))
