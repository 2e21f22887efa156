"""Cases of products of matrices, sums of products, and distances."""

import numpy as np

import tinygrad_edu.linalg  # noqa: F401 - so that lib.linalg is there
from tests.op_cases import Arg, OpCase
from tinygrad_edu.ops import linalg
from tinygrad_edu.ops.einsum import contract


def args(*shapes) -> tuple[Arg, ...]:
    """One argument per list of shapes; the n-th shapes of all arguments go together."""
    return tuple(Arg(shapes=tuple(choices)) for choices in shapes)


def called(name: str, arguments: tuple[Arg, ...], *given, **keyword) -> OpCase:
    """A case that calls ``lib.name(*tensors, *given, **keyword)``."""
    return OpCase(name, arguments, call=lambda lib, *tensors: getattr(lib, name)(*tensors, *given, **keyword))


def einsum(equation: str, *shapes) -> OpCase:
    """A case of one equation."""
    return OpCase(
        "einsum", args(*[[s] for s in shapes]), call=lambda lib, *tensors: lib.einsum(equation, *tensors),
        reference=lambda *arrays: np.einsum(equation, *arrays),
    )  # fmt: skip


PRODUCTS = [
    OpCase("matmul", args([(3,), (2, 3), (3,), (2, 3)], [(3,), (3,), (3, 4), (3, 4)]), reference=np.matmul),
    OpCase("matmul", args([(5, 2, 3), (5, 2, 3), (3,), (2, 3)], [(3,), (3, 4), (5, 3, 2), (5, 3, 2)]), reference=np.matmul),
    OpCase("matmul", args([(5, 2, 3), (4, 1, 2, 3), (1, 2, 3)], [(5, 3, 2), (5, 3, 2), (4, 3, 1)]), reference=np.matmul),
    OpCase("matmul", args([(0, 3), (2, 0), (2, 3), (0, 2, 3)], [(3, 2), (0, 4), (3, 0), (3, 2)]), reference=np.matmul),
    called("mm", args([(2, 3), (1, 1), (0, 2)], [(3, 4), (1, 1), (2, 2)])),
    called("bmm", args([(2, 3, 4), (0, 2, 2)], [(2, 4, 1), (0, 2, 3)])),
    called("mv", args([(3, 4)], [(4,)])),
    called("dot", args([(4,), (0,)], [(4,), (0,)])),
    called("vdot", args([(4,)], [(4,)])),
    called("inner", args([(2, 3), (2, 1, 3), (), (3,)], [(4, 3), (3,), (2, 2), (3,)])),
    called("outer", args([(3,), (0,)], [(2,), (2,)])),
    called("ger", args([(3,)], [(2,)])),
    called("addmm", args([(3, 4), (4,), ()], [(3, 2), (3, 2), (3, 2)], [(2, 4), (2, 4), (2, 4)]), beta=0.5, alpha=2.0),
    called("addmm", args([(3, 4)], [(3, 2)], [(2, 4)])),
    called("addmv", args([(3,)], [(3, 2)], [(2,)])),
    called("addr", args([(3, 2)], [(3,)], [(2,)]), alpha=3.0),
    called("baddbmm", args([(2, 3, 5)], [(2, 3, 4)], [(2, 4, 5)])),
    called("addbmm", args([(3, 5)], [(2, 3, 4)], [(2, 4, 5)])),
    OpCase(
        "kron", args([(2, 3), (2,), (2, 2)], [(3, 2), (2, 2), (3,)]), reference=np.kron,
        call=lambda lib, x, y: lib.kron(x.contiguous(), y.contiguous()),
    ),
    OpCase("chain_matmul", args([(2, 3)], [(3, 4)], [(4, 2)]), reference=lambda a, b, c: a @ b @ c, torch=False),
    OpCase(
        "linear", args([(4, 3), (3,), (2, 4, 3), (0, 3)], [(5, 3)] * 4, [(5,)] * 4),
        call=lambda lib, x, w, b: lib.nn.functional.linear(x, w, b), reference=lambda x, w, b: x @ w.T + b,
    ),
    OpCase("linear", args([(4, 3), (3,), (2, 0, 3)], [(5, 3)] * 3), call=lambda lib, x, w: lib.nn.functional.linear(x, w)),
    OpCase("linear", args([(4, 3), (3,), (0, 3)], [(3,)] * 3), call=lambda lib, x, w: lib.nn.functional.linear(x, w)),
    OpCase("trace", args([(3, 3), (3, 4), (2, 1)]), call=lambda lib, x: x.trace(), reference=np.trace),
]  # fmt: skip

