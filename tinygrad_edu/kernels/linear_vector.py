"""Products of float32 matrices, from inside other compiled functions: no Python, no table, hardly any preparation.

A layer of a small network is over in microseconds, so these products begin at once. Panels of two vectors of columns do
all the work whose right factor lies in rows. Where both factors run along the sum, as in x w^T, either the rows are
multiplied as vectors (`dots`: few outputs, long sums) or the panels of w are turned first. Several threads on large
products are the business of `matmul_vector`.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import linear_loops
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.linear_packing import (
    BLOCK,
    DEPTH,
    address,
    copy_panel,
    pack_tiles,
    panel_room,
    tiles_room,
    turn,
)
from tinygrad_edu.kernels.linear_tiles import DOT_ROWS, NOTHING, PANEL, ROWS, dots, once, panel
from tinygrad_edu.kernels.vector import transpose
from tinygrad_edu.kernels.vector_instructions import LANES

ONE, ONCE = np.ones(1, np.float32), np.int64(1)
TURNING = 13 if LANES == 16 else 4  # multiply-adds in the time that it takes to transpose one number
COPYING = 4 * ROWS  # rows of the left factor for which a panel of the right one is worth copying
CONFLICTS = 1024  # bytes; rows at a multiple of this distance drive each other from the first-level cache

turn_back = once(transpose, 6)


@compiled()
def _multiply(rows, depth, columns, a, a_row, a_depth, b, b_row, b_turned, c, c_row, bias):
    """C = bias + A B, where A is as in `_tile` and B in rows, or if `b_turned` B's columns are; bias 0: none.

    B goes through the first-level cache in panels, DEPTH numbers of each column at a time. A large A that lies badly for the cache
    is packed as well, BLOCK rows at a time.
    """
    packed = rows > 2 * ROWS and columns > 2 * PANEL and (a_depth != 4 or a_row % CONFLICTS == 0)
    block = BLOCK if packed else max(rows, 1)
    work, tiles, steps = panel_room(), tiles_room(), (depth + DEPTH - 1) // DEPTH
    step = max(1, (depth + steps - 1) // max(1, steps))
    for k in range(0, max(depth, 1), step):
        many = min(step, depth - k)
        for i in range(0, rows, block):
            left, here = a + i * a_row + k * a_depth, min(block, rows - i)
            if packed:
                pack_tiles(left, a_row, a_depth, tiles, here, many)
            for j in range(0, columns, PANEL):
                lanes, right, right_row = min(PANEL, columns - j), work, 4 * PANEL
                if b_turned != 0:
                    turn(b + j * b_row + 4 * k, b_row, work, right_row, lanes, many)
                elif rows >= COPYING:
                    copy_panel(b + k * b_row + 4 * j, b_row, work, many, lanes)
                else:
                    right, right_row = b + k * b_row + 4 * j, b_row
                out = c + i * c_row + 4 * j
                start, start_row = (out, c_row) if k > 0 else (bias + 4 * j if bias != 0 else NOTHING, NOTHING)
                if packed:
                    for t in range(0, here, ROWS):
                        panel(
                            min(ROWS, here - t), many, tiles + 4 * t // ROWS * (many * ROWS + LANES), 4, 4 * ROWS,
                            right, right_row, out + t * c_row, c_row,
                            start + t * start_row, start_row, lanes,
                        )  # fmt: skip
                else:
                    panel(here, many, left, a_row, a_depth, right, right_row, out, c_row, start, start_row, lanes)


multiply = once(_multiply, 12)


@compiled()
def _around(rows, depth, columns, a, w, c):
    """(W A^T)^T, for an A that has fewer rows to turn than W: A's are columns of a work array, the result is turned back."""
    work, result, step, row = panel_room(), panel_room(), 4 * depth, 4 * PANEL
    for i in range(0, rows, PANEL):
        lanes = min(PANEL, rows - i)
        for j in range(0, columns, DEPTH):
            here, start, start_row = min(DEPTH, columns - j), NOTHING, NOTHING
            for k in range(0, max(depth, 1), DEPTH):
                many = min(DEPTH, depth - k)
                turn(a + i * step + 4 * k, step, work, row, lanes, many)
                panel(here, many, w + j * step + 4 * k, step, 4, work, row, result, row, start, start_row, lanes)
                start, start_row = result, row
            turn_back(result, row, c + 4 * (i * columns + j), 4 * columns, here, lanes)


around = once(_around, 6)


@compiled()
def affine(x, w, b, out):
    """out = x w^T + b; an empty b is none."""
    rows, depth, columns = x.shape[0], x.shape[1], w.shape[0]
    bias = address(b) if b.size else NOTHING
    if depth == 2 and columns == 1:
        linear_loops.neuron(x, w, b, out)
    elif depth >= 4 * LANES and (columns <= PANEL or rows <= 2 * DOT_ROWS):
        dots(rows, depth, columns, address(x), address(w), address(out), bias)
    elif _better_around(rows, depth, columns):
        around(rows, depth, columns, address(x), address(w), address(out))
        if b.size:
            for i in range(rows):
                for j in range(columns):
                    out[i, j] += b[j]
    else:
        multiply(
            rows, depth, columns, address(x), 4 * depth, 4, address(w), 4 * depth, 1, address(out), 4 * columns, bias
        )


@compiled()
def _better_around(rows, depth, columns):
    """Compare the lanes at work, and the numbers to be turned, each of which costs as much as TURNING lanes."""
    row_lanes, column_lanes = (rows + LANES - 1) & -LANES, (columns + LANES - 1) & -LANES
    panels = (rows + TURNING) * column_lanes * depth
    return columns * row_lanes * depth + TURNING * row_lanes * (depth + columns) < panels


@compiled()
def product(a, turned, b, out):
    """out = a b, or a^T b if `turned`."""
    rows, depth, columns = out.shape[0], b.shape[0], out.shape[1]
    if turned and columns == 2 and rows == 1:
        linear_loops.neuron_grad(a, b, out)
    else:
        row, step = (4, 4 * rows) if turned else (4 * depth, 4)
        multiply(
            rows, depth, columns, address(a), row, step, address(b), 4 * columns, 0, address(out), 4 * columns, NOTHING
        )


@compiled()
def column_sums(g, sums):
    """The sum of the rows of g: the product with a row of ones, each of which is read from the same place."""
    rows, columns = g.shape
    if columns == 1:
        linear_loops.column_sum(g, sums)
    else:
        multiply(
            ONCE, rows, columns, address(ONE), NOTHING, NOTHING, address(g), 4 * columns, 0, address(sums), 0, NOTHING
        )
