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
    pack_tiles,
    panel_room,
    prepare,
    row_room,
    spread,
    tiles_room,
    turn,
    turn_back,
)
from tinygrad_edu.kernels.linear_tiles import MASKS, NOTHING, PANEL, ROWS, dots, once, panel
from tinygrad_edu.kernels.vector_instructions import LANES
from tinygrad_edu.kernels.vector_moves import address, copy_lanes

ONE, ONCE = np.ones(1, np.float32), np.int64(1)
TURNING = 13 if LANES == 16 else 4  # multiply-adds in the time that it takes to transpose one number
# The same into a result, where a part of a vector is not easily written without masks, in units of TURNING.
TURNING_BACK = 1 if MASKS else 4
ADDING = 10 * LANES  # multiply-adds in the time that it takes to add up the lanes of a vector
COPYING = 4 * ROWS  # rows of the left factor for which a panel of the right one is worth copying
PACKING = 1 << 14  # bytes over which a tile of the left factor is spread, half of a first-level cache


@compiled()
def _multiply(rows, depth, columns, a, a_row, a_depth, b, b_row, b_turned, c, c_row, bias):
    """C = bias + A B, where A is as in `_tile` and B in rows, or if `b_turned` B's columns are; bias 0: none.

    B goes through the first-level cache in panels, of which DEPTH rows are in use at a time. The numbers of A that a tile
    needs are side by side in each of its rows, or if it is transposed spread over much memory: then they are packed.
    """
    packed = rows > 2 * ROWS and columns > 2 * PANEL and a_row == 4 and depth * a_depth > PACKING
    in_place = b_turned == 0 and rows < COPYING  # B is read too seldom to be worth copying
    work, tiles, steps = panel_room(), tiles_room(), (depth + DEPTH - 1) // DEPTH
    step = (depth + steps - 1) // steps if steps > 0 else 1  # all of about the same size
    block = BLOCK // (step * ROWS + LANES) * ROWS if packed else max(rows, 1)
    start, start_row, start_next = bias, NOTHING, (4 if bias != 0 else 0)
    for k in range(0, max(depth, 1), step):
        many = min(step, depth - k)
        for i in range(0, rows, block):
            left, here = a + i * a_row + k * a_depth, min(block, rows - i)
            left_row, left_depth, tall, size = a_row, a_depth, here, NOTHING
            if packed:
                pack_tiles(left, a_depth, tiles, here, many)
                left, left_row, left_depth, tall, size = tiles, 4, 4 * ROWS, ROWS, 4 * (many * ROWS + LANES)
            for j in range(0, columns, PANEL):
                lanes, right, right_row = min(PANEL, columns - j), b + k * b_row + 4 * j, b_row
                if not in_place:
                    prepare(b, b_row, b_turned, k, j, work, many, lanes)
                    right, right_row = work, 4 * PANEL
                here_start, out, t, tile = start + i * start_row + j * start_next, c + i * c_row + 4 * j, 0, left
                while t < here:
                    panel(
                        min(tall, here - t), many, tile, left_row, left_depth, right, right_row,
                        out + t * c_row, c_row, here_start + t * start_row, start_row, lanes,
                    )  # fmt: skip
                    t += tall
                    tile += size
        start, start_row, start_next = c, c_row, 4


