"""Cases of indexing, gathering, masking, diagonals and sorting."""

import numpy as np

from tests.op_cases import Arg, OpCase
from tinygrad_edu.ops import diagonal, gathering, indexing, masking, scattering

MATRIX = (Arg(shapes=((3, 4),)),)
CUBE = (Arg(shapes=((2, 3, 4),)),)
DISTINCT = (Arg(shapes=((3, 4), (4, 1), (3, 0)), distinct=True),)
MASK = Arg(shapes=((3, 4), (4,), (3, 1)), kind="bool")
INTEGERS = Arg(shapes=((7,), (2, 3), (1,)), kind="int", low=0, high=4)


def key(*parts, args=CUBE) -> OpCase:
    """``x[parts]``; lists become index tensors of the library at hand."""

    def ready(lib, part):
        return lib.tensor(part) if isinstance(part, list) else part

    return OpCase("getitem", args, call=lambda lib, x: x[tuple(ready(lib, p) for p in parts)])


KEYS = [
    key(0),
    key(-1, slice(None), 2),
    key(1, 2, 3),
    key(slice(None), slice(1, None)),
    key(..., slice(0, 4, 3)),
    key(None, 0, ..., None),
    key(slice(5, 2)),
    key([0, 1, 1]),
    key(slice(None), [2, 0, 2]),
    key([0, 1], slice(None), [3, 3]),
    key(0, slice(None), [1, 2]),
    key(slice(None), [[0, 1], [2, 2]], [[1], [3]]),
    key([1, 0], None, [2, 2]),
    key([True, False]),
    key(slice(None), [True, False, True], [1, 3]),
    key([[True, False, True], [False, True, True]]),
    key([[True, False, True], [False, True, True]], [0, 1, 1, 2]),
    key(slice(0, 1), [2, 1]),
    key([1]),
    key(-1, [-1, -2]),
]

INDEXED = [
    OpCase("basic_index", CUBE, call=lambda lib, x: indexing.basic_index(x, (0, slice(1, 3), ...)), torch=False,
           reference=lambda x: x[0, 1:3]),
    OpCase("place", (Arg(shapes=((2, 4),)),), call=lambda lib, x: indexing.place(x, (2, 3, 4), (0, slice(1, 3), ...)), torch=False,
           reference=lambda x: np.pad(x[None], ((0, 1), (1, 0), (0, 0)))),
    OpCase("advanced_index", CUBE, call=lambda lib, x: indexing.advanced_index(x, (slice(None), np.array([2, 0, 2]))), torch=False,
           reference=lambda x: x[:, [2, 0, 2]]),
    OpCase("index_spread", (Arg(shapes=((3, 4),)),), call=lambda lib, x: indexing.index_spread(x, (2, 4), (np.array([1, 0, 1]),)),
           torch=False, reference=lambda x: np.stack([x[1], x[0] + x[2]])),
    OpCase("setitem", (Arg(shapes=((2, 3),)), Arg(shapes=((2,),))), torch=False,
           call=lambda lib, x, v: indexing.setitem(x, v, (slice(None), slice(None), ...), (np.array([0, 1]), np.array([2, 0]))),
           reference=lambda x, v: np.array([[x[0, 0], x[0, 1], v[0]], [v[1], x[1, 1], x[1, 2]]])),
    OpCase("clear", (Arg(shapes=((2, 3),)),), call=lambda lib, x: indexing.clear(x, (0, ...), None), torch=False,
           reference=lambda x: x * [[0.0], [1.0]]),
    OpCase("index_put", (Arg(shapes=((3, 4),)), Arg(shapes=((2,), ()))),
           call=lambda lib, x, v: x.index_put((lib.tensor([0, 2]), lib.tensor([1, 1])), v)),
    OpCase("index_put", (Arg(shapes=((3, 4),)), Arg(shapes=((3, 4),))),
           call=lambda lib, x, v: x.index_put((lib.tensor([0, 2, 0]),), v, accumulate=True)),
    OpCase("select", CUBE, call=lambda lib, x: lib.select(x, 1, -1)),
    OpCase("narrow", CUBE, call=lambda lib, x: lib.narrow(x, 1, 1, 2)),
    OpCase("narrow", CUBE, call=lambda lib, x: x.narrow(-1, -3, 0)),
    OpCase("take", (*CUBE, Arg(shapes=((2, 2),), kind="int", low=-24, high=24)), call=lambda lib, x, i: lib.take(x, i)),
    OpCase("setitem", (Arg(shapes=((3, 4),)), Arg(shapes=((4,), (1, 4), ()))), call=lambda lib, x, v: _written(x, v)),
]  # fmt: skip


