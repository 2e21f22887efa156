"""Weight and spectral normalization by hooks, the older forms: against PyTorch, step by step."""

import copy
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg

torch = pytest.importorskip("torch")
rng = np.random.default_rng(2)
IMAGES = rng.normal(size=(2, 3, 5, 5))
ROWS = rng.normal(size=(6, 4))
STEPS = rng.normal(size=(5, 2, 4))
CASES = [
    ("weight_norm", lambda nn: nn.Linear(4, 3), {}, ROWS),
    ("weight_norm", lambda nn: nn.Linear(4, 3), {"dim": None}, ROWS),
    ("weight_norm", lambda nn: nn.Linear(4, 3), {"dim": 1}, ROWS),
    ("weight_norm", lambda nn: nn.Conv2d(3, 2, 3), {}, IMAGES),
    ("weight_norm", lambda nn: nn.LSTM(4, 3, 2), {"name": "weight_hh_l0"}, STEPS),
    ("spectral_norm", lambda nn: nn.Linear(4, 3), {}, ROWS),
    ("spectral_norm", lambda nn: nn.Conv2d(3, 2, 3), {"n_power_iterations": 3}, IMAGES),
    ("spectral_norm", lambda nn: nn.ConvTranspose2d(3, 2, 3), {}, IMAGES),
    ("spectral_norm", lambda nn: nn.GRU(4, 3), {"name": "weight_ih_l0"}, STEPS),
]


def normalized(lib, kind, build, options):
    lib.manual_seed(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(lib.nn.utils, kind)(build(lib.nn), **options)


def array(tensor):
    return np.array(tensor.detach().numpy())


def states(layer):
    return {key: array(value) for key, value in layer.state_dict().items()}


def train(lib, layer, x, steps=3):
    """Train a few steps, then run in evaluation mode; return everything on the way."""
    optimizer, seen = lib.optim.SGD(layer.parameters(), lr=0.1), []
    for step in range(steps + 1):
        layer.train(step < steps)
        out = layer(lib.tensor(x.astype(np.float32)))
        out = out[0] if isinstance(out, tuple) else out
        seen.append(array(out))
        optimizer.zero_grad()
        (out * out).mean().backward()
        optimizer.step()
    return seen


@pytest.mark.parametrize(("kind", "build", "options", "x"), CASES)
def test_training_and_removal_go_as_in_torch(kind, build, options, x):
    layers = [normalized(lib, kind, build, options) for lib in (tg, torch)]
    before = [states(layer) for layer in layers]
    assert list(before[0]) == list(before[1])
    for key in before[0]:
        np.testing.assert_allclose(before[0][key], before[1][key], rtol=1e-5, atol=1e-6)
    assert [n for n, _ in layers[0].named_parameters()] == [n for n, _ in layers[1].named_parameters()]
    paths = [train(lib, layer, x) for lib, layer in zip((tg, torch), layers, strict=True)]
    np.testing.assert_allclose(*map(np.array, paths), rtol=1e-4, atol=1e-5)
    for lib, layer in zip((tg, torch), layers, strict=True):
        getattr(lib.nn.utils, f"remove_{kind}")(layer, options.get("name", "weight"))
    after = [states(layer) for layer in layers]
    assert list(after[0]) == list(after[1])
    for key in after[0]:
        np.testing.assert_allclose(after[0][key], after[1][key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_a_state_of_torchs_is_loaded(kind):
    ours, theirs = (normalized(lib, kind, lambda nn: nn.Linear(4, 3), {}) for lib in (tg, torch))
    train(torch, theirs, ROWS)
    ours.load_state_dict(states(theirs))
    expected = array(theirs.eval()(torch.tensor(ROWS, dtype=torch.float32)))
    np.testing.assert_allclose(array(ours.eval()(tg.tensor(ROWS, dtype=tg.float32))), expected, rtol=1e-5, atol=1e-6)


def test_copies_are_independent():
    first = normalized(tg, "spectral_norm", lambda nn: nn.Linear(4, 3), {})
    second = copy.deepcopy(first)
    before = states(second)
    train(tg, first, ROWS)
    for key, value in states(second).items():
        np.testing.assert_array_equal(value, before[key])
    np.testing.assert_array_equal(train(tg, second, ROWS), train(tg, copy_of_the_start(), ROWS))


def copy_of_the_start():
    return normalized(tg, "spectral_norm", lambda nn: nn.Linear(4, 3), {})


def test_refusals():
    for lib in (tg, torch):
        for kind in ("weight_norm", "spectral_norm"):
            with pytest.raises(ValueError, match="not found in"):
                getattr(lib.nn.utils, f"remove_{kind}")(lib.nn.Linear(2, 2))
            layer = normalized(lib, kind, lambda nn: nn.Linear(2, 2), {})
            with pytest.raises((RuntimeError, ValueError, KeyError)), warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                getattr(lib.nn.utils, kind)(layer)
        with pytest.warns(FutureWarning, match=r"deprecated in favor of .*parametrizations\.weight_norm"):
            lib.nn.utils.weight_norm(lib.nn.Linear(2, 2))
        with pytest.raises(ValueError, match="to be positive"):
            lib.nn.utils.spectral_norm(lib.nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises(ValueError, match="Linear has no parameter `bias` to normalize"):
        tg.nn.utils.spectral_norm(tg.nn.Linear(2, 2, bias=False), "bias")
