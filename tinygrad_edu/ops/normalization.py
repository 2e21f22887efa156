"""Normalization: values brought to mean 0 and variance 1, over the batch, the features, or groups of channels."""

import math
from collections.abc import Sequence

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import ShapeError, ValueRangeError, message
from tinygrad_edu.memory import note_write
from tinygrad_edu.ops.comparison import need_floats
from tinygrad_edu.ops.exponential import rsqrt
from tinygrad_edu.ops.padding import pad
from tinygrad_edu.ops.pooling import window_mean
from tinygrad_edu.ops.reduction import mean_along, norm_along, sum_along
from tinygrad_edu.ops.rounding import clamp_min
from tinygrad_edu.ops.shape import reshape_to
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


# ---- the derivative they share ----------------------------------------------------------------------------------------------
def _standard(x, dims, eps):
    """Return (x - mean) * rstd and rstd = 1 / sqrt(var + eps), statistics taken over `dims`."""
    centred = x - mean_along(x, dims, True)
    rstd = rsqrt(mean_along(centred * centred, dims, True) + eps)
    return centred * rstd, rstd


def _standard_slope(g, x, dims, eps):
    """Gradient through the standardization: mean and variance depend on x too, which takes two means off."""
    normal, rstd = _standard(x, dims, eps)
    return rstd * (g - mean_along(g, dims, True) - normal * mean_along(g * normal, dims, True))


def _but_channels(shape):
    """All dimensions except the channels', and the shape that lines a number per channel up with them."""
    return (0, *range(2, len(shape))), (1, shape[1], *(1,) * (len(shape) - 2))


# ---- over the batch ---------------------------------------------------------------------------------------------------------
@primitive(method=False, names=("input", "weight", "bias"), node_name="NativeBatchNormBackward0")
def batch_standardize(x, w=None, b=None, /, eps=1e-5, work=None):
    """(x - mean) / sqrt(var + eps) * w + b with the statistics of the batch; leaves mean, var and rstd in `work`."""
    y, work.mean, work.var, work.rstd = kernels.batch_norm_forward(x, w, b, eps)
    return y


def _batch_x(g, x, w, eps):
    dims, column = _but_channels(x.shape)
    return _standard_slope(g if w is None else g * reshape_to(w, column), x, dims, eps)


def _batch_w(g, x, eps):
    dims, _ = _but_channels(x.shape)
    return sum_along(g * _standard(x, dims, eps)[0], dims, False)


batch_standardize.derivative(x=_batch_x, w=_batch_w, b=lambda g: sum_along(g, _but_channels(g.shape)[0], False))
batch_standardize.derivative_on_arrays(
    lambda g, needs, x, w, work: kernels.batch_norm_backward(g, x, w, work.mean, work.rstd)
)


