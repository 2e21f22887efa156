"""The loop itself, what it reports, and the measures."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

import tinygrad_edu as tg
from tests.train import runs
from tinygrad_edu import nn, optim
from tinygrad_edu.nn import functional as F
from tinygrad_edu.train import Epoch, History, accuracy, confusion_matrix, evaluate, fit, predict, top_k_accuracy
from tinygrad_edu.utils.data import DataLoader, IterableDataset, TensorDataset


def test_fit_is_the_loop_one_writes_by_hand():
    data = runs.digits(100)

    def make():
        tg.manual_seed(3)
        model = runs.network()
        return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), DataLoader(data, batch_size=30, shuffle=True)

    model, optimizer, loader = make()
    losses, right = [], 0
    for _ in range(2):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            outputs = model(x)
            loss = F.cross_entropy(outputs, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            right += int((outputs.argmax(1) == y).sum())
        losses.append(total / 100)
    other, optimizer, loader = make()
    history = fit(other, loader, F.cross_entropy, optimizer, epochs=2, progress=False)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert np.array_equal(mine.detach().numpy(), theirs.detach().numpy())
    assert history.loss == losses
    assert sum(history.accuracy) == pytest.approx(right / 100)
    assert history.number == [1, 2] and history.validation_loss == [None, None] and history.rate == [0.1, 0.1]


def test_evaluate_uses_evaluation_mode_and_leaves_the_mode_as_it_was():
    tg.manual_seed(0)
    model, data = runs.network(), runs.digits(90)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (evaluate(model, DataLoader(data, batch_size=40), F.cross_entropy) for _ in range(2))
    assert first == second and model.training
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    outputs, targets = predict(model, DataLoader(data, batch_size=40))
    assert not outputs.requires_grad and model.training
    assert first[0] == pytest.approx(F.cross_entropy(outputs, targets).item(), rel=1e-5)
    assert first[1] == pytest.approx(accuracy(outputs, targets))


def test_regression_has_no_accuracy():
    x = tg.linspace(-1, 1, 20).reshape(20, 1)
    model = nn.Linear(1, 1)
    loader = DataLoader(TensorDataset(x, 3 * x), batch_size=5)
    history = fit(
        model, loader, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.5), epochs=30, validation_loader=loader, progress=False
    )  # fmt: skip
    assert history.accuracy == [None] * 30 and history.loss[-1] < 1e-3
    assert str(history.epochs[0]).count("accuracy") == 0


def test_the_rate_follows_the_schedule():
    for every, expected in (("epoch", [1.0, 0.5, 0.25]), ("batch", [0.25, 0.0625, 0.015625])):
        model = nn.Linear(1, 1)
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        data = TensorDataset(tg.zeros(4, 1), tg.zeros(4, 1))
        history = fit(
            model, DataLoader(data, batch_size=2), nn.MSELoss(), optimizer, epochs=3, scheduler=schedule, scheduler_every=every,
            progress=False,
        )  # fmt: skip
        assert history.rate == expected


def test_a_plateau_is_judged_by_the_validation_loss():
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
    data = TensorDataset(tg.ones(4, 1), tg.zeros(4, 1))
    seen = []
    schedule.step = seen.append  # type: ignore[method-assign]
    history = fit(
        model, DataLoader(data), nn.MSELoss(), optimizer, epochs=2, scheduler=schedule, progress=False,
        validation_loader=DataLoader(TensorDataset(tg.ones(2, 1), tg.full((2, 1), 9.0))),
    )  # fmt: skip
    assert seen == history.validation_loss and seen != history.loss
    with pytest.raises(ValueError, match="looks at epochs"):
        fit(model, DataLoader(data), nn.MSELoss(), optimizer, scheduler=schedule, scheduler_every="batch")


def test_no_batches():
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="the loader gave no batches"):
        fit(model, [], nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    with pytest.raises(ValueError, match="the loader gave no batches"):
        predict(model, [])


def test_the_bar_shows_loss_and_accuracy(capsys, monkeypatch):
    import tqdm.auto

    monkeypatch.setattr(tqdm.auto, "tqdm", functools.partial(tqdm.auto.tqdm, mininterval=0, miniters=1))
    model = runs.network()
    fit(model, DataLoader(runs.digits(60), batch_size=20), F.cross_entropy, optim.SGD(model.parameters(), lr=0.1))
    shown = capsys.readouterr().err
    assert "epoch 1/1" in shown and "3/3" in shown and "loss=" in shown and "accuracy=" in shown


def test_the_bar_changes_nothing(capsys):
    losses = []
    for progress in (False, True):
        tg.manual_seed(0)
        model = runs.network()
        loader = DataLoader(runs.digits(60), batch_size=20, shuffle=True)
        losses.append(
            fit(model, loader, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1), progress=progress).loss
        )
    assert losses[0] == losses[1]


def test_streams_and_generators_have_no_length(tmp_path, capsys):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(tg.ones(1), tg.ones(1))] * 6)

    class Batches:
        def __iter__(self):
            return iter([(tg.ones(2, 1), tg.ones(2, 1))] * 3)

    for loader in (DataLoader(Stream(), batch_size=2), Batches()):
        tg.manual_seed(0)
        model = nn.Linear(1, 1)
        history = fit(
            model, loader, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), epochs=2, checkpoint=tmp_path / "run",
            checkpoint_every=1,
        )  # fmt: skip
        assert history.loss[1] < history.loss[0]
    assert "epoch 2/2: 0batch" in capsys.readouterr().err


def test_history_in_words_and_by_name(tmp_path):
    history = History([Epoch(1, 0.5, 0.75, 2.0, 0.25, 0.875), Epoch(2, 0.4, 0.8, 2.0, 0.3, 0.9)])
    assert (
        str(history.epochs[0])
        == "epoch 1: loss 0.5000, accuracy 75.00%; validation loss 0.2500, accuracy 87.50% (2.0 s)"
    )
    assert history.best().number == 1 and history.best("validation_accuracy", "max").number == 2
    with pytest.raises(AttributeError, match="it has epochs and number, loss"):
        _ = history.losses
    with pytest.raises(ValueError, match="no epoch has a rate"):
        history.best("rate")
    copy = History()
    copy.load_state_dict(history.state_dict())
    assert copy == history


scores = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.permutations(range(5)), min_size=n, max_size=n), st.lists(st.integers(0, 4), min_size=n, max_size=n)
    )
)


@given(scores, st.integers(1, 4))
def test_measures_equal_scikit_learns(drawn, k):
    outputs, targets = (np.array(values) for values in drawn)
    ours, labels = tg.tensor(outputs.astype(np.float32)), tg.tensor(targets)
    assert accuracy(ours, labels) == pytest.approx(oracle.accuracy_score(targets, outputs.argmax(1)))
    assert top_k_accuracy(ours, labels, k) == pytest.approx(
        oracle.top_k_accuracy_score(targets, outputs, k=k, labels=range(5))
    )
    expected = oracle.confusion_matrix(targets, outputs.argmax(1), labels=range(5))
    assert np.array_equal(confusion_matrix(ours, labels).numpy(), expected)
    assert np.array_equal(confusion_matrix(ours.argmax(1), labels, classes=5).numpy(), expected)


def test_of_equal_scores_the_earlier_counts_as_greater():
    tied = tg.zeros(3, 4)
    assert top_k_accuracy(tied, tg.tensor([0, 1, 2]), k=2) == pytest.approx(2 / 3)
    assert accuracy(tied, tg.tensor([0, 1, 0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: accuracy(tg.zeros(3), tg.zeros(3, dtype=tg.int64)), "N, C"),
        (lambda: accuracy(tg.zeros(3, 2), tg.zeros(2, dtype=tg.int64)), "N, C"),
        (lambda: accuracy(tg.zeros(3, 2), tg.zeros(3)), "float32 targets"),
        (lambda: accuracy(tg.zeros(0, 2), tg.zeros(0, dtype=tg.int64)), "N > 0"),
        (lambda: top_k_accuracy(tg.zeros(3, 2), tg.zeros(3, dtype=tg.int64), k=3), "between 1 and 2"),
        (lambda: confusion_matrix(tg.zeros(3), tg.zeros(3, dtype=tg.int64)), "class ids"),
        (lambda: confusion_matrix(tg.tensor([3]), tg.tensor([0]), classes=2), "between 0 and 1"),
        (lambda: confusion_matrix(tg.tensor([-1]), tg.tensor([0])), "between 0 and 0"),
    ],
)
def test_measures_refuse(call, says):
    with pytest.raises(ValueError, match=says):
        call()
