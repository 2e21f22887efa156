"""Every optimizer goes on from a saved file as if it had never stopped: bit for bit, the second-order methods included."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim

CASES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "maximize": True}),
    ("RMSprop", {"centered": True, "momentum": 0.3}),
    ("Adagrad", {"lr": 0.3, "lr_decay": 0.1}),
    ("Adadelta", {"lr": 0.5}),
    ("Adamax", {"lr": 0.05}),
    ("NAdam", {"lr": 0.05}),
    ("RAdam", {"lr": 0.05}),
    ("Rprop", {"lr": 0.05}),
    ("ASGD", {"lr": 0.1, "t0": 3}),
    ("Adafactor", {"lr": 0.05}),
    ("Muon", {"lr": 0.05}),
    ("LBFGS", {"max_iter": 3, "history_size": 4}),
    ("LBFGS", {"max_iter": 4, "line_search_fn": "strong_wolfe"}),
    ("BFGS", {}),
    ("DFP", {}),
    ("ConjugateGradient", {}),
    ("ConjugateGradient", {"beta": "fletcher-reeves", "restart": 4}),
    ("Newton", {"damping": 0.1}),
    ("LevenbergMarquardt", {}),
]


def start(name, dtype):
    rng = np.random.default_rng(7)
    shapes = [(3, 4), (4, 2)] if name == "Muon" else [(3, 4), (4,), ()]
    return [tg.tensor(rng.normal(size=shape).astype(dtype), requires_grad=True) for shape in shapes]


def residuals(weights):
    x = tg.tensor(np.random.default_rng(3).normal(size=(6, 3)), dtype=weights[0].dtype)
    hidden = tg.tanh(x @ weights[0])
    for weight in weights[1:]:
        hidden = hidden @ weight if weight.ndim == 2 else hidden + weight
    return hidden - 0.5


def advance(optimizer, weights, steps):
    """Take some steps, and return where they lead."""

    def closure():
        left = residuals(weights)
        if isinstance(optimizer, optim.LevenbergMarquardt):
            return left.reshape(-1)
        loss = (left * left).mean() + 0.01 * (weights[0] * weights[0]).sum()
        if not isinstance(optimizer, optim.Newton):
            optimizer.zero_grad()
            loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return [w.detach().numpy().copy() for w in weights]


@pytest.mark.parametrize("through", ["file", "dict"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_a_saved_state_goes_on_bit_equal(tmp_path, name, options, dtype, through):
    make = getattr(optim, name)
    weights = start(name, dtype)
    whole = make(weights, **options)
    halfway = [tg.tensor(values, requires_grad=True) for values in advance(whole, weights, 4)]
    state = whole.state_dict()
    if through == "file":
        state = tg.load(tg.save(state, tmp_path / "state.safetensors"))
        expected = advance(whole, weights, 4)
    resumed = make(halfway, **{k: v for k, v in options.items() if k == "line_search_fn"})
    resumed.load_state_dict(state)
    if through == "dict":  # what was loaded is a copy: the first optimizer goes on without disturbing the second
        expected = advance(whole, weights, 4)
    before = [w.detach().numpy().copy() for w in halfway]
    for mine, theirs in zip(advance(resumed, halfway, 4), expected, strict=True):
        assert mine.dtype == theirs.dtype == dtype
        np.testing.assert_array_equal(mine, theirs)
    assert any((a != b).any() for a, b in zip(before, expected, strict=True)), "nothing moved, so this shows nothing"


def test_every_optimizer_has_a_case():
    kinds = {
        n for n in dir(optim) if isinstance(getattr(optim, n), type) and issubclass(getattr(optim, n), optim.Optimizer)
    }
    assert kinds - {"Optimizer"} == {name for name, _ in CASES}
