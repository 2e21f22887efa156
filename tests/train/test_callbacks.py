"""Stopping early, keeping the best, tables, TensorBoard."""

import csv
import sys
import types

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.train import runs
from tinygrad_edu import nn, optim
from tinygrad_edu.train import (
    Callback,
    CSVLog,
    EarlyStopping,
    Epoch,
    History,
    ModelCheckpoint,
    TensorBoard,
    Training,
    fit,
)
from tinygrad_edu.utils.serialization import notes_of


def training() -> Training:
    return Training(nn.Linear(2, 1), None, History())


def feed(callback, values, monitor="validation_loss") -> list[bool]:
    """Show a callback one epoch after the other; returns whether the training was to stop after each."""
    state, stops = training(), []
    for number, value in enumerate(values, start=1):
        figures = {"loss": 1.0, "accuracy": 0.5, "seconds": 1.0, monitor: value}
        callback.after_epoch(state, Epoch(number, **figures))
        stops.append(state.stop)
    return stops


def test_early_stopping_waits_as_long_as_it_should():
    values = [3.0, 2.0, 2.5, 2.1, 1.9, 1.95, 1.96, 1.97]
    assert feed(EarlyStopping(patience=3), values) == [False] * 7 + [True]
    assert feed(EarlyStopping(patience=2), values) == [False] * 3 + [True] * 5


@pytest.mark.parametrize(("min_delta", "last"), [(0.0, False), (0.2, True)])
def test_small_improvements_may_not_count(min_delta, last):
    assert feed(EarlyStopping(patience=2, min_delta=min_delta), [1.0, 0.9, 0.85])[-1] is last


def test_accuracies_should_rise():
    assert feed(EarlyStopping("accuracy", patience=2), [0.5, 0.6, 0.55, 0.5], "accuracy") == [False, False, False, True]
    assert feed(EarlyStopping("accuracy", patience=2, mode="min"), [0.5, 0.6, 0.55], "accuracy") == [False, False, True]


def test_nan_is_no_improvement():
    assert feed(EarlyStopping(patience=2), [1.0, np.nan, np.nan]) == [False, False, True]
    assert feed(EarlyStopping(patience=2), [np.nan, np.nan]) == [False, True]


def test_the_best_parameters_come_back():
    class Spoil(Callback):
        """Make the loss worse and worse after the second epoch."""

        def after_epoch(self, training, epoch):
            if epoch.number == 2:
                self.best = {n: v.clone() for n, v in training.model.state_dict().items()}
            if epoch.number >= 2:
                for parameter in training.model.parameters():
                    parameter.data.mul_(-3.0)

    spoil = Spoil()
    stopping = EarlyStopping(patience=3, restore_best=True)
    model = runs.network()
    images = runs.digits(200)
    loader = tg.utils.data.DataLoader(images, batch_size=50)
    history = fit(
        model, loader, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.0), epochs=10, validation_loader=loader,
        progress=False, callbacks=[stopping, spoil],
    )  # fmt: skip
    assert len(history.epochs) < 10
    best = history.best("validation_loss")
    loss, _ = tg.train.evaluate(model, loader, nn.CrossEntropyLoss())
    assert loss == best.validation_loss


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: EarlyStopping("loss of weight"), "monitor must be one of loss, accuracy"),
        (lambda: EarlyStopping(patience=0), "patience"),
        (lambda: EarlyStopping(mode="least"), "mode"),
        (lambda: EarlyStopping(min_delta=-1.0), "min_delta"),
        (lambda: TensorBoard("runs", every=-1), "every"),
    ],
)
def test_bad_arguments(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_missing_figure_is_named():
    with pytest.raises(ValueError, match=r"the epochs have no validation_loss. Fix: fit\(\.\.\., validation_loader="):
        feed(EarlyStopping(), [None])


def test_model_checkpoint_keeps_the_best(tmp_path):
    keep = ModelCheckpoint(tmp_path / "best.safetensors")
    state = training()
    written = []
    for number, loss in enumerate([3.0, 1.0, 2.0], start=1):
        state.model.weight.data.fill_(float(number))
        keep.after_epoch(state, Epoch(number, 1.0, 0.5, 1.0, loss, 0.5))
        written.append(notes_of(tmp_path / "best.safetensors")["epoch"])
    assert written == ["1", "2", "2"]
    keep.load_into(state.model)
    assert state.model.weight.tolist() == [[2.0, 2.0]]
    assert float(notes_of(keep.written)["validation_loss"]) == 1.0


def test_model_checkpoint_of_every_epoch(tmp_path):
    keep = ModelCheckpoint(tmp_path / "net-{epoch}.safetensors", best_only=False)
    feed(keep, [None, None])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net-1.safetensors", "net-2.safetensors"]
    with pytest.raises(ValueError, match="nothing was written"):
        ModelCheckpoint(tmp_path / "x").load_into(nn.Linear(1, 1))


def test_csv_log(tmp_path):
    _, _, history = runs.run(epochs=2, callbacks=[CSVLog(tmp_path / "run.csv")])
    with open(tmp_path / "run.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.loss
    assert [int(row["number"]) for row in rows] == [1, 2]
    assert list(rows[0]) == list(Epoch.__dataclass_fields__)


def test_every_moment_is_announced():
    seen = []

    class Listener(Callback):
        def before_training(self, training):
            seen.append("before")

        def after_batch(self, training, loss):
            assert loss.item() > 0
            seen.append(training.batches)

        def after_epoch(self, training, epoch):
            assert training.history.epochs[-1] is epoch
            seen.append(f"epoch {epoch.number}")
            training.stop = epoch.number == 2

        def after_training(self, training):
            seen.append("after")

    runs.run(callbacks=[Listener()])
    assert seen == ["before", *range(1, 16), "epoch 1", *range(16, 31), "epoch 2", "after"]


def test_tensorboard_logs(monkeypatch, tmp_path):
    logged, closed = [], []

    class Writer:
        def __init__(self, folder):
            assert folder == str(tmp_path)

        def add_scalar(self, name, value, step):
            logged.append((name, value, step))

        def flush(self):
            pass

        def close(self):
            closed.append(True)

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    _, _, history = runs.run(epochs=2, callbacks=[TensorBoard(tmp_path, every=10)])
    assert [step for name, _, step in logged if name == "batch/loss"] == [10, 20, 30]
    assert [(value, step) for name, value, step in logged if name == "loss/validation"] == [
        (value, epoch) for epoch, value in enumerate(history.validation_loss, start=1)
    ]
    assert closed == [True]


def test_tensorboard_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"Fix: pip install tensorboardX, or .*CSVLog"):
        TensorBoard().before_training(training())


def test_real_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    runs.run(epochs=1, callbacks=[TensorBoard(tmp_path)])
    assert any("tfevents" in path.name for path in tmp_path.iterdir())
