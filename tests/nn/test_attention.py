"""Multi-head attention: against PyTorch, against its definition, and what it refuses."""

import inspect
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

E, HEADS, L, S, B = 8, 2, 5, 6, 3
OPTIONS = [
    {},
    {"batch_first": True},
    {"bias": False},
    {"kdim": 4, "vdim": 5},
    {"kdim": 4, "bias": False, "batch_first": True},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "batch_first": True},
    {"add_bias_kv": True, "add_zero_attn": True, "kdim": 4, "vdim": 5, "batch_first": True},
]
rng = np.random.default_rng(7)
HIDDEN = np.triu(np.ones((L, S), bool), 2)
BY_HEAD = rng.random((B * HEADS, L, S)) < 0.3
BY_HEAD[:, :, 0] = False
PADDING = np.arange(S) >= np.array([[6], [4], [5]])
MASKS = {
    "no mask": {},
    "bool": {"attn_mask": HIDDEN},
    "added": {"attn_mask": rng.normal(size=(L, S))},
    "by head": {"attn_mask": BY_HEAD},
    "padding": {"key_padding_mask": PADDING},
    "both": {"attn_mask": HIDDEN, "key_padding_mask": PADDING},
    "both added": {"attn_mask": rng.normal(size=(L, S)), "key_padding_mask": np.where(PADDING, -np.inf, 0.0)},
}


def array(t) -> np.ndarray:
    return np.asarray(t.detach().numpy())


def layers(torch, **options):
    tg.manual_seed(1)
    torch.manual_seed(1)
    ours, theirs = nn.MultiheadAttention(E, HEADS, **options), torch.nn.MultiheadAttention(E, HEADS, **options)
    return ours, theirs


def inputs(options: dict, batched: bool = True) -> list[np.ndarray]:
    draw = np.random.default_rng(2)
    shapes = [(L, B, E), (S, B, options.get("kdim", E)), (S, B, options.get("vdim", E))]
    arrays = [draw.normal(size=s) for s in shapes]
    if not batched:
        return [a[:, 0] for a in arrays]
    return [a.swapaxes(0, 1) for a in arrays] if options.get("batch_first") else arrays


def run(lib, layer, arrays, masks, **options) -> list:
    tensors = [lib.tensor(a, requires_grad=True) for a in arrays]
    lib.manual_seed(4)
    out, weights = layer(*tensors, **{k: lib.tensor(m) for k, m in masks.items()}, **options)
    loss = (out * out * out).sum() + (0 if weights is None else (weights * weights).sum())
    for p in layer.parameters():
        p.grad = None
    loss.backward()
    found = [out, weights, *(t.grad for t in tensors), *(p.grad for p in layer.parameters())]
    return [None if t is None else array(t) for t in found]


def same(mine: list, theirs: list, **tolerance) -> None:
    for a, b in zip(mine, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 1e-9, "atol": 1e-11}))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_weights_keys_and_printed_form(options):
    torch = pytest.importorskip("torch")
    ours, theirs = layers(torch, **options)
    assert repr(ours) == repr(theirs).replace("NonDynamicallyQuantizableLinear", "Linear")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(
            array(value), array(theirs.state_dict()[name]), rtol=0, atol=5e-7 if "bias_" in name else 0
        )


@pytest.mark.parametrize("kind", ["weights", "each head's weights", "no weights"])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_and_gradients(options, masks, kind):
    torch = pytest.importorskip("torch")
    ours, theirs = (layer.double() for layer in layers(torch, **options))
    theirs.load_state_dict({k: torch.tensor(array(v)) for k, v in ours.state_dict().items()})
    how = {"need_weights": kind != "no weights", "average_attn_weights": kind == "weights"}
    same(run(tg, ours, inputs(options), MASKS[masks], **how), run(torch, theirs, inputs(options), MASKS[masks], **how))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_one_sequence(batch_first, need_weights):
    torch = pytest.importorskip("torch")
    ours, theirs = (layer.double() for layer in layers(torch, batch_first=batch_first))
    masks = {"attn_mask": HIDDEN, "key_padding_mask": PADDING[1]}
    how = {"need_weights": need_weights}
    same(
        run(tg, ours, inputs({}, batched=False), masks, **how),
        run(torch, theirs, inputs({}, batched=False), masks, **how),
    )


