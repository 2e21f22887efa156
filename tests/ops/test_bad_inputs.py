"""Wrong calls of every op: what torch refuses is refused here, so that the same `except` catches it, and what torch takes is taken.

The calls are lines of Python (see tests/parity.py). Most are generated from the registry: every op with something that is no
Tensor, with arguments missing or too many, every binary op with shapes that do not broadcast and with mixed types, every op of a
`dim` with dimensions out of range. The rest are written by hand, area by area.
"""

import re
from inspect import Parameter, signature

import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as functional
from tests.ops.wrong_calls import BY_HAND
from tests.parity import attempt, builtin_class, difference
from tinygrad_edu.primitive import Primitive, registry

torch = pytest.importorskip("torch")

RANDOM = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout", "rrelu",
          "bernoulli", "poisson", "gumbel_softmax", "multinomial"}  # fmt: skip
# The signs of singular vectors are anybody's choice; torch.instance_norm is the raw kernel, without defaults; a bound of clamp may be
# missing, and the parameters of the others begin with a `*`: all these have calls of their own below.
NOT_UNARY = {
    "svd",
    "qr",
    "cholesky",
    "instance_norm",
    "clamp",
    "clip",
    "softmax",
    "log_softmax",
    "flip",
    "permute",
    "reshape",
    "tile",
}

# Calls in which the two libraries may differ: (pattern of the call, why).
EXPECTED_DIFFERENCES = [
    (
        r"lib\.\w+\(f, np\.ones\(3\)\)",
        "torch takes NumPy arrays in operators only; function and operator are one object here",
    ),
    (r"lib\.(sub|subtract)\(f, True\)|lib\.pow\(b, True\)", "as everywhere else, the number True is 1"),
    (
        r"lib\.clamp_(min|max)\(u, -1\)",
        "torch turns the bound -1 into 255 without a word; here it is refused, as 300 is in both",
    ),
    (r"lib\.clamp_(min|max)\(f, None\)", "RuntimeError that a bound is missing, as in clamp"),
    (r"lib\.isclose\(f, g, v\)", "RuntimeError: a tensor has no single truth value"),
    (r"lib\.\w+\(f, dim=True\)", "as everywhere else, the number True is 1"),
    (
        r"lib\.(cummax|cummin)\((empty|none), (5|dim=1)\)",
        "torch overlooks a wrong dimension where there are no elements",
    ),
    (
        r"lib\.logsumexp\(f, dim=\(\)\)",
        "torch's error comes from inside; () means every dimension, as in its other reductions",
    ),
    (r"lib\.pdist\(h\)", "torch has no kernel for float16 here"),
    (r"F\.(softsign|tanhshrink)\((b|flag)\)", "a bool counts as 0 or 1; torch stumbles inside"),
    (r"F\.normalize\((zero|flag)\)", "two mistakes, dtype and dimension: the other one is named first"),
    (r"lib\.tensor\(\['a'\]\)", "TypeError, as torch raises for tensor('a')"),
    (r"lib\.tensor\(\[1\.0\], dtype='float'\)", "NumPy's names of types do as well"),
    (r"F\.interpolate\(np\.ones\(\(2, 2\)\)\)", "the missing size is named first"),
    (r"lib\.hstack\(\[\]\)", "ValueError, as torch raises for cat([])"),
    (r"f\.sort\(0, 'down'\)", "a flag is any truth value, as everywhere in Python"),
    (r"lib\.matmul\(b, b\.t\(\)\)", "products of bool matrices are NumPy's: and for *, or for +"),
    (r"lib\.einsum\(f, g\)", "AttributeError: the equation comes first; torch's error is an accident, too"),
    (
        r"lib\.bilinear\(f, g, square\)|F\.(avg_pool2d|unfold)\(f, 2\)|F\.batch_norm\(v, None, None, training=True\)",
        "torch stumbles over a missing dimension (IndexError); E101 and E113 say which shapes are expected",
    ),
    (r"F\.layer_norm\(f, 3\)", "the function takes a number as nn.LayerNorm does"),
    (r"F\.group_norm\(image, 0\)", "RuntimeError that names the op; torch divides by zero"),
    (r"F\.embedding_bag\(i, m, ids\)", "two mistakes, offsets and ids out of range: the other one is named first"),
    (r"F\.pad\(v, \(1, 1\), mode='replicate'\)", "a vector is padded as any other shape"),
    (
        r"F\.(pad\(f, \('a', 1\)|threshold\(f, 0\.5, 'a'|normalize\(f, p='a')\)|f\.(fill_\('a'|new_full\(\(2,\), 'a')\)",
        "ValueError of Python: text is no number",
    ),
    (
        r"F\.(rrelu\(f, 0\.5, 0\.1|scaled_dot_product_attention\(c, c, c, dropout_p=1\.5)\)",
        "ValueError, as in the layers nn.RReLU and nn.Dropout",
    ),
    (r"F\.cross_entropy\(f, labels, d\[0\]\)", "the weights are promoted as in every product"),
    (r"F\.cross_entropy\(f, labels, label_smoothing=-0\.5\)", "torch overlooks a negative smoothing"),
    (
        r"F\.binary_cross_entropy\(p, f\)",
        "targets outside [0, 1] are not looked for, which would cost a pass over them",
    ),
    (r"F\.(multi_margin_loss\(f, ids|ctc_loss\(c, i, labels, labels)\)", "two mistakes: the other one is named first"),
    (r"f\.data\.resize_\(7\)", "torch cannot enlarge memory that it shares with NumPy"),
    (r"f\.index_fill\(1, v, 2\.0\)", "RuntimeError, as torch raises for the same mistake in index_add and index_copy"),
]