SUMS = [
    OpCase(
        "contract", args([(2, 3, 4)], [(4, 2, 5)]), torch=False,
        call=lambda lib, x, y: contract(x, y, ("b", "i", "k"), ("k", "b", "j"), ("j", "b", "i")),
        reference=lambda x, y: np.einsum("bik,kbj->jbi", x, y),
    ),
    einsum("ij,jk->ik", (2, 3), (3, 4)),
    einsum("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    einsum("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
    einsum("ii", (3, 3)),
    einsum("...ii->...i", (2, 3, 3)),
    einsum("iij,jk->ik", (2, 2, 3), (3, 2)),
    einsum("ij->j", (2, 3)),
    einsum("ij,ij->ij", (2, 3), (2, 3)),
    einsum("i,j", (3,), (2,)),
    einsum("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    einsum("ab,cd->", (2, 3), (2, 2)),
    called("tensordot", args([(2, 3)], [(2, 3)])),
    called("tensordot", args([(2, 3)], [(3, 2, 4)]), dims=([0, 1], [1, 0])),
    called("tensordot", args([(2, 3)], [(4,)]), dims=0),
    OpCase(
        "bilinear", args([(2, 3), (2, 4, 3)], [(2, 2), (2, 4, 2)], [(5, 3, 2)] * 2, [(5,)] * 2),
        call=lambda lib, *tensors: lib.nn.functional.bilinear(*tensors),
    ),
]  # fmt: skip

PAIR = args([(3, 4), (5, 2)], [(3, 4), (5, 2)])
DISTANCES = [
    called("dist", PAIR),
    called("dist", PAIR, 3.0),
    called("pairwise_distance", PAIR),
    called("pairwise_distance", PAIR, p=3.0, keepdim=True),
    called("cosine_similarity", PAIR),
    called("cosine_similarity", args([(3, 4)], [(1, 4)]), dim=-1),
    # torch differentiates its own backward of cdist and pdist only once
    OpCase("cdist", args([(2, 4, 3), (4, 3)], [(2, 5, 3), (5, 3)]), order=1),
    OpCase("cdist", args([(4, 3)], [(2, 5, 3)]), {"p": 3.0}, order=1),
    OpCase("pdist", args([(4, 3), (2, 2)]), order=1, call=lambda lib, x: lib.nn.functional.pdist(x)),
]


# ---- inverse, determinant, decompositions -----------------------------------------------------------------------------------
def regular(rng: np.random.Generator, shape) -> np.ndarray:
    """Square matrices far from singular, with singular values well apart."""
    u, _, vh = np.linalg.svd(rng.normal(size=shape))
    return (u * np.arange(1.0, shape[-1] + 1)) @ vh


def tall_or_wide(rng: np.random.Generator, shape) -> np.ndarray:
    """Matrices of full rank with singular values well apart."""
    u, s, vh = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    return (u * np.arange(1.0, s.shape[-1] + 1)) @ vh


def matrix(name: str, *shapes, make=regular, call, **options) -> OpCase:
    """A case of one matrix; float64 only, since the derivatives multiply condition numbers."""
    return OpCase(name, (Arg(shapes=shapes, make=make),), call=call, dtypes=("float64",), tolerance=1e-5, **options)


SQUARE, BOTH, TALL = ((3, 3), (2, 2, 2)), ((4, 3), (3, 4), (3, 3)), ((4, 3), (3, 3), (2, 3, 2))
DECOMPOSITIONS = [
    matrix("inverse", *SQUARE, call=lambda lib, x: lib.linalg.inv(x)),
    matrix("determinant", *SQUARE, call=lambda lib, x: lib.linalg.det(x)),
    matrix("cofactors", *SQUARE, call=lambda lib, x: linalg.cofactors(x), torch=False,
           reference=lambda x: np.linalg.det(x)[..., None, None] * np.linalg.inv(x).swapaxes(-1, -2)),
    matrix("log_determinant", *SQUARE, call=lambda lib, x: lib.linalg.slogdet(x)[1]),
    matrix("sign_of_determinant", *SQUARE, call=lambda lib, x: lib.linalg.slogdet(x)[0], order=0),
    OpCase("solve_matrix", (Arg(shapes=SQUARE, make=regular), Arg(shapes=((3, 2), (2, 2, 1)))), dtypes=("float64",), tolerance=1e-5,
           call=lambda lib, a, b: lib.linalg.solve(a, b)),
    matrix("pseudoinverse", *BOTH, make=tall_or_wide, call=lambda lib, x: lib.linalg.pinv(x)),
    matrix("cholesky_factor", *SQUARE, call=lambda lib, x: lib.linalg.cholesky(x @ x.mT)),
    matrix("eigenvalues", *SQUARE, call=lambda lib, x: lib.linalg.eigvalsh(x @ x.mT)),
    matrix("eigenvectors", *SQUARE, call=lambda lib, x: lib.linalg.eigh(x @ x.mT)[1] ** 2),  # squared: the sign is free
    matrix("singular_values", *BOTH, make=tall_or_wide, call=lambda lib, x: lib.linalg.svdvals(x)),
    matrix("left_vectors", *BOTH, make=tall_or_wide, call=lambda lib, x: lib.linalg.svd(x, full_matrices=False)[0] ** 2),
    matrix("right_vectors", *BOTH, make=tall_or_wide, call=lambda lib, x: lib.linalg.svd(x, full_matrices=False)[2] ** 2),
    matrix("orthogonal_factor", *TALL, make=tall_or_wide, call=lambda lib, x: lib.linalg.qr(x)[0]),
    matrix("triangular_factor", *TALL, make=tall_or_wide, call=lambda lib, x: lib.linalg.qr(x)[1]),
]  # fmt: skip

CASES = PRODUCTS + SUMS + DISTANCES + DECOMPOSITIONS
