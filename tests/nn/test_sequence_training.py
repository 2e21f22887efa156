"""Whole trainings on a small text: a character-level LSTM and a tiny transformer learn to continue it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F

pytestmark = pytest.mark.slow

TEXT = (
    "the chain rule takes the slope of what comes after and hands it to what came before. "
    "every step multiplies, every fork adds, and at the end each weight knows which way to go. "
) * 4
LETTERS = sorted(set(TEXT))
CODES = np.array([LETTERS.index(letter) for letter in TEXT])
LENGTH = 24


def batches(count: int, size: int):
    """Random stretches of the text, and the same moved on by one letter."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        starts = rng.integers(len(CODES) - LENGTH - 1, size=size)
        windows = CODES[starts[:, None] + np.arange(LENGTH + 1)]
        yield tg.tensor(windows[:, :-1]), tg.tensor(windows[:, 1:])


class Recurrent(nn.Module):
    """Letters to vectors, an LSTM, and scores for the next letter."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(len(LETTERS), 16)
        self.lstm = nn.LSTM(16, 64, batch_first=True)
        self.scores = nn.Linear(64, len(LETTERS))

    def forward(self, x):
        return self.scores(self.lstm(self.table(x))[0])


class Attentive(nn.Module):
    """Letters and their places to vectors, two layers of attention to what came before, and scores for the next letter."""

    def __init__(self):
        super().__init__()
        self.table, self.places = nn.Embedding(len(LETTERS), 32), nn.Embedding(LENGTH, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(32), enable_nested_tensor=False)
        self.scores = nn.Linear(32, len(LETTERS))

    def forward(self, x):
        length = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.table(x) + self.places(tg.arange(length))
        return self.scores(self.layers(x, mask, is_causal=True))


def train(model, steps: int, rate: float) -> list[float]:
    optimizer = tg.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for x, y in batches(steps, 32):
        loss = F.cross_entropy(model(x).reshape(-1, len(LETTERS)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def continued(model, beginning: str, count: int) -> str:
    """Append the likeliest letter, again and again."""
    model.eval()
    codes = [LETTERS.index(letter) for letter in beginning]
    with tg.no_grad():
        for _ in range(count):
            codes.append(int(model(tg.tensor([codes[-LENGTH:]]))[0, -1].argmax()))
    return "".join(LETTERS[code] for code in codes)


@pytest.mark.parametrize(
    ("make", "steps", "rate"), [(Recurrent, 500, 0.01), (Attentive, 500, 0.003)], ids=["LSTM", "transformer"]
)
def test_learns_the_text(make, steps, rate):
    tg.manual_seed(0)
    model = make()
    losses = train(model, steps, rate)
    assert losses[0] > 0.9 * np.log(len(LETTERS))  # at first all letters are about as likely
    assert np.mean(losses[-20:]) < 0.25
    assert continued(model, TEXT[:LENGTH], 60) == TEXT[: LENGTH + 60]


def test_a_recurrent_network_learns_a_sequence():
    """The next value of a sine, from one value at a time: the state must hold the slope."""
    tg.manual_seed(0)
    wave = np.sin(np.arange(121) * 0.3)
    x, y = (tg.tensor(w.reshape(-1, 1), dtype=tg.float32) for w in (wave[:-1], wave[1:]))
    rnn, out = nn.RNN(1, 12), nn.Linear(12, 1)
    optimizer = tg.optim.Adam([*rnn.parameters(), *out.parameters()], lr=0.01)
    for _ in range(300):
        loss = F.mse_loss(out(rnn(x)[0]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    naive = float(np.mean((wave[1:] - wave[:-1]) ** 2))
    assert loss.item() < 0.05 * naive