def test_dropout_draws_as_pytorch_does():
    torch = pytest.importorskip("torch")
    ours, theirs = (layer.double() for layer in layers(torch, dropout=0.5))
    same(run(tg, ours, inputs({}), {}), run(torch, theirs, inputs({}), {}))
    ours.eval()
    plain = nn.MultiheadAttention(E, HEADS).double()
    plain.load_state_dict(ours.state_dict())
    same(run(tg, ours, inputs({}), {}), run(tg, plain, inputs({}), {}))


def test_float32():
    torch = pytest.importorskip("torch")
    ours, theirs = layers(torch)
    x = inputs({})[0].astype(np.float32)
    results = []
    for lib, layer in ((tg, ours), (torch, theirs)):
        t = lib.tensor(x, requires_grad=True)
        layer(t, t, t, need_weights=False)[0].square().sum().backward()
        results.append([array(t.grad), *(array(p.grad) for p in layer.parameters())])
    same(*results, rtol=1e-4, atol=1e-5)


def test_the_hint_of_a_causal_mask_changes_nothing():
    layer = nn.MultiheadAttention(E, HEADS, batch_first=True)
    x = tg.randn(B, L, E)
    mask = nn.Transformer.generate_square_subsequent_mask(L)
    results = [
        array(layer(x, x, x, attn_mask=mask, is_causal=c, need_weights=w)[0])
        for c in (False, True)
        for w in (False, True)
    ]
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=1e-5, atol=1e-6)
    changed = tg.tensor(array(x))
    changed[:, 3:] = 7.0  # what comes later is not seen
    after = array(layer(changed, changed, changed, attn_mask=mask, need_weights=False)[0])
    np.testing.assert_allclose(results[0][:, :3], after[:, :3], rtol=1e-5, atol=1e-6)
    assert not np.allclose(results[0][:, 3:], after[:, 3:])


def test_one_head_is_the_textbook_formula():
    layer = nn.MultiheadAttention(4, 1, bias=False).double()
    q, k, v = (np.random.default_rng(i).normal(size=(n, 4)) for i, n in enumerate((3, 5, 5)))
    w_q, w_k, w_v = np.split(array(layer.in_proj_weight), 3)
    scores = (q @ w_q.T) @ (k @ w_k.T).T / math.sqrt(4)
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    out, found = layer(tg.tensor(q), tg.tensor(k), tg.tensor(v))
    np.testing.assert_allclose(array(found), weights, rtol=1e-12)
    np.testing.assert_allclose(array(out), weights @ (v @ w_v.T) @ array(layer.out_proj.weight).T, rtol=1e-12)


def test_signature():
    torch = pytest.importorskip("torch")
    for function in ("__init__", "forward"):
        ours, theirs = (
            [
                (p.name, p.default)
                for p in inspect.signature(getattr(lib.nn.MultiheadAttention, function)).parameters.values()
            ]
            for lib in (tg, torch)
        )
        assert ours == theirs