def _written(x, v):
    """The same writes in place as any program would make them."""
    x = x * 1.0
    x[0] = v
    x[1:, 2] = x[0, 1] * 2
    x[[1, 2], [0, 3]] = 7.0
    x[x > 1.5] *= 3.0
    return x


def _index(low: int, high: int, *shapes) -> Arg:
    return Arg(shapes=shapes, kind="int", low=low, high=high)


ALONG = [
    OpCase("take_along", (*MATRIX, _index(0, 3, (2, 4))), call=lambda lib, x, i: gathering.take_along(x, i, 0), torch=False,
           reference=lambda x, i: np.take_along_axis(x, i, 0)),
    OpCase("add_along", (Arg(shapes=((2, 4),)), _index(0, 3, (2, 4))), torch=False,
           call=lambda lib, x, i: gathering.add_along(x, i, 0, (3, 4)),
           reference=lambda x, i: sum((np.arange(3)[:, None] == i[k]) * x[k] for k in range(2))),
    OpCase("gather", (*MATRIX, _index(0, 3, (2, 4), (5, 2))), call=lambda lib, x, i: lib.gather(x, 0, i)),
    OpCase("gather", (*MATRIX, _index(0, 4, (3, 1), (2, 6))), call=lambda lib, x, i: x.gather(1, i)),
    OpCase("gather", (Arg(shapes=((5,), (1,))), _index(0, 1, (), (3,))), call=lambda lib, x, i: x.gather(0, i)),
    OpCase("take_along_dim", (*MATRIX, _index(0, 3, (2, 1))), call=lambda lib, x, i: lib.take_along_dim(x, i, 0)),
    OpCase("take_along_dim", (*MATRIX, _index(0, 12, (5,))), call=lambda lib, x, i: lib.take_along_dim(x.contiguous(), i.contiguous())),
    OpCase("scatter_add", (*MATRIX, _index(0, 4, (3, 5), (2, 2)), Arg(shapes=((3, 5), (2, 2)))),
           call=lambda lib, x, i, s: lib.scatter_add(x, 1, i, s)),
    OpCase("scatter_add", (*MATRIX, _index(0, 3, (1, 4)), Arg(shapes=((2, 5),))), torch=False,  # torch has no gradient for the rest of src
           call=lambda lib, x, i, s: x.scatter_add(0, i, s), reference=lambda x, i, s: x + (np.arange(3)[:, None] == i) * s[0, :4]),
    OpCase("put_along", (*MATRIX, Arg(shapes=((1, 4),)), _index(0, 3, (1, 4))), torch=False,
           call=lambda lib, x, s, i: scattering.put_along(x, s, i, 0),
           reference=lambda x, s, i: np.where(np.arange(3)[:, None] == i, s, x)),
    OpCase("clear_along", (*MATRIX, _index(0, 3, (1, 4))), torch=False, call=lambda lib, x, i: scattering.clear_along(x, i, 0),
           reference=lambda x, i: np.where(np.arange(3)[:, None] == i, 0, x)),
    OpCase("scatter", (*MATRIX, _index(0, 3, (1, 4), (1, 2)), Arg(shapes=((1, 4), (1, 2)))),
           call=lambda lib, x, i, s: lib.scatter(x, 0, i, s)),
    OpCase("scatter", (*MATRIX, _index(0, 4, (3, 1))), call=lambda lib, x, i: x.scatter(1, i, 2.5)),
    OpCase("scatter", (*MATRIX, _index(0, 4, (3, 2)), Arg(shapes=((3, 2),))), order=0,
           call=lambda lib, x, i, s: x.scatter(1, i, s, reduce="add")),
    *(
        OpCase("scatter_reduce", (Arg(shapes=((3, 4),), low=0.5), _index(0, 3, (3, 4), (4, 2)), Arg(shapes=((3, 4), (4, 2)), low=0.5)),
               order=2 if reduce in ("sum", "mean") else 1,
               call=lambda lib, x, i, s, r=reduce, own=own: lib.scatter_reduce(x, 0, i, s, r, include_self=own))
        for reduce in ("sum", "mean", "prod", "amax", "amin") for own in (True, False)
    ),
]  # fmt: skip

