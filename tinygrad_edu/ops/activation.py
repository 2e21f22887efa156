"""Activations: the nonlinear functions between the layers of a network, element by element.

Each rule gives the derivative that PyTorch takes at a kink: relu's is 0 at 0. Softmax is in :mod:`tinygrad_edu.ops.softmax`.
"""

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.kernels.policy import ACTIVATION_PAYS, KERNEL_PAYS
from tinygrad_edu.ops.comparison import keep, logical_not, need_floats, refuse_bool, same_dtypes
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.gelu import gelu as gelu
from tinygrad_edu.ops.indexing import narrow
from tinygrad_edu.ops.rounding import abs
from tinygrad_edu.ops.shape import reshape_to
from tinygrad_edu.ops.trigonometric import tanh
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly, restore, silence
from tinygrad_edu.random import uniform
from tinygrad_edu.tensor import wrap

__all__ = ["celu", "hardshrink", "prelu", "relu", "rrelu", "selu", "sigmoid", "threshold"]

ZERO = {kind: np.zeros((), kind) for kind in "efdbhilqB"}
ONE = {kind: np.ones((), kind) for kind in "efd"}


# ---- relu and its relatives -------------------------------------------------------------------------------------------------
@primitive
def relu(x, /):
    """Rectified linear unit, out = max(x, 0). The derivative at 0 is 0.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.relu(tg.tensor([-1., 0., 2.])).tolist()
    [0.0, 0.0, 2.0]
    """
    refuse_bool("relu", x)
    if x.size >= KERNEL_PAYS:
        return kernels.relu(x)
    return np.maximum(x, ZERO[x.dtype.char])


def _relu_on_arrays(g, needs, out):
    if g.size < KERNEL_PAYS:
        zero = ZERO[g.dtype.char]
        return (np.where(out <= zero, zero, g),)
    return (kernels.relu_grad(g, out),)


relu.derivative(x=lambda g, out: keep(g, logical_not(out <= 0)))
relu.derivative_on_arrays(_relu_on_arrays)


@primitive(method=False)
def leaky_relu(x, /, negative_slope=0.01):
    """out = x above 0, negative_slope * x below (Maas et al. 2013)."""
    need_floats("leaky_relu", x)
    return np.where(x > 0, x, x * negative_slope)


leaky_relu.derivative(x=lambda g, x, negative_slope: keep(g, x > 0) + keep(g * negative_slope, logical_not(x > 0)))


@primitive(method=False, elementwise=True, node_name="PreluKernelBackward0")
def leaky_by(x, slope, /):
    """out = x above 0, slope * x below, with a slope that is learned."""
    return np.where(x > 0, x, x * slope)


leaky_by.derivative(
    x=lambda g, x, slope: keep(g, x > 0) + keep(g * slope, logical_not(x > 0)),
    slope=lambda g, x: keep(g * x, logical_not(x > 0)),
)


@composite
def prelu(input, weight):
    """Parametric relu, out = x above 0, weight * x below (He et al. 2015).

    Parameters
    ----------
    input : Tensor (N, C, ...)
    weight : Tensor of one element, or of one slope per channel (C,)

    Raises
    ------
    RuntimeError
        If there are neither one nor C weights.
    """
    same_dtypes("prelu", input._data, weight._data)
    slopes = weight.numel()
    if slopes == 1:
        return leaky_by(input, reshape_to(weight, (1,) * input.ndim))
    channels = input.shape[1] if input.ndim > 1 else 1
    if slopes != channels:
        raise ShapeError(
            message(
                "",
                "prelu",
                f"Mismatch of parameter numbers and input channel size: {slopes} weights for {channels} channels of an input of "
                f"shape {tuple(input.shape)}.",
                f"weight of shape (1,) or ({channels},).",
            )
        )
    return leaky_by(input, reshape_to(weight, (1, channels) + (1,) * (input.ndim - 2)))


