"""Convolution, relu and max-pooling as one op: what a convolutional layer of the course does, in one node of the graph.

What lies between is as large as the convolution's output, and nobody asks for it: fused, it stays in the cache.
"""

from collections.abc import Sequence

from tinygrad_edu import kernels
from tinygrad_edu.ops.activation import relu
from tinygrad_edu.ops.comparison import keep, logical_not
from tinygrad_edu.ops.convolution import channel_sums, conv2d, convolution_input, convolution_weight
from tinygrad_edu.ops.convolution_sizes import convolution_sizes
from tinygrad_edu.ops.pooling import max_pool2d, plane_scatter
from tinygrad_edu.ops.shape import squeeze
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import primitive
from tinygrad_edu.tensor import Tensor

__all__: list[str] = []


@primitive(method=False, names=("input", "weight", "bias"), node_name="ConvolutionReluBackward0")
def convolution_relu(x, w, bias=None, /, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, pool=1, work=None):
    """y[n,o,i,j] = max(0, maximum over u, v < pool of convolution(x, w, bias, ...)[n, o, i*pool + u, j*pool + v]).

    Notes in `work.index` where in its plane each maximum was.
    """
    y, work.index = kernels.conv_relu_pool_forward(x, w, bias, stride, padding, dilation, groups, pool)
    return y


def _slopes(g, out, x_shape, w_shape, stride, padding, dilation, pool, work):
    """The gradient of the convolution inside: g where the output is above 0, at the places of the maxima."""
    d = keep(g, logical_not(out <= 0))
    if pool == 1:
        return d
    hw = kernels.conv_output_hw(x_shape[2:], w_shape[2:], stride, padding, dilation)
    return plane_scatter(d, work.index, hw, (pool, pool))


convolution_relu.derivative(
    x=lambda g, out, w, x_shape, w_shape, stride, padding, dilation, groups, pool, work: convolution_input(
        _slopes(g, out, x_shape, w_shape, stride, padding, dilation, pool, work),
        w, x_shape[2:], stride, padding, dilation, groups,
    ),
    w=lambda g, out, x, x_shape, w_shape, stride, padding, dilation, groups, pool, work: convolution_weight(
        x, _slopes(g, out, x_shape, w_shape, stride, padding, dilation, pool, work),
        w_shape[2:], stride, padding, dilation, groups,
    ),
    bias=lambda g, out, x_shape, w_shape, stride, padding, dilation, pool, work: channel_sums(
        _slopes(g, out, x_shape, w_shape, stride, padding, dilation, pool, work)
    ),
)  # fmt: skip
convolution_relu.derivative_on_arrays(
    lambda g, needs, x, w, out, stride, padding, dilation, groups, pool, work: kernels.conv_relu_pool_backward(
        g, x, w, out, work.index, stride, padding, dilation, groups, pool, needs
    )
)


def _conv_relu_pool(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    pool: int = 1,
) -> Tensor:
    """``max_pool2d(relu(conv2d(input, weight, bias, ...)), pool)`` as one op; pool=1 leaves the pooling out."""
    image, batched, *sizes = convolution_sizes(input, weight, bias, stride, padding, dilation, groups, 2, "conv2d")
    hw = kernels.conv_output_hw(image.shape[2:], weight.shape[2:], *sizes)  # type: ignore[arg-type]
    if min(hw) < pool:  # the pool's own error tells the sizes that led to it
        return max_pool2d(relu(conv2d(input, weight, bias, stride, padding, dilation, groups)), pool)
    out = convolution_relu(image, weight, bias, *sizes, groups, pool, Workspace())
    return out if batched else squeeze(out, 0)