ROWS = [
    OpCase("take_rows", (*MATRIX, _index(0, 4, (5,))), torch=False, call=lambda lib, x, i: gathering.take_rows(x, i, 1),
           reference=lambda x, i: x[:, i]),
    OpCase("put_rows", (Arg(shapes=((3, 2),)), _index(0, 4, (2,))), torch=False,
           call=lambda lib, x, i: gathering.put_rows(x, i, 1, 4), reference=lambda x, i: x @ np.eye(4)[i]),
    OpCase("index_select", (*CUBE, _index(0, 3, (5,), ())), call=lambda lib, x, i: lib.index_select(x, 1, i)),
    OpCase("index_select", (Arg(shapes=((),)), _index(0, 1, (1,))), call=lambda lib, x, i: lib.index_select(x, 0, i)),
    OpCase("index_add", (*MATRIX, _index(0, 3, (5,)), Arg(shapes=((5, 4),))),
           call=lambda lib, x, i, s: lib.index_add(x, 0, i, s, alpha=2.0)),
    OpCase("index_add", (*CUBE, _index(0, 3, (2,)), Arg(shapes=((2, 2, 4),))), call=lambda lib, x, i, s: x.index_add(1, i, s)),
    OpCase("index_copy", (*CUBE, Arg(shapes=((2,),), kind="int", make=lambda rng, s: rng.permutation(3)[: s[0]]), Arg(shapes=((2, 2, 4),))),
           call=lambda lib, x, i, s: lib.index_copy(x, 1, i, s)),
    OpCase("index_fill", (*CUBE, _index(0, 3, (2,))), call=lambda lib, x, i: lib.index_fill(x, 1, i, 1.5)),
    OpCase("put", (*MATRIX, Arg(shapes=((3,),), kind="int", make=lambda rng, s: rng.permutation(12)[: s[0]]), Arg(shapes=((3,),))),
           call=lambda lib, x, i, s: lib.put(x, i, s)),
    OpCase("put", (*MATRIX, _index(0, 12, (5,)), Arg(shapes=((5,),))), call=lambda lib, x, i, s: lib.put(x, i, s, accumulate=True)),
    OpCase("repeat_interleave", CUBE, {"repeats": 2}),
    OpCase("repeat_interleave", CUBE, {"repeats": 3, "dim": 1}),
    OpCase("repeat_interleave", (*MATRIX, _index(0, 3, (4,))), call=lambda lib, x, r: lib.repeat_interleave(x, r, dim=1)),
    OpCase("repeat_interleave", (_index(0, 3, (4,)),), order=0),
]  # fmt: skip

MASKS = [
    OpCase("choose", (Arg(kind="bool"), Arg(), Arg()), elementwise=True, torch=False,
           call=lambda lib, c, x, y: masking.choose(c, x, y), reference=lambda c, x, y: np.where(c, x, y)),
    OpCase("where", (Arg(kind="bool"), Arg(), Arg()), elementwise=True),
    OpCase("where", (Arg(kind="bool"), Arg()), elementwise=True, call=lambda lib, c, x: lib.where(c, x, 0.5)),
    OpCase("where", (Arg(kind="bool"), Arg()), elementwise=True, call=lambda lib, c, x: x.where(c, lib.zeros_like(x))),
    OpCase("where", (Arg(kind="bool"),), elementwise=True, order=0, call=lambda lib, c: lib.where(c)),
    OpCase("fill_masked", (*MATRIX, MASK), torch=False, call=lambda lib, x, m: masking.fill_masked(x, m, 2.0),
           reference=lambda x, m: np.where(m, 2.0, x)),
    OpCase("masked_fill", (*MATRIX, MASK), call=lambda lib, x, m: lib.masked_fill(x, m, -1.5)),
    OpCase("masked_fill", (*MATRIX, MASK, Arg(shapes=((),))), call=lambda lib, x, m, v: x.masked_fill(m, v)),
    OpCase("masked_fill", (Arg(shapes=((4,), ())), Arg(shapes=((3, 4), (2,)), kind="bool")), call=lambda lib, x, m: x.masked_fill(m, 9)),
    OpCase("masked_select", (*MATRIX, MASK)),
    OpCase("masked_select", (Arg(shapes=((),)), Arg(shapes=((),), kind="bool"))),
    OpCase("masked_scatter", (*MATRIX, MASK, Arg(shapes=((3, 4),)))),
    OpCase("nonzero", (Arg(shapes=((3, 4), (5,), (), (0, 2)), kind="int", low=0, high=2),), order=0),
    OpCase("nonzero", (Arg(shapes=((3, 4), (5,)), kind="bool"),), {"as_tuple": True}, order=0),
    OpCase("argwhere", (Arg(shapes=((3, 4), ()), kind="bool"),), order=0),
    OpCase("one_hot", (INTEGERS,), order=0,
           call=lambda lib, x: (masking if lib.__name__ == "tinygrad_edu" else lib.nn.functional).one_hot(x, 5)),
    OpCase("one_hot", (INTEGERS,), order=0,
           call=lambda lib, x: (masking if lib.__name__ == "tinygrad_edu" else lib.nn.functional).one_hot(x)),
]  # fmt: skip

