"""Settings, switches and mixed precision: what programs set and ask before they begin."""

import importlib
import subprocess
import sys
import warnings

import pytest

import tinygrad_edu as tg
from tinygrad_edu import kernels


# ---- settings -----------------------------------------------------------------------------------------------------------
def test_the_default_device_is_the_cpu():
    assert tg.get_default_device() == tg.device("cpu")
    tg.set_default_device("cpu")
    with pytest.raises(RuntimeError, match="CPU only"):
        tg.set_default_device("cuda")
    with tg.device("cpu"):
        assert tg.ones(1).device == tg.device("cpu")
    with pytest.raises(RuntimeError, match="CPU only"), tg.device("cuda"):
        pass


@pytest.mark.parametrize("name", ["torch.DoubleTensor", tg.DoubleTensor, tg.float64])
def test_the_default_type_by_its_old_name(name):
    try:
        tg.set_default_tensor_type(name)
        assert tg.ones(1).dtype is tg.float64
    finally:
        tg.set_default_dtype(tg.float32)


@pytest.mark.parametrize("name", ["torch.LongTensor", "Nonsense", tg.LongTensor])
def test_types_that_cannot_be_the_default(name):
    with pytest.raises(TypeError, match="floating-point"):
        tg.set_default_tensor_type(name)


def test_wishes_are_remembered():
    assert tg.get_float32_matmul_precision() == "highest"
    assert not tg.are_deterministic_algorithms_enabled()
    try:
        tg.set_float32_matmul_precision("high")
        tg.use_deterministic_algorithms(True, warn_only=True)
        assert tg.get_float32_matmul_precision() == "high"
        assert tg.are_deterministic_algorithms_enabled()
    finally:
        tg.set_float32_matmul_precision("highest")
        tg.use_deterministic_algorithms(False)
    with pytest.raises(RuntimeError, match="expected one of"):
        tg.set_float32_matmul_precision("low")


def test_threads_of_kernels_and_of_the_matrix_library():
    code = """
import numpy as np, threadpoolctl, tinygrad_edu as tg
tg.set_num_threads(1)
print(tg.get_num_threads(), {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
"""
    pytest.importorskip("threadpoolctl")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "1 {1}"
    assert tg.get_num_threads() == kernels.threads.get_num_threads()
    with pytest.raises(RuntimeError, match="positive integer"):
        tg.set_num_threads(0)


def test_compile_runs_eagerly_when_asked():
    model = tg.nn.Linear(2, 1)
    assert tg.compile(model, backend="eager") is model
    assert tg.compile(disable=True)(abs) is abs
    assert tg.compile(model)._orig_mod is model


# ---- places that are not there --------------------------------------------------------------------------------------------
def test_programs_that_ask_first_choose_the_cpu():
    assert ("cuda" if tg.cuda.is_available() else "mps" if tg.backends.mps.is_available() else "cpu") == "cpu"
    assert tg.accelerator.current_accelerator() is None
    assert not tg.accelerator.is_available()
    assert tg.accelerator.device_count() == tg.cuda.device_count() == tg.cuda.memory_allocated() == 0
    tg.cuda.manual_seed_all(0)
    tg.cuda.synchronize()
    tg.cuda.empty_cache()
    tg.cuda.reset_peak_memory_stats()
    tg.accelerator.synchronize()


@pytest.mark.parametrize(
    "use",
    [
        lambda: tg.cuda.set_device(0),
        lambda: tg.cuda.set_device("cuda:1"),
        lambda: tg.cuda.current_device(),
        lambda: tg.accelerator.set_device_index(0),
        lambda: tg.accelerator.current_device_index(),
    ],
)
def test_programs_that_do_not_ask_are_told_what_to_ask(use):
    with pytest.raises(RuntimeError, match=r"CPU only.*is_available"):
        use()


