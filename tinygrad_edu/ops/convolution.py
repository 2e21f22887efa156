"""Convolution: three primitives that are each other's derivatives, and PyTorch's functions made of them.

One trilinear form stands behind all of them, S = sum y[n,o,i,j] * w[o,c,u,v] * x[n, c, i*s + u*d - p, j*s + v*d - p]:
`convolution` is dS/dy, `convolution_input` dS/dx and `convolution_weight` dS/dw. So the rules of any one are the other two, to
every order, and the transposed convolution is `convolution_input` itself.
"""

from collections.abc import Sequence

from tinygrad_edu import kernels
from tinygrad_edu.ops.convolution_sizes import check_weight, convolution_sizes, transposed_sizes
from tinygrad_edu.ops.padding import pad
from tinygrad_edu.ops.reduction import broadcast_to
from tinygrad_edu.ops.shape import reshape_to, squeeze, unsqueeze
from tinygrad_edu.ops.windows import as_image, as_sizes
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]

Sizes = int | Sequence[int]


@primitive(method=False, names=("input", "weight", "bias"), node_name="ConvolutionBackward0")
def convolution(x, w, bias=None, /, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """y[n,o,i,j] = bias[o] + sum over c,u,v of w[o,c,u,v] * x[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw]."""
    return kernels.conv2d_forward(x, w, bias, stride, padding, dilation, groups)


@primitive(method=False, names=("input", "weight"), node_name="ConvolutionBackward0")
def convolution_input(y, w, /, input_hw, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """gx[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw] = sum over o,u,v,i,j of w[o,c,u,v] * y[n,o,i,j]."""
    return kernels.conv2d_input_grad(y, w, input_hw, stride, padding, dilation, groups)


@primitive(method=False, names=("input", "output"), node_name="ConvolutionBackward0")
def convolution_weight(x, y, /, kernel_hw, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """gw[o,c,u,v] = sum over n,i,j of y[n,o,i,j] * x[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw]."""
    return kernels.conv2d_weight_grad(x, y, kernel_hw, stride, padding, dilation, groups)


convolution.derivative(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: convolution_input(
        g, w, x_shape[2:], stride, padding, dilation, groups
    ),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: convolution_weight(
        x, g, w_shape[2:], stride, padding, dilation, groups
    ),
    bias=lambda g: channel_sums(g),
)
convolution_input.derivative(
    y=lambda g, w, stride, padding, dilation, groups: convolution(g, w, None, stride, padding, dilation, groups),
    w=lambda g, y, w_shape, stride, padding, dilation, groups: convolution_weight(
        g, y, w_shape[2:], stride, padding, dilation, groups
    ),
)
convolution_weight.derivative(
    x=lambda g, y, x_shape, stride, padding, dilation, groups: convolution_input(
        y, g, x_shape[2:], stride, padding, dilation, groups
    ),
    y=lambda g, x, stride, padding, dilation, groups: convolution(x, g, None, stride, padding, dilation, groups),
)


@primitive(method=False)
def channel_sums(x, /):
    """Sum over images and pixels, (N, C, H, W) to (C,): the gradient of a bias."""
    return kernels.conv2d_bias_grad(x)


channel_sums.derivative(x=lambda g, x_shape: broadcast_to(reshape_to(g, (1, x_shape[1], 1, 1)), x_shape))


@composite(method=False)
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Two-dimensional convolution (cross-correlation) of images with a bank of filters.

    y[n,o,i,j] = bias[o] + sum over c,u,v of weight[o,c,u,v] * input[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw]

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    weight : Tensor (OC, C/groups, KH, KW)
    bias : Tensor (OC,), optional
    stride, dilation : int or (vertical, horizontal)
    padding : int, (vertical, horizontal), "valid" (none) or "same" (output as large as the input, stride 1 only)
    groups : int
        Output channels see only the input channels of their own group.

    Returns
    -------
    Tensor (N, OC, OH, OW) with OH = floor((H + 2 ph - dh (KH - 1) - 1) / sh) + 1

    Raises
    ------
    RuntimeError
        For shapes that do not fit (E113), a kernel larger than the padded input (E114) or mixed dtypes (E109).
    """
    return _convolve(input, weight, bias, stride, padding, dilation, groups, "conv2d")


@composite(method=False)
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """One-dimensional convolution: input (N, C, L) or (C, L), weight (OC, C/groups, K); see :func:`conv2d`.

    It runs as a two-dimensional one on images of height 1.
    """
    stride, dilation = _flat(stride, 1, "stride"), _flat(dilation, 1, "dilation")
    padding = padding if isinstance(padding, str) else _flat(padding, 0, "padding")
    image, batched = as_image(input, 1, "conv1d")
    check_weight(weight, 1, "conv1d")
    flat = _convolve(
        unsqueeze(image, 2), unsqueeze(weight, 2), bias, stride, padding, dilation, groups, "conv1d", like=input
    )
    out = squeeze(flat, 2)
    return out if batched else squeeze(out, 0)


def _flat(value: Sizes, least: int, argument: str) -> tuple[int, int]:
    """A one-dimensional size as the pair of an image of height 1."""
    (size,) = as_sizes(value, 1, "conv1d", argument, least)
    return least, size


def _convolve(input, weight, bias, stride, padding, dilation, groups, op, like=None) -> Tensor:
    image, batched, *sizes = convolution_sizes(input, weight, bias, stride, padding, dilation, groups, 2, op, like)
    out = convolution(image, weight, bias, *sizes, groups)
    return out if batched else squeeze(out, 0)


# ---- transposed -------------------------------------------------------------------------------------------------------------
@composite(method=False)
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Transposed two-dimensional convolution: the adjoint of :func:`conv2d`, which spreads every input pixel over a patch.

    Parameters
    ----------
    input : Tensor (N, C, H, W) or (C, H, W)
    weight : Tensor (C, OC/groups, KH, KW)
    bias : Tensor (OC,), optional
    stride, padding, dilation : int or (vertical, horizontal)
        Those of the convolution that this one is the adjoint of: a larger padding makes the output smaller.
    output_padding : int or (vertical, horizontal)
        Rows and columns added at the end, since a stride above 1 leaves the size open; below stride or dilation.

    Returns
    -------
    Tensor (N, OC, OH, OW) with OH = (H - 1) sh - 2 ph + dh (KH - 1) + output_padding + 1

    References
    ----------
    M. Zeiler et al., "Deconvolutional networks", CVPR 2010.
    """
    return _convolve_transposed(
        input, weight, bias, stride, padding, output_padding, groups, dilation, "conv_transpose2d"
    )


@composite(method=False)
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Transposed one-dimensional convolution: input (N, C, L) or (C, L), weight (C, OC/groups, K); see :func:`conv_transpose2d`."""
    stride, dilation = _flat(stride, 1, "stride"), _flat(dilation, 1, "dilation")
    padding, output_padding = _flat(padding, 0, "padding"), _flat(output_padding, 0, "output_padding")
    image, batched = as_image(input, 1, "conv_transpose1d")
    check_weight(weight, 1, "conv_transpose1d")
    flat = _convolve_transposed(
        unsqueeze(image, 2), unsqueeze(weight, 2), bias, stride, padding, output_padding, groups, dilation,
        "conv_transpose1d", like=input,
    )  # fmt: skip
    out = squeeze(flat, 2)
    return out if batched else squeeze(out, 0)


def _convolve_transposed(
    input, weight, bias, stride, padding, output_padding, groups, dilation, op, like=None
) -> Tensor:
    image, batched, stride, padding, extra, dilation, inner = transposed_sizes(
        input, weight, bias, stride, padding, output_padding, dilation, groups, 2, op, like
    )
    if all(more < s for more, s in zip(extra, stride, strict=True)):
        size = tuple(n - 2 * p + more for n, p, more in zip(inner, padding, extra, strict=True))
        out = convolution_input(image, weight, size, stride, padding, dilation, groups)
    else:  # only with dilation: no convolution of that stride leaves so many rows over, so they are added by hand
        out = convolution_input(image, weight, inner, stride, (0, 0), dilation, groups)
        (ph, pw), (eh, ew) = padding, extra
        out = pad(out, (-pw, ew - pw, -ph, eh - ph))
    if bias is not None:
        out = out + bias.reshape(-1, 1, 1)
    return out if batched else squeeze(out, 0)
