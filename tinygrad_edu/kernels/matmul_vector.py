"""Large matrix products of float32 on several threads, each of which computes some panels, or rows, of the result."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import threads
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.linear_tiles import NOTHING, PANEL, dots
from tinygrad_edu.kernels.linear_vector import multiply
from tinygrad_edu.kernels.threads import chunks, get_num_threads, run_chunks
from tinygrad_edu.kernels.vector import LANES, usable
from tinygrad_edu.kernels.vector_moves import address

NO_BIAS = np.empty(0, np.float32)
WORTH = 120_000  # multiply-adds; BLAS has done a smaller product before all this has begun


def suits(a: np.ndarray, b: np.ndarray, size: int) -> bool:
    """Whether `product` is correct and fast for a product of `size` multiply-adds."""
    return (
        size >= WORTH
        and a.dtype == b.dtype == np.float32
        and a.flags.c_contiguous
        and b.flags.c_contiguous
        and usable()
    )


def product(a: np.ndarray, b: np.ndarray, a_turned: bool = False, b_turned: bool = False, bias=None) -> np.ndarray:
    """A B + bias for row-major matrices, where `a_turned` means that a holds A transposed."""
    rows, depth = a.shape[::-1] if a_turned else a.shape
    columns = len(b) if b_turned else b.shape[1]
    c, flops = empty((rows, columns), np.float32), 2.0 * rows * columns * depth
    arrays = (a, b, c, NO_BIAS if bias is None else bias, a_turned, b_turned)
    panels = -(-columns // PANEL)
    if b_turned and not a_turned and depth >= 4 * LANES and columns <= PANEL:
        run_chunks(lambda i, start, stop: some_dots(*arrays, start, stop), chunks(rows, flops))
    elif panels >= 4:
        run_chunks(lambda i, start, stop: some_columns(*arrays, start, stop), _shares(panels, flops))
    else:
        run_chunks(lambda i, start, stop: some_rows(*arrays, start, stop), chunks(rows, flops))
    return c


@compiled()
def _steps(a, b, a_turned, b_turned):
    """Rows, depth and columns of a product, and the bytes from one row, or step along the sum, of A to the next, and of B."""
    (rows, depth), columns = (a.shape[::-1] if a_turned else a.shape), b.shape[0] if b_turned else b.shape[1]
    a_row, a_depth = (4, 4 * rows) if a_turned else (4 * depth, 4)
    return rows, depth, columns, a_row, a_depth, 4 * (depth if b_turned else columns)


@compiled()
def some_dots(a, b, c, bias, a_turned, b_turned, top, stop):
    """Rows from `top` to `stop` of the result, by multiplying rows with rows."""
    _, depth, columns, a_row, _, _ = _steps(a, b, a_turned, b_turned)
    start = address(bias) if bias.size else NOTHING
    dots(stop - top, depth, columns, address(a) + top * a_row, address(b), address(c) + 4 * columns * top, start)


@compiled()
def some_columns(a, b, c, bias, a_turned, b_turned, first, stop):
    """The panels from `first` to `stop` of the result."""
    rows, depth, columns, a_row, a_depth, b_row = _steps(a, b, a_turned, b_turned)
    j, width = PANEL * first, min(PANEL * stop, columns) - PANEL * first
    start, right = address(bias) + 4 * j if bias.size else NOTHING, address(b) + j * (b_row if b_turned else 4)
    multiply(
        rows, depth, width, address(a), a_row, a_depth, right, b_row, int(b_turned), address(c) + 4 * j, 4 * columns, start,
    )  # fmt: skip


@compiled()
def some_rows(a, b, c, bias, a_turned, b_turned, top, stop):
    """Rows from `top` to `stop` of the result."""
    _, depth, columns, a_row, a_depth, b_row = _steps(a, b, a_turned, b_turned)
    start, left, out = address(bias) if bias.size else NOTHING, address(a) + top * a_row, address(c) + 4 * columns * top
    multiply(
        stop - top, depth, columns, left, a_row, a_depth, address(b), b_row, int(b_turned), out, 4 * columns, start,
    )  # fmt: skip


def _shares(panels: int, flops: float) -> list[tuple[int, int]]:
    """Cut the panels into two shares for each thread that is worth waking.

    Each panel is computed in the same way in any company, so unlike the `chunks` of a sum the shares may depend on the
    threads. Fewer are better: everybody reads the whole left factor.
    """
    workers = int(min(get_num_threads(), panels // 2, flops // (threads.PARALLEL_FLOPS / 2)))
    pieces = 2 * workers if workers > 1 else 1
    return [(panels * i // pieces, panels * (i + 1) // pieces) for i in range(pieces)]