def expected(call: str) -> bool:
    return any(re.fullmatch(pattern, call) for pattern, _ in EXPECTED_DIFFERENCES)


def required(function) -> list[str]:
    """The names of the arguments that a call cannot leave out."""
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in signature(function).parameters.values() if p.default is p.empty and p.kind in kinds]


def public(torch_owner, owner) -> dict[str, object]:
    """The ops that both libraries have under one name."""
    return {n: getattr(owner, n) for n in registry if hasattr(owner, n) and hasattr(torch_owner, n) and n not in RANDOM}


OPS, FUNCTIONS = public(torch, tg), public(torch.nn.functional, functional)
BINARY = sorted(
    {
        n
        for n in OPS
        if isinstance(registry[n], Primitive) and registry[n].elementwise and len(registry[n].arguments) == 2
    }
    | {"div", "divide", "pow", "float_power", "clamp_min", "clamp_max"}
)
UNARY = sorted(n for n, f in OPS.items() if required(f) == ["input"] and n not in BINARY and n not in NOT_UNARY)
WITH_DIM = sorted(
    n for n, f in OPS.items() if "dim" in signature(f).parameters and required(f) in (["input"], ["input", "dim"])
)
ACTIVATIONS = sorted(n for n, f in FUNCTIONS.items() if required(f) == ["input"] and n not in OPS)


def strangers(name: str, rest: str = "") -> list[str]:
    """Something that is no Tensor in the place of the first one; arguments missing, unknown, or too many."""
    calls = [f"{name}({wrong}{rest})" for wrong in ("[1.0]", "None", "1.0", "'x'", "(f,)", "np.ones((2, 2))")]
    return [*calls, f"{name}()", f"{name}(f{rest}, bad=1)", f"{name}(f{rest}, 1, 2, 3, 4, 5, 6, 7, 8, 9)"]


