"""Matrix products of float32 with the micro-kernels of `vector`.

C = A B is computed in panels of two vectors of columns. The panel of B, at most DEPTH rows of it at a time, is copied
into a work array, where it lies in one piece and stays in the first-level cache while all rows of A pass over it.
Either factor may be turned (transposed) without being copied as a whole. Where C has few columns and the sums are
long, as in the forward pass of a last layer, the rows of A and of the turned B are multiplied as vectors instead
(`dot_tile`).
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels.buffers import empty, scratch
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector import (
    DOT_COLUMNS,
    DOT_ROWS,
    LANES,
    LOOSE_ROWS,
    dot_tile,
    scattered_tile,
    transpose_tile,
    usable,
)

DEPTH = 256  # rows of B per panel: 32 KB with AVX-512
PANEL = 2 * LANES
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


def product(a: np.ndarray, b: np.ndarray, a_turned: bool = False, b_turned: bool = False) -> np.ndarray:
    """A B for row-major matrices, where `a_turned` means that a holds A transposed."""
    rows, depth = a.shape[::-1] if a_turned else a.shape
    columns = b.shape[0] if b_turned else b.shape[1]
    few = columns <= LANES or (columns <= PANEL and rows <= 128)
    if few and b_turned and not a_turned and depth >= 4 * LANES:
        c = np.zeros((rows, columns), np.float32)
        run_chunks(lambda i, start, stop: _dots(a, b, c, start, stop), chunks(rows, 2.0 * rows * columns * depth))
        return c
    c = empty((rows, columns), np.float32)
    panels = -(-columns // PANEL)
    by_panels = panels >= 4

    def task(i: int, start: int, stop: int) -> None:
        panel = scratch("panel", DEPTH * PANEL)
        steps = scratch("steps", DEPTH + rows + LOOSE_ROWS, np.int64)
        first, last = (start * PANEL, min(stop * PANEL, columns)) if by_panels else (0, columns)
        top, bottom = (0, rows) if by_panels else (start, stop)
        _product(a, b, c, a_turned, b_turned, panel, steps, first, last, top, bottom)

    run_chunks(task, chunks(panels if by_panels else rows, 2.0 * rows * columns * depth))
    return c


@compiled()
def _fill_panel(b, turned, k0, depth, first, width, panel):
    """panel[k, j] = B[k0 + k, first + j], for k < depth and j < width, in rows of PANEL numbers."""
    if turned:
        length = b.shape[1]
        for j in range(0, width, LANES):
            for k in range(0, depth, LANES):
                transpose_tile(
                    b.ctypes.data + 4 * ((first + j) * length + k0 + k), 4 * length,
                    panel.ctypes.data + 4 * (k * PANEL + j), 4 * PANEL, min(LANES, width - j), min(LANES, depth - k),
                )  # fmt: skip
    else:
        for k in range(depth):
            source, target = b[k0 + k], panel[k * PANEL : (k + 1) * PANEL]
            if width == PANEL:
                for j in range(PANEL):
                    target[j] = source[first + j]
            else:
                for j in range(width):
                    target[j] = source[first + j]


@compiled()
def _product(a, b, c, a_turned, b_turned, panel, steps, first, last, top, bottom):
    """C[top:bottom, first:last]. `steps` holds the distances along A's depth, then those of A's rows."""
    row_step, depth_step = (4, 4 * a.shape[1]) if a_turned else (4 * a.shape[1], 4)
    depth = a.shape[0] if a_turned else a.shape[1]
    for k in range(DEPTH):
        steps[k] = k * depth_step
    rows, columns = bottom - top, c.shape[1]
    direct = not b_turned and (rows <= 4 * LOOSE_ROWS or depth <= 2 * LANES)  # B is read too seldom to be worth copying
    for i in range(rows + LOOSE_ROWS):
        steps[DEPTH + i] = min(i, rows - 1) * row_step  # rows that do not exist read the last one
    for j in range(first, last, PANEL):
        width = min(PANEL, last - j)
        lanes0, lanes1 = min(LANES, width), max(0, width - LANES)
        for k0 in range(0, max(depth, 1), DEPTH):
            many = min(DEPTH, depth - k0)
            if direct:
                factor, factor_row = b.ctypes.data + 4 * (k0 * columns + j), 4 * columns
            else:
                _fill_panel(b, b_turned, k0, many, j, width, panel)
                factor, factor_row = panel.ctypes.data, 4 * PANEL
            start = a.ctypes.data + top * row_step + k0 * depth_step
            for i in range(0, rows, LOOSE_ROWS):
                out = c.ctypes.data + 4 * ((top + i) * columns + j)
                valid = min(LOOSE_ROWS, rows - i)
                place = (many, out, 4 * LANES, 4 * columns, lanes0, lanes1, valid, 0, min(1, k0))
                table = steps.ctypes.data
                scattered_tile(place, (start, table + 8 * (DEPTH + i), table, factor, factor_row))


@compiled()
def _dots(a, b, c, top, bottom):
    """C[top:bottom] = A B with B turned, C being zero before: every element is the product of two rows."""
    depth, columns = a.shape[1], b.shape[0]
    count = (depth + LANES - 1) // LANES
    vectors = np.empty((count, 3), np.int64)
    for k in range(count):
        vectors[k, 0] = vectors[k, 1] = 4 * LANES * k
        vectors[k, 2] = min(LANES, depth - LANES * k)
    a_rows, b_rows = np.empty(DOT_ROWS, np.int64), np.empty(DOT_COLUMNS, np.int64)
    for i in range(top, bottom, DOT_ROWS):
        for r in range(DOT_ROWS):
            a_rows[r] = 4 * depth * min(i + r, bottom - 1)
        for j in range(0, columns, DOT_COLUMNS):
            for r in range(DOT_COLUMNS):
                b_rows[r] = 4 * depth * min(j + r, columns - 1)
            out = c.ctypes.data + 4 * (i * columns + j)
            place = (1, count, out, 4 * columns, 4, min(DOT_ROWS, bottom - i), min(DOT_COLUMNS, columns - j))
            dot_tile(
                place, (a.ctypes.data, a_rows.ctypes.data, 0, b.ctypes.data, b_rows.ctypes.data, 0, vectors.ctypes.data)
            )
