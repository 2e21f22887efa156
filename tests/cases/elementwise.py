"""Cases of arithmetic, elementary functions, rounding, comparisons and activations."""

import numpy as np
from scipy import special

from tests.op_cases import Arg, OpCase, elementwise
from tinygrad_edu.nn import functional as our_functional
from tinygrad_edu.ops import activation, arithmetic, comparison, exponential, rounding

ANY = Arg()
POSITIVE = Arg(low=0.2, high=3.0)
INSIDE = Arg(low=-0.8, high=0.8)
NONZERO = Arg(away_from=(0.0,))
WHOLE = Arg(kind="int", low=-4, high=5)
COUNT = Arg(kind="int", low=0, high=5)
TRUTH = Arg(kind="bool")
BETWEEN = Arg(low=0.1, high=0.9)  # between two whole numbers
MATRIX = Arg(shapes=((3, 4), (2, 1), (0, 3), (5,), (2, 3, 2)))


def unary(name: str, arg: Arg = ANY, **options) -> OpCase:
    return elementwise(name, args=(arg,), **options)


def binary(name: str, first: Arg = ANY, second: Arg = ANY, **options) -> OpCase:
    return elementwise(name, args=(first, second), **options)


def functional(lib):
    """The module of functions of networks that belongs to a library."""
    return our_functional if lib.__name__ == "tinygrad_edu" else lib.nn.functional


def activated(name: str, arg: Arg = ANY, function: str | None = None, **params) -> OpCase:
    """An activation called through nn.functional; the case shows `params` in its name."""
    options = {key: params.pop(key) for key in ("order", "torch", "dtypes", "reference") if key in params}
    public = function or name
    return elementwise(
        name, args=(arg,), params=params, call=lambda lib, x: getattr(functional(lib), public)(x, **params), **options
    )


def internal(name: str, module, *args: Arg, **options) -> OpCase:
    """An internal primitive, called by its own name; torch has no such op."""
    params = options.pop("params", {})
    function = getattr(module, name)
    return elementwise(
        name, args=args, params=params, call=lambda lib, *tensors: function(*tensors, **params), torch=False, **options
    )