@composite(method=False)
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalization [1]_, y = (x - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    Parameters
    ----------
    input : Tensor (N, C) or (N, C, ...)
    running_mean, running_var : Tensor (C,) or None
        Used instead of the batch's statistics when not training; while training they move towards them by `momentum`, the
        variance unbiased.
    weight, bias : Tensor (C,), optional
    training : bool
        Normalize with the statistics of this batch.

    Raises
    ------
    ValueError
        While training on one value per channel (E112), whose variance is 0.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167.
    """
    _check_channels(input, "batch_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: Expected running_mean and running_var to be defined when training=False.")
        return _with_known_statistics(input, running_mean, running_var, weight, bias, eps)
    count = input.numel() // max(1, input.shape[1])
    if count == 1:
        facts = (
            f"Expected more than 1 value per channel when training, got input size {tuple(input.shape)}: the variance of "
            "one value is 0."
        )
        fix = (
            "DataLoader(..., drop_last=True) leaves a last batch of one out, model.eval() uses the running statistics."
        )
        raise ValueRangeError(message("E112", "batch_norm", facts, fix))
    work = Workspace()
    out = batch_standardize(input, weight, bias, eps, work)
    _follow_batch(running_mean, running_var, work, count, momentum)
    return out


def _check_channels(input: Tensor, op: str, **per_channel: Tensor | None) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{op}(): argument 'input' must be Tensor, not {type(input).__name__}. Fix: tg.tensor(...) first."
        )
    if input.ndim < 2:
        facts = f"expected an input of at least 2 dimensions (N, C, ...), got {tuple(input.shape)}."
        raise ShapeError(message("E113", op, facts, "x.unsqueeze(0) adds the batch."))
    channels = input.shape[1]
    for name, tensor in per_channel.items():
        if tensor is not None and tensor.numel() != channels:
            raise ShapeError(
                message(
                    "E113",
                    op,
                    f"{name} should contain {channels} elements not {tensor.numel()}: the input {tuple(input.shape)} has "
                    f"{channels} channels in dimension 1.",
                    f"num_features={channels} in the layer.",
                )
            )


@again
def _follow_batch(mean: Tensor | None, var: Tensor | None, work: Workspace, count: int, momentum: float) -> None:
    """Move the running statistics towards those of the batch, which the op left in its workspace."""
    if mean is not None:
        _move(mean, work.mean, momentum)
    if var is not None:
        _move(var, work.var * (count / max(1, count - 1)), momentum)


@again
def _follow_instances(
    mean: Tensor | None, var: Tensor | None, work: Workspace, n: int, c: int, size: int, eps: float, momentum: float
) -> None:
    """Move the running statistics towards the means over the instances of a batch."""
    if mean is not None:
        _move(mean, work.mean.reshape(n, c).mean(0), momentum)
    if var is not None:
        unbiased = (1.0 / work.rstd**2 - eps) * (size / max(1, size - 1))
        _move(var, unbiased.reshape(n, c).mean(0), momentum)


def _move(running: Tensor, value: np.ndarray, momentum: float) -> None:
    """running = (1 - momentum) * running + momentum * value, in place and outside the graph."""
    array = running.array()
    array += (momentum * (value - array)).astype(array.dtype)
    note_write(array, "batch_norm's running statistics")


@again  # a recorded step asks anew what the statistics are
def _known(statistic: Tensor, kind: np.dtype, eps: float | None = None) -> Tensor:
    return wrap((statistic._data if eps is None else 1.0 / np.sqrt(statistic._data + eps)).astype(kind))


def _with_known_statistics(input, running_mean, running_var, weight, bias, eps):
    """y = x * scale + shift, with the statistics of the past as constants."""
    _, column = _but_channels(input.shape)
    rstd = _known(running_var, input._data.dtype, eps)
    scale = rstd if weight is None else weight * rstd
    shift = -scale * _known(running_mean, input._data.dtype)
    if bias is not None:
        shift = shift + bias
    return input * reshape_to(scale, column) + reshape_to(shift, column)


# ---- over the features ------------------------------------------------------------------------------------------------------
@primitive(method=False, names=("input", "weight", "bias"), node_name="NativeLayerNormBackward0")
def row_standardize(x, w=None, b=None, /, count=1, eps=1e-5, work=None):
    """(x - mean) / sqrt(var + eps) * w + b with the statistics of the last `count` dimensions; leaves mean and rstd in `work`."""
    rows = x.reshape(math.prod(x.shape[: x.ndim - count]), math.prod(x.shape[x.ndim - count :]))
    affine = (None if a is None else a.reshape(1, -1) for a in (w, b))
    y, work.mean, work.rstd = kernels.row_norm_forward(rows, *affine, eps)
    return y.reshape(x.shape)


def _last(x, count):
    return tuple(range(len(x.shape) - count, len(x.shape)))


def _first(x, count):
    return tuple(range(len(x.shape) - count))


def _summed_over_rows(g, count):
    return sum_along(g, _first(g, count), False) if len(g.shape) > count else g


def _rows_backward(g, needs, x, w, count, work):
    """The rules below on arrays, with the statistics of the forward pass."""
    last = x.shape[x.ndim - count :]
    shape = math.prod(x.shape[: x.ndim - count]), math.prod(last)
    gx, gw, gb = kernels.row_norm_backward(
        g.reshape(shape), x.reshape(shape), None if w is None else w.reshape(1, -1), work.mean, work.rstd, (1, shape[1])
    )
    return gx.reshape(x.shape), gw.reshape(last), gb.reshape(last)


row_standardize.derivative(
    x=lambda g, x, w, count, eps: _standard_slope(g if w is None else g * w, x, _last(x, count), eps),
    w=lambda g, x, count, eps: _summed_over_rows(g * _standard(x, _last(x, count), eps)[0], count),
    b=lambda g, count: _summed_over_rows(g, count),
)
row_standardize.derivative_on_arrays(_rows_backward)


@composite(method=False)
def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalization [1]_ over the last dimensions, y = (x - mean) / sqrt(var + eps) * weight + bias.

    Parameters
    ----------
    input : Tensor (..., *normalized_shape)
    normalized_shape : int or sequence of int
        The last dimensions' lengths, over which mean and variance are taken.
    weight, bias : Tensor of `normalized_shape`, optional

    References
    ----------
    .. [1] J. L. Ba et al., "Layer normalization", 2016, arXiv:1607.06450.
    """
    need_floats("layer_norm", input._data)
    shape = _last_shape(input, normalized_shape, "layer_norm", weight=weight, bias=bias)
    return row_standardize(input, weight, bias, len(shape), eps, Workspace())


def _last_shape(input: Tensor, shape: int | Sequence[int], op: str, **affine: Tensor | None) -> tuple[int, ...]:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if not shape or tuple(input.shape[max(0, input.ndim - len(shape)) :]) != shape:
        facts = f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], "
        raise ShapeError(
            message("E104", op, f"{facts}but got input of size {list(input.shape)}.", "the input's own last sizes.")
        )
    for name, tensor in affine.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ShapeError(
                f"{op}: Expected {name} to be of same shape as normalized_shape, {shape}, got {tuple(tensor.shape)}."
            )
    return shape


