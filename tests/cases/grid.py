"""Cases of tinygrad_edu/ops/grid.py."""

import numpy as np

from tests.op_cases import Arg, OpCase


def places(rng: np.random.Generator, shape) -> np.ndarray:
    """Places inside and outside of an image, away from the kinks at the middles and edges of its 4 x 5 pixels."""
    low, high = -1.6, 1.6
    found = rng.uniform(low, high, shape)
    for _ in range(200):
        near = np.zeros(shape, bool)
        for axis, length in ((0, 5), (1, 4)):
            for position in ((found[..., axis] + 1) * (length - 1) / 2, ((found[..., axis] + 1) * length - 1) / 2):
                near[..., axis] |= np.abs(2 * position - np.round(2 * position)) < 0.1
        if not near.any():
            return found
        found = np.where(near, rng.uniform(low, high, shape), found)
    raise RuntimeError("no places were found")


IMAGES, GRIDS = Arg(shapes=((2, 3, 4, 5), (1, 1, 4, 5))), Arg(shapes=((2, 3, 2, 2), (1, 2, 2, 2)), make=places)
WAYS = [
    {"mode": mode, "padding_mode": padding, "align_corners": corners}
    for mode in ("bilinear", "nearest")
    for padding in ("zeros", "border", "reflection")
    for corners in (False, True)
]

CASES = [
    *(
        OpCase("grid_sample", (IMAGES, GRIDS), call=lambda lib, x, g, way=way: lib.nn.functional.grid_sample(x, g, **way), order=1)
        for way in WAYS
    ),
    *(
        OpCase(
            "affine_grid",
            (Arg(shapes=((2, 2, 3),)),),
            call=lambda lib, t, way=way: lib.nn.functional.affine_grid(t, [2, 3, 4, 5], align_corners=way),
        )
        for way in (False, True)
    ),
    OpCase(
        "affine_grid", (Arg(shapes=((1, 2, 3),)),), call=lambda lib, t: lib.nn.functional.affine_grid(t, (1, 1, 1, 1), align_corners=True)
    ),
]  # fmt: skip