def binary_calls(name: str) -> list[str]:
    pairs = (
        "f, wide", "f, w", "c, f", "f, [1.0]", "f, None", "None, f", "[1.0], f", "f, 'x'", "f", "f, g, v", "b, b", "i, b", "b, i", "f, i",
        "i, f", "f, 2", "i, 2", "i, 2.5", "b, 2", "b, True", "f, True", "f, d", "h, f", "i, s", "2, f", "2.5, i", "u, -1", "u, 300",
        "i32, 2**40", "empty, v", "empty, f", "f, np.ones(3)", "f, inf", "f, nan",
    )  # fmt: skip
    return [f"lib.{name}({pair})" for pair in pairs] + [f"f.{name}(wide)", f"lib.{name}()", f"lib.{name}(f, g, bad=1)"]


def unary_calls(place: str, name: str) -> list[str]:
    inputs = (
        "f",
        "i",
        "b",
        "h",
        "d",
        "u",
        "i32",
        "s",
        "zero",
        "flag",
        "empty",
        "none",
        "m.t()",
        "c[:, ::2]",
        "image",
        "square",
    )
    return [f"{place}.{name}({x})" for x in inputs] + strangers(f"{place}.{name}")


def dim_calls(name: str) -> list[str]:
    dims = ("5", "-4", "1.5", "'a'", "(0, 0)", "(0, 5)", "(0, -3)", "(0,)", "()", "[0, 1]", "-1", "2")
    calls = [f"lib.{name}(f, dim={dim})" for dim in dims]
    if name not in ("unique", "unique_consecutive", "norm"):  # their second argument is another one
        calls += [f"lib.{name}({x}, {dim})" for x in ("f", "s", "empty") for dim in ("0", "-1", "5")]
    return [*calls, f"lib.{name}(none, dim=1)", f"lib.{name}(s, dim=1)", f"lib.{name}(s, dim=-2)"]


GENERATED = {
    **{f"binary-{n}": binary_calls(n) for n in BINARY},
    **{f"unary-{n}": unary_calls("lib", n) for n in UNARY},
    **{f"dim-{n}": dim_calls(n) for n in WITH_DIM},
    **{f"functional-{n}": unary_calls("F", n) for n in ACTIVATIONS},
}
CALLS = {**GENERATED, **BY_HAND}


@pytest.mark.parametrize("group", CALLS)
def test_what_torch_refuses_is_refused_and_what_it_takes_is_taken(group):
    found = {call: difference(call, torch) for call in CALLS[group] if not expected(call)}
    assert {call: how for call, how in found.items() if how} == {}


# Refusals by Python or NumPy of text where a number belongs, and what an index or a number says for itself.
NAMELESS = "|".join([
    r".*(='a'|, 'a'|, 'x'|\('a'|'a', 1|'a', 'b'|dtype='x')\)", r".*\['a'\].*", r".*\(1\.5\)", r".*\(2\.0, 3\)", r"f\.topk\(2\.0\)",
    r"lib\.float_power\(f, 'x'\)", r"lib\.pow\((\[1\.0\]|None), f\)", r"lib\.isclose\(f, g, v\)", r"lib\.(einsum\(f, g|where\(b, f)\)",
    r"F\.softmin\(.*\)", r"lib\.adjoint\(.*\)", r"f\.__setitem__\(.*\)", r"lib\.from_numpy\(.*\)", r"lib\.diff\(np\.ones\(\(2, 2\)\)\)",
    r"F\.multi_margin_loss\(f, ids\)",
])  # fmt: skip
KNOWN = {*registry, *dir(tg), *dir(functional), *dir(tg.Tensor)}


@pytest.mark.parametrize("group", CALLS)
def test_refusals_name_the_op(group):
    """The message says which op it was, or which step of it: ``norm`` where a vector has no direction to normalize."""
    nameless = {}
    for call in CALLS[group]:
        error = attempt(call, tg)
        if isinstance(error, Exception) and re.match(r"(lib|F|\w)\.(\w+)\(", call) and not re.fullmatch(NAMELESS, call):
            said = {word for found in re.findall(r"(\w+)\(\)|(\w+):|(\w+) \(|^(\w+)", str(error)) for word in found}
            if not said & KNOWN:
                nameless[call] = f"{builtin_class(error).__name__}: {error}"
    assert nameless == {}