@composite(method=False)
def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Root-mean-square normalization [1]_ over the last dimensions, y = x / sqrt(mean(x^2) + eps) * weight.

    Parameters
    ----------
    eps : float, optional
        Defaults to the machine epsilon of the input's type.

    References
    ----------
    .. [1] B. Zhang and R. Sennrich, "Root mean square layer normalization", NeurIPS 2019, arXiv:1910.07467.
    """
    shape = _last_shape(input, normalized_shape, "rms_norm", weight=weight)
    if eps is None:
        eps = float(np.finfo(input._data.dtype).eps)
    out = input * rsqrt(mean_along(input * input, _last(input, len(shape)), True) + eps)
    return out if weight is None else out * weight


# ---- over groups of channels ------------------------------------------------------------------------------------------------
def _as_groups(x, groups):
    """(N, C, ...) as rows, one for each sample's group of channels."""
    return x.shape[0] * groups, math.prod(x.shape[1:]) // groups


@primitive(method=False, names=("input", "weight", "bias"), node_name="NativeGroupNormBackward0")
def group_standardize(x, w=None, b=None, /, groups=1, eps=1e-5, work=None):
    """(x - mean) / sqrt(var + eps) * w + b with the statistics of a sample's group of channels; leaves mean and rstd in `work`."""
    affine = (None if a is None else a.reshape(groups, -1) for a in (w, b))
    y, work.mean, work.rstd = kernels.row_norm_forward(x.reshape(_as_groups(x, groups)), *affine, eps)
    return y.reshape(x.shape)


def _group_x(g, x, w, groups, eps):
    slope = g if w is None else g * reshape_to(w, _but_channels(x.shape)[1])
    rows = _as_groups(x, groups)
    return reshape_to(_standard_slope(reshape_to(slope, rows), reshape_to(x, rows), (1,), eps), x.shape)


