"""Cases of reductions, extremes, running sums and products, and softmax."""

import numpy as np
from scipy import special

from tests.cases.elementwise import functional
from tests.op_cases import Arg, OpCase
from tinygrad_edu.ops import comparison, cumulative, extremum, reduction, variance
from tinygrad_edu.ops import softmax as softmax_ops

ANY = Arg(shapes=((3, 4), (2, 3, 4), (), (5,), (0, 3), (2, 0)))
FULL = Arg(shapes=((3, 4), (2, 3, 4), (), (5,)))
DISTINCT = Arg(shapes=((3, 4), (2, 3, 4), (), (5,)), distinct=True)
CUBE = Arg(shapes=((2, 3, 4), (3, 2, 3)))
DISTINCT_CUBE = Arg(shapes=((2, 3, 4),), distinct=True)
NONZERO = Arg(shapes=((3, 4), (2, 3, 4), (5,)), away_from=(0.0,))
WHOLE = Arg(shapes=((3, 4), (5,), ()), kind="int", low=-3, high=4)
WHOLE_CUBE = Arg(shapes=((2, 3, 4),), kind="int", low=-3, high=4)
TRUTH = Arg(shapes=((3, 4), (5,), (0, 2)), kind="bool")
LONG = Arg(shapes=((9000,), (4200, 2), (2, 4200)))  # longer than one block of a sum


def over(name: str, arg: Arg, *positional, order: int = 2, **params) -> OpCase:
    """``lib.name(x, *positional, **params)``, shown with its parameters."""
    shown = {**{f"p{i}": value for i, value in enumerate(positional)}, **params}
    return OpCase(
        name, (arg,), params=shown, order=order, call=lambda lib, x: getattr(lib, name)(x, *positional, **params)
    )


def dims(name: str, arg: Arg = CUBE, **options) -> list[OpCase]:
    """One dimension from either end, several, with and without keepdim."""
    return [over(name, arg, *call, **options) for call in ((0,), (-1,), (1, True), ((0, 2),), ((-1, 0), True))]


def lines(name: str, arg: Arg = DISTINCT_CUBE, **options) -> list[OpCase]:
    """Reductions that take a single dimension."""
    return [over(name, arg, *call, **options) for call in ((0,), (-1,), (1, True))]


def internal(name: str, module, arg: Arg, *params, order: int = 2, reference=None, **options) -> OpCase:
    function = getattr(module, name)
    return OpCase(
        name, (arg,), order=order, torch=False, reference=reference, call=lambda lib, x: function(x, *params), **options
    )