@composite
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """Randomized leaky relu: below 0 a slope drawn from [lower, upper], or their mean when not training (Xu et al. 2015)."""
    if lower > upper:
        raise ValueError(
            f"rrelu: Lower bound should be less than or equal to the upper bound, got {lower} and {upper}."
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    x = input._data
    slopes, below = np.ones(x.shape, x.dtype), np.asarray(x <= 0)
    slopes[below] = uniform((np.count_nonzero(below),), np.float64, lower, upper)
    return input * wrap(slopes)


@primitive(method=False)
@quietly
def elu(x, /, alpha=1.0, scale=1.0, input_scale=1.0):
    """out = scale * x above 0, scale * alpha * (exp(input_scale * x) - 1) below (Clevert et al. 2016)."""
    need_floats("elu", x)
    return np.where(x > 0, x * scale, np.expm1(x * input_scale) * (alpha * scale))


def _elu_rule(g, x, alpha, scale, input_scale):
    low = x <= 0
    # the exponential of nothing but the low elements: above 0 it could overflow, and inf * 0 is not 0
    slope = exp(keep(x, low) * input_scale) * (alpha * scale * input_scale)
    return keep(g * scale, logical_not(low)) + keep(g * slope, low)


elu.derivative(x=_elu_rule)


@composite(method=False)
def selu(input):
    """Self-normalizing elu: scale 1.0507, alpha 1.6733 (Klambauer et al. 2017)."""
    return elu(input, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


@composite(method=False)
def celu(input, alpha=1.0):
    """Continuously differentiable elu, max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)) (Barron 2017)."""
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU.")
    return elu(input, alpha, 1.0, 1.0 / alpha)


@primitive(method=False)
def threshold(x, /, threshold, value):
    """out = x above `threshold`, else `value`."""
    return np.where(x <= threshold, x.dtype.type(value), x)


threshold.derivative(x=lambda g, x, threshold: keep(g, logical_not(x <= threshold)))


# ---- sigmoid and its relatives ----------------------------------------------------------------------------------------------
@primitive(float_result=True)
def sigmoid(x, /):
    """Logistic function, out = 1 / (1 + exp(-x)), in (0, 1).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.sigmoid(tg.tensor([0.])).tolist()
    [0.5]
    """
    if x.size >= ACTIVATION_PAYS and x.dtype.char == "f":
        return kernels.sigmoid(x)
    noise = silence()  # exp(-x) may overflow: 1 / inf is the 0 that is wanted
    result = np.reciprocal(np.exp(-x) + ONE[x.dtype.char])
    restore(noise)
    return result


def _sigmoid_on_arrays(g, needs, out):
    if g.size >= ACTIVATION_PAYS:
        return (kernels.sigmoid_grad(g, out),)
    return (g * out * (ONE[out.dtype.char] - out),)


sigmoid.derivative(x=lambda g, out: g * out * (1 - out))
sigmoid.derivative_on_arrays(_sigmoid_on_arrays)


@primitive(method=False)
@quietly
def logsigmoid(x, /):
    """Logarithm of the sigmoid, out = -log(1 + exp(-x)), without overflow."""
    need_floats("logsigmoid", x)
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


logsigmoid.derivative(x=lambda g, x: g * sigmoid(-x))


@primitive(method=False)
@quietly
def silu(x, /):
    """out = x * sigmoid(x), also called swish (Elfwing et al. 2018)."""
    need_floats("silu", x)
    return x / (np.exp(-x) + 1)


def _silu_rule(g, x):
    s = sigmoid(x)
    return g * (s * (x * (1 - s) + 1))


silu.derivative(x=_silu_rule)


@primitive(method=False)
@quietly
def softplus(x, /, beta=1.0, threshold=20.0):
    """Smooth relu, out = log(1 + exp(beta * x)) / beta; x itself where beta * x is above `threshold`."""
    need_floats("softplus", x)
    scaled = x * beta
    return np.where(scaled > threshold, x, np.log1p(np.exp(scaled)) / beta)


def _softplus_rule(g, x, beta, threshold):
    scaled = x * beta
    high = scaled > threshold
    return keep(g, high) + keep(g * sigmoid(scaled), logical_not(high))


softplus.derivative(x=_softplus_rule)


@primitive(method=False)
@quietly
def mish(x, /):
    """out = x * tanh(softplus(x)) (Misra 2020)."""
    need_floats("mish", x)
    return x * np.tanh(softplus.op.forward(x))


def _mish_rule(g, x):
    t = tanh(softplus(x))
    return g * (t + x * sigmoid(x) * (1 - t * t))


mish.derivative(x=_mish_rule)


# ---- pieces of straight lines -----------------------------------------------------------------------------------------------
@primitive(method=False, explain=lambda error, *arguments, **parameters: error)
def hardtanh(x, /, min_val=-1.0, max_val=1.0):
    """out = x limited to [min_val, max_val]; the derivative at the corners is 0.

    Raises
    ------
    ValueError
        If min_val is above max_val.
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val cannot be greater than max_val, got {min_val} and {max_val}.")
    refuse_bool("hardtanh", x)
    if x.dtype.kind == "u" and min_val < 0:
        raise RuntimeError(
            f"hardtanh: negative limits on the unsigned type {x.dtype}, got min_val {min_val}. Fix: x.int()."
        )
    return x.clip(min_val, max_val).astype(x.dtype, copy=False)


hardtanh.derivative(x=lambda g, x, min_val, max_val: keep(g, logical_not((x <= min_val) | (x >= max_val))))


@composite(method=False)
def relu6(input):
    """out = min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0)


@primitive(method=False)
def hardsigmoid(x, /):
    """out = min(max(x + 3, 0), 6) / 6, a sigmoid of straight lines."""
    need_floats("hardsigmoid", x)
    return (x + 3).clip(0, 6) / 6


hardsigmoid.derivative(x=lambda g, x: keep(g / 6, (x > -3) & (x < 3)))


@primitive(method=False)
def hardswish(x, /):
    """out = x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""
    need_floats("hardswish", x)
    return x * (x + 3).clip(0, 6) / 6


hardswish.derivative(x=lambda g, x: keep(g * (x / 3 + 0.5), logical_not((x <= -3) | (x >= 3))) + keep(g, x >= 3))


@primitive
def hardshrink(x, /, lambd=0.5):
    """out = x outside [-lambd, lambd], 0 inside."""
    need_floats("hardshrink", x)
    return keep.op.forward(x, np.logical_not((x >= -lambd) & (x <= lambd)))


hardshrink.derivative(x=lambda g, x, lambd: keep(g, logical_not((x >= -lambd) & (x <= lambd))))


@primitive(method=False)
def softshrink(x, /, lambd=0.5):
    """out = x moved towards 0 by lambd; 0 inside [-lambd, lambd].

    Raises
    ------
    RuntimeError
        If lambd is negative.
    """
    need_floats("softshrink", x)
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambda must be greater or equal to 0, but found to be {lambd}.")
    return x - x.clip(-lambd, lambd)


softshrink.derivative(x=lambda g, x, lambd: keep(g, logical_not((x >= -lambd) & (x <= lambd))))


@primitive(method=False, float_result=True)
def tanhshrink(x, /):
    """out = x - tanh(x)."""
    return x - np.tanh(x)


def _tanhshrink_rule(g, x):
    t = tanh(x)
    return g * (t * t)


tanhshrink.derivative(x=_tanhshrink_rule)


@primitive(method=False, float_result=True)
def softsign(x, /):
    """out = x / (1 + |x|)."""
    return x / (np.abs(x) + 1)


def _softsign_rule(g, x):
    width = abs(x) + 1
    return g / (width * width)


softsign.derivative(x=_softsign_rule)


# ---- gating -----------------------------------------------------------------------------------------------------------------
@composite(method=False)
def glu(input, dim=-1):
    """Gated linear unit: the first half along `dim` times the sigmoid of the second (Dauphin et al. 2017).

    Raises
    ------
    RuntimeError
        If the length along `dim` is odd.
    """
    need_floats("glu", input._data)
    if not input.ndim:
        raise RuntimeError(
            "glu: does not support 0-d tensors, because half of them would be nothing. Fix: x.unsqueeze(0)."
        )
    length = input.size(dim)
    if length % 2:
        raise RuntimeError(
            f"glu: Halving dimension must be even, but dimension {dim} is size {length} (input shape {tuple(input.shape)})."
        )
    half = length // 2
    return narrow(input, dim, 0, half) * sigmoid(narrow(input, dim, half, half))