def _group_w(g, x, groups, eps):
    normal = reshape_to(_standard(reshape_to(x, _as_groups(x, groups)), (1,), eps)[0], x.shape)
    return sum_along(g * normal, _but_channels(x.shape)[0], False)


def _groups_backward(g, needs, x, w, groups, work):
    """The rules on arrays, with the statistics of the forward pass."""
    rows, affine = _as_groups(x, groups), (groups, x.shape[1] // groups)
    gx, gw, gb = kernels.row_norm_backward(
        g.reshape(rows), x.reshape(rows), None if w is None else w.reshape(affine), work.mean, work.rstd, affine
    )
    return gx.reshape(x.shape), gw.reshape(-1), gb.reshape(-1)


group_standardize.derivative(x=_group_x, w=_group_w, b=lambda g: sum_along(g, _but_channels(g.shape)[0], False))
group_standardize.derivative_on_arrays(_groups_backward)


@composite(method=False)
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Group normalization [1]_: the channels of (N, C, ...) in groups, each sample's group by its own statistics.

    Raises
    ------
    RuntimeError
        If the number of channels is not a multiple of `num_groups`.
    ValueError
        If every group has one value only (E112).

    References
    ----------
    .. [1] Y. Wu and K. He, "Group normalization", ECCV 2018, arXiv:1803.08494.
    """
    _check_channels(input, "group_norm", weight=weight, bias=bias)
    shape = tuple(input.shape)
    if num_groups < 1 or shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}."
        )
    if input.numel() == num_groups:  # one sample, one channel a group, one pixel
        facts = f"Expected more than 1 value per channel when training, got input size {shape} in {num_groups} groups."
        raise ValueRangeError(message("E112", "group_norm", facts, "fewer groups: each value would be its own mean."))
    return group_standardize(input, weight, bias, num_groups, eps, Workspace())


@composite(method=False)
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalization [1]_: every channel of every sample by its own statistics, input (N, C, ...).

    References
    ----------
    .. [1] D. Ulyanov et al., "Instance normalization", 2016, arXiv:1607.08022.
    """
    _check_channels(
        input, "instance_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("instance_norm: Expected running_mean and running_var when use_input_stats=False.")
        return _with_known_statistics(input, running_mean, running_var, weight, bias, eps)
    n, c, *rest = input.shape
    size = math.prod(rest)
    if size == 1:
        facts = f"Expected more than 1 spatial element when training, got input size {tuple(input.shape)}."
        raise ValueRangeError(message("E112", "instance_norm", facts, "images larger than 1x1, or layer_norm."))
    work = Workspace()
    out = group_standardize(input, weight, bias, c, eps, work)
    _follow_instances(running_mean, running_var, work, n, c, size, eps, momentum)
    return out


# ---- without statistics of a distribution -----------------------------------------------------------------------------------
@composite(method=False)
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along `dim` divided by their p-norm, or by `eps` where that is larger."""
    need_floats("normalize", input._data)
    return input / clamp_min(norm_along(input, float(p), dim, True), eps)


@composite(method=False)
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Every value divided by its neighbourhood of channels, x / (k + alpha * mean of x^2 over `size` channels)^beta [1]_.

    References
    ----------
    .. [1] A. Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", NeurIPS 2012.
    """
    if input.ndim < 3:
        raise ShapeError(
            f"local_response_norm: expected 3D or higher dimensionality input (N, C, ...), got {input.ndim}D of shape "
            f"{tuple(input.shape)}."
        )
    n, c, *rest = input.shape
    squares = reshape_to(input * input, (n, 1, c, math.prod(rest)))
    squares = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    means = window_mean(squares, (size, 1), (1, 1), (0, 0), False, True, None)
    return input / (reshape_to(means, tuple(input.shape)) * alpha + k) ** beta
