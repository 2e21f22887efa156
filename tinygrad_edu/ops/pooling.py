"""Pooling: the largest or the mean value of every window, in one and two dimensions, at fixed or at adaptive windows.

Max-pooling is an index chosen outside the graph and a linear gather; mean-pooling is linear. Either comes as a pair of adjoint
primitives, and each is the other's derivative.
"""

from collections import namedtuple
from collections.abc import Sequence

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.ops.activation import relu
from tinygrad_edu.ops.rounding import abs as abs_
from tinygrad_edu.ops.rounding import sign
from tinygrad_edu.ops.shape import reshape_to, squeeze, unsqueeze
from tinygrad_edu.ops.windows import as_image, as_sizes, too_large
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["avg_pool1d", "max_pool1d", "max_pool2d"]

Sizes = int | Sequence[int]
MaxPool = namedtuple("MaxPool", ("values", "indices"))


# ---- the largest value ------------------------------------------------------------------------------------------------------
@primitive(method=False, node_name="MaxPool2DWithIndicesBackward0")
def window_max(x, /, kernel, stride, padding, dilation, ceil_mode, work):
    """The largest value of every window of (N, C, H, W); notes in `work.index` where in its own image it was."""
    y, work.index = kernels.max_pool2d_forward(x, kernel, stride, padding, dilation, ceil_mode)
    touching = stride == kernel and padding == (0, 0) and dilation == (1, 1)
    work.tile = (
        kernel if touching and y.shape[2] * kernel[0] <= x.shape[2] and y.shape[3] * kernel[1] <= x.shape[3] else None
    )
    return y


@primitive(method=False)
def plane_gather(x, /, index):
    """y[n,c,i,j] = x[n,c] at the flat position index[n,c,i,j] of its image."""
    return kernels.max_pool2d_gather(x, index)


@primitive(method=False)
def plane_scatter(y, /, index, hw, tile=None):
    """x[n,c] = sum of y[n,c,i,j] put at the flat position index[n,c,i,j] of an image (H, W): the adjoint of the gather."""
    return kernels.max_pool2d_backward(y, index, hw, tile)


window_max.derivative(x=lambda g, x_shape, work: plane_scatter(g, work.index, x_shape[2:], work.tile))
window_max.op.frees = True  # the index is a saved value although no argument is
plane_gather.derivative(x=lambda g, index, x_shape: plane_scatter(g, index, x_shape[2:]))
plane_scatter.derivative(y=lambda g, index: plane_gather(g, index))


@composite(method=False)
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | MaxPool:
    """The largest value of every window.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding, dilation : int or (vertical, horizontal)
        The stride defaults to the kernel's size. Padding, at most half the kernel, is never chosen.
    ceil_mode : bool
        Round the output's size up: windows may hang over the edge.
    return_indices : bool
        Also return where each maximum was, as row * W + column.

    Returns
    -------
    Tensor (N, C, OH, OW), OH = floor((H + 2 ph - dh (KH - 1) - 1) / sh) + 1; with `return_indices` a pair (values, indices)

    Notes
    -----
    The first of several equal maxima gets the gradient; NaN counts as the largest.
    """
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, "max_pool2d")


@composite(method=False)
def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | MaxPool:
    """The largest value of every window of a sequence (N, C, L) or (C, L); see :func:`max_pool2d`."""
    image, batched = as_image(input, 1, "max_pool1d")
    kernel, stride, padding, dilation = _flat_windows(kernel_size, stride, padding, dilation, "max_pool1d")
    out = _max_pool(unsqueeze(image, 2), kernel, stride, padding, dilation, ceil_mode, return_indices, "max_pool1d")
    if return_indices:
        return MaxPool(*(_flattened(part, batched) for part in out))
    return _flattened(out, batched)


def _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, op):
    image, batched = as_image(input, 2, op)
    kernel, stride, padding, dilation = windows_of(input, image, kernel_size, stride, padding, dilation, ceil_mode, op)
    work = Workspace()
    out = window_max(image, kernel, stride, padding, dilation, ceil_mode, work)
    if return_indices:
        index = wrap(work.index.astype(np.int64))
        return MaxPool(out, index) if batched else MaxPool(squeeze(out, 0), squeeze(index, 0))
    return out if batched else squeeze(out, 0)


