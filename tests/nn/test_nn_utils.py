"""nn.utils against PyTorch's: clipping, parameters as a vector, folding batch norm away."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

torch = pytest.importorskip("torch")


def parameters(lib, dtype="float32"):
    rng = np.random.default_rng(4)
    out = []
    for shape in [(3, 4), (4,), (2, 2, 2)]:
        p = lib.zeros(*shape, dtype=getattr(lib, dtype), requires_grad=True)
        p.grad = lib.tensor(rng.normal(size=shape).astype(dtype))
        out.append(p)
    return [*out, lib.zeros(2, requires_grad=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("max_norm", "norm_type"), [(1.0, 2.0), (100.0, 2.0), (0.5, 1.0), (0.3, float("inf")), (1.0, 3)]
)
def test_clipping_by_norm(max_norm, norm_type, dtype):
    ours, theirs = parameters(tg, dtype), parameters(torch, dtype)
    norms = [lib.nn.utils.clip_grad_norm_(p, max_norm, norm_type) for lib, p in ((tg, ours), (torch, theirs))]
    assert norms[0].shape == ()
    np.testing.assert_allclose(norms[0].item(), norms[1].item(), rtol=1e-6)
    for mine, their in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), their.grad.numpy(), rtol=1e-6)
        assert mine.grad.dtype == getattr(tg, dtype)


def test_clipping_by_value():
    ours, theirs = parameters(tg), parameters(torch)
    nn.utils.clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    for mine, their in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_array_equal(mine.grad.numpy(), their.grad.numpy())
    nn.utils.clip_grad_value_(ours[0], 0.1)
    assert np.abs(ours[0].grad.numpy()).max() <= np.float32(0.1)


def test_norms_apart():
    ours, theirs = parameters(tg), parameters(torch)
    total = nn.utils.get_total_norm([p.grad for p in ours[:3]])
    np.testing.assert_allclose(
        total.item(), torch.nn.utils.get_total_norm([p.grad for p in theirs[:3]]).item(), rtol=1e-6
    )
    nn.utils.clip_grads_with_norm_(ours, 1.0, total)
    assert nn.utils.get_total_norm([p.grad for p in ours[:3]]).item() == pytest.approx(1.0, rel=1e-4)
    assert nn.utils.clip_grad_norm_([tg.zeros(1)], 1.0).item() == 0.0
    ours[0].grad.array()[0, 0] = np.nan
    with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 .*non-finite"):
        nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)


def test_vectors():
    model = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(model.parameters())
    np.testing.assert_array_equal(
        vector.detach().numpy(), np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])
    )
    vector.sum().backward()
    assert model.bias.grad.tolist() == [1.0, 1.0, 1.0]
    nn.utils.vector_to_parameters(tg.arange(9.0), model.parameters())
    assert model.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert model.bias.tolist() == [6.0, 7.0, 8.0]
    with pytest.raises(ValueError, match="has 8 elements, the parameters 9"):
        nn.utils.vector_to_parameters(tg.arange(8.0), model.parameters())
    with pytest.raises(TypeError, match="expected Tensor"):
        nn.utils.vector_to_parameters([1.0], model.parameters())


@pytest.mark.parametrize("affine", [True, False])
def test_folding_batch_norm(affine):
    tg.manual_seed(0)
    image = tg.randn(5, 3, 6, 6)
    for layer, transpose, x in [
        (nn.Conv2d(3, 4, 3), False, image), (nn.Conv2d(3, 4, 3, bias=False), False, image),
        (nn.ConvTranspose2d(3, 4, 3), True, image),
    ]:  # fmt: skip
        norm = nn.BatchNorm2d(4, affine=affine)
        if affine:
            nn.init.uniform_(norm.weight)
            nn.init.uniform_(norm.bias)
        both = nn.Sequential(layer, norm)
        both(x)
        with pytest.raises(RuntimeError, match=r"model\.eval\(\)"):
            nn.utils.fuse_conv_bn_eval(layer, norm)
        both.eval()
        fused = nn.utils.fuse_conv_bn_eval(layer, norm, transpose)
        np.testing.assert_allclose(fused(x).detach().numpy(), both(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    linear, norm = nn.Linear(6, 4), nn.BatchNorm1d(4, affine=affine)
    both, x = nn.Sequential(linear, norm), tg.randn(8, 6)
    both(x)
    both.eval()
    fused = nn.utils.fuse_linear_bn_eval(linear, norm)
    np.testing.assert_allclose(fused(x).detach().numpy(), both(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_gradients_that_overflow_do_as_in_torch_without_a_warning_from_numpy():
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for lib in (tg, torch):
            p = lib.nn.Parameter(lib.ones(4))
            p.grad = lib.tensor([1e30, -2e30, float("inf"), 0.0])
            norm = lib.nn.utils.clip_grad_norm_([p], 1.0)
            results.append([norm.item(), *p.grad.tolist(), lib.norm(lib.full((3,), 1e30)).item()])
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("given", ["all", "no bias", "not affine"])
def test_folding_weights_of_batch_norm(given):
    rng = np.random.default_rng(0)
    w, image = rng.normal(size=(4, 3)), rng.normal(size=(4, 3, 2, 2))
    b, mean, variance, gain, offset = (rng.uniform(0.5, 2, size=4) for _ in range(5))
    b = None if given == "no bias" else b
    gain, offset = (None, None) if given == "not affine" else (gain, offset)
    for name, weight in (("fuse_linear_bn_weights", w), ("fuse_conv_bn_weights", image)):
        if name == "fuse_linear_bn_weights" and gain is None:
            continue  # PyTorch wants a gain there
        results = []
        for lib in (tg, torch):
            tensors = [None if x is None else lib.tensor(x) for x in (weight, b, mean, variance, gain, offset)]
            fused = getattr(lib.nn.utils.fusion, name)(*tensors[:4], 1e-3, *tensors[4:])
            assert all(isinstance(part, lib.nn.Parameter) for part in fused)
            results.append([part.detach().numpy() for part in fused])
        for mine, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_the_older_place_of_functional_call():
    layer = nn.Linear(2, 1)
    with pytest.warns(FutureWarning, match="func.functional_call"):
        out = nn.utils.stateless.functional_call(
            layer, {"weight": tg.ones(1, 2), "bias": tg.zeros(1)}, tg.tensor([3.0, 4.0])
        )
    assert out.tolist() == [7.0]
