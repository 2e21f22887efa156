"""Convolution and pooling of volumes (N, C, D, H, W): the depth one slice at a time, on the ops of images."""

from collections.abc import Sequence

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.ops.convolution import convolution, convolution_input
from tinygrad_edu.ops.convolution_sizes import convolution_sizes, transposed_sizes
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.ops.padding import pad
from tinygrad_edu.ops.pooling import MaxPool, root_of_mean, window_max, window_mean
from tinygrad_edu.ops.shape import permute_dims, reshape_to, squeeze
from tinygrad_edu.ops.windows import as_image, as_sizes, too_large
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["conv3d", "conv_transpose3d"]

Sizes = int | Sequence[int]


def _slices_to_batch(x: Tensor) -> Tensor:
    """(N, C, D, H, W) as images (N * D, C, H, W)."""
    n, c, d, h, w = x.shape
    return reshape_to(permute_dims(x, (0, 2, 1, 3, 4)), (n * d, c, h, w))


def _batch_to_slices(x: Tensor, n: int) -> Tensor:
    """The inverse of `_slices_to_batch`."""
    count, c, h, w = x.shape
    return permute_dims(reshape_to(x, (n, count // max(1, n), c, h, w)), (0, 2, 1, 3, 4))


@composite(method=False)
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Three-dimensional convolution: input (N, C, D, H, W) or (C, D, H, W), weight (OC, C/groups, KD, KH, KW).

    The sum over the kernel's depth of two-dimensional convolutions; parameters as in ``conv2d``, in the order depth, height, width.
    """
    volume, batched, steps, (depth, *borders), gaps = convolution_sizes(
        input, weight, bias, stride, padding, dilation, groups, 3, "conv3d"
    )
    if depth:
        volume = pad(volume, (0, 0, 0, 0, depth, depth))
    count = (volume.shape[2] - gaps[0] * (weight.shape[2] - 1) - 1) // steps[0] + 1
    parts = []
    for k in range(weight.shape[2]):
        start = k * gaps[0]
        slices = getitem(volume, (slice(None), slice(None), slice(start, start + (count - 1) * steps[0] + 1, steps[0])))
        part = convolution(
            _slices_to_batch(slices), getitem(weight, (slice(None), slice(None), k)), bias if k == 0 else None,
            steps[1:], tuple(borders), gaps[1:], groups,
        )  # fmt: skip
        parts.append(part)
    result = _batch_to_slices(sum(parts[1:], parts[0]), volume.shape[0])
    return result if batched else squeeze(result, 0)


@composite(method=False)
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Transposed three-dimensional convolution: input (N, C, D, H, W), weight (C, OC/groups, KD, KH, KW); see ``conv_transpose2d``."""
    volume, batched, steps, borders, extra, gaps, full = transposed_sizes(
        input, weight, bias, stride, padding, output_padding, dilation, groups, 3, "conv_transpose3d"
    )
    n, kernel = volume.shape[0], weight.shape[2:]
    images = _slices_to_batch(volume)
    layers: list[list[Tensor]] = [[] for _ in range(full[0])]
    for k in range(kernel[0]):
        filters = getitem(weight, (slice(None), slice(None), k))
        part = convolution_input(images, filters, full[1:], steps[1:], (0, 0), gaps[1:], groups)
        slices = reshape_to(part, (n, volume.shape[2], *part.shape[1:]))
        for i in range(volume.shape[2]):
            layers[i * steps[0] + k * gaps[0]].append(getitem(slices, (slice(None), i)))
    empty = wrap(np.zeros((n, *part.shape[1:]), input._data.dtype))
    out = stack([sum(parts[1:], parts[0]) if parts else empty for parts in layers], 2)
    changes = [m for p, e in zip(reversed(borders), reversed(extra), strict=True) for m in (-p, e - p)]
    if any(changes):
        out = pad(out, changes)
    if bias is not None:
        out = out + bias.reshape(-1, 1, 1, 1)
    return out if batched else squeeze(out, 0)


# ---- pooling ----------------------------------------------------------------------------------------------------------------
def _windows(volume, input, kernel_size, stride, padding, dilation, ceil_mode, op):
    kernel = as_sizes(kernel_size, 3, op, "kernel_size", 1)
    stride = kernel if stride is None else as_sizes(stride, 3, op, "stride", 1)
    padding, dilation = as_sizes(padding, 3, op, "padding"), as_sizes(dilation, 3, op, "dilation", 1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(2 * p > r for p, r in zip(padding, reach, strict=True)):
        raise RuntimeError(
            f"{op}: pad should be at most half of effective kernel size, but got padding={padding}, kernel_size={kernel}."
        )
    sizes = [
        kernels.pool_output_hw((n, 1), (k, 1), (s, 1), (p, 0), (d, 1), ceil_mode)[0]
        for n, k, s, p, d in zip(volume.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    if min(sizes) < 1:
        raise too_large(input, [n + 2 * p for n, p in zip(volume.shape[2:], padding, strict=True)], reach, op)
    return kernel, stride, padding, dilation


@composite(method=False)
def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | MaxPool:
    """The largest value of every window of (N, C, D, H, W) or (C, D, H, W): first within each slice, then over the depth."""
    volume, batched = as_image(input, 3, "max_pool3d")
    k, s, p, t = _windows(volume, input, kernel_size, stride, padding, dilation, ceil_mode, "max_pool3d")
    n, c, d, h, w = volume.shape
    inner, outer = Workspace(), Workspace()
    flat = window_max(reshape_to(volume, (n, c * d, h, w)), k[1:], s[1:], p[1:], t[1:], ceil_mode, inner)
    oh, ow = flat.shape[2:]
    out = window_max(reshape_to(flat, (n, c, d, oh * ow)), (k[0], 1), (s[0], 1), (p[0], 0), (t[0], 1), ceil_mode, outer)
    depth = out.shape[2]
    out = reshape_to(out, (n, c, depth, oh, ow))
    if not return_indices:
        return out if batched else squeeze(out, 0)
    layer, cell = np.divmod(outer.index.astype(np.int64).reshape(n, c, -1), oh * ow)
    place = np.take_along_axis(inner.index.reshape(n, c, -1).astype(np.int64), layer * (oh * ow) + cell, 2)
    index = wrap((layer * (h * w) + place).reshape(n, c, depth, oh, ow))
    return MaxPool(out, index) if batched else MaxPool(squeeze(out, 0), squeeze(index, 0))


@composite(method=False)
def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of every window of (N, C, D, H, W) or (C, D, H, W): the mean over the depth of the slices' means."""
    volume, batched = as_image(input, 3, "avg_pool3d")
    k, s, p, _ = _windows(volume, input, kernel_size, stride, padding, 1, ceil_mode, "avg_pool3d")
    if divisor_override == 0:
        raise RuntimeError("avg_pool3d: divisor must be not zero. Fix: divisor_override=None or another number.")
    once = None if divisor_override is None else 1
    n, c, d, h, w = volume.shape
    flat = window_mean(reshape_to(volume, (n, c * d, h, w)), k[1:], s[1:], p[1:], ceil_mode, count_include_pad, once)
    oh, ow = flat.shape[2:]
    out = window_mean(
        reshape_to(flat, (n, c, d, oh * ow)),
        (k[0], 1),
        (s[0], 1),
        (p[0], 0),
        ceil_mode,
        count_include_pad,
        divisor_override,
    )
    out = reshape_to(out, (n, c, out.shape[2], oh, ow))
    return out if batched else squeeze(out, 0)


@composite(method=False)
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of every window of a volume; see ``lp_pool2d``."""
    count = int(np.prod(as_sizes(kernel_size, 3, "lp_pool3d", "kernel_size", 1)))
    return root_of_mean(avg_pool3d(input**norm_type, kernel_size, stride, 0, ceil_mode), norm_type, count)
