"""Weights go to PyTorch and come from it by safetensors files, and the models compute the same with them."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.utils.serialization import CheckpointError, notes_of

torch = pytest.importorskip("torch")
of_torch = pytest.importorskip("safetensors.torch")

RNG = np.random.default_rng(0)
IMAGES, ROWS = RNG.normal(size=(4, 1, 12, 12)).astype(np.float32), RNG.normal(size=(6, 5)).astype(np.float32)
SEQUENCES, WORDS = RNG.normal(size=(3, 7, 8)).astype(np.float32), RNG.integers(11, size=(3, 7))


def cnn(nn):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(100, 10), nn.BatchNorm1d(10, affine=False), nn.PReLU(10),
    )  # fmt: skip


def decoder(nn):
    return nn.Sequential(
        nn.Linear(5, 8), nn.LayerNorm(8), nn.GELU(), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 3, 3, stride=2),
        nn.GroupNorm(3, 3), nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    )  # fmt: skip


MODELS = {
    "mlp": (lambda nn: nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2, bias=False)), ROWS),
    "cnn": (cnn, IMAGES),
    "decoder": (decoder, ROWS),
    "lstm": (lambda nn: nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True, proj_size=3), SEQUENCES),
    "gru": (lambda nn: nn.GRU(8, 6), SEQUENCES),
    "embedding": (lambda nn: nn.Sequential(nn.Embedding(11, 4, padding_idx=0), nn.Flatten(), nn.Linear(28, 3)), WORDS),
    "attention": (
        lambda nn: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False
        ),
        SEQUENCES,
    ),
    "normed": (lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(5, 3)), ROWS),
}


def trained(lib, build, x, steps=2):
    """A model after a few steps, so that its running statistics and counts are not what they started with."""
    lib.manual_seed(3)
    model = build(lib.nn)
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        first_of(model(lib.tensor(x))).square().mean().backward()
        optimizer.step()
    return model


def first_of(out):
    return out[0] if isinstance(out, tuple) else out


def output(lib, model, x):
    with lib.no_grad():
        return np.array(first_of(model.eval()(lib.tensor(x))).numpy())


@pytest.mark.parametrize("name", MODELS)
def test_from_torch(name, tmp_path):
    build, x = MODELS[name]
    theirs, path = trained(torch, build, x), tmp_path / "model.safetensors"
    of_torch.save_file(theirs.state_dict(), path, metadata={"format": "pt", "epoch": "2"})
    ours = build(tg.nn)
    assert str(ours.load_state_dict(tg.load(path))) == "<All keys matched successfully>"
    np.testing.assert_allclose(output(tg, ours, x), output(torch, theirs, x), rtol=2e-5, atol=2e-6)
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key].numpy(), value.numpy())
    assert notes_of(path) == {"format": "pt", "epoch": "2"}


@pytest.mark.parametrize("name", MODELS)
def test_to_torch(name, tmp_path):
    build, x = MODELS[name]
    ours = trained(tg, build, x)
    path = tg.save(ours.state_dict(), tmp_path / "model.safetensors", {"epoch": "2"})
    theirs = build(torch.nn)
    assert str(theirs.load_state_dict(of_torch.load_file(path))) == "<All keys matched successfully>"
    np.testing.assert_allclose(output(tg, ours, x), output(torch, theirs, x), rtol=2e-5, atol=2e-6)


def tied(nn):
    model = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 4), nn.Linear(4, 11, bias=False))
    model[2].weight = model[0].weight
    return model


def test_tied_weights_both_ways(tmp_path):
    path = tmp_path / "model.safetensors"
    theirs = trained(torch, tied, WORDS)
    of_torch.save_model(theirs, path)  # stores one of the two and notes the other's name
    ours = tied(tg.nn)
    ours.load_state_dict(tg.load(path))
    assert ours[0].weight is ours[2].weight
    np.testing.assert_allclose(output(tg, ours, WORDS), output(torch, theirs, WORDS), rtol=2e-5, atol=2e-6)

    ours = trained(tg, tied, WORDS)
    tg.save(ours.state_dict(), path)
    theirs.load_state_dict(of_torch.load_file(path))
    np.testing.assert_allclose(output(tg, ours, WORDS), output(torch, theirs, WORDS), rtol=2e-5, atol=2e-6)


def test_strided_views_are_stored_as_they_look(tmp_path):
    base = tg.arange(24).reshape(4, 6)
    views = {
        "turned": base.T,
        "stepped": base[::2, 1::2],
        "repeated": tg.arange(3).expand(2, 3),
        "flipped": base.flip(0),
    }
    loaded = of_torch.load_file(tg.save(views, tmp_path / "x.safetensors"))
    for key, view in views.items():
        np.testing.assert_array_equal(loaded[key].numpy(), view.numpy())


def test_half_precision(tmp_path):
    path, values = tmp_path / "x.safetensors", torch.tensor([1.5, -3.25e-5, 6e4, float("inf"), float("nan"), -0.0])
    stored = {"brain": values.bfloat16().reshape(2, 3), "half": values.half(), "none": torch.zeros(0, 2).bfloat16()}
    of_torch.save_file(stored, path)
    loaded = tg.load(path)
    assert {key: t.dtype for key, t in loaded.items()} == {"brain": tg.float32, "half": tg.float16, "none": tg.float32}
    for key, t in loaded.items():
        np.testing.assert_array_equal(t.numpy(), stored[key].float().numpy())
        assert tuple(t.shape) == tuple(stored[key].shape)
    half = tg.nn.Linear(5, 2).half()
    other = torch.nn.Linear(5, 2).half()
    other.load_state_dict(of_torch.load_file(tg.save(half.state_dict(), path)))
    np.testing.assert_array_equal(other.weight.detach().numpy(), half.weight.detach().numpy())


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "complex64", "uint16"])
def test_types_that_no_tensor_has_are_named(kind, tmp_path):
    of_torch.save_file(
        {"fine": torch.ones(2), "odd": torch.ones(3).to(getattr(torch, kind))}, tmp_path / "x.safetensors"
    )
    with pytest.raises(CheckpointError, match=r"E504 .*tensor 'odd' is of type \w+, which no Tensor here has"):
        tg.load(tmp_path / "x.safetensors")


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    of_torch.save_file(cnn(torch.nn).state_dict(), path)
    whole = path.read_bytes()
    for broken in (
        *(whole[:size] for size in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1)),
        whole + b"x",
        b"\0" * 64,
    ):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match="E504"):
            tg.load(path)
    torch.save(cnn(torch.nn).state_dict(), path)
    with pytest.raises(CheckpointError, match="pickled checkpoints"):
        tg.load(path)