@compiled()
def _narrow(rows, depth, columns, a, a_row, a_depth, b, b_row, b_turned, c, bias):
    """The same for at most DEPTH rows of B and a C of less than PANEL columns, whose rows follow each other.

    Whole vectors are written, each row over what was too much of the one before: only the last rows end exactly.
    """
    work, start, lanes = panel_room(), row_room(), (columns + LANES - 1) & -LANES
    prepare(b, b_row, b_turned, NOTHING, NOTHING, work, depth, columns)
    if bias != 0:
        copy_lanes(bias, start, min(columns, LANES), LANES)
        copy_lanes(bias + 4 * LANES, start + 4 * LANES, columns - LANES, LANES)
    else:
        start = NOTHING
    step, many = 4 * columns, max(0, rows - (lanes - 1) // columns)
    panel(many, depth, a, a_row, a_depth, work, 4 * PANEL, c, step, start, NOTHING, lanes)
    left, out = a + many * a_row, c + many * step
    panel(rows - many, depth, left, a_row, a_depth, work, 4 * PANEL, out, step, start, NOTHING, columns)


@compiled()
def _around(rows, depth, columns, a, w, c, bias):
    """(W A^T)^T, for an A that has fewer rows to turn than W: A's are columns of a work array, the result is turned back."""
    work, result, step, row = panel_room(), panel_room(), 4 * depth, 4 * PANEL
    for i in range(0, rows, PANEL):
        lanes = min(PANEL, rows - i)
        for j in range(0, columns, DEPTH):
            here, start, start_row = min(DEPTH, columns - j), NOTHING, NOTHING
            if bias != 0:
                start, start_row = result, row
                for r in range(here):
                    spread(bias + 4 * (j + r), result + r * row)
            for k in range(0, max(depth, 1), DEPTH):
                many = min(DEPTH, depth - k)
                turn(a + i * step + 4 * k, step, work, row, lanes, many)
                panel(here, many, w + j * step + 4 * k, step, 4, work, row, result, row, start, start_row, lanes)
                start, start_row = result, row
            out = c + 4 * (i * columns + j)
            if columns <= LANES and (i + lanes - 1) * columns + LANES <= rows * columns:  # as in `_narrow`
                turn(result, row, out, 4 * columns, here, lanes)
            else:
                turn_back(result, row, out, 4 * columns, here, lanes)


multiply, narrow, around = once(_multiply, 12), once(_narrow, 11), once(_around, 7)


@compiled()
def affine(x, w, b, out):
    """out = x w^T + b; an empty b is none."""
    rows, depth, columns = x.shape[0], x.shape[1], w.shape[0]
    a, right, c, bias, step = address(x), address(w), address(out), address(b) if b.size else NOTHING, 4 * depth
    panels, by_dots, turned_around = _costs(rows, depth, columns)
    if depth == 2 and columns == 1:
        linear_loops.neuron(x, w, b, out)
    elif depth >= 4 * LANES and by_dots < min(panels, turned_around):
        dots(rows, depth, columns, a, right, c, bias)
    elif turned_around < panels:
        around(rows, depth, columns, a, right, c, bias)
    elif _is_narrow(depth, columns):
        narrow(rows, depth, columns, a, step, 4, right, step, 1, c, bias)
    else:
        multiply(rows, depth, columns, a, step, 4, right, step, 1, c, 4 * columns, bias)


@compiled()
def _costs(rows, depth, columns):
    """What x w^T takes by panels, by dots and around, in multiply-adds: all lanes at work, and what is not arithmetic."""
    tall, wide = (rows + LANES - 1) & -LANES, (columns + LANES - 1) & -LANES
    panels = (rows + TURNING) * wide * depth
    turned_around = columns * tall * depth + TURNING * tall * (depth + TURNING_BACK * columns)
    return panels, rows * columns * (depth + ADDING), turned_around


@compiled(inline="always")
def _is_narrow(depth, columns):
    return not MASKS and columns < PANEL and columns % LANES != 0 and depth <= DEPTH


@compiled()
def product(a, turned, b, out):
    """out = a b, or a^T b if `turned`."""
    rows, depth, columns, c = out.shape[0], b.shape[0], out.shape[1], address(out)
    row, step = (4, 4 * rows) if turned else (4 * depth, 4)
    left, right = address(a), address(b)
    if turned and columns == 2 and rows == 1:
        linear_loops.neuron_grad(a, b, out)
    elif turned and _better_swapped(rows, depth, columns):
        work = panel_room()
        multiply(columns, depth, rows, right, 4, 4 * columns, left, 4 * rows, 0, work, 4 * rows, NOTHING)
        turn_back(work, 4 * rows, c, 4 * columns, columns, rows)
    elif _is_narrow(depth, columns):
        narrow(rows, depth, columns, left, row, step, right, 4 * columns, 0, c, NOTHING)
    else:
        multiply(rows, depth, columns, left, row, step, right, 4 * columns, 0, c, 4 * columns, NOTHING)


@compiled()
def _better_swapped(rows, depth, columns):
    """Whether a^T b is computed faster as (b^T a)^T, which fills more lanes but is to be turned back."""
    saved = rows * ((columns + LANES - 1) & -LANES) - columns * ((rows + LANES - 1) & -LANES)
    return rows * columns <= DEPTH * PANEL and depth * saved > TURNING * TURNING_BACK * rows * columns


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
