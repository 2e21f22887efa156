"""Transformers: against PyTorch, and what they refuse."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

SIZES = {"dim_feedforward": 12, "dropout": 0.0}
OPTIONS = [
    {},
    {"batch_first": True, "norm_first": True},
    {"activation": "gelu", "bias": False},
    {"layer_norm_eps": 1e-3, "norm_first": True, "activation": "gelu"},
]
KINDS = [
    "TransformerEncoderLayer",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerDecoder",
    "Transformer",
]
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")
CAUSAL = np.triu(np.full((5, 5), -np.inf), 1)
PADDING = np.arange(5) >= np.array([[5], [3], [4]])


def array(t) -> np.ndarray:
    return np.asarray(t.detach().numpy())


def make(lib, kind: str, options: dict):
    """A network of one kind in one library, from a seed."""
    lib.manual_seed(2)
    options = SIZES | options
    if kind == "Transformer":
        return lib.nn.Transformer(8, 2, 2, 2, **options)
    layer = getattr(lib.nn, kind.removesuffix("Layer") + "Layer")(8, 2, **options)
    return layer if kind.endswith("Layer") else getattr(lib.nn, kind)(layer, 2, lib.nn.LayerNorm(8))


def run(lib, model, kind: str, batch_first: bool, masks: dict) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    arrays = [draw.normal(size=(5, 3, 8)) for _ in range(1 if "Encoder" in kind else 2)]
    tensors = [lib.tensor(a.swapaxes(0, 1) if batch_first else a, requires_grad=True) for a in arrays]
    for p in model.parameters():
        p.grad = None
    out = model(*tensors, **{k: lib.tensor(m) for k, m in masks.items()})
    (out * out * out).sum().backward()
    return [array(t) for t in (out, *(t.grad for t in tensors), *(p.grad for p in model.parameters()))]


def masks_of(kind: str) -> list[dict]:
    """Sets of masks, by the names that this kind gives them."""
    if "Encoder" in kind:
        name = "mask" if kind == "TransformerEncoder" else "src_mask"
        return [{}, {name: CAUSAL}, {name: CAUSAL < 0, "src_key_padding_mask": PADDING}]
    sets = [
        {},
        {"tgt_mask": CAUSAL},
        {"tgt_mask": CAUSAL < 0, "tgt_key_padding_mask": PADDING, "memory_key_padding_mask": PADDING},
    ]
    return sets + (
        [{"src_key_padding_mask": PADDING, "src_mask": CAUSAL < 0, "memory_mask": CAUSAL}]
        if kind == "Transformer"
        else []
    )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_pytorch(kind, options):
    torch = pytest.importorskip("torch")
    ours, theirs = make(tg, kind, options), make(torch, kind, options)
    assert repr(ours) == repr(theirs).replace("NonDynamicallyQuantizableLinear", "Linear")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(array(value), array(theirs.state_dict()[name]), err_msg=name)
    first = options.get("batch_first", False)
    for masks in masks_of(kind):
        mine, yours = run(tg, ours.double(), kind, first, masks), run(torch, theirs.double(), kind, first, masks)
        for a, b in zip(mine, yours, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("norm_first", [False, True])
def test_dropout_draws_as_pytorch_does(norm_first):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        model = make(lib, "Transformer", {"dropout": 0.3, "norm_first": norm_first}).double()
        lib.manual_seed(6)
        results.append(run(lib, model, "Transformer", False, {}))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_one_sequence_and_a_function_as_activation():
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        lib.manual_seed(0)
        layer = lib.nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation=lib.nn.functional.silu).double()
        results.append(array(layer(lib.tensor(np.random.default_rng(0).normal(size=(5, 8))))))
    np.testing.assert_allclose(*results, rtol=1e-9)


def test_layers_of_a_stack_are_copies():
    layer = nn.TransformerEncoderLayer(8, 2, 12)
    stack = nn.TransformerEncoder(layer, 3)
    weights = [each.linear1.weight for each in stack.layers]
    assert len({id(w) for w in [layer.linear1.weight, *weights]}) == 4
    with tg.no_grad():
        weights[0].zero_()
    assert not (weights[1] == 0).any()
    assert stack.num_layers == 3


def test_parts_of_ones_own():
    class Doubled(nn.Module):
        def forward(self, x, *args, **masks):
            return 2 * x

    model = nn.Transformer(8, 2, custom_encoder=Doubled(), custom_decoder=Doubled())
    x = tg.randn(4, 3, 8)
    np.testing.assert_array_equal(array(model(x, x)), 2 * array(x))


def test_the_mask():
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=tg.float64)
    np.testing.assert_array_equal(array(mask), np.triu(np.full((4, 4), -np.inf), 1))
    assert mask.dtype == tg.float64


@pytest.mark.parametrize("name", KINDS)
def test_signatures(name):
    torch = pytest.importorskip("torch")

    def parameters(lib, function):
        found = inspect.signature(getattr(getattr(lib.nn, name), function)).parameters.values()
        return [(p.name, p.default if p.name != "activation" else "relu") for p in found]

    for function in ("__init__", "forward"):
        assert parameters(tg, function) == parameters(torch, function)


def test_errors():
    model = nn.Transformer(8, 2, 1, 1, 12)
    with pytest.raises(
        RuntimeError, match=r"the batch number of src and tgt must be equal: src is \(5, 3, 8\), tgt \(5, 2, 8\)"
    ):
        model(tg.zeros(5, 3, 8), tg.zeros(5, 2, 8))
    with pytest.raises(RuntimeError, match=r"the feature number of src and tgt must be equal to d_model \(8\)"):
        model(tg.zeros(5, 3, 8), tg.zeros(5, 3, 6))
    with pytest.raises(RuntimeError, match="activation should be relu/gelu, not sine"):
        nn.TransformerDecoderLayer(8, 2, activation="sine")
