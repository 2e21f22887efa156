"""Every optimizer walks PyTorch's path: 50 steps on the same loss, in float64 to 1e-12 and in float32 to rounding."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim

torch = pytest.importorskip("torch")

VARIANTS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.001, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "maximize": True, "decoupled_weight_decay": True, "weight_decay": 0.2}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "momentum": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "momentum": 0.3}),
    ("RMSprop", {"centered": True, "maximize": True}),
    ("Adagrad", {"lr": 0.3}),
    ("Adagrad", {"lr": 0.3, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.05}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.01}),
    ("NAdam", {"lr": 0.05}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("RAdam", {"lr": 0.05}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.2)}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.01, "weight_decay": 0.1, "d": 1.5, "beta2_decay": -0.5}),
    ("Adafactor", {"lr": 0.05, "eps": (1e-4, 1e-2), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "t0": 10, "weight_decay": 0.1}),
]
SHAPES = [(3, 4), (4,), ()]


def start(dtype):
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


def loss_of(lib, weights, data):
    """A smooth loss with curvature that differs from weight to weight."""
    matrix, vector, scalar = weights
    residual = lib.tanh(data @ matrix + vector) * scalar - 0.5
    return (residual * residual).mean() + 0.01 * (matrix * matrix).sum()


def walk(lib, optimizers, tensor, name, options, dtype, steps=50):
    weights = [tensor(w) for w in start(dtype)]
    for weight in weights:
        weight.requires_grad_()
    data = tensor(np.random.default_rng(3).normal(size=(6, 3)).astype(dtype))
    optimizer = getattr(optimizers, name)(weights, **options)
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(lib, weights, data).backward()
        optimizer.step()
        path.append(np.concatenate([np.array(w.detach().numpy()).ravel() for w in weights]))
    return np.array(path), optimizer


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_float64(name, options):
    ours, _ = walk(tg, optim, tg.tensor, name, options, np.float64)
    theirs, _ = walk(torch, torch.optim, torch.tensor, name, options, np.float64)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_float32(name, options):
    ours, _ = walk(tg, optim, tg.tensor, name, options, np.float32, steps=20)
    theirs, _ = walk(torch, torch.optim, torch.tensor, name, options, np.float32, steps=20)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.5}, {"line_search_fn": "strong_wolfe"}, {"history_size": 2, "max_iter": 8}]
)
def test_lbfgs(options):
    def run(lib, optimizers, tensor):
        weights = [tensor(w).requires_grad_() for w in start(np.float64)]
        data = tensor(np.random.default_rng(3).normal(size=(6, 3)))
        optimizer = optimizers.LBFGS(weights, **options)

        def closure():
            optimizer.zero_grad()
            loss = loss_of(lib, weights, data)
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(4)]
        return losses, np.concatenate([np.array(w.detach().numpy()).ravel() for w in weights])

    ours, theirs = run(tg, optim, tg.tensor), run(torch, torch.optim, torch.tensor)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-8)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "Adafactor"]
)
def test_state_dict_has_torchs_keys_and_continues_the_path(name):
    options = {"momentum": 0.9} if name == "SGD" else {}
    options["lr"] = 0.05
    whole, _ = walk(tg, optim, tg.tensor, name, options, np.float64, steps=12)
    _, theirs = walk(torch, torch.optim, torch.tensor, name, options, np.float64, steps=6)
    _, first = walk(tg, optim, tg.tensor, name, options, np.float64, steps=6)
    saved, reference = first.state_dict(), theirs.state_dict()
    assert saved["param_groups"] == reference["param_groups"]
    assert {k: set(v) for k, v in saved["state"].items()} == {k: set(v) for k, v in reference["state"].items()}

    weights = [p.detach().requires_grad_() for p in first.param_groups[0]["params"]]
    second = getattr(optim, name)(weights, lr=9.0)
    second.load_state_dict(saved)
    data = tg.tensor(np.random.default_rng(3).normal(size=(6, 3)))
    for _ in range(6):
        second.zero_grad()
        loss_of(tg, weights, data).backward()
        second.step()
    now = np.concatenate([np.array(w.detach().numpy()).ravel() for w in weights])
    np.testing.assert_array_equal(now, whole[-1])


@pytest.mark.parametrize(("name", "options"), [
    ("SGD", {}), ("SGD", {"momentum": 0.9, "weight_decay": 0.1}), ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"weight_decay": 0.1}), ("AdamW", {"amsgrad": True}), ("RMSprop", {"centered": True, "momentum": 0.5}),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joined_parameters_go_the_way_of_single_ones_to_the_last_bit(name, options, dtype):
    paths = []
    for joined in (True, False):
        optimizer_class = getattr(optim, name)
        single = type(name, (optimizer_class,), {"elementwise": joined})
        namespace = type("optimizers", (), {name: single})
        path, optimizer = walk(tg, namespace, tg.tensor, name, options | {"lr": 0.05}, dtype, steps=8)
        assert (optimizer._flats.get(0) is not None) == joined
        paths.append(path)
    np.testing.assert_array_equal(*paths)


def test_a_state_of_torchs_can_be_loaded():
    _, theirs = walk(torch, torch.optim, torch.tensor, "Adam", {"lr": 0.05}, np.float64, steps=6)
    _, ours = walk(tg, optim, tg.tensor, "Adam", {"lr": 0.05}, np.float64, steps=6)
    other = optim.Adam([p.detach().requires_grad_() for p in ours.param_groups[0]["params"]])
    other.load_state_dict(theirs.state_dict())
    for mine, their in zip(other.state.values(), ours.state.values(), strict=True):
        assert mine["step"] == their["step"] == 6
        np.testing.assert_allclose(mine["exp_avg"].numpy(), their["exp_avg"].numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in dir(optim) if isinstance(getattr(torch.optim, n, None), type) and n != "Optimizer"]
)
def test_printed_form_and_signature(name):
    import inspect

    ours = getattr(optim, name)([tg.zeros(2, 2, requires_grad=True)])
    theirs = getattr(torch.optim, name)([torch.zeros(2, 2, requires_grad=True)])
    assert repr(ours) == repr(theirs)
    mine, their = (inspect.signature(getattr(lib, name)).parameters for lib in (optim, torch.optim))
    assert [(n, p.default) for n, p in mine.items()] == [(n, p.default) for n, p in their.items()]


MUON = [
    {},
    {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"},
    {"momentum": 0.5, "weight_decay": 0.3, "ns_steps": 3},
]


@pytest.mark.parametrize("options", MUON)
@pytest.mark.parametrize("shape", [(3, 4), (9, 5), (6, 6)])
def test_muon(shape, options):
    """The iteration rounds to bfloat16 as PyTorch's does, so the paths stay together."""
    values = np.random.default_rng(1).normal(size=shape)
    paths = []
    for lib, optimizers in ((tg, optim), (torch, torch.optim)):
        w = lib.tensor(values, requires_grad=True)
        optimizer = optimizers.Muon([w], **options)
        for _ in range(20):
            optimizer.zero_grad()
            lib.tanh(w).pow(2).sum().backward()
            optimizer.step()
        paths.append(np.array(w.detach().numpy()))
        assert set(optimizer.state_dict()["state"][0]) == {"momentum_buffer"}
    np.testing.assert_allclose(*paths, rtol=1e-12)


def test_muon_moves_every_direction_alike():
    from tinygrad_edu.optim.muon import orthogonalized

    matrix = np.random.default_rng(1).normal(size=(20, 8)) * np.logspace(0, -1, 8)
    theirs = torch.optim._muon._zeropower_via_newtonschulz(torch.tensor(matrix), (3.4445, -4.775, 2.0315), 5, 1e-7)
    ours = orthogonalized(matrix, (3.4445, -4.775, 2.0315), 5, 1e-7)
    np.testing.assert_allclose(ours, theirs.float().numpy(), atol=2**-8)
    values = np.linalg.svd(ours, compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3


def test_muon_takes_matrices_only():
    with pytest.raises(ValueError, match=r"Muon only supports 2D parameters.*\(3,\).*AdamW"):
        optim.Muon([tg.zeros(3, requires_grad=True)])
    with pytest.raises(ValueError, match="Adjust learning rate function x is not supported"):
        optim.Muon([tg.zeros(3, 2, requires_grad=True)], adjust_lr_fn="x")
