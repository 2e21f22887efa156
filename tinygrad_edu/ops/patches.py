"""Patches of images: unfold lays every window out as a column, fold adds columns back into an image. Adjoint to each other."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.shape import squeeze
from tinygrad_edu.ops.windows import as_image, as_sizes, too_large
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor

__all__: list[str] = []

Sizes = int | Sequence[int]


def _counts(hw, kernel, stride, padding, dilation) -> tuple[int, ...]:
    """How many windows fit along each dimension."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(hw, kernel, stride, padding, dilation, strict=True)
    )


@primitive(method=False, node_name="Im2ColBackward0")
def image_to_columns(x, /, kernel, stride, padding, dilation):
    """Every window of (N, C, H, W) as a column: (N, C * KH * KW, windows)."""
    (ph, pw), (sh, sw), (dh, dw) = padding, stride, dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    windows = sliding_window_view(padded, reach, (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    n, c, oh, ow, kh, kw = windows.shape
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, oh * ow)


@primitive(method=False, node_name="Col2ImBackward0")
def columns_to_image(y, /, hw, kernel, stride, padding, dilation):
    """Every column (N, C * KH * KW, windows) added to its window of an image (N, C, H, W): the adjoint of the unfolding."""
    (h, w), (kh, kw), (sh, sw), (ph, pw), (dh, dw) = hw, kernel, stride, padding, dilation
    oh, ow = _counts(hw, kernel, stride, padding, dilation)
    columns = y.reshape(y.shape[0], y.shape[1] // (kh * kw), kh, kw, oh, ow)
    padded = np.zeros((*columns.shape[:2], h + 2 * ph, w + 2 * pw), y.dtype)
    for u in range(kh):
        for v in range(kw):
            rows = slice(u * dh, u * dh + sh * (oh - 1) + 1, sh)
            padded[:, :, rows, v * dw : v * dw + sw * (ow - 1) + 1 : sw] += columns[:, :, u, v]
    return np.ascontiguousarray(padded[:, :, ph : ph + h, pw : pw + w])


image_to_columns.derivative(
    x=lambda g, x_shape, kernel, stride, padding, dilation: columns_to_image(
        g, x_shape[2:], kernel, stride, padding, dilation
    )
)
columns_to_image.derivative(
    y=lambda g, kernel, stride, padding, dilation: image_to_columns(g, kernel, stride, padding, dilation)
)


def _pairs(kernel_size, stride, padding, dilation, op):
    return (
        as_sizes(kernel_size, 2, op, "kernel_size", 1),
        as_sizes(stride, 2, op, "stride", 1),
        as_sizes(padding, 2, op, "padding"),
        as_sizes(dilation, 2, op, "dilation", 1),
    )


# Not entered in the table of ops: there `unfold` is the Tensor method, another function.
def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """Every window of an image as a column, the "im2col" of convolution: (N, C, H, W) to (N, C * KH * KW, windows).

    With it, conv2d is a matrix product: weight.flatten(1) @ unfold(x, K).
    """
    image, batched = as_image(input, 2, "unfold")
    kernel, steps, border, spread = _pairs(kernel_size, stride, padding, dilation, "unfold")
    if min(_counts(image.shape[2:], kernel, steps, border, spread)) < 1:
        padded = tuple(n + 2 * p for n, p in zip(image.shape[2:], border, strict=True))
        raise too_large(input, padded, [d * (k - 1) + 1 for k, d in zip(kernel, spread, strict=True)], "unfold")
    columns = image_to_columns(image, kernel, steps, border, spread)
    return columns if batched else squeeze(columns, 0)


@composite(method=False)
def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Columns (N, C * KH * KW, windows) added back into images (N, C, *output_size); overlaps add up. See :func:`unfold`."""
    columns, batched = as_image(input, 1, "fold")
    hw = as_sizes(output_size, 2, "fold", "output_size", 1)
    kernel, stride, padding, dilation = _pairs(kernel_size, stride, padding, dilation, "fold")
    windows = int(np.prod(_counts(hw, kernel, stride, padding, dilation)))
    per_channel = kernel[0] * kernel[1]
    if columns.shape[1] % per_channel or columns.shape[2] != windows:
        facts = (
            f"an image of {hw} has {windows} windows of {per_channel} elements a channel; the input {tuple(input.shape)} has "
            f"{columns.shape[2]} columns of {columns.shape[1]}."
        )
        raise ShapeError(message("E104", "fold", facts, "the parameters of the unfold that made the columns."))
    image = columns_to_image(columns, hw, kernel, stride, padding, dilation)
    return image if batched else squeeze(image, 0)
