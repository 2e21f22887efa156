"""Every layer against PyTorch's: same seed, same weights, same outputs, gradients, buffers, keys and printed form."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.nn.layer_cases import CASES
from tinygrad_edu import nn

torch = pytest.importorskip("torch")

ATOL = 1e-10


def pair(case, dtype):
    """The layer in both libraries, made from the same seed."""
    tg.manual_seed(5)
    torch.manual_seed(5)
    ours, theirs = (
        getattr(nn, case.name)(*case.args, **case.kwargs),
        getattr(torch.nn, case.name)(*case.args, **case.kwargs),
    )
    return ours.to(dtype=getattr(tg, dtype)), theirs.to(dtype=getattr(torch, dtype))


def run(lib, layer, case, dtype="float64"):
    floats, extra = case.inputs(np.dtype(dtype))
    inputs = [lib.tensor(x, requires_grad=True) for x in floats]
    # in-place layers may not write on leaves
    fed = [x * 1 for x in inputs] if case.kwargs.get("inplace") else inputs
    out = layer(*fed, *map(lib.tensor, extra))
    indices = []
    if isinstance(out, tuple):
        out, *indices = out
    weights = np.cos(np.arange(out.numel())).reshape(tuple(out.shape)).astype(dtype)
    if out.requires_grad:
        (out * lib.tensor(weights)).sum().backward()
    grads = [x.grad for x in inputs] + [p.grad for p in layer.parameters()]
    return [array(out), *map(array, indices), *(None if g is None else array(g) for g in grads)]


def array(tensor):
    return np.asarray(tensor.detach().numpy())


def assert_close(ours, theirs, rtol, atol):
    assert len(ours) == len(theirs)
    for mine, their in zip(ours, theirs, strict=True):
        assert (mine is None) == (their is None)
        if mine is not None:
            assert mine.dtype == their.dtype
            np.testing.assert_allclose(mine, their, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_weights_keys_and_printed_form(case):
    ours, theirs = pair(case, "float32")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for name, value in ours.state_dict().items():
        their = array(theirs.state_dict()[name])
        np.testing.assert_allclose(array(value), their, rtol=0, atol=5e-7 if "Embedding" in case.name else 0)
        assert array(value).dtype == their.dtype


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_gradients_and_buffers(case, training):
    if case.random and training:
        pytest.skip("draws random numbers: see test_dropout")
    ours, theirs = pair(case, "float64")
    theirs.load_state_dict({k: torch.tensor(array(v)) for k, v in ours.state_dict().items()})
    ours.train(training)
    theirs.train(training)
    for _ in range(2):  # twice, so that running statistics move on from what they were
        ours.zero_grad()
        theirs.zero_grad()
        assert_close(run(tg, ours, case), run(torch, theirs, case), case.rtol, ATOL)
    assert_close([array(b) for b in ours.buffers()], [array(b) for b in theirs.buffers()], case.rtol, ATOL)


@pytest.mark.parametrize("case", [c for c in CASES if not c.random], ids=str)
def test_float32(case):
    ours, theirs = pair(case, "float32")
    theirs.load_state_dict({k: torch.tensor(array(v)) for k, v in ours.state_dict().items()})
    assert_close(run(tg, ours, case, "float32"), run(torch, theirs, case, "float32"), 2e-4, 2e-5)


def test_every_layer_has_a_case():
    layers = {n for n in dir(nn) if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Module)}
    containers = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"}
    elsewhere = {
        "CTCLoss",
        "CrossMapLRN2d",
        "MaxUnpool1d",
        "MaxUnpool2d",
        "MaxUnpool3d",
    }  # have tests of their own: below
    recurrent = {"RNNBase", "RNN", "LSTM", "GRU", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"}  # see test_recurrent
    attention = {
        "MultiheadAttention",
        *(n for n in layers if n.startswith("Transformer")),
    }  # test_attention, test_transformer
    lazy = {"DataParallel", *(n for n in layers if n.startswith("Lazy"))}  # test_lazy
    assert layers - containers - elsewhere - recurrent - attention - lazy == {case.name for case in CASES}


NAMES = sorted({case.name for case in CASES} | {"CTCLoss", "MaxUnpool2d", "Sequential", "ModuleList", "ModuleDict"})


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    def parameters(lib):
        signature = inspect.signature(getattr(lib, name).__init__)
        return [(p.name, p.default, p.kind) for p in list(signature.parameters.values())[1:]]

    ours, theirs = parameters(nn), parameters(torch.nn)
    if name == "Hardtanh":  # PyTorch keeps two options that it has replaced long ago
        theirs = [p for p in theirs if p[0] not in ("min_value", "max_value")]
    if {kind.name for *_, kind in theirs} >= {"VAR_POSITIONAL", "VAR_KEYWORD"}:
        return  # layers without options
    assert ours == theirs


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling(dims):
    x = np.random.default_rng(0).normal(size=(2, 3, *[6] * dims))
    results = []
    for lib in (tg, torch):
        pool, unpool = (
            getattr(lib.nn, f"MaxPool{dims}d")(2, return_indices=True),
            getattr(lib.nn, f"MaxUnpool{dims}d")(2),
        )
        out = unpool(*pool(lib.tensor(x)))
        results.append(array(out))
        printed = repr(unpool)
    assert repr(getattr(nn, f"MaxUnpool{dims}d")(2)) == printed
    np.testing.assert_array_equal(*results)


def test_ctc():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(12, 3, 5)), rng.integers(1, 5, size=(3, 4))
    results = []
    for lib in (tg, torch):
        x = lib.tensor(logits, requires_grad=True)
        loss = lib.nn.CTCLoss()(x.log_softmax(2), lib.tensor(targets), lib.tensor([12, 10, 9]), lib.tensor([4, 3, 2]))
        loss.backward()
        results += [array(loss), array(x.grad)]
    np.testing.assert_allclose(results[0], results[2], rtol=1e-10)
    np.testing.assert_allclose(results[1], results[3], rtol=1e-8, atol=1e-10)


def test_cross_map_lrn():
    """PyTorch's layer drops no channel from its window until a later one than it should, and fails in its backward pass."""
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 2))
    ours, theirs = (lib.nn.CrossMapLRN2d(7, alpha=0.5, beta=0.6, k=2) for lib in (tg, torch))
    np.testing.assert_allclose(array(ours(tg.tensor(x))), array(theirs(torch.tensor(x))), rtol=1e-12)
    assert repr(ours) == repr(theirs)
    many = np.random.default_rng(0).normal(size=(2, 9, 3, 2))
    other = torch.nn.LocalResponseNorm(3, alpha=0.5)
    results = []
    for lib, layer in ((tg, nn.CrossMapLRN2d(3, alpha=0.5)), (torch, other)):
        inputs = lib.tensor(many, requires_grad=True)
        out = layer(inputs)
        (out * out).sum().backward()
        results += [array(out), array(inputs.grad)]
    np.testing.assert_allclose(results[0], results[2], rtol=1e-12)
    np.testing.assert_allclose(results[1], results[3], rtol=1e-10)
    with pytest.raises(ValueError, match="Expected input to be 4D"):
        nn.CrossMapLRN2d(3)(tg.ones(2, 3))


