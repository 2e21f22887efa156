"""Pooling in NumPy. Max-pooling chooses an index per window; everything else about it is a linear gather or scatter.

`kernel`, `stride`, `padding` and `dilation` are pairs (vertical, horizontal). Images are (N, C, H, W).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Pair = tuple[int, int]


def pool_output_hw(
    hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1), ceil_mode: bool = False
) -> Pair:
    """Height and width of a pooling's output.

    floor((size + 2*padding - dilation*(kernel-1) - 1) / stride) + 1, or with `ceil_mode` the ceiling, unless the last
    window would then start in the padding beyond the image.
    """
    result = []
    for size, k, s, p, d in zip(hw, kernel, stride, padding, dilation, strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        count = (room + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1
        result.append(count)
    return result[0], result[1]


def max_pool2d_forward(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of every window, and where it was.

    The first of several equal maxima is chosen; NaN counts as larger than everything (the last NaN of a window is
    chosen), so that a NaN is never hidden. Padding is never chosen. All as in PyTorch.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel, stride, padding, dilation : (vertical, horizontal)
    ceil_mode : bool

    Returns
    -------
    y : array (N, C, OH, OW)
    index : int32 array (N, C, OH, OW)
        Position of the maximum in its own flattened image, row * W + column.
    """
    lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    values, rows, columns = _windows(x, kernel, stride, padding, dilation, ceil_mode, lowest)
    n, c, oh, ow = values.shape[:4]
    count = kernel[0] * kernel[1]
    values = values.reshape(n, c, oh, ow, count)
    inside = ((rows >= 0) & (rows < x.shape[2]))[:, None, :, None] & ((columns >= 0) & (columns < x.shape[3]))[:, None]
    inside = inside.reshape(oh, ow, count)
    choice = values.argmax(-1)
    chose_padding = ~np.take_along_axis(np.broadcast_to(inside, values.shape), choice[..., None], -1)[..., 0]
    choice = np.where(chose_padding, inside.argmax(-1), choice)  # only when the whole window is -inf
    nan = np.isnan(values)
    choice = np.where(nan.any(-1), count - 1 - nan[..., ::-1].argmax(-1), choice)
    flat = (rows[:, None, :, None] * x.shape[3] + columns[:, None]).reshape(oh, ow, count)
    index = np.take_along_axis(np.broadcast_to(flat, values.shape), choice[..., None], -1)[..., 0]
    index = np.where(inside.any(-1), index, 0)  # a window with no pixel at all (possible with dilation): -inf at 0
    return np.take_along_axis(values, choice[..., None], -1)[..., 0], index.astype(np.int32)


def max_pool2d_backward(g: np.ndarray, index: np.ndarray, input_hw: Pair, tile: Pair | None = None) -> np.ndarray:
    """Send each window's gradient back to the pixel that was chosen: gx[index[i]] += g[i], image by image.

    Parameters
    ----------
    g : array (N, C, OH, OW)
    index : int32 array (N, C, OH, OW)
        As returned by `max_pool2d_forward`.
    input_hw : (H, W)
    tile : (KH, KW), optional
        Promise that windows of this size lie side by side (stride = kernel, no padding, no dilation), so that no pixel
        is chosen twice. A fast kernel then need not add; the result is the same.

    Returns
    -------
    array (N, C, H, W)
    """
    planes, size = g.shape[0] * g.shape[1], input_hw[0] * input_hw[1]
    gx = np.zeros(planes * size, g.dtype)
    start = (np.arange(planes) * size).reshape(*g.shape[:2], 1, 1)
    np.add.at(gx, start + index, g)
    return gx.reshape(*g.shape[:2], *input_hw)


def max_pool2d_gather(x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The values at `index` of each flattened image: the adjoint of `max_pool2d_backward`.

    Parameters
    ----------
    x : array (N, C, H, W)
    index : int32 array (N, C, OH, OW)

    Returns
    -------
    array (N, C, OH, OW)
    """
    n, c, h, w = x.shape
    return np.take_along_axis(
        x.reshape(n, c, h * w), index.reshape(n, c, index.shape[2] * index.shape[3]).astype(np.intp), 2
    ).reshape(index.shape)


def avg_pool2d_forward(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """The mean of every window.

    Parameters
    ----------
    x : array (N, C, H, W)
    kernel, stride, padding : (vertical, horizontal)
    ceil_mode : bool
    count_include_pad : bool
        Whether the zeros of the padding count as elements of the mean.
    divisor_override : int or None
        Divide the window's sum by this instead of by the number of elements.

    Returns
    -------
    array (N, C, OH, OW)
    """
    values, _, _ = _windows(x, kernel, stride, padding, (1, 1), ceil_mode, 0)
    divisor = window_sizes(x.shape[2:], values.shape[2:4], kernel, stride, padding, count_include_pad, divisor_override)
    return (values.sum((-2, -1)) / divisor).astype(x.dtype)


def avg_pool2d_backward(
    g: np.ndarray,
    input_hw: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """Share each window's gradient equally among its pixels: the adjoint of `avg_pool2d_forward`.

    Parameters
    ----------
    g : array (N, C, OH, OW)
    input_hw : (H, W)
    kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
        Those of the forward pass.

    Returns
    -------
    array (N, C, H, W)
    """
    (h, w), (n, c, oh, ow) = input_hw, g.shape
    divisor = window_sizes(input_hw, (oh, ow), kernel, stride, padding, count_include_pad, divisor_override)
    share = (g / divisor).astype(g.dtype)
    reach_h, reach_w = (oh - 1) * stride[0] + kernel[0], (ow - 1) * stride[1] + kernel[1]
    padded = np.zeros((n, c, max(reach_h, padding[0] + h), max(reach_w, padding[1] + w)), g.dtype)
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            padded[:, :, u : u + oh * stride[0] : stride[0], v : v + ow * stride[1] : stride[1]][..., :oh, :ow] += share
    return np.ascontiguousarray(padded[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + w])


def window_sizes(
    hw: Pair, out_hw: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, divisor_override
) -> np.ndarray:
    """What each window's sum is divided by, an array (OH, OW)."""
    if divisor_override is not None:
        return np.full(out_hw, float(divisor_override))
    lengths = []
    for size, count, k, s, p in zip(hw, out_hw, kernel, stride, padding, strict=True):
        start = np.arange(count) * s - p
        end = np.minimum(start + k, size + p)
        lengths.append(end - start if count_include_pad else np.minimum(end, size) - np.maximum(start, 0))
    return np.multiply.outer(*lengths).astype(np.float64)


def _windows(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool, fill):
    """Windows (N, C, OH, OW, KH, KW) of the padded image, with the rows (OH, KH) and columns (OW, KW) they read."""
    out = pool_output_hw(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    border, places = [], []
    for size, count, k, s, p, d in zip(x.shape[2:], out, kernel, stride, padding, dilation, strict=True):
        border.append((p, max(0, (count - 1) * s + d * (k - 1) + 1 - size - p)))
        places.append(np.arange(count)[:, None] * s - p + np.arange(k) * d)
    padded = np.pad(x, ((0, 0), (0, 0), *border), constant_values=fill)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    views = sliding_window_view(padded, reach, axis=(2, 3))
    views = views[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return views[:, :, : out[0], : out[1]], *places
