"""Two-dimensional convolution in NumPy: the trio that is closed under differentiation.

One trilinear form stands behind all three functions, S = sum g[n,o,y,x] * w[o,c,u,v] * image[n,c,y*s+u*d-p,x*s+v*d-p]:
the output is its derivative by g, the input gradient its derivative by the image, the weight gradient its derivative
by w. So the derivatives of any of the three are the other two, to every order.

Layouts are PyTorch's: images (N, C, H, W), weights (OC, C/groups, KH, KW), outputs (N, OC, OH, OW). `stride`,
`padding` and `dilation` are pairs (vertical, horizontal).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_edu.kernels.elementwise_numpy import relu, relu_grad
from tinygrad_edu.kernels.pool_numpy import max_pool2d_backward, max_pool2d_forward

Pair = tuple[int, int]


@functools.lru_cache(maxsize=1024)  # a network asks for the same few again and again
def conv_output_hw(hw: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Height and width of a convolution's output, floor((size + 2*padding - dilation*(kernel-1) - 1) / stride) + 1."""
    height, width = (
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(hw, kernel, stride, padding, dilation, strict=True)
    )
    return height, width


@functools.lru_cache(maxsize=1024)
def check_conv(x_shape, w_shape, y_shape, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> None:
    """Refuse shapes that do not fit together: fast kernels work on raw memory and must never be handed nonsense."""
    (n, c, *hw), (oc, cg, *kernel) = x_shape, w_shape
    expected = (n, oc, *conv_output_hw(tuple(hw), tuple(kernel), stride, padding, dilation))
    if cg * groups != c or oc % groups or tuple(y_shape) != expected or min(expected[2:]) < 0:
        raise ValueError(
            f"conv2d: image {tuple(x_shape)}, weight {tuple(w_shape)} and output {tuple(y_shape)} do not fit together "
            f"with stride {stride}, padding {padding}, dilation {dilation}, groups {groups}; "
            f"the output should be {expected} and the weight's second dimension {c}/{groups}"
        )


def conv2d_forward(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Convolution (cross-correlation, as in every deep-learning library) of images with a bank of filters.

    y[n,o,i,j] = bias[o] + sum over c,u,v of w[o,c,u,v] * x[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw]

    Parameters
    ----------
    x : array (N, C, H, W)
    w : array (OC, C/groups, KH, KW)
    bias : array (OC,) or None
    stride, padding, dilation : (vertical, horizontal)
    groups : int
        Output channel o sees only the input channels of its own group.

    Returns
    -------
    array (N, OC, OH, OW)

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """
    n, c, oc = x.shape[0], x.shape[1], w.shape[0]
    out_hw = conv_output_hw(x.shape[2:], w.shape[2:], stride, padding, dilation)
    check_conv(x.shape, w.shape, (n, oc, *out_hw), stride, padding, dilation, groups)
    patches = _patches(x, w.shape[2:], stride, padding, dilation).reshape(n, groups, c // groups, *out_hw, *w.shape[2:])
    filters = w.reshape(groups, oc // groups, *w.shape[1:])
    y = np.empty((n, oc, *out_hw), np.result_type(x, w))
    for group in range(groups):  # one matrix product: (N*OH*OW, C*KH*KW) times (C*KH*KW, OC)
        product = np.tensordot(patches[:, group], filters[group], axes=((1, 4, 5), (1, 2, 3)))
        y[:, group * (oc // groups) : (group + 1) * (oc // groups)] = product.transpose(0, 3, 1, 2)
    return y if bias is None else y + bias[:, None, None]


def conv2d_input_grad(
    g: np.ndarray, w: np.ndarray, input_hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Gradient of a convolution with respect to its image; by itself, the transposed convolution.

    Every output gradient is spread over the patch that it was computed from, weighted by the filter:
    gx[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw] += sum over o of w[o,c,u,v] * g[n,o,i,j]

    Parameters
    ----------
    g : array (N, OC, OH, OW)
    w : array (OC, C/groups, KH, KW)
    input_hw : (H, W)
        The image's size, which the output's size does not determine when the stride is above 1.
    stride, padding, dilation, groups
        Those of the convolution.

    Returns
    -------
    array (N, C, H, W)
    """
    (n, oc, oh, ow), (_, cg, kh, kw) = g.shape, w.shape
    (h, width), (sh, sw), (ph, pw), (dh, dw) = input_hw, stride, padding, dilation
    check_conv((n, cg * groups, h, width), w.shape, g.shape, stride, padding, dilation, groups)
    padded = np.zeros((n, groups, cg, h + 2 * ph, width + 2 * pw), np.result_type(g, w))
    filters, slopes = w.reshape(groups, oc // groups, cg, kh, kw), g.reshape(n, groups, oc // groups, oh, ow)
    for group in range(groups):
        spread = np.tensordot(filters[group], slopes[:, group], axes=((0,), (1,)))  # (C/groups, KH, KW, N, OH, OW)
        for u in range(kh):
            for v in range(kw):
                rows = slice(u * dh, u * dh + sh * oh, sh)
                columns = slice(v * dw, v * dw + sw * ow, sw)
                padded[:, group, :, rows, columns][:, :, :oh, :ow] += spread[:, u, v].swapaxes(0, 1)
    image = padded.reshape(n, groups * cg, *padded.shape[3:])
    return np.ascontiguousarray(image[:, :, ph : ph + h, pw : pw + width])


def conv2d_weight_grad(
    x: np.ndarray, g: np.ndarray, kernel_hw: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Gradient of a convolution with respect to its filters: every image patch times the gradient of its output.

    gw[o,c,u,v] = sum over n,i,j of g[n,o,i,j] * x[n, c, i*sh + u*dh - ph, j*sw + v*dw - pw]

    Parameters
    ----------
    x : array (N, C, H, W)
    g : array (N, OC, OH, OW)
    kernel_hw : (KH, KW)
    stride, padding, dilation, groups
        Those of the convolution.

    Returns
    -------
    array (OC, C/groups, KH, KW)
    """
    n, (_, oc, oh, ow), cg = x.shape[0], g.shape, x.shape[1] // groups
    check_conv(x.shape, (oc, cg, *kernel_hw), g.shape, stride, padding, dilation, groups)
    patches = _patches(x, kernel_hw, stride, padding, dilation).reshape(n, groups, cg, oh, ow, *kernel_hw)
    slopes = g.reshape(n, groups, oc // groups, oh, ow)
    grads = [np.tensordot(slopes[:, group], patches[:, group], axes=((0, 2, 3), (0, 2, 3))) for group in range(groups)]
    return np.concatenate(grads) if groups > 1 else grads[0]


def conv_relu_pool_forward(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int,
    pool: int,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """A convolution, max(., 0) and max-pooling over touching windows pool x pool, in one go.

    y[n,o,i,j] = max(0, maximum over u, v < pool of conv2d_forward(x, w, bias, ...)[n, o, i*pool + u, j*pool + v])

    Parameters
    ----------
    x, w, bias, stride, padding, dilation, groups
        As in `conv2d_forward`.
    pool : int
        The windows' size; 1 means that there is no pooling.

    Returns
    -------
    y : array (N, OC, OH // pool, OW // pool)
    index : int32 array like y, or None for pool=1
        Where in its OH x OW plane each maximum was; the first of several equal ones.
    """
    y = conv2d_forward(x, w, bias, stride, padding, dilation, groups)
    if pool == 1:
        return relu(y), None
    y, index = max_pool2d_forward(y, (pool, pool), (pool, pool), (0, 0), (1, 1), False)
    return relu(y), index


def conv_relu_pool_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, y: np.ndarray, index: np.ndarray | None, stride: Pair, padding: Pair,
    dilation: Pair, groups: int, pool: int, needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:  # fmt: skip
    """Gradients of `conv_relu_pool_forward`; d is the gradient before pool and relu, g at the maxima that are above 0.

    gx = conv2d_input_grad(d, w), gw = conv2d_weight_grad(x, d), gb = conv2d_bias_grad(d)

    Parameters
    ----------
    g : array (N, OC, PH, PW)
        Gradient of the output y.
    x, w
        The inputs of the forward pass.
    y, index
        What it returned.
    stride, padding, dilation, groups, pool
        Its settings.
    needs : three bools
        Which of gx, gw and gb to compute; the others are None.

    Returns
    -------
    gx : array like x, or None
    gw : array like w, or None
    gb : array (OC,), or None
    """
    d = conv_relu_pool_slopes(g, y, index, conv_output_hw(x.shape[2:], w.shape[2:], stride, padding, dilation), pool)
    settings = (stride, padding, dilation, groups)
    gx = conv2d_input_grad(d, w, x.shape[2:], *settings) if needs[0] else None
    gw = conv2d_weight_grad(x, d, w.shape[2:], *settings) if needs[1] else None
    return gx, gw, conv2d_bias_grad(d) if needs[2] else None


def conv_relu_pool_slopes(g: np.ndarray, y: np.ndarray, index: np.ndarray | None, hw: Pair, pool: int) -> np.ndarray:
    """The gradient of the convolution inside `conv_relu_pool_forward`: d (N, OC, OH, OW) with (OH, OW) = hw.

    It is g where y is above 0 (or NaN), at the places of the maxima, and 0 elsewhere.
    """
    d = relu_grad(g, y)
    return d if index is None else max_pool2d_backward(d, index, hw, (pool, pool))


def conv2d_bias_grad(g: np.ndarray) -> np.ndarray:
    """Gradient of a convolution with respect to its bias: the sum over images and pixels, (N, OC, ...) to (OC,)."""
    return g.sum((0, *range(2, g.ndim)))


def _patches(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    """All patches of the padded image as a view (N, C, OH, OW, KH, KW): overlapping windows, no copy."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    return sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
