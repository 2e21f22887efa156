"""Layers with options and shapes drawn at random: PyTorch refuses the same ones, and gives the same numbers for the others.

The cases of `layer_cases` are chosen by hand; here Hypothesis looks for combinations that nobody thought of.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.parity import builtin_class

torch = pytest.importorskip("torch")


def sizes(dims, low, high):
    """One number, or one for each dimension."""
    number = st.integers(low, high)
    return number | st.tuples(*[number] * dims)


def some(**strategies):
    """Some of the options, the others left at their defaults."""
    return st.fixed_dictionaries({}, optional=strategies)


def shapes(dims, low, high, *lead):
    return st.tuples(*map(st.just, lead), *[st.integers(low, high)] * dims)


def layer(name, args, options, *inputs):
    """Draw (name, positional arguments, options, shapes of the inputs)."""
    return st.tuples(st.just(name), st.tuples(*args), options, st.tuples(*inputs))


@st.composite
def convolutions(draw):
    dims, turned = draw(st.integers(1, 3)), draw(st.booleans())
    options = {"stride": sizes(dims, 1, 3), "dilation": sizes(dims, 1, 2), "bias": st.just(False), "groups": st.just(2)}
    if turned:
        options |= {"padding": sizes(dims, 0, 2), "output_padding": sizes(dims, 0, 1)}
    else:
        options |= {"padding": sizes(dims, 0, 2) | st.sampled_from(["same", "valid"])}
        options |= {"padding_mode": st.sampled_from(["zeros", "reflect", "replicate", "circular"])}
    args = (st.just(4), st.just(6), sizes(dims, 1, 4))
    name = f"Conv{'Transpose' if turned else ''}{dims}d"
    return draw(layer(name, args, some(**options), shapes(dims, 3, 9 - dims, 2, 4)))


@st.composite
def pools(draw):
    dims, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["Max", "Avg"]))
    options = {"stride": sizes(dims, 1, 3), "padding": sizes(dims, 0, 1), "ceil_mode": st.just(True)}
    if kind == "Max":
        options |= {"dilation": sizes(dims, 1, 2), "return_indices": st.just(True)}
    else:
        options |= {"count_include_pad": st.just(False)}
        options |= {"divisor_override": st.integers(1, 5)} if dims > 1 else {}
    lead = draw(st.sampled_from([(2, 3), (3,)]))
    least = 3 if (kind, dims) == ("Avg", 3) else 2  # there PyTorch wants the kernel to fit without the padding
    return draw(
        layer(f"{kind}Pool{dims}d", (sizes(dims, 1, 3),), some(**options), shapes(dims, least, 9 - dims, *lead))
    )


@st.composite
def adaptive_pools(draw):
    dims, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["Avg", "Max"]))
    name = f"Adaptive{kind}Pool{dims}d"
    return draw(layer(name, (sizes(dims, 1, 6),), some(), shapes(dims, 1, 9 - dims, 2, 3)))


@st.composite
def normalizations(draw):
    dims, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["BatchNorm", "InstanceNorm"]))
    options = {"eps": st.sampled_from([1e-1, 1e-6]), "affine": st.booleans(), "track_running_stats": st.booleans()}
    options |= {"momentum": st.sampled_from([0.3, 1.0] + [None] * (kind == "BatchNorm"))}
    lead = (draw(st.integers(1, 4)), 4)
    return draw(layer(f"{kind}{dims}d", (st.just(4),), some(**options), shapes(dims, 1, 4, *lead)))


@st.composite
def recurrent(draw):
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    options = {"num_layers": st.integers(1, 3), "bias": st.just(False), "batch_first": st.just(True)}
    options |= {"bidirectional": st.just(True)}
    options |= {"LSTM": {"proj_size": st.just(2)}, "RNN": {"nonlinearity": st.just("relu")}}.get(kind, {})
    shape = st.sampled_from([(5, 2, 3), (1, 1, 3), (4, 3), (2, 1, 3)])
    return draw(layer(kind, (st.just(3), st.integers(3, 5)), some(**options), shape))


@st.composite
def attention(draw):
    options = draw(
        some(bias=st.just(False), add_bias_kv=st.just(True), add_zero_attn=st.just(True), batch_first=st.just(True))
    )
    widths = draw(st.sampled_from([{}, {"kdim": 6, "vdim": 5}]))
    length, keys, batch = (draw(st.integers(1, 4)) for _ in range(3))
    ends = ((length, 8), (keys, widths.get("kdim", 8)), (keys, widths.get("vdim", 8)))
    if draw(st.booleans()):
        ends = tuple((batch, n, e) if options.get("batch_first") else (n, batch, e) for n, e in ends)
    return "MultiheadAttention", (8, draw(st.sampled_from([1, 2, 4]))), options | widths, ends


@st.composite
def resized(draw):
    dims = draw(st.integers(1, 3))
    mode = draw(
        st.sampled_from(
            {1: ["nearest", "linear"], 2: ["nearest", "bilinear", "bicubic"], 3: ["nearest", "trilinear"]}[dims]
        )
    )
    factor = st.sampled_from([0.5, 0.6, 1.7, 2, 3.0])
    target = draw(st.fixed_dictionaries({"size": sizes(dims, 1, 9)}) | st.fixed_dictionaries({"scale_factor": factor}))
    corners = {"align_corners": st.booleans()} if mode != "nearest" else {}
    again = {"recompute_scale_factor": st.just(True)} if "scale_factor" in target else {}
    options = draw(some(**corners, **again))
    return draw(layer("Upsample", (), st.just({"mode": mode, **target, **options}), shapes(dims, 1, 6, 2, 2)))


@st.composite
def padded(draw):
    dims, kind = (
        draw(st.integers(1, 3)),
        draw(st.sampled_from(["Zero", "Reflection", "Replication", "Circular", "Constant"])),
    )
    least = -1 if kind in ("Zero", "Constant") else 0
    width = st.integers(0, 2) | st.tuples(*[st.integers(least, 2)] * (2 * dims))
    args = (width, st.just(1.5)) if kind == "Constant" else (width,)
    return draw(layer(f"{kind}Pad{dims}d", args, some(), shapes(dims, 3, 5, 2, 2)))


def array(tensor):
    return None if tensor is None else np.array(tensor.detach().numpy())


def flat(out):
    return [each for part in out for each in flat(part)] if isinstance(out, tuple | list) else [out]


def attempt(lib, name, args, options, ends, training):
    """Everything that can be seen of a layer that runs twice, or the error."""
    lib.manual_seed(3)
    try:
        made = getattr(lib.nn, name)(*args, **options).to(lib.float64).train(training)
        inputs = [lib.tensor(np.random.default_rng(2).normal(size=end) * 2, requires_grad=True) for end in ends]
        for _ in range(2):
            outs = [out for out in flat(made(*inputs)) if out is not None]
            sum(
                (o * lib.tensor(np.cos(np.arange(o.numel())).reshape(tuple(o.shape)))).sum()
                for o in outs
                if o.requires_grad
            ).backward()
    except Exception as error:
        return error
    seen = [*outs, *(x.grad for x in inputs), *(p.grad for p in made.parameters()), *made.buffers()]
    printed = repr(made).replace("NonDynamicallyQuantizableLinear", "Linear")
    return [printed, list(made.state_dict()), *map(array, seen)]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


FAMILIES = [convolutions, pools, adaptive_pools, normalizations, recurrent, attention, resized, padded]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_as_in_torch(family):
    @settings(max_examples=60)
    @given(family(), st.booleans())
    def check(drawn, training):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, theirs = (attempt(lib, *drawn, training) for lib in (tg, torch))
        if isinstance(ours, Exception) or isinstance(theirs, Exception):
            assert isinstance(ours, Exception) and isinstance(theirs, Exception), (ours, theirs)
            assert isinstance(ours, builtin_class(theirs)), (ours, theirs)
            return
        assert ours[:2] == theirs[:2] and len(ours) == len(theirs)
        for mine, their in zip(ours[2:], theirs[2:], strict=True):
            assert (mine is None) == (their is None)
            if mine is not None:
                assert mine.dtype == their.dtype
                np.testing.assert_allclose(mine, their, rtol=1e-7, atol=1e-9)

    check()