def attend(query=(L, B, E), key=(S, B, E), value=(S, B, E), options=None, **masks):
    return nn.MultiheadAttention(E, HEADS, **(options or {}))(tg.zeros(query), tg.zeros(key), tg.zeros(value), **masks)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.MultiheadAttention(7, 2), AssertionError, "embed_dim must be divisible by num_heads, got 7 and 2"),
        (lambda: nn.MultiheadAttention(8, 0), ValueError, "must be greater than 0"),
        (lambda: attend(query=(L, B, 7)), AssertionError, r"was expecting embedding dimensions \(8, 8, 8\).*Fix: embed_dim=7"),
        (lambda: attend(query=(E,)), AssertionError, r"2D or batched 3D.*Fix: \(length, batch, features\)"),
        (lambda: attend(value=(L, B, E)), AssertionError, "key's sequence and batch dims do not match value's"),
        (lambda: attend(query=(L, 2, E)), RuntimeError, "different batch sizes, 2 and 3.*batch_first=False here"),
        (lambda: attend(is_causal=True), RuntimeError, "Need attn_mask if specifying the is_causal hint"),
        (lambda: attend(attn_mask=tg.zeros(S, L)), RuntimeError, r"2D attn_mask is \(6, 5\), but should be \(5, 6\)"),
        (lambda: attend(attn_mask=tg.zeros(B, L, S)), RuntimeError, r"3D attn_mask is \(3, 5, 6\), but should be \(6, 5, 6\)"),
        (lambda: attend(attn_mask=tg.zeros(L, S, dtype=tg.int64)), AssertionError, "only bool and floating types of attn_mask"),
        (lambda: attend(key_padding_mask=tg.zeros(S, B)), AssertionError, r"key_padding_mask of shape \(3, 6\).*got \(6, 3\)"),
    ],
)  # fmt: skip
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_masks_of_two_kinds_are_joined_with_a_warning():
    layer = nn.MultiheadAttention(E, HEADS)
    x = [tg.tensor(a.astype(np.float32)) for a in inputs({})]
    added = tg.tensor(np.where(HIDDEN, -np.inf, 0.0).astype(np.float32))
    with pytest.warns(UserWarning, match="Use same type for both"):
        mixed = layer(*x, attn_mask=added, key_padding_mask=tg.tensor(PADDING))[0]
    plain = layer(*x, attn_mask=tg.tensor(HIDDEN), key_padding_mask=tg.tensor(PADDING))[0]
    np.testing.assert_allclose(array(mixed), array(plain), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True, "add_zero_attn": True}, {"bias": False}], ids=str)
def test_the_function_of_given_weights(separate, need_weights, options):
    """As in models that hold the projections in layers of their own, pooling by attention for instance."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    sizes = {"kdim": 6, "vdim": 5} if separate else {}
    x, k, v = (rng.normal(size=(n, 2, d)) for n, d in ((3, 8), (4, sizes.get("kdim", 8)), (4, sizes.get("vdim", 8))))
    mask = np.array([[False, True, False, False], [False] * 4])
    results = []
    for lib in (tg, torch):
        lib.manual_seed(0)
        layer = lib.nn.MultiheadAttention(8, 2, **sizes, **options).double()
        out, weights = lib.nn.functional.multi_head_attention_forward(
            *map(lib.tensor, (x, k, v)), 8, 2, layer.in_proj_weight, layer.in_proj_bias, layer.bias_k, layer.bias_v,
            layer.add_zero_attn, 0.0, layer.out_proj.weight, layer.out_proj.bias, training=True,
            key_padding_mask=lib.tensor(mask), need_weights=need_weights, use_separate_proj_weight=separate,
            q_proj_weight=layer.q_proj_weight, k_proj_weight=layer.k_proj_weight, v_proj_weight=layer.v_proj_weight,
            average_attn_weights=False,
        )  # fmt: skip
        (out * out).sum().backward()
        assert (weights is not None) == need_weights
        found = [out, *([weights] if need_weights else []), *(p.grad for p in layer.parameters())]
        results.append([np.array(t.detach().numpy()) for t in found])
        with pytest.raises(AssertionError, match="embedding dimension"):
            lib.nn.functional.multi_head_attention_forward(
                *map(lib.tensor, (x, k, v)),
                6,
                2,
                layer.in_proj_weight,
                None,
                None,
                None,
                False,
                0.0,
                layer.out_proj.weight,
                None,
            )
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
