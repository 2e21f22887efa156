"""Cases of the functions of matrices under their older names (tinygrad_edu/matrices.py)."""

import numpy as np
import scipy.linalg

from tests.cases.linalg import SQUARE, matrix, tall_or_wide
from tests.op_cases import Arg, OpCase

TALL = ((4, 3), (3, 3))


def any_square(rng: np.random.Generator, shape) -> np.ndarray:
    """Square matrices of sizes from tiny to large enough to be halved."""
    return rng.normal(size=shape) * rng.choice([1e-2, 1.0, 3.0])


VECTORS = ((2, 3), (3, 4)), ((2, 3), (3, 4))

CASES = [
    matrix("slogdet", *SQUARE, call=lambda lib, x: lib.slogdet(x)[1], reference=lambda x: np.linalg.slogdet(x)[1]),
    matrix("logdet", *SQUARE, call=lambda lib, x: lib.logdet(x @ x.mT), reference=lambda x: np.log(np.linalg.det(x) ** 2)),
    matrix("cholesky", *SQUARE, call=lambda lib, x: lib.cholesky(x @ x.mT)),
    matrix("qr", *TALL, make=tall_or_wide, call=lambda lib, x: lib.qr(x)[1]),
    matrix("svd", *TALL, make=tall_or_wide, call=lambda lib, x: lib.svd(x)[1]),
    matrix("svd", *TALL, make=tall_or_wide, call=lambda lib, x: lib.svd(x)[2] ** 2),  # squared: the sign is free
    matrix("pinverse", *TALL, make=tall_or_wide, call=lambda lib, x: lib.pinverse(x), reference=np.linalg.pinv),
    matrix("matrix_power", *SQUARE, call=lambda lib, x: lib.matrix_power(x, 3)),
    matrix("matrix_exp", (3, 3), (2, 2, 2), (1, 1), (0, 2, 2), make=any_square, call=lambda lib, x: lib.matrix_exp(x),
           reference=scipy.linalg.expm),
    OpCase("cross", (Arg(shapes=VECTORS[0]), Arg(shapes=VECTORS[1])), call=lambda lib, a, b: lib.cross(a, b)),
    OpCase("cross", (Arg(shapes=((2, 3),)), Arg(shapes=((2, 3),))), {"dim": -1}, reference=lambda a, b, dim: np.cross(a, b)),
]  # fmt: skip