def test_switches_of_other_libraries_can_be_set():
    cudnn = importlib.import_module("tinygrad_edu.backends.cudnn")
    assert tg.backends.cudnn is cudnn
    assert (cudnn.version(), cudnn.is_available(), cudnn.benchmark) == (None, False, False)
    with cudnn.flags(benchmark=True, deterministic=True):
        assert cudnn.benchmark
    assert not cudnn.benchmark
    tg.backends.cuda.matmul.allow_tf32 = False


# ---- mixed precision ------------------------------------------------------------------------------------------------------
def test_autocast_changes_nothing_and_says_so():
    x = tg.ones(2, 2)
    with pytest.warns(UserWarning, match="nothing is cast"), tg.autocast("cpu", dtype=tg.float16):
        assert (x @ x).dtype is tg.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tg.amp.autocast("cuda", enabled=False):
            pass
    with pytest.warns(UserWarning, match="nothing is cast"):

        @tg.cuda.amp.autocast()
        def f(v):
            return v + 1

    assert f(x).sum().item() == 8.0
    with pytest.raises(RuntimeError, match="device_type"):
        tg.autocast("abacus")


def train(scaler, factor=1.0):
    """Three steps on (w - 3)^2, and the parameter after each."""
    w = tg.nn.Parameter(tg.tensor([1.0]))
    optimizer = tg.optim.SGD([w], lr=0.1)
    path = []
    for step in range(3):
        optimizer.zero_grad()
        loss = ((w - 3) ** 2).sum() * (factor if step == 1 else 1.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        path.append(w.item())
    return path


def test_without_a_gpu_the_scaler_steps_aside():
    with pytest.warns(UserWarning, match="not available"):
        scaler = tg.amp.GradScaler()
    assert not scaler.is_enabled()
    assert scaler.get_scale() == 1.0
    assert scaler.state_dict() == {}
    assert train(scaler) == train(tg.amp.GradScaler(enabled=False)) == pytest.approx([1.4, 1.72, 1.976])


def test_scaling_does_not_change_the_steps():
    scaler = tg.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    assert train(scaler) == pytest.approx([1.4, 1.72, 1.976])
    assert scaler.get_scale() == 2048.0


def test_a_step_with_infinite_gradients_is_left_out():
    scaler = tg.amp.GradScaler("cpu", init_scale=1024.0)
    assert train(scaler, float("inf")) == pytest.approx([1.4, 1.4, 1.72])
    assert scaler.get_scale() == 512.0


def test_the_scaler_follows_pytorch():
    torch = pytest.importorskip("torch")

    def run(library):
        scaler = library.amp.GradScaler(
            "cpu", init_scale=8.0, growth_factor=4.0, backoff_factor=0.25, growth_interval=2
        )
        w = library.nn.Parameter(library.tensor([1.0, -2.0]))
        optimizer = library.optim.SGD([w], lr=0.1)
        seen = []
        for factor in (1.0, float("nan"), 1.0, 1.0, 2.0):
            optimizer.zero_grad()
            scaled, _ = scaler.scale([(w**2).sum() * factor, w.sum()])
            scaled.backward()
            scaler.unscale_(optimizer)
            library.nn.utils.clip_grad_norm_([w], 1.0)
            scaler.step(optimizer)
            scaler.update()
            seen += [scaler.get_scale(), *w.tolist()]
        return [*seen, *scaler.state_dict().values()], list(scaler.state_dict())

    (ours, our_names), (theirs, their_names) = run(tg), run(torch)
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert our_names == their_names


def test_the_scaler_knows_when_it_is_misused():
    scaler = tg.amp.GradScaler("cpu")
    w = tg.nn.Parameter(tg.ones(1))
    optimizer = tg.optim.SGD([w], lr=0.1)
    with pytest.raises(RuntimeError, match="before update"):
        scaler.update()
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="closure"):
        scaler.step(optimizer, lambda: None)
    with pytest.raises(ValueError, match="growth_factor"):
        tg.amp.GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(RuntimeError, match="empty"):
        scaler.load_state_dict({})
    other = tg.amp.GradScaler("cpu", init_scale=2.0)
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