def windows_of(input, image, kernel_size, stride, padding, dilation, ceil_mode, op):
    """Return kernel, stride, padding and dilation as pairs, or refuse what gives no window."""
    kernel = as_sizes(kernel_size, 2, op, "kernel_size", 1)
    stride = kernel if stride is None or stride == [] else as_sizes(stride, 2, op, "stride", 1)
    padding, dilation = as_sizes(padding, 2, op, "padding"), as_sizes(dilation, 2, op, "dilation", 1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(p > (k // 2 if dilation == (1, 1) else r // 2) for p, k, r in zip(padding, kernel, reach, strict=True)):
        raise RuntimeError(
            f"{op}: pad should be at most half of effective kernel size, but got padding={padding}, kernel_size={kernel}, "
            f"dilation={dilation}. Fix: a smaller padding."
        )
    if min(kernels.pool_output_hw(image.shape[2:], kernel, stride, padding, dilation, ceil_mode)) < 1:
        padded = tuple(size + 2 * p for size, p in zip(image.shape[2:], padding, strict=True))
        raise too_large(input, padded, reach, op)
    return kernel, stride, padding, dilation


def _flat_windows(kernel_size, stride, padding, dilation, op):
    """One-dimensional windows as those of an image of height 1."""
    (kernel,) = as_sizes(kernel_size, 1, op, "kernel_size", 1)
    (step,) = (kernel,) if stride is None or stride == [] else as_sizes(stride, 1, op, "stride", 1)
    (border,), (spread,) = as_sizes(padding, 1, op, "padding"), as_sizes(dilation, 1, op, "dilation", 1)
    return (1, kernel), (1, step), (0, border), (1, spread)


def _flattened(out, batched: bool):
    out = squeeze(out, 2)
    return out if batched else squeeze(out, 0)


# ---- the mean ---------------------------------------------------------------------------------------------------------------
@primitive(method=False, node_name="AvgPool2DBackward0")
def window_mean(x, /, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """The mean of every window of (N, C, H, W)."""
    return kernels.avg_pool2d_forward(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


@primitive(method=False)
def window_share(y, /, hw, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """Share every value equally among the pixels of its window in an image (H, W): the adjoint of the mean."""
    return kernels.avg_pool2d_backward(y, hw, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


window_mean.derivative(
    x=lambda g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: window_share(
        g, x_shape[2:], kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
)
window_share.derivative(
    y=lambda g, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: window_mean(
        g, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
)


@composite(method=False)
def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of every window.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding : int or (vertical, horizontal)
    ceil_mode : bool
        Round the output's size up.
    count_include_pad : bool
        Whether the zeros of the padding count as elements of the mean.
    divisor_override : int, optional
        Divide by this instead of by the number of elements.
    """
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, "avg_pool2d")


@composite(method=False)
def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of every window of a sequence (N, C, L) or (C, L); see :func:`avg_pool2d`."""
    image, batched = as_image(input, 1, "avg_pool1d")
    kernel, stride, padding, _ = _flat_windows(kernel_size, stride, padding, 1, "avg_pool1d")
    out = _avg_pool(unsqueeze(image, 2), kernel, stride, padding, ceil_mode, count_include_pad, None, "avg_pool1d")
    return _flattened(out, batched)


def _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, op):
    image, batched = as_image(input, 2, op)
    kernel, stride, padding, _ = windows_of(input, image, kernel_size, stride, padding, 1, ceil_mode, op)
    if divisor_override == 0:
        raise RuntimeError(f"{op}: divisor must be not zero. Fix: divisor_override=None or another number.")
    out = window_mean(image, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return out if batched else squeeze(out, 0)


# ---- the norm, and the way back ---------------------------------------------------------------------------------------------
@composite(method=False)
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of every window, (sum of x^p)^(1/p); the sum's sign and size are kept apart, as in PyTorch."""
    height, width = as_sizes(kernel_size, 2, "lp_pool2d", "kernel_size", 1)
    return root_of_mean(avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode), norm_type, height * width)


@composite(method=False)
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of every window of a sequence; see :func:`lp_pool2d`."""
    (width,) = as_sizes(kernel_size, 1, "lp_pool1d", "kernel_size", 1)
    return root_of_mean(avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode), norm_type, width)


def root_of_mean(mean: Tensor, norm_type: float, count: int) -> Tensor:
    """The p-norm of `count` elements from the mean of their powers."""
    return (sign(mean) * relu(abs_(mean)) * count) ** (1.0 / norm_type)


def _unpool(input, indices, kernel_size, stride, padding, output_size, spatial, op) -> Tensor:
    image, batched = as_image(input, spatial, op)
    kernel = as_sizes(kernel_size, spatial, op, "kernel_size", 1)
    stride = kernel if stride is None else as_sizes(stride, spatial, op, "stride", 1)
    padding = as_sizes(padding, spatial, op, "padding")
    if indices.shape != input.shape:
        raise ShapeError(
            f"{op}: Expected shape of indices to be same as that of the input ({list(input.shape)}), got {list(indices.shape)}."
        )
    size = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(image.shape[2:], stride, padding, kernel, strict=True))
    if output_size is not None:
        size = tuple(output_size)[-spatial:]
    index = np.asarray(indices._data)
    if index.size and not (index.min() >= 0 and index.max() < np.prod(size)):
        raise RuntimeError(f"{op}: Found an invalid max index: {index.max()} (output volumes are of size {size})")
    n, c = image.shape[:2]
    flat = reshape_to(image, (n, c, 1, index.size // max(1, n * c)))
    planes = plane_scatter(flat, index.reshape(flat.shape).astype(np.int32), (1, int(np.prod(size))))
    out = reshape_to(planes, (n, c, *size))
    return out if batched else squeeze(out, 0)


@composite(method=False)
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The way back from :func:`max_pool1d`: values at their indices, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 1, "max_unpool1d")


@composite(method=False)
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The way back from :func:`max_pool2d`: values at their indices, zeros elsewhere; `output_size` settles what is ambiguous."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 2, "max_unpool2d")


@composite(method=False)
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The way back from ``max_pool3d``: values at their indices, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 3, "max_unpool3d")
