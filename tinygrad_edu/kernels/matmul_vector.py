"""Matrix products of float32 with the micro-kernels of `vector`.

C = A B is computed in panels of two vectors of columns. A strip of such panels, DEPTH rows of B, is copied into a work
array of the size of a second-level cache, where each panel lies in one piece; all rows of A pass over it. What will be
copied next is asked for in advance: a weight matrix of some megabytes comes from main memory, which answers late.
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
    copy_lanes,
    dot_tile,
    prefetch,
    scattered_tile,
    transpose_tile,
    usable,
)

DEPTH = 128  # rows of B per panel: 16 KB with AVX-512
PANEL = 2 * LANES
STRIP = 16  # panels that are copied together where B's rows lie side by side: then a piece of each row is worth a visit
AHEAD = 8  # rows of B, or vectors along a row, that are asked for before they are needed
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
    flops = 2.0 * rows * columns * depth
    c = empty((rows, columns), np.float32)
    by_dots = b_turned and not a_turned and depth >= 4 * LANES
    if by_dots and (columns <= LANES or (columns <= PANEL and rows <= 128)):
        run_chunks(lambda i, start, stop: _dots(a, b, c, start, stop, 0), chunks(rows, flops))
        return c
    whole = columns - columns % PANEL if by_dots and columns % PANEL <= DOT_COLUMNS else columns
    panels = -(-whole // PANEL)
    by_panels = panels >= 4

    def task(i: int, start: int, stop: int) -> None:
        panel = scratch("panel", STRIP * DEPTH * PANEL)
        steps = scratch("steps", DEPTH + rows + LOOSE_ROWS, np.int64)
        first, last = (start * PANEL, min(stop * PANEL, whole)) if by_panels else (0, whole)
        top, bottom = (0, rows) if by_panels else (start, stop)
        _product(a, b, c, a_turned, b_turned, panel, steps, first, last, top, bottom)
        if whole < columns and last == whole:  # a few columns are left: not worth a panel
            _dots(a, b, c, top, bottom, whole)

    run_chunks(task, chunks(panels if by_panels else rows, flops))
    return c


@compiled()
def _fill_turned(b, k0, depth, first, width, panel):
    """panel[k, j] = B[k0 + k, first + j], for k < depth and j < width, where b holds B transposed."""
    length = b.shape[1]
    ahead = 4 * LANES * AHEAD
    for k in range(0, depth, LANES):
        for j in range(0, width, LANES):
            source = b.ctypes.data + 4 * ((first + j) * length + k0 + k)
            for i in range(min(LANES, width - j)):
                prefetch(source + 4 * length * i + ahead)
            transpose_tile(
                source, 4 * length,
                panel.ctypes.data + 4 * (k * PANEL + j), 4 * PANEL, min(LANES, width - j), min(LANES, depth - k),
            )  # fmt: skip


@compiled()
def _fill_strip(b, k0, depth, first, width, panel):
    """The same for a B that lies as it is: panel after panel, each `depth` rows of PANEL numbers."""
    columns = b.shape[1]
    ahead = 4 * columns * AHEAD
    for k in range(depth):
        source = b.ctypes.data + 4 * ((k0 + k) * columns + first)
        for j in range(0, width, PANEL):
            prefetch(source + 4 * j + ahead)
            prefetch(source + 4 * (j + LANES) + ahead)
            target = panel.ctypes.data + 4 * (j * depth + k * PANEL)
            copy_lanes(source + 4 * j, target, min(LANES, width - j), LANES)
            copy_lanes(source + 4 * (j + LANES), target + 4 * LANES, max(0, min(LANES, width - j - LANES)), LANES)


@compiled()
def _pack_rows(a, k0, depth, first, bottom, tile):
    """tile[k, i] = A[first + i, k0 + k], where a holds A transposed; rows from `bottom` on are zeros."""
    exist, row = min(LOOSE_ROWS, bottom - first), 4 * a.shape[1]
    source, target = a.ctypes.data + k0 * row + 4 * first, tile.ctypes.data
    for k in range(depth):
        copy_lanes(source + k * row, target + 4 * LOOSE_ROWS * k, exist, LOOSE_ROWS)


@compiled()
def _set_steps(steps, rows, row_step, depth_step):
    """Distances in A: in `steps` first those along the depth, then those of the rows; missing rows read the last one."""
    for k in range(DEPTH):
        steps[k] = k * depth_step
    for i in range(rows + LOOSE_ROWS):
        steps[DEPTH + i] = min(i, rows - 1) * row_step


@compiled()
def _product(a, b, c, a_turned, b_turned, panel, steps, first, last, top, bottom):
    """C[top:bottom, first:last]; `panel` has room for DEPTH * PANEL numbers or a multiple of that, the strip."""
    depth, columns, rows = a.shape[0] if a_turned else a.shape[1], c.shape[1], bottom - top
    if a_turned:
        _set_steps(steps, LOOSE_ROWS, 4, 4 * LOOSE_ROWS)
    else:
        _set_steps(steps, rows, 4 * depth, 4)
    tile = np.empty(LOOSE_ROWS * DEPTH if a_turned else 0, np.float32)
    direct = not b_turned and rows <= 2 * LOOSE_ROWS  # B is read too seldom to be worth copying
    strip = PANEL if b_turned else panel.size // max(1, min(depth, DEPTH)) // PANEL * PANEL
    for start in range(first, last, strip):
        stop = min(start + strip, last)
        for k0 in range(0, max(depth, 1), DEPTH):
            many = min(DEPTH, depth - k0)
            if b_turned:
                _fill_turned(b, k0, many, start, stop - start, panel)
            elif not direct:
                _fill_strip(b, k0, many, start, stop - start, panel)
            for i in range(top, bottom, LOOSE_ROWS):
                if a_turned:
                    _pack_rows(a, k0, many, i, bottom, tile)
                    left, distances = tile.ctypes.data, steps.ctypes.data + 8 * DEPTH
                else:
                    left, distances = a.ctypes.data + 4 * (top * depth + k0), steps.ctypes.data + 8 * (DEPTH + i - top)
                valid = min(LOOSE_ROWS, bottom - i)
                for j in range(start, stop, PANEL):
                    lanes0, lanes1 = min(LANES, stop - j), max(0, min(LANES, stop - j - LANES))
                    if direct:
                        right, right_row = b.ctypes.data + 4 * (k0 * columns + j), 4 * columns
                    else:
                        right, right_row = panel.ctypes.data + 4 * (j - start) * many, 4 * PANEL
                    out = c.ctypes.data + 4 * (i * columns + j)
                    place = (many, out, 4 * LANES, 4 * columns, lanes0, lanes1, valid, 0, min(1, k0))
                    scattered_tile(place, (left, distances, steps.ctypes.data, right, right_row))


@compiled()
def _dots(a, b, c, top, bottom, first):
    """C[top:bottom, first:] = A B with B turned: every element is the product of two rows."""
    depth, columns = a.shape[1], b.shape[0]
    c[top:bottom, first:] = 0
    count = (depth + LANES - 1) // LANES
    vectors = np.empty((count, 3), np.int64)
    for k in range(count):
        vectors[k, 0] = vectors[k, 1] = 4 * LANES * k
        vectors[k, 2] = min(LANES, depth - LANES * k)
    a_rows, b_rows = np.empty(DOT_ROWS, np.int64), np.empty(DOT_COLUMNS, np.int64)
    for i in range(top, bottom, DOT_ROWS):
        for r in range(DOT_ROWS):
            a_rows[r] = 4 * depth * min(i + r, bottom - 1)
        for j in range(first, columns, DOT_COLUMNS):
            for r in range(DOT_COLUMNS):
                b_rows[r] = 4 * depth * min(j + r, columns - 1)
            out = c.ctypes.data + 4 * (i * columns + j)
            place = (1, count, out, 4 * columns, 4, min(DOT_ROWS, bottom - i), min(DOT_COLUMNS, columns - j))
            dot_tile(
                place, (a.ctypes.data, a_rows.ctypes.data, 0, b.ctypes.data, b_rows.ctypes.data, 0, vectors.ctypes.data)
            )