def test_adaptive_softmax():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(7, 6)) * 4
    tg.manual_seed(5)
    torch.manual_seed(5)
    layers = [lib.nn.AdaptiveLogSoftmaxWithLoss(6, 20, [3, 8], div_value=2.0) for lib in (tg, torch)]
    logs = [array(layer.double().log_prob(lib.tensor(x))) for layer, lib in zip(layers, (tg, torch), strict=True)]
    np.testing.assert_allclose(*logs, rtol=1e-9)
    np.testing.assert_allclose(np.exp(logs[0]).sum(1), 1, rtol=1e-12)
    chosen = [array(layer.predict(lib.tensor(x))) for layer, lib in zip(layers, (tg, torch), strict=True)]
    np.testing.assert_array_equal(*chosen)
    assert len(set(chosen[0])) > 1 and (chosen[0] >= 3).any(), "no cluster was looked into, so this shows little"
    ids = rng.integers(20, size=7)
    output, loss = layers[0](tg.tensor(x), tg.tensor(ids))
    np.testing.assert_allclose(array(output), logs[0][np.arange(7), ids], rtol=1e-9)
    assert loss.item() == pytest.approx(-array(output).mean())
    for wrong, says in (
        ((x, ids + 20), r"should be in \[0, 19\]"),
        ((x, ids[:3]), "same size in the batch"),
        ((x, ids[:, None]), "1D"),
    ):
        with pytest.raises(RuntimeError, match=says):
            layers[0](*map(tg.tensor, wrong))
    for cutoffs in ([], [3, 3], [0, 5], [5, 20], [2.5]):
        for lib in (tg, torch):
            with pytest.raises(ValueError, match="cutoffs should be a sequence"):
                lib.nn.AdaptiveLogSoftmaxWithLoss(6, 20, cutoffs)


