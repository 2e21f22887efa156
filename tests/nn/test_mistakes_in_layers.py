"""Wrong options and inputs of layers: the messages, and dropout's modes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups, got 3 and 2"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "out_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 3, 3, groups=0), ValueError, "groups must be a positive integer"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), ValueError, "Invalid padding string 'full'"),
        (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), ValueError, r"strided convolutions\. Fix: padding=\(1, 1\)"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"), ValueError, 'Only "zeros" padding mode'),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "divisible by num_groups"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError, "padding_idx must be within num_embeddings"),
        (lambda: nn.Embedding(3, 2, _weight=tg.zeros(2, 2)), AssertionError, r"shape of weight \(2, 2\)"),
        (lambda: nn.Embedding.from_pretrained(tg.zeros(2)), AssertionError, "2-dimensional"),
        (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be > 0"),
        (lambda: nn.Linear(-1, 1), RuntimeError, "negative dimension"),
        (lambda: nn.Linear(1, 1, device="cuda"), RuntimeError, "CPU only"),
        (lambda: nn.Hardtanh(1.0, -1.0), ValueError, "max_val must be larger"),
        (lambda: nn.MultiMarginLoss(p=3), ValueError, "only p == 1 and p == 2"),
        (lambda: nn.TripletMarginLoss(margin=0), ValueError, "margin to be greater than 0"),
        (lambda: nn.Unflatten(1, 4), TypeError, r"Unflatten\(1, \(20, 4, 4\)\)"),
        (lambda: nn.BatchNorm2d(3)(tg.zeros(2, 3)), ValueError, r"expected 4D input \(got 2D input, \(2, 3\)\)"),
        (lambda: nn.InstanceNorm1d(3, affine=True)(tg.zeros(1, 4, 5)), ValueError, "expected 3 channels"),
        (lambda: nn.Softmax2d()(tg.zeros(2, 3)), ValueError, "expected input to be 3D or 4D"),
    ],
)  # fmt: skip
def test_messages(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_instance_norm_warns_about_an_unused_option():
    with pytest.warns(UserWarning, match="num_features is not used because affine=False"):
        nn.InstanceNorm1d(3)(tg.randn(1, 4, 5))


@pytest.mark.parametrize(
    "name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
)
def test_dropout_draws_only_in_training(name):
    tg.manual_seed(0)
    shape = {"Dropout1d": (50, 40, 3), "Dropout2d": (50, 40, 3, 2), "Dropout3d": (50, 40, 2, 2, 2)}.get(
        name, (50, 40, 6)
    )
    layer, x = getattr(nn, name)(0.25), tg.ones(*shape)
    out = layer(x).numpy()
    dropped = out != out.max()
    assert 0.2 < dropped.mean() < 0.3
    if name != "Dropout" and name != "AlphaDropout":  # whole channels
        flat = dropped.reshape(50, 40, -1)
        assert (flat.all(-1) | ~flat.any(-1)).all()
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), x.numpy())


def test_leaky_slopes_are_drawn_in_training():
    tg.manual_seed(0)
    layer, x = nn.RReLU(0.1, 0.3), -tg.ones(1000)
    slopes = -layer(x).numpy()
    assert slopes.min() >= 0.1
    assert slopes.max() <= 0.3
    assert slopes.std() > 0.05
    np.testing.assert_allclose(layer.eval()(x).numpy(), -0.2, rtol=1e-6)


def test_pretrained_embeddings():
    table = tg.arange(6.0).reshape(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert layer(tg.tensor([2, 0])).tolist() == [[4.0, 5.0], [0.0, 1.0]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nn", "optim"])
def test_a_second_copy_of_the_package_is_refused(name):
    run = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"Fix: import tinygrad_edu.{name}, not {name}." in run.stderr
