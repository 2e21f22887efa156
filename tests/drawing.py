"""Drawing inputs for an op case: values inside its domain, shapes that broadcast, awkward layouts in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from tests.op_cases import Arg, OpCase

LAYOUTS = ("plain", "transposed", "strided")


def values(arg: Arg, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw one argument: float64, int64 or bool."""
    if arg.make is not None:
        return np.asarray(arg.make(rng, shape))
    if arg.kind == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    if arg.kind == "int":
        return np.asarray(rng.integers(int(arg.low), int(arg.high), shape))
    size = int(np.prod(shape))
    if arg.distinct:
        x = np.linspace(arg.low, arg.high, max(size, 2))[:size] + rng.uniform(-0.2, 0.2) * 0.01
        x = rng.permutation(x).reshape(shape)
    else:
        x = rng.uniform(arg.low, arg.high, shape)
    for kink in arg.away_from:
        x = np.where(np.abs(x - kink) < 0.05, kink + np.where(x >= kink, 0.05, -0.05) * 2, x)
    return np.asarray(x, np.float64)


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """Return an equal array that lies differently in memory."""
    if layout == "transposed" and x.ndim > 1:
        return np.ascontiguousarray(x.T).T
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    return x.copy()


@st.composite
def inputs(draw: Any, case: OpCase) -> list[np.ndarray]:
    """Draw all arguments of a case."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if case.elementwise:
        drawn = draw(mutually_broadcastable_shapes(num_shapes=len(case.args), max_dims=3, min_side=0, max_side=4))
        shapes: Sequence[tuple[int, ...]] = drawn.input_shapes
    else:
        which = draw(st.integers(0, max(len(arg.shapes) for arg in case.args) - 1))
        shapes = [arg.shapes[which] if len(arg.shapes) > 1 else arg.shapes[0] for arg in case.args]
    layout = draw(st.sampled_from(LAYOUTS))
    return [laid_out(values(arg, shape, rng), layout) for arg, shape in zip(case.args, shapes, strict=True)]