DIAGONALS = [
    OpCase("diagonal", (Arg(shapes=((3, 4), (2, 3, 3), (3, 0))),), {"offset": 1}),
    OpCase("diagonal", CUBE, {"offset": -1, "dim1": -1, "dim2": 0}),
    OpCase("on_diagonal", (Arg(shapes=((3,),)),), torch=False, call=lambda lib, x: diagonal.on_diagonal(x, (3, 4), 1, 0, 1),
           reference=lambda x: np.diag(x, 1)[:3]),
    OpCase("diag_embed", (Arg(shapes=((2, 3), (4,), (2, 0))),)),
    OpCase("diag_embed", (Arg(shapes=((2, 3),)),), {"offset": -1, "dim1": 0, "dim2": 2}),
    OpCase("diag", (Arg(shapes=((3, 4), (4,))),)),
    OpCase("diag", (Arg(shapes=((3, 4), (4,))),), {"diagonal": -1}),
    OpCase("diagflat", (Arg(shapes=((2, 2), (3,), ())),), {"offset": 1}),
    *(OpCase(n, (Arg(shapes=((3, 4), (2, 3, 3), (0, 2))),), {"diagonal": d}) for n in ("tril", "triu") for d in (-1, 0, 2)),
]  # fmt: skip

SORTED = [
    OpCase("sort", DISTINCT),
    OpCase("sort", DISTINCT, {"dim": 0, "descending": True}),
    OpCase("sort", (Arg(shapes=((),)),)),
    OpCase("argsort", DISTINCT, order=0),
    OpCase("argsort", DISTINCT, {"dim": 0, "descending": True}, order=0),
    OpCase("sort", (Arg(shapes=((9,),), kind="int", low=0, high=3),), {"stable": True, "descending": True}, order=0,
           call=lambda lib, x: lib.sort(x, stable=True, descending=True)),
    OpCase("msort", DISTINCT),
    OpCase("topk", (Arg(shapes=((3, 4), (2, 2)), distinct=True),), {"k": 2}),
    OpCase("topk", (Arg(shapes=((3, 4), (2, 2)), distinct=True),), {"k": 2, "dim": 0, "largest": False}),
    OpCase("kthvalue", (Arg(shapes=((3, 4), (2, 2)), distinct=True),), {"k": 2}),
    OpCase("kthvalue", (Arg(shapes=((3, 4), (2, 2)), distinct=True),), {"k": 1, "dim": 0, "keepdim": True}),
    OpCase("unique", (INTEGERS,), {"return_inverse": True, "return_counts": True}, order=0),
    OpCase("unique", (INTEGERS,), order=0),
    OpCase("unique", (Arg(shapes=((6, 2),), kind="int", low=0, high=2),), {"dim": 0, "return_counts": True}, order=0),
    OpCase("unique_consecutive", (INTEGERS,), {"return_inverse": True, "return_counts": True}, order=0),
    OpCase("unique_consecutive", (Arg(shapes=((3, 6),), kind="int", low=0, high=2),), {"dim": 1}, order=0),
    *(
        OpCase("searchsorted", (Arg(shapes=shapes[:1], make=lambda rng, s: np.sort(rng.integers(0, 5, s) * 1.0)),
                                Arg(shapes=shapes[1:], make=lambda rng, s: rng.integers(0, 5, s) * 1.0)), {"right": right}, order=0)
        for shapes in (((6,), (2, 3)), ((2, 6), (2, 3))) for right in (False, True)
    ),
    OpCase("bucketize", (Arg(shapes=((2, 3),), grad=False), Arg(shapes=((4,),), make=lambda rng, s: np.sort(rng.normal(size=s)), grad=False)),
           {"right": True}, order=0),
    OpCase("bincount", (Arg(shapes=((7,), (0,)), kind="int", low=0, high=4),), {"minlength": 3}, order=0),
    OpCase("bincount", (Arg(shapes=((7,),), kind="int", low=0, high=4), Arg(shapes=((7,),), grad=False)), order=0),
    OpCase("histc", (Arg(shapes=((9,), (2, 5)), grad=False),), {"bins": 4}, order=0),
    OpCase("histc", (Arg(shapes=((9,),), grad=False),), {"bins": 4, "min": -1, "max": 1}, order=0),
    OpCase("histogram", (Arg(shapes=((9,), (2, 5)), grad=False),), {"bins": 4}, order=0),
    OpCase("histogram", (Arg(shapes=((9,),), grad=False),), {"bins": 3, "range": (-1.0, 1.0), "density": True}, order=0),
]  # fmt: skip

CASES = [*KEYS, *INDEXED, *ALONG, *ROWS, *MASKS, *DIAGONALS, *SORTED]
