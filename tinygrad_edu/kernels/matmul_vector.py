"""Large matrix products of float32 on several threads, each of which computes some panels, or rows, of the result."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import threads
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.linear_tiles import PANEL, _dots
from tinygrad_edu.kernels.linear_vector import _multiply
from tinygrad_edu.kernels.threads import chunks, get_num_threads, run_chunks
from tinygrad_edu.kernels.vector import LANES, usable

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
    columns = b.shape[0] if b_turned else b.shape[1]
    c, flops = empty((rows, columns), np.float32), 2.0 * rows * columns * depth
    left, right, out, start = (0 if m is None or not m.size else m.ctypes.data for m in (a, b, c, bias))
    a_row, a_depth = (4, 4 * rows) if a_turned else (4 * depth, 4)
    b_row, next_column = (4 * depth, 4 * depth) if b_turned else (4 * columns, 4)

    def some_dots(i: int, top: int, stop: int) -> None:
        _dots(stop - top, depth, columns, left + top * a_row, right, out + 4 * columns * top, start)

    def some_columns(i: int, first: int, stop: int) -> None:
        j, width = PANEL * first, min(PANEL * stop, columns) - PANEL * first
        bias_here = start + 4 * j if start else 0
        _multiply(
            rows, depth, width, left, a_row, a_depth, right + j * next_column, b_row, int(b_turned),
            out + 4 * j, 4 * columns, bias_here,
        )  # fmt: skip

    def some_rows(i: int, top: int, stop: int) -> None:
        _multiply(
            stop - top, depth, columns, left + top * a_row, a_row, a_depth, right, b_row, int(b_turned),
            out + 4 * columns * top, 4 * columns, start,
        )  # fmt: skip

    panels = -(-columns // PANEL)
    if b_turned and not a_turned and depth >= 4 * LANES and columns <= PANEL:
        run_chunks(some_dots, chunks(rows, flops))
    elif panels >= 4:
        run_chunks(some_columns, _shares(panels, flops))
    else:
        run_chunks(some_rows, chunks(rows, flops))
    return c


def _shares(panels: int, flops: float) -> list[tuple[int, int]]:
    """Cut the panels into two shares for each thread that is worth waking.

    Each panel is computed in the same way in any company, so unlike the `chunks` of a sum the shares may depend on the
    threads. Fewer are better: everybody reads the whole left factor.
    """
    workers = int(min(get_num_threads(), panels // 2, flops // (threads.PARALLEL_FLOPS / 2)))
    pieces = 2 * workers if workers > 1 else 1
    return [(panels * i // pieces, panels * (i + 1) // pieces) for i in range(pieces)]
