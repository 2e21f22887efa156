"""Names that PyTorch keeps for old programs, and hooks that run after a gradient has arrived."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

torch = pytest.importorskip("torch")

OLD = (
    "uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
    "orthogonal", "sparse",
)  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_initialisers_without_the_underscore_warn_and_fill(name):
    arguments = {"constant": (2.0,), "sparse": (0.5,)}.get(name, ())
    shape = (4, 3, 3) if name == "dirac" else (4, 3)
    values = []
    for lib in (tg, torch):
        lib.manual_seed(0)
        with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"):
            values.append(getattr(lib.nn.init, name)(lib.zeros(*shape), *arguments).numpy())
    np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6)


def test_the_old_clip_grad_norm():
    w = tg.tensor([3.0, 4.0], requires_grad=True)
    (w * w / 2).sum().backward()
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        assert nn.utils.clip_grad_norm([w], 1.0).item() == 5.0
    assert w.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-5)


@pytest.mark.parametrize("options", [{"size": 5}, {"scale_factor": 2, "mode": "bilinear", "align_corners": True}])
def test_upsample(options):
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 3))
    with pytest.warns(UserWarning, match="interpolate"):
        ours = nn.functional.upsample(tg.tensor(x), **options)
    with pytest.warns(UserWarning, match="interpolate"):
        theirs = torch.nn.functional.upsample(torch.tensor(x), **options)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)


def test_register_backward_hook_shows_the_output_gradient_torch_shows():
    def run(lib):
        seen = []
        layer = lib.nn.Tanh()
        layer.register_backward_hook(
            lambda module, grads, outputs: seen.append((grads[0].tolist(), outputs[0].tolist()))
        )
        x = lib.tensor([0.5, -1.0], requires_grad=True)
        (layer(x) * lib.tensor([2.0, 3.0])).sum().backward()
        return seen

    (ours,), (theirs,) = run(tg), run(torch)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    assert ours[1] == theirs[1]


def test_to_empty_keeps_shapes_and_types_but_not_memory():
    model = nn.Sequential(nn.Linear(2, 3).double(), nn.BatchNorm1d(3))
    before = [(t.shape, t.dtype, t.data_ptr()) for t in model.state_dict().values()]
    parameters = list(model.parameters())
    assert model.to_empty(device="cpu") is model
    after = [(t.shape, t.dtype, t.data_ptr()) for t in model.state_dict().values()]
    assert [entry[:2] for entry in before] == [entry[:2] for entry in after]
    assert all(b[2] != a[2] for b, a in zip(before, after, strict=True))
    assert all(p is q and p.requires_grad for p, q in zip(parameters, model.parameters(), strict=True))
    inner = model[0].weight.data_ptr()
    model.to_empty(device="cpu", recurse=False)
    assert model[0].weight.data_ptr() == inner
    with pytest.raises(TypeError):
        model.to_empty()
    with pytest.raises(RuntimeError):
        model.to_empty(device="cuda")


# ---- after the gradient has arrived -----------------------------------------------------------------------------------------
def test_hooks_after_accumulation_see_what_torchs_see():
    def run(lib):
        seen = []
        w = lib.tensor([1.0, 2.0], requires_grad=True)
        handle = w.register_post_accumulate_grad_hook(lambda t: seen.append((t is w, t.grad.tolist())))
        for _ in range(2):
            (w * w + w).sum().backward()  # used three times, told once
        lib.autograd.grad((w * w).sum(), w)  # nothing is accumulated
        (w * 3).sum().backward(inputs=[w])
        handle.remove()
        w.sum().backward()
        return seen

    assert run(tg) == run(torch)
    assert len(run(tg)) == 3


def test_a_hook_may_step_and_free_the_gradient():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()

    def step(parameter):
        parameter.sub_(parameter.grad, alpha=0.1)  # hooks run without recording
        parameter.grad = None

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    model(tg.ones(4, 3)).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    np.testing.assert_allclose(model.weight.detach().numpy(), before.numpy() - 0.4, rtol=1e-5)


def test_where_hooks_after_accumulation_are_refused():
    w = tg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        tg.ones(2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (w * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(TypeError, match="callable"):
        w.register_post_accumulate_grad_hook(3)


# ---- histogram --------------------------------------------------------------------------------------------------------------
HISTOGRAMS = {
    "counts": lambda lib, x, w: lib.histogram(x, 5),
    "default": lambda lib, x, w: x.histogram(),
    "range": lambda lib, x, w: lib.histogram(x, 4, range=(-0.5, 1.5)),
    "weights": lambda lib, x, w: lib.histogram(x, 5, weight=w),
    "density": lambda lib, x, w: lib.histogram(x, 5, weight=w, density=True),
    "edges": lambda lib, x, w: lib.histogram(x, lib.tensor([-1.0, 0.0, 0.1, 2.0], dtype=lib.float64), density=True),
    "one value": lambda lib, x, w: lib.histogram(x * 0 + 2, 3),
    "empty": lambda lib, x, w: lib.histogram(x[:0], 3),
    "on the edges": lambda lib, x, w: lib.histogram(lib.arange(7.0), 3),
    "nan": lambda lib, x, w: lib.histogram(lib.tensor([0.5, float("nan"), 1.0, 2.0]), 3, range=(0, 1)),
}


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_histograms_equal_torchs(name):
    x, w = np.random.default_rng(0).normal(size=(2, 6, 5))
    ours, theirs = (HISTOGRAMS[name](lib, lib.tensor(x), lib.tensor(np.abs(w))) for lib in (tg, torch))
    np.testing.assert_allclose(ours.hist.numpy(), theirs.hist.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.bin_edges.numpy(), theirs.bin_edges.numpy(), rtol=1e-6, atol=1e-7)


WRONG = (
    "lib.histogram(lib.arange(5), 3)", "lib.histogram(x, 0)", "lib.histogram(x, 3, range=(2, 1))", "lib.histogram(x, lib.ones(2, 2))",
    "lib.histogram(x, lib.arange(4))", "lib.histogram(x, 3, weight=lib.ones(4))", "lib.histogram(x, 3, weight=lib.ones(5).double())",
    "lib.histogram(lib.tensor([1., float('nan')]), 3)", "lib.histogram(x, lib.tensor([0., 1.]), range=(0., 1.))",
)  # fmt: skip


@pytest.mark.parametrize("call", WRONG)
def test_wrong_histograms_are_refused_with_torchs_class(call):
    raised = []
    for lib in (torch, tg):
        with pytest.raises(Exception) as info:
            eval(call, {"lib": lib, "x": lib.arange(5.0), "float": float})
        raised.append(info.type)
    assert issubclass(raised[1], raised[0])
