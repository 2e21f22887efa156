"""Pruning against PyTorch's: the same masks, outputs, gradients and names, pruned once, again, together and for good."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.nn.utils import prune as ours_of_prune

torch = pytest.importorskip("torch")
from torch.nn.utils import prune as torchs_prune  # noqa: E402 - only where torch is installed

PRUNE = {tg: ours_of_prune, torch: torchs_prune}
INF = float("inf")
ONE_STEP = [
    [("identity", {})],
    [("l1_unstructured", {"amount": 0.3})],
    [("l1_unstructured", {"amount": 7})],
    [("l1_unstructured", {"amount": 0})],
    [("random_unstructured", {"amount": 0.5})],
    [("random_unstructured", {"amount": 5})],
    [("ln_structured", {"amount": 0.5, "n": 2, "dim": 0})],
    [("ln_structured", {"amount": 1, "n": 1, "dim": 1})],
    [("ln_structured", {"amount": 2, "n": INF, "dim": -1})],
    [("random_structured", {"amount": 2, "dim": 0})],
    [("random_structured", {"amount": 0.4, "dim": 1})],
    [("custom_from_mask", {"mask": "checkered"})],
]
SEVERAL = [
    [("l1_unstructured", {"amount": 0.3}), ("l1_unstructured", {"amount": 0.5})],
    [
        ("random_unstructured", {"amount": 0.3}),
        ("l1_unstructured", {"amount": 4}),
        ("random_unstructured", {"amount": 0.5}),
    ],
    [("ln_structured", {"amount": 1, "n": 2, "dim": 0}), ("l1_unstructured", {"amount": 0.25})],
    [("l1_unstructured", {"amount": 0.5}), ("ln_structured", {"amount": 0.5, "n": 2, "dim": 1})],
    [("random_structured", {"amount": 1, "dim": 1}), ("random_structured", {"amount": 1, "dim": 1})],
    [
        ("custom_from_mask", {"mask": "checkered"}),
        ("custom_from_mask", {"mask": "rows"}),
        ("l1_unstructured", {"amount": 2}),
    ],
]


def array(tensor):
    return np.array(tensor.detach().numpy())


def mask_of(lib, kind, shape):
    grid = np.indices(shape)
    values = grid.sum(0) % 2 if kind == "checkered" else grid[0] % 2
    return lib.tensor(values.astype(np.float32))


def pruned(lib, layer, steps):
    for name, options in steps:
        options = dict(options)
        if "mask" in options:
            options["mask"] = mask_of(lib, options["mask"], tuple(layer.weight.shape))
        assert getattr(PRUNE[lib], name)(layer, "weight", **options) is layer
    return layer


def build(lib, kind):
    lib.manual_seed(8)
    return lib.nn.Conv2d(3, 4, 2) if kind == "conv" else lib.nn.Linear(5, 4)


def train(lib, layer, kind, steps=3):
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 4) if kind == "conv" else (3, 5)).astype(np.float32)
    optimizer, seen = lib.optim.SGD(layer.parameters(), lr=0.1), []
    for _ in range(steps):
        out = layer(lib.tensor(x))
        optimizer.zero_grad()
        (out * out).sum().backward()
        optimizer.step()
        seen.append(array(out))
    return np.array(seen)


@pytest.mark.parametrize("kind", ["linear", "conv"])
@pytest.mark.parametrize("steps", ONE_STEP + SEVERAL, ids=lambda steps: "-".join(name for name, _ in steps))
def test_masks_training_and_removal_go_as_in_torch(kind, steps):
    layers = [pruned(lib, build(lib, kind), steps) for lib in (tg, torch)]
    keys = [list(layer.state_dict()) for layer in layers]
    assert keys[0] == keys[1] == ["bias", "weight_orig", "weight_mask"]
    np.testing.assert_array_equal(*(array(layer.weight_mask) for layer in layers))
    np.testing.assert_array_equal(*(array(layer.weight) for layer in layers))
    assert all(PRUNE[lib].is_pruned(lib.nn.Sequential(layer)) for lib, layer in zip((tg, torch), layers, strict=True))
    np.testing.assert_allclose(
        *(train(lib, layer, kind) for lib, layer in zip((tg, torch), layers, strict=True)), rtol=1e-4, atol=1e-5
    )
    mask = array(layers[0].weight_mask)
    for lib, layer in zip((tg, torch), layers, strict=True):
        PRUNE[lib].remove(layer, "weight")
        assert not PRUNE[lib].is_pruned(layer)
        assert isinstance(layer.weight, lib.nn.Parameter)
    assert [list(layer.state_dict()) for layer in layers] == [["bias", "weight"]] * 2
    np.testing.assert_allclose(*(array(layer.weight) for layer in layers), rtol=1e-4, atol=1e-6)
    assert not array(layers[0].weight)[mask == 0].any()


def test_importance_scores():
    scores = np.random.default_rng(0).uniform(size=(4, 5)).astype(np.float32)
    masks = []
    for lib in (tg, torch):
        layer = build(lib, "linear")
        PRUNE[lib].l1_unstructured(layer, "weight", 6, importance_scores=lib.tensor(scores))
        PRUNE[lib].ln_structured(layer, "weight", 1, 2, 0, importance_scores=lib.tensor(1 - scores))
        masks.append(array(layer.weight_mask))
        with pytest.raises(AssertionError, match="same shape"):
            PRUNE[lib].l1_unstructured(layer, "weight", 1, importance_scores=lib.ones(2))
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("method", ["L1Unstructured", "RandomUnstructured"])
def test_globally(method):
    states = []
    for lib in (tg, torch):
        lib.manual_seed(1)
        model = lib.nn.Sequential(lib.nn.Linear(4, 6), lib.nn.ReLU(), lib.nn.Linear(6, 2))
        places = [(model[0], "weight"), (model[2], "weight"), (model[2], "bias")]
        PRUNE[lib].l1_unstructured(model[0], "weight", 0.2)
        for amount in (0.25, 5):
            PRUNE[lib].global_unstructured(places, pruning_method=getattr(PRUNE[lib], method), amount=amount)
        scores = {places[0]: lib.ones(6, 4) * 9}
        PRUNE[lib].global_unstructured(places, PRUNE[lib].L1Unstructured, importance_scores=scores, amount=2)
        states.append({key: array(value) for key, value in model.state_dict().items()})
        with pytest.raises(TypeError, match="unstructured"):
            PRUNE[lib].global_unstructured(places, PRUNE[lib].LnStructured, amount=1, n=2)
    assert list(states[0]) == list(states[1])
    for key, value in states[0].items():
        np.testing.assert_allclose(value, states[1][key], rtol=1e-6)


def test_a_method_of_ones_own():
    """PyTorch's tutorial on pruning, every second element."""
    masks = []
    for lib in (tg, torch):

        class EverySecond(PRUNE[lib].BasePruningMethod):
            PRUNING_TYPE = "unstructured"

            def compute_mask(self, t, default_mask):
                mask = default_mask.clone()
                mask.view(-1)[::2] = 0
                return mask

        layer = build(lib, "linear")
        EverySecond.apply(layer, "bias")
        masks.append(array(layer.bias_mask))
        EverySecond.apply(layer, "bias")
        masks.append(array(layer.bias_mask))
        np.testing.assert_array_equal(array(EverySecond().prune(lib.ones(4))), [0, 1, 0, 1])
    np.testing.assert_array_equal(masks[0], masks[2])
    np.testing.assert_array_equal(masks[1], masks[3])
    np.testing.assert_array_equal(masks[1], [0, 0, 0, 1])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers(kind):
    x, results = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32), []
    for lib in (tg, torch):
        lib.manual_seed(0)
        layer = getattr(lib.nn, kind)(3, 5)
        PRUNE[lib].l1_unstructured(layer, "weight_hh_l0", 0.5)
        out, _ = layer(lib.tensor(x))
        out.sum().backward()
        results.append([array(out), array(layer.weight_hh_l0_orig.grad)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (TypeError, lambda p, layer: p.l1_unstructured(layer, "weight", "half")),
        (ValueError, lambda p, layer: p.l1_unstructured(layer, "weight", 1.5)),
        (ValueError, lambda p, layer: p.l1_unstructured(layer, "weight", -1)),
        (ValueError, lambda p, layer: p.random_unstructured(layer, "weight", 21)),
        (ValueError, lambda p, layer: p.ln_structured(layer, "bias", 1, 2, 0)),
        (IndexError, lambda p, layer: p.random_structured(layer, "weight", 1, 2)),
        (ValueError, lambda p, layer: p.remove(layer, "weight")),
        (AttributeError, lambda p, layer: p.identity(layer, "weigth")),
        (AssertionError, lambda p, layer: p.custom_from_mask(layer, "weight", layer.bias)),
        (TypeError, lambda p, layer: p.PruningContainer().add_pruning_method(3)),
    ],
)
def test_what_torch_refuses_is_refused(error, call):
    for lib in (tg, torch):
        layer = build(lib, "linear")
        before = list(layer.state_dict())
        with pytest.raises(error):
            call(PRUNE[lib], layer)
        if lib is tg:  # PyTorch's layer has changed the order of its parameters by then
            assert list(layer.state_dict()) == before
