"""Sine and its family, their inverses and their hyperbolic relatives. Angles are in radians."""

import math

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.kernels.policy import ACTIVATION_PAYS
from tinygrad_edu.ops.alias import alias
from tinygrad_edu.ops.comparison import need_floats
from tinygrad_edu.ops.exponential import rsqrt
from tinygrad_edu.primitive import primitive
from tinygrad_edu.quiet import quietly

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh",
    "cos", "cosh", "deg2rad", "hypot", "rad2deg", "sin", "sinc", "sinh", "tan", "tanh",
]  # fmt: skip


@primitive(float_result=True)
@quietly
def sin(x, /):
    """Sine."""
    return np.sin(x)


sin.derivative(x=lambda g, x: g * cos(x))


@primitive(float_result=True)
@quietly
def cos(x, /):
    """Cosine."""
    return np.cos(x)


cos.derivative(x=lambda g, x: g * -sin(x))


@primitive(float_result=True)
@quietly
def tan(x, /):
    """Tangent."""
    return np.tan(x)


tan.derivative(x=lambda g, out: g * (1 + out * out))


@primitive(float_result=True)
@quietly
def asin(x, /):
    """Inverse sine in [-pi/2, pi/2]; nan outside [-1, 1]."""
    return np.arcsin(x)


asin.derivative(x=lambda g, x: g * rsqrt(1 - x * x))


@primitive(float_result=True)
@quietly
def acos(x, /):
    """Inverse cosine in [0, pi]; nan outside [-1, 1]."""
    return np.arccos(x)


acos.derivative(x=lambda g, x: g * -rsqrt(1 - x * x))


@primitive(float_result=True)
@quietly
def atan(x, /):
    """Inverse tangent in (-pi/2, pi/2)."""
    return np.arctan(x)


atan.derivative(x=lambda g, x: g / (x * x + 1))


@primitive(elementwise=True, float_result=True, numbers=())
@quietly
def atan2(y, x, /):
    """Angle of the point (other, input) in (-pi, pi], the inverse tangent of input / other in the right quadrant."""
    return np.arctan2(y, x)


def _radius_squared(y, x):
    total = x * x + y * y
    return total + (total == 0)  # at the origin both gradients are 0, as in PyTorch


atan2.derivative(y=lambda g, y, x: g * x / _radius_squared(y, x), x=lambda g, y, x: g * -y / _radius_squared(y, x))


@primitive(float_result=True)
@quietly
def sinh(x, /):
    """Hyperbolic sine, (e ** x - e ** -x) / 2."""
    return np.sinh(x)


sinh.derivative(x=lambda g, x: g * cosh(x))


@primitive(float_result=True)
@quietly
def cosh(x, /):
    """Hyperbolic cosine, (e ** x + e ** -x) / 2."""
    return np.cosh(x)


cosh.derivative(x=lambda g, x: g * sinh(x))


@primitive(float_result=True)
def tanh(x, /):
    """Hyperbolic tangent, (e ** x - e ** -x) / (e ** x + e ** -x), in (-1, 1).

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(0.0, requires_grad=True)
    >>> tg.tanh(x).backward()
    >>> x.grad.item()
    1.0
    """
    return kernels.tanh(x) if x.size >= ACTIVATION_PAYS else np.tanh(x)


tanh.derivative(x=lambda g, out: g * (1 - out * out))
tanh.derivative_on_arrays(
    lambda g, needs, out: (kernels.tanh_grad(g, out) if g.size >= ACTIVATION_PAYS else g * (1 - out * out),)
)


@primitive(float_result=True)
@quietly
def asinh(x, /):
    """Inverse hyperbolic sine."""
    return np.arcsinh(x)


asinh.derivative(x=lambda g, x: g * rsqrt(x * x + 1))


@primitive(float_result=True)
@quietly
def acosh(x, /):
    """Inverse hyperbolic cosine; nan below 1."""
    return np.arccosh(x)


acosh.derivative(x=lambda g, x: g * rsqrt(x * x - 1))


@primitive(float_result=True)
@quietly
def atanh(x, /):
    """Inverse hyperbolic tangent; infinite at -1 and 1, nan outside."""
    return np.arctanh(x)


atanh.derivative(x=lambda g, x: g / (1 - x * x))

arcsin, arccos, arctan, arctan2 = (
    alias(asin, "arcsin"),
    alias(acos, "arccos"),
    alias(atan, "arctan"),
    alias(atan2, "arctan2"),
)
arcsinh, arccosh, arctanh = alias(asinh, "arcsinh"), alias(acosh, "arccosh"), alias(atanh, "arctanh")


@primitive(elementwise=True, numbers=())
@quietly
def hypot(x, y, /):
    """Length of the hypotenuse, sqrt(x**2 + y**2), without overflow on the way; for floating-point tensors only."""
    need_floats("hypot", x)
    return np.hypot(x, y)


hypot.derivative(x=lambda g, x, out: g * (x / out), y=lambda g, y, out: g * (y / out))


@primitive(float_result=True)
@quietly
def sinc(x, /):
    """Normalized sinc, out = sin(pi x) / (pi x), and 1 at 0."""
    return np.sinc(x)


sinc.derivative(x=lambda g, x, out: g * ((cos(x * math.pi) - out) / (x + (x == 0))))


@primitive(float_result=True)
def deg2rad(x, /):
    """Degrees to radians, x * pi / 180."""
    return np.deg2rad(x)


deg2rad.derivative(x=lambda g: g * (math.pi / 180))


@primitive(float_result=True)
def rad2deg(x, /):
    """Radians to degrees, x * 180 / pi."""
    return np.rad2deg(x)


rad2deg.derivative(x=lambda g: g * (180 / math.pi))
