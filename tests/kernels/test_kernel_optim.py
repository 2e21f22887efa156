"""Optimizer steps equal their twins, and PyTorch's optimizers over several steps with every option."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, normal

from tinygrad_edu import kernels

flags = st.booleans()
STEPS = 4


def run_sgd(p, grads, lr, o):
    buffer = np.zeros_like(p) if o["momentum"] else None
    for i, g in enumerate(grads):
        kernels.sgd_step(p, g, buffer, lr, **o, first=i == 0)


def run_adam(p, grads, lr, o, betas=(0.8, 0.95)):
    o = dict(o)
    m, v, largest = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p) if o.pop("amsgrad") else None
    for i, g in enumerate(grads):
        kernels.adam_step(p, g, m, v, largest, i + 1, lr, *betas, 1e-8, **o)


def run_rmsprop(p, grads, lr, o):
    o = dict(o)
    square = np.zeros_like(p)
    mean = np.zeros_like(p) if o.pop("centered") else None
    buffer = np.zeros_like(p) if o["momentum"] else None
    for g in grads:
        kernels.rmsprop_step(p, g, square, mean, buffer, lr, **o)


sgd_options = st.fixed_dictionaries(
    {
        "momentum": st.sampled_from([0.0, 0.9]),
        "dampening": st.sampled_from([0.0, 0.3]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
        "nesterov": flags,
        "maximize": flags,
    }
).filter(lambda o: not o["nesterov"] or (o["momentum"] and not o["dampening"]))
adam_options = st.fixed_dictionaries(
    {"weight_decay": st.sampled_from([0.0, 0.1]), "decoupled": flags, "maximize": flags, "amsgrad": flags}
)
rmsprop_options = st.fixed_dictionaries(
    {
        "alpha": st.sampled_from([0.99, 0.5]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
        "momentum": st.sampled_from([0.0, 0.9]),
        "maximize": flags,
        "centered": flags,
    }
)
cases = st.one_of(
    st.tuples(st.just(run_sgd), sgd_options),
    st.tuples(st.just(run_adam), adam_options),
    st.tuples(st.just(run_rmsprop), rmsprop_options),
)


def torch_optimizer(torch, runner, parameter, lr, o):
    o = dict(o)
    if runner is run_sgd:
        return torch.optim.SGD([parameter], lr, **o)
    if runner is run_adam:
        kind = torch.optim.AdamW if o.pop("decoupled") else torch.optim.Adam
        return kind([parameter], lr, betas=(0.8, 0.95), **o)
    return torch.optim.RMSprop([parameter], lr, **o)


@given(cases, st.sampled_from([(0,), (1,), (17,), (5, 7), (3, 4, 5)]), st.sampled_from(DTYPES), st.integers(0, 999))
def test_steps_equal_their_twins(case, shape, dtype, seed):
    runner, options = case
    start, grads = normal(seed, *shape, dtype=dtype), [normal(seed + i, *shape, dtype=dtype) for i in range(1, STEPS)]
    results = []
    for backend in ("numba", "numpy") if kernels.numba_works() else ("numpy", "numpy"):
        p = start.copy()
        with kernels.backend(backend):
            runner(p, grads, 0.01, options)
        results.append(p)
    np.testing.assert_allclose(*results, rtol=100 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps)


@given(cases, st.sampled_from(DTYPES), st.integers(0, 999))
def test_steps_equal_pytorchs(case, dtype, seed):
    torch = pytest.importorskip("torch")
    runner, options = case
    p, grads = normal(seed, 33, dtype=dtype), [normal(seed + i, 33, dtype=dtype) for i in range(1, STEPS)]
    theirs = torch.nn.Parameter(torch.tensor(p))
    optimizer = torch_optimizer(torch, runner, theirs, 0.01, options)
    for g in grads:
        theirs.grad = torch.tensor(g)
        optimizer.step()
    runner(p, grads, 0.01, options)
    np.testing.assert_allclose(
        p, theirs.detach().numpy(), rtol=100 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps
    )


def test_gradients_are_only_read_and_may_be_views():
    p, g = normal(1, 4, 6), normal(2, 6, 4).T
    expected = p - np.float32(0.1) * g
    g.flags.writeable = False
    kernels.sgd_step(p, g, None, 0.1)
    np.testing.assert_allclose(p, expected, rtol=1e-6)


def test_parameters_in_column_order_are_updated_in_place():
    p, g = np.asfortranarray(normal(1, 4, 6)), normal(2, 4, 6)
    expected = p - np.float32(0.1) * g
    kernels.sgd_step(p, g, None, 0.1)
    np.testing.assert_allclose(p, expected, rtol=1e-6)


def test_state_of_another_shape_is_refused():
    if not kernels.numba_works():
        pytest.skip("NumPy broadcasts or refuses by itself")
    with pytest.raises(ValueError, match=r"the gradient has shape \(3,\), but its parameter \(4,\)"):
        kernels.sgd_step(normal(1, 4), normal(2, 3), None, 0.1)
    with pytest.raises(ValueError, match="the state has shape"):
        kernels.sgd_step(normal(1, 4), normal(2, 4), normal(3, 5), 0.1)