SUMS = [
    over("sum", ANY), *dims("sum"), over("sum", LONG), over("sum", LONG, 0), over("sum", LONG, -1),
    over("sum", WHOLE, order=0), over("sum", TRUTH, 0, order=0), over("sum", WHOLE_CUBE, (0, 1), True, order=0),
    OpCase("sum", (ANY,), call=lambda lib, x: lib.sum(x, dtype=lib.float64)),
    OpCase("sum", (CUBE,), call=lambda lib, x: x.sum(axis=1), reference=lambda x: x.sum(1)),
    over("mean", FULL), *dims("mean"),
    OpCase("mean", (WHOLE,), order=0, call=lambda lib, x: lib.mean(x, dtype=lib.float64)),
    over("nansum", ANY), *dims("nansum"), over("nansum", WHOLE, order=0),
    over("nanmean", FULL), *dims("nanmean"),
    over("count_nonzero", WHOLE, order=0), over("count_nonzero", WHOLE_CUBE, (0, 2), order=0), over("count_nonzero", ANY, order=0),
    *dims("logsumexp"), over("logsumexp", FULL, 0),
    OpCase("logsumexp", (CUBE,), call=lambda lib, x: lib.logsumexp(x, 1), reference=lambda x: special.logsumexp(x, 1)),
    OpCase("broadcast_to", (Arg(shapes=((3, 1), (4,), ())),), call=lambda lib, x: lib.broadcast_to(x, (2, 3, 4))),
]  # fmt: skip
VARIANCES = [
    case
    for name in ("var", "std", "var_mean", "std_mean")
    for case in (
        over(name, NONZERO), *dims(name), over(name, CUBE, 2, False), over(name, CUBE, 0, correction=0), over(name, CUBE, False),
        over(name, CUBE, (0, 2), correction=3, keepdim=True),
    )
]  # fmt: skip
APART = Arg(shapes=((3, 4),), low=0.1, high=2.0, distinct=True)
ALONG = Arg(shapes=((2, 3, 4),), away_from=(0.0,))
# torch's second derivatives of piecewise linear norms are tensors without memory, which cannot be compared
LINEAR = [(NONZERO, (1,)), (APART, (np.inf,)), (APART, (-np.inf,)), (ALONG, (1, -1, False))]
NORMS = [
    *(over("norm", NONZERO, p) for p in (2, 3, 1.5, 0.5, -1, "fro")),
    *(over("norm", ALONG, *call) for call in ((2, 0, True), (3, (0, 1), False))),
    *(over("norm", arg, *call, order=1) for arg, call in LINEAR),
    *(internal("norm_along", reduction, arg, *(call + (None, False))[:3]) for arg, call in LINEAR),
    over("norm", NONZERO, 0, order=0),
]  # fmt: skip
EXTREMES = [
    *(case for name in ("max", "min", "median", "nanmedian") for case in (over(name, DISTINCT), *lines(name))),
    *(case for name in ("amax", "amin") for case in (over(name, DISTINCT), *dims(name, DISTINCT_CUBE))),
    *(OpCase(name, (DISTINCT_CUBE, DISTINCT_CUBE), order=2) for name in ("max", "min")),
    *(over(name, WHOLE, order=0) for name in ("max", "min", "median", "amax", "amin", "argmax", "argmin")),
    *(over(name, TRUTH, order=0) for name in ("any", "all")),
    *(case for name in ("any", "all") for case in dims(name, WHOLE_CUBE, order=0)),
    *(case for name in ("argmax", "argmin") for case in (over(name, DISTINCT, order=0), *lines(name, order=0))),
    *(over(name, WHOLE_CUBE, 2, order=0) for name in ("argmax", "argmin")),
    over("aminmax", DISTINCT), over("aminmax", DISTINCT_CUBE, dim=1, keepdim=True),
    *lines("mode"), over("mode", WHOLE_CUBE, 2, order=0),
]  # fmt: skip
RUNNING = [
    *(case for name in ("cumsum", "cumprod", "logcumsumexp") for case in (over(name, CUBE, 0), over(name, CUBE, -1), over(name, FULL, 0))),
    *(case for name in ("cummax", "cummin") for case in (over(name, DISTINCT_CUBE, 0), over(name, DISTINCT_CUBE, -1), over(name, DISTINCT, 0))),
    *(over(name, WHOLE, 0, order=0) for name in ("cumsum", "cumprod", "cummax", "cummin")),
    OpCase("cumsum", (CUBE,), call=lambda lib, x: lib.cumsum(x, 1, dtype=lib.float64), reference=lambda x: np.cumsum(x, 1)),
    over("cumprod", NONZERO, 0),
    over("prod", ANY), *lines("prod", CUBE), over("prod", WHOLE, order=0), over("prod", NONZERO, 0),
    OpCase("prod", (Arg(shapes=((3, 4), (5,)), make=lambda rng, shape: rng.integers(-1, 2, shape).astype(float)),),
           call=lambda lib, x: lib.prod(x, 0)),  # most lines hold zeros
    OpCase("cumprod", (Arg(shapes=((3, 4), (5,)), make=lambda rng, shape: rng.integers(-1, 2, shape).astype(float)),),
           call=lambda lib, x: lib.cumprod(x, 0)),
    over("diff", CUBE), over("diff", CUBE, 2, 0), over("diff", TRUTH, order=0),
    OpCase("diff", (Arg(shapes=((3, 4),)), Arg(shapes=((3, 2),))), call=lambda lib, x, y: lib.diff(x, prepend=y, append=y)),
]  # fmt: skip
SOFTMAX = [
    *(over(name, Arg(shapes=((3, 4), (2, 3, 4), (), (5,), (0, 3)), low=-4.0, high=4.0), d) for name in ("softmax", "log_softmax") for d in (0, -1)),
    over("softmax", CUBE, 1),
    over("log_softmax", CUBE, 1),
    OpCase("softmax", (FULL,), call=lambda lib, x: lib.softmax(x, 0, dtype=lib.float64), reference=lambda x: special.softmax(x, 0)),
    OpCase("log_softmax", (FULL,), call=lambda lib, x: x.log_softmax(0), reference=lambda x: special.log_softmax(x, 0)),
    OpCase("softmin", (FULL,), call=lambda lib, x: functional(lib).softmin(x, 0)),
]  # fmt: skip


def gumbel(lib, x, hard: bool):
    lib.manual_seed(5)
    return functional(lib).gumbel_softmax(x, tau=0.7, hard=hard, dim=-1)