ARITHMETIC = [
    binary("add", reference=np.add),
    binary("add", call=lambda lib, x, y: lib.add(x, y, alpha=-2.5)),
    binary("sub", reference=np.subtract),
    binary("sub", call=lambda lib, x, y: lib.sub(x, y, alpha=3)),
    unary("sub", call=lambda lib, x: 1.5 - x),
    binary("subtract"),
    binary("rsub", call=lambda lib, x, y: lib.rsub(x, y, alpha=2)),
    unary("rsub", call=lambda lib, x: lib.rsub(x, 2.0)),
    binary("mul", reference=np.multiply),
    unary("mul", call=lambda lib, x: 2.5 * x),
    binary("multiply"),
    unary("neg", reference=np.negative),
    unary("negative"),
    unary("positive"),
    binary("true_divide", ANY, NONZERO, reference=np.divide),
    unary("true_divide", NONZERO, call=lambda lib, x: 2.0 / x),
    binary("true_divide", WHOLE, Arg(kind="int", low=1, high=5), order=0, torch=False),
    binary("div", ANY, NONZERO),
    binary("divide", ANY, NONZERO),
    binary("div", BETWEEN, POSITIVE, call=lambda lib, x, y: lib.div(x, y, rounding_mode="trunc"), order=0),
    binary(
        "div",
        WHOLE,
        Arg(kind="int", low=1, high=5),
        call=lambda lib, x, y: lib.div(x, y, rounding_mode="trunc"),
        order=0,
    ),
    binary(
        "div",
        WHOLE,
        Arg(kind="int", low=1, high=5),
        call=lambda lib, x, y: lib.div(x, y, rounding_mode="floor"),
        order=0,
    ),
    binary("floor_divide", WHOLE, Arg(kind="int", low=1, high=5), order=0, reference=np.floor_divide),
    binary("floor_divide", BETWEEN, Arg(low=1.5, high=3.0), torch=False, reference=np.floor_divide),
    internal("trunc_divide", arithmetic, BETWEEN, Arg(low=1.5, high=3.0), reference=lambda x, y: np.trunc(x / y)),
    binary("remainder", Arg(low=-0.9, high=-0.1), Arg(low=1.5, high=3.0), reference=np.remainder),
    binary("remainder", WHOLE, Arg(kind="int", low=1, high=5), order=0),
    binary("fmod", Arg(low=-0.9, high=-0.1), Arg(low=1.5, high=3.0), reference=np.fmod),
    binary("fmod", WHOLE, Arg(kind="int", low=1, high=5), order=0),
    unary("square", reference=np.square),
    unary("square", TRUTH, order=0),
    unary("reciprocal", NONZERO, reference=np.reciprocal),
    elementwise("addcmul", args=(ANY, ANY, ANY), call=lambda lib, x, y, z: lib.addcmul(x, y, z, value=0.5)),
    elementwise("addcdiv", args=(ANY, ANY, NONZERO), call=lambda lib, x, y, z: lib.addcdiv(x, y, z, value=-2.0)),
    elementwise("lerp", args=(ANY, ANY, Arg(low=-0.5, high=1.5)), reference=lambda x, y, w: x + w * (y - x)),
    binary("lerp", call=lambda lib, x, y: lib.lerp(x, y, 0.75)),
]
POWERS = [
    binary("pow", POSITIVE, ANY, reference=np.power),
    internal("power", arithmetic, POSITIVE, ANY, reference=np.power),
    *(unary("pow", Arg(low=0.3, high=2.0), call=lambda lib, x, p=p: x**p) for p in (0, 1, 2, 3, -1, 5, 0.5, -1.5, 2.0)),
    unary("pow", Arg(away_from=(0.0,)), call=lambda lib, x: lib.pow(x, 3)),
    unary("pow", call=lambda lib, x: 2**x),
    unary("pow", WHOLE, call=lambda lib, x: x**2, order=0),
    unary("pow", COUNT, call=lambda lib, x: x**0.5, order=0),
    unary("power_of", POSITIVE, call=lambda lib, x: lib.pow(x, 2.5), reference=lambda x: x**2.5),
    unary("float_power", POSITIVE, call=lambda lib, x: lib.float_power(x, 1.5), dtypes=("float64",)),
    binary("float_power", COUNT, COUNT, order=0),
]
EXPONENTIAL = [
    unary("exp", reference=np.exp),
    unary("exp", COUNT, order=0, dtypes=("float32",)),
    unary("exp2", reference=np.exp2),
    unary("expm1", reference=np.expm1),
    unary("log", POSITIVE, reference=np.log),
    unary("log2", POSITIVE, reference=np.log2),
    unary("log10", POSITIVE, reference=np.log10),
    unary("log1p", Arg(low=-0.8, high=2.0), reference=np.log1p),
    binary("logaddexp", reference=np.logaddexp),
    binary("logaddexp2", reference=np.logaddexp2),
    binary("xlogy", Arg(away_from=(0.0,)), POSITIVE, reference=special.xlogy),
    unary("logit", BETWEEN, reference=special.logit),
    unary("logit", Arg(low=0.0, high=1.0, away_from=(0.2, 0.8)), call=lambda lib, x: lib.logit(x, eps=0.2)),
    unary("sqrt", POSITIVE, reference=np.sqrt),
    unary("rsqrt", POSITIVE, reference=lambda x: 1 / np.sqrt(x)),
    unary("erf", reference=special.erf),
    unary("erfc", reference=special.erfc),
    unary("erfinv", INSIDE, reference=special.erfinv),
    # torch's derivatives of digamma are good to float32 only
    unary("lgamma", POSITIVE, reference=special.gammaln, dtypes=("float32",)),
    unary("digamma", Arg(low=0.5, high=3.0), reference=special.digamma, dtypes=("float32",)),
    unary(
        "polygamma",
        Arg(low=0.7, high=3.0),
        call=lambda lib, x: lib.polygamma(2, x),
        reference=lambda x: special.polygamma(2, x),
    ),
    internal(
        "polygamma_of",
        exponential,
        Arg(low=0.7, high=3.0),
        params={"n": 1},
        reference=lambda x, n=1: special.polygamma(n, x),
    ),
]
TRIGONOMETRIC = [
    *(
        unary(name, reference=getattr(np, name))
        for name in ("sin", "cos", "sinh", "cosh", "tanh", "deg2rad", "rad2deg")
    ),
    unary("tan", Arg(low=-1.2, high=1.2), reference=np.tan),
    unary("asin", INSIDE, reference=np.arcsin),
    unary("acos", INSIDE, reference=np.arccos),
    unary("atan", reference=np.arctan),
    unary("asinh", reference=np.arcsinh),
    unary("acosh", Arg(low=1.2, high=3.0), reference=np.arccosh),
    unary("atanh", INSIDE, reference=np.arctanh),
    *(unary(name, INSIDE) for name in ("arcsin", "arccos", "arctan", "arcsinh", "arctanh")),
    unary("arccosh", Arg(low=1.2, high=3.0)),
    binary("atan2", NONZERO, NONZERO, reference=np.arctan2),
    binary("arctan2", NONZERO, NONZERO),
    binary("hypot", NONZERO, NONZERO, reference=np.hypot),
    unary("sinc", NONZERO, reference=np.sinc),
]
ROUNDING = [
    # torch's second derivatives of abs and sgn are tensors without memory, which cannot be compared
    unary("abs", NONZERO, reference=np.abs, torch=False),
    *(unary(name, NONZERO, order=1) for name in ("abs", "absolute")),
    unary("sign", NONZERO, reference=np.sign),
    unary("sgn", NONZERO, order=0),
    binary("copysign", NONZERO, NONZERO, reference=np.copysign),
    *(
        unary(name, Arg(away_from=(-2, -1, 0, 1, 2)), reference=getattr(np, name))
        for name in ("floor", "ceil", "trunc")
    ),
    *(unary(name, WHOLE, order=0) for name in ("floor", "ceil", "trunc", "round", "abs", "sign")),
    unary("fix", Arg(away_from=(-2, -1, 0, 1, 2))),
    unary("round", Arg(away_from=(-1.5, -0.5, 0.5, 1.5)), reference=np.round),
    unary("round", Arg(kind="float", grad=False), call=lambda lib, x: lib.round(x, decimals=1), order=0),
    unary("frac", Arg(away_from=(-2, -1, 0, 1, 2)), reference=lambda x: x - np.trunc(x)),
    binary("maximum", reference=np.maximum),
    binary("minimum", reference=np.minimum),
    binary("fmax", reference=np.fmax),
    binary("fmin", reference=np.fmin),
    unary("clamp", Arg(away_from=(-0.5, 1.0)), call=lambda lib, x: lib.clamp(x, -0.5, 1)),
    unary("clamp", Arg(away_from=(0.5,)), call=lambda lib, x: x.clamp(min=0.5)),
    elementwise("clamp", args=(ANY, ANY, ANY), torch=False),  # torch fails to broadcast some gradients
    OpCase("clamp", (MATRIX, MATRIX, MATRIX)),
    unary("clamp", WHOLE, call=lambda lib, x: lib.clamp(x, -1, 2.5), order=0),
    unary("clip", Arg(away_from=(0.5,)), call=lambda lib, x: lib.clip(x, max=0.5)),
    binary("clamp_min"),
    binary("clamp_max"),
    internal("clamp_to", rounding, Arg(away_from=(0.0,)), params={"low": 0.0, "high": None}),
    internal(
        "clamp_between", rounding, ANY, ANY, ANY, reference=lambda x, low, high: np.minimum(np.maximum(x, low), high)
    ),
    internal("clamp_above", rounding, ANY, ANY, reference=np.maximum),
    internal("clamp_below", rounding, ANY, ANY, reference=np.minimum),
    unary("nan_to_num", reference=np.nan_to_num),
    binary("heaviside", order=0, reference=np.heaviside),
]
COMPARISON = [
    *(binary(name, WHOLE, WHOLE, order=0) for name in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(binary(name, order=0) for name in ("not_equal", "less", "less_equal", "greater", "greater_equal")),
    binary("isclose", WHOLE, WHOLE, order=0),
    binary("isclose", call=lambda lib, x, y: lib.isclose(x, y, rtol=0.5, atol=0.1), order=0),
    *(unary(name, order=0) for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "logical_not")),
    *(binary(name, TRUTH, TRUTH, order=0) for name in ("logical_and", "logical_or", "logical_xor")),
    *(binary(f"bitwise_{name}", WHOLE, WHOLE, order=0) for name in ("and", "or", "xor")),
    *(binary(f"bitwise_{name}", TRUTH, TRUTH, order=0) for name in ("and", "or", "xor")),
    *(binary(f"bitwise_{name}_shift", COUNT, COUNT, order=0) for name in ("left", "right")),
    unary("bitwise_not", WHOLE, order=0),
    unary("bitwise_not", TRUTH, call=lambda lib, x: ~x, order=0),
    OpCase("allclose", (MATRIX, MATRIX), order=0, call=lambda lib, x, y: [lib.tensor(lib.allclose(x, v)) for v in (y, x + 1e-9)]),
    OpCase("equal", (MATRIX, MATRIX), order=0, call=lambda lib, x, y: [lib.tensor(lib.equal(x, v)) for v in (y, x)]),
    elementwise("keep", args=(Arg(away_from=(0.3,)),), call=lambda lib, x: comparison.keep(x, x > 0.3), torch=False,
                reference=lambda x: np.where(x > 0.3, x, 0)),
]  # fmt: skip
ACTIVATIONS = [
    unary("relu", NONZERO, reference=lambda x: np.maximum(x, 0)),
    unary("relu", WHOLE, order=0),
    OpCase("relu", (Arg(shapes=((50, 40),), away_from=(0.0,)),)),  # large enough for the compiled kernel
    unary("sigmoid", reference=special.expit),
    unary("sigmoid", COUNT, order=0),
    OpCase("sigmoid", (Arg(shapes=((50, 40),), low=-9.0, high=9.0),), reference=special.expit),
    activated("relu6", Arg(low=-2.0, high=8.0, away_from=(0.0, 6.0))),
    activated("leaky_relu", NONZERO, negative_slope=0.2),
    activated("elu", NONZERO, alpha=0.7),
    activated("selu", NONZERO),
    activated("celu", NONZERO, alpha=1.5),
    activated("gelu"),
    activated("gelu", approximate="tanh"),
    activated("silu"),
    activated("mish"),
    activated("logsigmoid"),
    activated("softplus", beta=2.0, threshold=30.0),
    activated("softsign"),
    activated("tanhshrink"),
    activated("hardtanh", Arg(away_from=(-0.5, 1.0)), min_val=-0.5, max_val=1.0),
    # torch's float64 gradient of hardsigmoid is rounded to float32, and it has no second one
    activated("hardsigmoid", Arg(low=-4.0, high=4.0, away_from=(-3.0, 3.0)), order=1, dtypes=("float32",)),
    activated("hardsigmoid", Arg(low=-4.0, high=4.0, away_from=(-3.0, 3.0)), torch=False),
    activated("hardswish", Arg(low=-4.0, high=4.0, away_from=(-3.0, 3.0))),
    activated("hardshrink", Arg(away_from=(-0.5, 0.5)), lambd=0.5),
    activated("softshrink", Arg(away_from=(-0.5, 0.5)), lambd=0.5),
    activated("threshold", Arg(away_from=(0.3,)), threshold=0.3, value=-1.0),
    activated("rrelu", NONZERO),
    OpCase("prelu", (Arg(shapes=((2, 3, 2), (4, 3), (5,)), away_from=(0.0,)), Arg(shapes=((3,), (1,), (1,))))),
    internal("leaky_by", activation, NONZERO, ANY, reference=lambda x, w: np.where(x > 0, x, x * w)),
    OpCase("glu", (Arg(shapes=((3, 4), (2, 6), (0, 2))),), call=lambda lib, x: functional(lib).glu(x)),
    OpCase("glu", (Arg(shapes=((4, 3),)),), call=lambda lib, x: functional(lib).glu(x, 0)),
]

CASES = [*ARITHMETIC, *POWERS, *EXPONENTIAL, *TRIGONOMETRIC, *ROUNDING, *COMPARISON, *ACTIVATIONS]