def test_fractional_pooling_refuses():
    for kind, options in (("2d", {}), ("3d", {"output_size": 2, "output_ratio": 0.5}), ("2d", {"output_ratio": 1.5})):
        for lib in (tg, torch):
            with pytest.raises(ValueError):
                getattr(lib.nn, f"FractionalMaxPool{kind}")(2, **options)
    for lib in (tg, torch):
        with pytest.raises(RuntimeError, match="too large relative to input"):
            lib.nn.functional.fractional_max_pool2d(lib.ones(1, 1, 4, 4), 3, 3)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("max_pool1d", (3, 2)), ("max_pool2d", (2,)), ("max_pool3d", (2, 1, 1)), ("adaptive_max_pool1d", (2,)),
        ("adaptive_max_pool2d", ((3, 2),)), ("adaptive_max_pool3d", (2,)), ("fractional_max_pool2d", (2, 3)),
    ],
)  # fmt: skip
def test_poolings_that_always_return_indices(name, given):
    x = np.random.default_rng(0).normal(size=(2, 3, *[6] * int(name[-2])))
    for lib in (tg, torch):
        lib.manual_seed(0)
    ours, theirs = (getattr(lib.nn.functional, f"{name}_with_indices")(lib.tensor(x), *given) for lib in (tg, torch))
    for mine, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(array(mine), array(their))


def test_old_names_of_upsampling():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    for name in ("upsample_nearest", "upsample_bilinear"):
        results = []
        for lib in (tg, torch):
            with pytest.warns(UserWarning, match="deprecated"):
                results.append(array(getattr(lib.nn.functional, name)(lib.tensor(x), scale_factor=2)))
        np.testing.assert_allclose(*results, rtol=1e-12)


def test_output_size_of_a_transposed_convolution():
    for size in ((9, 10), (10, 10)):
        results = []
        for lib in (tg, torch):
            lib.manual_seed(0)
            layer = lib.nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
            results.append(array(layer(lib.ones(1, 2, 5, 5), output_size=size)))
        np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"requested an output size of \(12, 10\), but valid sizes range from \(9, 9\) to \(10, 10\)"
    ):
        nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)(tg.ones(1, 2, 5, 5), output_size=(12, 10))


def test_weights_of_losses():
    rng = np.random.default_rng(2)
    weight, logits, probabilities = rng.uniform(size=6), rng.normal(size=(4, 6)), rng.uniform(0.1, 0.9, size=(4, 6))
    number, share = rng.integers(6, size=4), rng.uniform(size=(4, 6))
    for name, x, y in [
        ("CrossEntropyLoss", logits, number), ("NLLLoss", logits, number), ("BCELoss", probabilities, share),
        ("BCEWithLogitsLoss", logits, share), ("MultiMarginLoss", logits, number), ("MultiLabelSoftMarginLoss", logits, share),
    ]:  # fmt: skip
        results = []
        for lib in (tg, torch):
            loss = getattr(lib.nn, name)(weight=lib.tensor(weight))
            results.append((list(loss.state_dict()), array(loss(lib.tensor(x), lib.tensor(y)))))
        assert results[0][0] == results[1][0] == ["weight"]
        np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-10)
    with_positive = [
        array(lib.nn.BCEWithLogitsLoss(pos_weight=lib.tensor(weight))(lib.tensor(logits), lib.tensor(share))) for lib in (tg, torch)
    ]  # fmt: skip
    np.testing.assert_allclose(*with_positive, rtol=1e-10)


def test_the_older_names_of_reductions():
    for options in (
        {"size_average": False},
        {"reduce": False},
        {"size_average": True},
        {"size_average": False, "reduce": False},
    ):
        with pytest.warns(UserWarning, match="deprecated"):
            theirs = torch.nn.MSELoss(**options)
        assert nn.MSELoss(**options).reduction == theirs.reduction