INTERNAL = [
    internal("sum_along", reduction, CUBE, 1, False, reference=lambda x: x.sum(1)),
    internal("sum_to", reduction, Arg(shapes=((2, 3, 4),)), (3, 1), reference=lambda x: x.sum((0, 2))[:, None]),
    internal("sum_to", reduction, Arg(shapes=((2, 4),)), (4,), reference=lambda x: x.sum(0)),
    internal("spread", reduction, Arg(shapes=((2, 4),)), (2, 3, 4), 1, False, reference=lambda x: np.stack([x] * 3, 1)),
    internal("spread", reduction, Arg(shapes=((),)), (2, 3), None, False, reference=lambda x: np.full((2, 3), x)),
    internal("mean_along", reduction, CUBE, 1, True, reference=lambda x: x.mean(1, keepdims=True)),
    internal("count_nonzero_along", reduction, WHOLE, 0, order=0),
    internal("logsumexp_along", reduction, CUBE, 0, True, reference=lambda x: special.logsumexp(x, 0, keepdims=True)),
    internal("norm_along", reduction, Arg(shapes=((3, 4),), away_from=(0.0,)), 2.0, 1, False, reference=lambda x: np.linalg.norm(x, axis=1)),
    internal("var_along", variance, CUBE, 2, 1, False, reference=lambda x: x.var(2, ddof=1)),
    internal("std_along", variance, CUBE, 2, 0, False, reference=lambda x: x.std(2)),
    internal("any_along", comparison, TRUTH, 0, False, order=0, reference=lambda x: x.any(0)),
    internal("all_along", comparison, TRUTH, 0, False, order=0, reference=lambda x: x.all(0)),
    internal("argmax_along", extremum, DISTINCT_CUBE, 1, False, order=0, reference=lambda x: x.argmax(1)),
    internal("argmin_along", extremum, DISTINCT_CUBE, 1, False, order=0, reference=lambda x: x.argmin(1)),
    internal("amax_along", extremum, DISTINCT_CUBE, (0, 1), False, reference=lambda x: x.max((0, 1))),
    internal("amin_along", extremum, DISTINCT_CUBE, (0, 1), False, reference=lambda x: x.min((0, 1))),
    internal("amax_along", extremum, Arg(shapes=((70, 3),), distinct=True), 1, False, reference=lambda x: x.max(1)),
    internal("max_of_all", extremum, DISTINCT, reference=np.max),
    internal("min_of_all", extremum, DISTINCT, reference=np.min),
    internal("median_of_all", extremum, Arg(shapes=((3, 3), (5,)), distinct=True), False, reference=np.median),
    internal("median_position", extremum, DISTINCT_CUBE, 1, False, False, order=0, reference=lambda x: x.argsort(1)[:, 1]),
    internal("mode_position", extremum, WHOLE_CUBE, 2, True, order=0),
    *(OpCase("pick_one", (CUBE,), torch=False, call=lambda lib, x, k=k: extremum.pick_one(x, x.argmin(1, k).detach(), 1, k),
             reference=lambda x, k=k: x.min(1, keepdims=k)) for k in (False, True)),
    OpCase("place_one", (Arg(shapes=((2, 4),)),), torch=False,
           call=lambda lib, x: extremum.place_one(x, (x > 0).long(), (2, 3, 4), 1, False),
           reference=lambda x: np.stack([np.where(x > 0, 0, x), np.where(x > 0, x, 0), 0 * x], 1)),
    internal("cumsum_along", cumulative, CUBE, 1, True, reference=lambda x: np.flip(np.cumsum(np.flip(x, 1), 1), 1)),
    internal("cumprod_along", cumulative, CUBE, 2, reference=lambda x: np.cumprod(x, 2)),
    internal("prod_along", cumulative, CUBE, 1, False, reference=lambda x: x.prod(1)),
    internal("has_zero", cumulative, WHOLE, order=0, reference=lambda x: np.array((x == 0).any())),
    internal("shift", cumulative, Arg(shapes=((2, 4),)), 1, 1, 7.0, reference=lambda x: np.concatenate([np.full((2, 1), 7.0), x[:, :-1]], 1)),
    internal("shift", cumulative, Arg(shapes=((2, 4),)), -9, 1, 0, reference=np.zeros_like),
    internal("logcumsumexp_along", cumulative, CUBE, 1, True, reference=lambda x: np.flip(np.logaddexp.accumulate(np.flip(x, 1), 1), 1)),
    OpCase("log_where", (Arg(shapes=((3, 4),), low=-2.0, high=2.0, away_from=(0.0,)),), torch=False,
           call=lambda lib, x: lib.exp(cumulative.log_where(x, x > 0)), reference=lambda x: np.where(x > 0, x, 0)),
    internal("cummax_position", cumulative, DISTINCT_CUBE, 1, order=0),
    internal("cummin_position", cumulative, DISTINCT_CUBE, 1, order=0),
    internal("softmax_along", softmax_ops, CUBE, 1, reference=lambda x: special.softmax(x, 1)),
    internal("log_softmax_along", softmax_ops, CUBE, 1, reference=lambda x: special.log_softmax(x, 1)),
    OpCase("gumbel_softmax", (Arg(shapes=((3, 4),)),), call=lambda lib, x: gumbel(lib, x, False)),
    OpCase("gumbel_softmax", (Arg(shapes=((3, 4),)),), call=lambda lib, x: gumbel(lib, x, True), order=0),
]  # fmt: skip

CASES = [*SUMS, *VARIANCES, *NORMS, *EXTREMES, *RUNNING, *SOFTMAX, *INTERNAL]
