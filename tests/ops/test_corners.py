"""Corners of the whole table of ops against torch: every pair of dtypes, numbers, NaN and infinity, ties, empty, 0-d, in-place forms."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.all_cases import CASES
from tests.drawing import values
from tests.op_cases import OpCase
from tests.ops.test_bad_inputs import BINARY, UNARY, WITH_DIM
from tests.parity import DTYPES, difference
from tinygrad_edu.ops.inplace import NAMES

torch = pytest.importorskip("torch")

# Where the two libraries may differ: (pattern of test and example, why).
EXPECTED_DIFFERENCES = [
    (
        r"(number|in place) clamp_(min|max) uint8.* -1",
        "torch turns the bound -1 into 255 without a word; here it is refused",
    ),
    (
        r"(number|in place) pow bool.* True",
        "powers of bools are refused for a number, too, as torch refuses them for a tensor",
    ),
    (r"special pdist .*|dtype pdist float16.*", "torch has no kernel for float16 here"),
    (r"dtype matrix_exp float16.*", "torch overflows on the way"),
    (r"dtype (nan)?median (bool|int8|int16)\[0\]", "the median of nothing: torch's is whatever was in memory"),
    (r"ties (std|var)_mean infinite .*", "the mean of infinite numbers is infinite; torch's algorithm makes NaN of it"),
    (
        r"ties (mode|unique) NaN .*",
        "NaN is not ordered, and so the position and the order of rows with NaN are anybody's",
    ),
    (
        r"in place gradient (acosh|arccosh|asinh|arcsinh|atanh|arctanh|floor_divide|heaviside) .*",
        "torch has no derivative for these in-place forms",
    ),
    (r"in place gradient digamma .*", "torch's derivative is good to float32 only"),
    (r"in place gradient logical_(and|or|xor) .*", "torch leaves the gradient of the value that was overwritten"),
    (r"special hist(c|ogram) 1e\+30 .*", "no width is left at 1e30 for a bin"),
    (r"special histogram (-?0\.0|1e-30) .*", "on an edge, which torch rounds to a number just beside 0"),
]
NUMBERS = (True, 2, -1, 0, 2.5, math.inf)
SPECIAL = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 1e-30, 1e30])
SHAPES = ((), (0,), (1,), (3,), (2, 3), (2, 0, 3), (1, 3, 1))


def array(dtype: str, shape: tuple[int, ...], seed: int, low: int = 0) -> np.ndarray:
    """Small numbers that every dtype can hold; divisors are never zero."""
    drawn = np.random.default_rng(seed).integers(max(low, 1), 4, shape)
    return np.asarray(drawn if dtype != "bool" else drawn > 1).astype(dtype)


def check(test: str, examples: dict) -> None:
    """Fail with every example in which the libraries differ, but for those that may."""
    found = {}
    for example, call in examples.items():
        how = difference(call, torch)
        if how and not any(re.fullmatch(pattern, f"{test} {example}") for pattern, _ in EXPECTED_DIFFERENCES):
            found[example] = how
    assert found == {}


def on(name: str, *arrays, method: str | None = None):
    """A call of an op on fresh copies of arrays (or numbers), in either library."""

    def call(lib):
        tensors = [lib.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in arrays]
        if method is None:
            return getattr(lib, name)(*tensors)
        result = getattr(tensors[0], method)(*tensors[1:])
        return [result, tensors[0]]

    return call


# ---- dtypes -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", BINARY)
def test_every_pair_of_dtypes(name):
    """Result dtype and values of both orders, with dimensions and 0-d."""
    shapes = {"same": ((3,), (3,)), "0-d right": ((3,), ()), "0-d left": ((), (3,)), "0-d": ((), ())}
    check(f"pair {name}", {
        f"{a} {b} {kind}": on(name, array(a, first, 1), array(b, second, 2))
        for a in DTYPES for b in DTYPES for kind, (first, second) in shapes.items()
    })  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_every_dtype_with_a_number(name):
    examples = {}
    for dtype in DTYPES:
        for number in NUMBERS:
            for shape in ((3,), ()):
                examples[f"{dtype}{list(shape)} {number}"] = on(name, array(dtype, shape, 3), number)
                examples[f"{number} {dtype}{list(shape)}"] = on(name, number, array(dtype, shape, 3))
    check(f"number {name}", examples)


@pytest.mark.parametrize("name", UNARY)
def test_every_dtype_of_one_tensor(name):
    shapes = ((3,), (), (0,), (2, 2))
    check(f"dtype {name}", {f"{d}{list(s)}": on(name, array(d, s, 4)) for d in DTYPES for s in shapes})


# ---- NaN, infinity, ties ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_special_values_in_pairs(name, dtype):
    first, second = (grid.ravel().astype(dtype) for grid in np.meshgrid(SPECIAL, SPECIAL))
    if name.startswith("bitwise"):
        pytest.skip("floats have no bits")
    check(
        f"special {name}",
        {f"{x} {y}": on(name, np.array([x]), np.array([y])) for x, y in zip(first, second, strict=True)},
    )


@pytest.mark.parametrize("name", UNARY)
def test_special_values(name):
    check(f"special {name}", {
        f"{x} {dtype}": on(name, np.full(shape, x, dtype)) for x in SPECIAL for dtype in ("float32", "float64") for shape in ((1,), ())
    })  # fmt: skip


@pytest.mark.parametrize("name", WITH_DIM)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_ties_and_special_values_along_a_dimension(name, dim):
    rng = np.random.default_rng(5)
    tables = {
        "ties": rng.integers(0, 3, (4, 5)).astype(np.float32), "all equal": np.ones((4, 5)), "NaN": rng.choice([1.0, 2.0, math.nan], (4, 5)),
        "infinite": rng.choice([1.0, math.inf, -math.inf], (4, 5)), "integers": rng.integers(0, 3, (4, 5)), "zeros": np.zeros((2, 3)),
        "one": np.ones((1, 1)), "strided": rng.integers(0, 3, (5, 8)).astype(np.float64)[:, ::2], "turned": rng.normal(size=(5, 4)).T,
    }  # fmt: skip
    check(f"ties {name}", {f"{kind} {dim}": on(name, x, dim) if name not in ("norm", "unique", "unique_consecutive") else (
        lambda lib, x=x: getattr(lib, name)(lib.from_numpy(x.copy()), dim=dim)) for kind, x in tables.items()})  # fmt: skip


# ---- in place ---------------------------------------------------------------------------------------------------------------
IN_PLACE_BINARY = sorted(n for n in NAMES if n in BINARY)
IN_PLACE_UNARY = sorted(n for n in NAMES if n in UNARY)


@pytest.mark.parametrize("name", IN_PLACE_BINARY)
def test_in_place_with_another_tensor(name):
    """Result dtypes that cannot be stored and shapes that would grow are refused; else the memory has the result."""
    examples = {
        f"{a} {b}": on(name, array(a, (3,), 6), array(b, (3,), 7), method=f"{name}_") for a in DTYPES for b in DTYPES
    }
    for kind, (first, second) in {
        "grows": ((3,), (2, 3)), "broadcast": ((2, 3), (3,)), "wrong": ((3,), (4,)), "0-d": ((), ()), "empty": ((0,), (1,)), "0-d grows": ((), (1,)),
    }.items():  # fmt: skip
        examples[kind] = on(name, array("float32", first, 8), array("float32", second, 9), method=f"{name}_")
        examples[f"{kind} int64"] = on(name, array("int64", first, 8), array("int64", second, 9), method=f"{name}_")
    for number in NUMBERS:
        examples.update({f"{d} {number}": on(name, array(d, (3,), 6), number, method=f"{name}_") for d in DTYPES})
    check(f"in place {name}", examples)


@pytest.mark.parametrize("name", IN_PLACE_UNARY)
def test_in_place(name):
    check(
        f"in place {name}",
        {f"{d}{list(s)}": on(name, array(d, s, 6), method=f"{name}_") for d in DTYPES for s in ((3,), (), (0,))},
    )


@pytest.mark.parametrize("name", IN_PLACE_UNARY + IN_PLACE_BINARY)
def test_gradient_after_an_in_place_write(name):
    """Through an interior tensor that is overwritten, whole and through a view; or a refusal by the same class."""
    x, y = np.array([0.3, 0.6, 0.9]), np.array([0.5, 0.7, 0.2])

    def whole(lib):
        a, b = (lib.from_numpy(v.copy()).requires_grad_() for v in (x, y))
        t = a * 0.5
        result = getattr(t, f"{name}_")(b) if name in BINARY else getattr(t, f"{name}_")()
        total = (result * result + a).sum()
        return list(lib.autograd.grad(total, [a, b], allow_unused=True))

    def part(lib):
        a, b = (lib.from_numpy(v.copy()).requires_grad_() for v in (x, y))
        t = a * 0.5
        view = t[1:]
        getattr(view, f"{name}_")(*([b[1:]] if name in BINARY else []))
        return list(lib.autograd.grad((t * t * a).sum(), [a, b], allow_unused=True))

    check(f"in place gradient {name}", {"whole": whole, "part": part})


# ---- any case of the table --------------------------------------------------------------------------------------------------
ELEMENTWISE = [case for case in CASES if case.elementwise and case.torch and "float64" in case.dtypes]


@pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
@settings(max_examples=4)
@given(data=st.data())
def test_shapes_and_layouts_of_elementwise_ops(case: OpCase, data):
    """0-d, empty, strided, turned and expanded tensors give the same values, dtypes and gradients."""
    shape = data.draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    arrays = [values(arg, shape, rng) for arg in case.args]
    layout = data.draw(st.sampled_from(("plain", "turned", "strided", "expanded")))

    def laid_out(t):
        if layout == "turned" and t.ndim > 1:
            return t.transpose(0, -1)
        if layout == "strided" and t.ndim:
            return t[..., ::2]
        return t.expand(2, *t.shape) if layout == "expanded" else t

    def call(lib):
        leaves = [lib.from_numpy(a.copy()) for a in arrays]
        for leaf, arg in zip(leaves, case.args, strict=True):
            if arg.kind == "float" and arg.grad and case.order:
                leaf.requires_grad_()
        result = case.run(lib, *map(laid_out, leaves))
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        if not wanted or not result.requires_grad:
            return result
        return [result, *lib.autograd.grad(result.sum(), wanted)]

    assert difference(call, torch) is None
