"""Fast pooling: one pass over the image, no copies of windows."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.pool_numpy import Pair, pool_output_hw, window_sizes
from tinygrad_edu.kernels.pool_vector import pool_planes, unpool_planes
from tinygrad_edu.kernels.threads import chunks, run_chunks
from tinygrad_edu.kernels.vector import usable

WORK = 30.0  # multiply-adds that take as long as a pixel of a window


def max_pool2d_forward(x, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool):
    n, c, h, w = x.shape
    oh, ow = pool_output_hw((h, w), kernel, stride, padding, dilation, ceil_mode)
    planes = np.ascontiguousarray(x).reshape(n * c, h, w)
    y, index = empty((n * c, oh, ow), x.dtype), empty((n * c, oh, ow), np.int32)
    plain = kernel == stride == (2, 2) and padding == (0, 0) and dilation == (1, 1) and not ceil_mode

    def task(i: int, start: int, stop: int) -> None:
        piece = planes[start:stop], y[start:stop], index[start:stop]
        if plain and x.dtype == np.float32 and usable():
            pool_planes(*(array.reshape(-1) for array in piece), (h, w), 2, False)
        elif plain:
            _max_of_four(*piece)
        else:
            _max_of_window(*piece, *kernel, *stride, *padding, *dilation)

    run_chunks(task, chunks(n * c, WORK * y.size * kernel[0] * kernel[1]))
    return y.reshape(n, c, oh, ow), index.reshape(n, c, oh, ow)


def max_pool2d_backward(g, index, input_hw: Pair, tile: Pair | None = None) -> np.ndarray:
    (n, c), (h, w) = g.shape[:2], input_hw
    gx, planes, places = empty((n * c, h, w), g.dtype), _planes(g), _planes(index)
    inside = g.shape[2:] == (h // 2, w // 2)  # with ceil_mode, windows of an odd image reach over its edge
    if tile == (2, 2) and inside and g.dtype == np.float32 and usable():

        def task(i: int, start: int, stop: int) -> None:
            piece = planes[start:stop].reshape(-1)
            unpool_planes(piece, piece, places[start:stop].reshape(-1), gx[start:stop].reshape(-1), input_hw, 2, False)

    else:

        def task(i: int, start: int, stop: int) -> None:
            _scatter(planes[start:stop], places[start:stop], gx[start:stop].reshape(-1, h * w), tile is not None)

    run_chunks(task, chunks(n * c, WORK * gx.size))
    return gx.reshape(n, c, h, w)


def max_pool2d_gather(x, index) -> np.ndarray:
    n, c, oh, ow = index.shape
    y = empty((n * c, oh * ow), x.dtype)
    _gather(_planes(x), _planes(index), y)
    return y.reshape(index.shape)


def _planes(x):
    """The images as rows, (N * C, H * W)."""
    n, c, h, w = x.shape
    return np.ascontiguousarray(x).reshape(n * c, h * w)


def avg_pool2d_forward(
    x, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, count_include_pad: bool, divisor_override
) -> np.ndarray:
    n, c, h, w = x.shape
    oh, ow = pool_output_hw((h, w), kernel, stride, padding, (1, 1), ceil_mode)
    scale = 1 / window_sizes((h, w), (oh, ow), kernel, stride, padding, count_include_pad, divisor_override)
    y = empty((n * c, oh, ow), x.dtype)
    planes = np.ascontiguousarray(x).reshape(n * c, h, w)
    if kernel == stride == (2, 2) and padding == (0, 0) and h >= 2 * oh and w >= 2 * ow:
        _mean_of_four(planes, y, scale.astype(x.dtype))
    else:
        _mean_of_window(planes, y, scale.astype(x.dtype), *kernel, *stride, *padding)
    return y.reshape(n, c, oh, ow)


def avg_pool2d_backward(
    g, input_hw: Pair, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, count_include_pad: bool,
    divisor_override,
) -> np.ndarray:  # fmt: skip
    n, c, oh, ow = g.shape
    scale = 1 / window_sizes(input_hw, (oh, ow), kernel, stride, padding, count_include_pad, divisor_override)
    planes = np.ascontiguousarray(g).reshape(n * c, oh, ow)
    if kernel == stride == (2, 2) and padding == (0, 0) and input_hw == (2 * oh, 2 * ow):
        gx = empty((n * c, *input_hw), g.dtype)
        _share_among_four(planes, gx, scale.astype(g.dtype))
        return gx.reshape(n, c, *input_hw)
    gx = np.zeros((n * c, *input_hw), g.dtype)
    _spread_to_window(planes, gx, scale.astype(g.dtype), *kernel, *stride, *padding)
    return gx.reshape(n, c, *input_hw)


@compiled()
def _max_of_four(x, y, index):
    """2x2 windows: three selections without a branch, so that the compiler handles many windows at once.

    ``b > a or b != b`` reads "b is larger, or b is NaN"; on a tie the earlier one stays.
    """
    planes, oh, ow = y.shape
    width = np.int32(x.shape[2])
    one = np.int32(1)
    for p in range(planes):
        for i in range(oh):
            upper, lower, out, place = x[p, 2 * i], x[p, 2 * i + 1], y[p, i], index[p, i]
            first = np.int32(2 * i) * width
            for j in range(ow):
                a, b, c, d = upper[2 * j], upper[2 * j + 1], lower[2 * j], lower[2 * j + 1]
                right = (b > a) | (b != b)
                top = b if right else a
                right_below = (d > c) | (d != d)
                bottom = d if right_below else c
                below = (bottom > top) | (bottom != bottom)
                out[j] = bottom if below else top
                column = np.int32(2 * j)
                at_top = column + one if right else column
                at_bottom = column + width + (one if right_below else np.int32(0))
                place[j] = first + (at_bottom if below else at_top)


@compiled()
def _max_of_window(x, y, index, kh, kw, sh, sw, ph, pw, dh, dw):
    planes, oh, ow = y.shape
    h, w = x.shape[1:]
    for p in range(planes):
        for i in range(oh):
            for j in range(ow):
                row, column = i * sh - ph, j * sw - pw
                while row < 0:
                    row += dh
                while column < 0:
                    column += dw
                best, place = x.dtype.type(-np.inf), 0
                if row < h and column < w:
                    place = row * w + column
                for r in range(row, min(h, i * sh - ph + (kh - 1) * dh + 1), dh):
                    for s in range(column, min(w, j * sw - pw + (kw - 1) * dw + 1), dw):
                        value = x[p, r, s]
                        if value > best or value != value:
                            best, place = value, r * w + s
                y[p, i, j] = best
                index[p, i, j] = place


@compiled()
def _scatter(g, index, gx, alone):
    """gx[p, index[p, i]] += g[p, i]; `alone` promises that no index occurs twice in a plane.

    An unsigned index spares the test for negative ones, which count from the end in Python: a third of the time.
    """
    for p in range(g.shape[0]):
        slope, place, out = g[p], index[p], gx[p]
        out[:] = 0
        if alone:
            for i in range(slope.size):
                out[np.uint32(place[i])] = slope[i]
        else:
            for i in range(slope.size):
                out[np.uint32(place[i])] += slope[i]


@compiled()
def _gather(x, index, y):
    for p in range(y.shape[0]):
        source, place, out = x[p], index[p], y[p]
        for i in range(out.size):
            out[i] = source[np.uint32(place[i])]


@compiled()
def _mean_of_four(x, y, scale):
    planes, oh, ow = y.shape
    for p in range(planes):
        for i in range(oh):
            upper, lower, out, factor = x[p, 2 * i], x[p, 2 * i + 1], y[p, i], scale[i]
            for j in range(ow):
                out[j] = (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]) * factor[j]


@compiled()
def _share_among_four(g, gx, scale):
    planes, oh, ow = g.shape
    for p in range(planes):
        for i in range(oh):
            upper, lower, slope, factor = gx[p, 2 * i], gx[p, 2 * i + 1], g[p, i], scale[i]
            for j in range(ow):
                share = slope[j] * factor[j]
                upper[2 * j] = share
                upper[2 * j + 1] = share
                lower[2 * j] = share
                lower[2 * j + 1] = share


@compiled()
def _mean_of_window(x, y, scale, kh, kw, sh, sw, ph, pw):
    """Row by row: for each place (u, v) in the window, one pass adds that pixel of all windows of an output row."""
    planes, oh, ow = y.shape
    h, w = x.shape[1:]
    for p in range(planes):
        for i in range(oh):
            out = y[p, i]
            out[:] = 0
            for row in range(max(0, i * sh - ph), min(h, i * sh - ph + kh)):
                for v in range(kw):
                    left, right = _columns_inside(v - pw, sw, w, ow)
                    source, target = x[p, row, max(0, left * sw + v - pw) :], out[left:right]
                    if sw == 2:
                        for j in range(target.size):
                            target[j] += source[2 * j]
                    else:
                        for j in range(target.size):
                            target[j] += source[j * sw]
            for j in range(ow):
                out[j] *= scale[i, j]


@compiled()
def _columns_inside(shift, stride, size, count):
    """Which j in range(count) read a pixel: the range with 0 <= j*stride + shift < size."""
    first = min(count, max(0, -(shift // stride)))
    last = min(count, (size - 1 - shift) // stride + 1)
    return first, max(first, last)


@compiled()
def _spread_to_window(g, gx, scale, kh, kw, sh, sw, ph, pw):
    planes, oh, ow = g.shape
    h, w = gx.shape[1:]
    share = np.empty(ow, g.dtype)
    for p in range(planes):
        for i in range(oh):
            for j in range(ow):
                share[j] = g[p, i, j] * scale[i, j]
            for row in range(max(0, i * sh - ph), min(h, i * sh - ph + kh)):
                for v in range(kw):
                    left, right = _columns_inside(v - pw, sw, w, ow)
                    source, target = share[left:right], gx[p, row, max(0, left * sw + v - pw) :]
                    if sw == 2:
                        for j in range(source.size):
                            target[2 * j] += source[j]
                    else:
                        for j in range(source.size):
                            target[j * sw] += source[j]
