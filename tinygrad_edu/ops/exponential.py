"""Exponentials, logarithms, roots and the special functions built on them, with their derivatives."""

import math

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.kernels.policy import KERNEL_PAYS
from tinygrad_edu.ops.comparison import keep, logical_not, need_floats
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.tensor import Tensor

__all__ = [
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logit",
    "polygamma",
    "rsqrt",
    "sqrt",
    "xlogy",
]  # fmt: skip

LN2, LN10, SQRT_PI = math.log(2.0), math.log(10.0), math.sqrt(math.pi)


# ---- exponentials -----------------------------------------------------------------------------------------------------------
@primitive(float_result=True)
@quietly
def exp(x, /):
    """Exponential, out = e ** x; integers give the default floating type. Overflow is inf.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.exp(tg.tensor([0.])).tolist()
    [1.0]
    """
    return kernels.exp(x) if x.size >= KERNEL_PAYS else np.exp(x)


exp.derivative(x=lambda g, out: g * out)


@primitive(float_result=True)
@quietly
def exp2(x, /):
    """Power of two, out = 2 ** x."""
    return np.exp2(x)


exp2.derivative(x=lambda g, out: g * out * LN2)


@primitive(float_result=True)
@quietly
def expm1(x, /):
    """out = e ** x - 1, accurate for small x."""
    return np.expm1(x)


expm1.derivative(x=lambda g, out: g * (out + 1))


# ---- logarithms -------------------------------------------------------------------------------------------------------------
@primitive(float_result=True)
@quietly
def log(x, /):
    """Natural logarithm; log 0 is -inf and the logarithm of a negative number is nan."""
    return np.log(x)


log.derivative(x=lambda g, x: g / x)


@primitive(float_result=True)
@quietly
def log2(x, /):
    """Logarithm to base 2."""
    return np.log2(x)


log2.derivative(x=lambda g, x: g / (x * LN2))


@primitive(float_result=True)
@quietly
def log10(x, /):
    """Logarithm to base 10."""
    return np.log10(x)


log10.derivative(x=lambda g, x: g / (x * LN10))


@primitive(float_result=True)
@quietly
def log1p(x, /):
    """out = log(1 + x), accurate for small x."""
    return np.log1p(x)


log1p.derivative(x=lambda g, x: g / (x + 1))


@primitive(elementwise=True, numbers=())
@quietly
def logaddexp(x, y, /):
    """out = log(e ** x + e ** y), without overflow; for floating-point tensors only."""
    need_floats("logaddexp", x)
    return np.logaddexp(x, y)


logaddexp.derivative(x=lambda g, x, y: g / (exp(y - x) + 1), y=lambda g, x, y: g / (exp(x - y) + 1))


@primitive(elementwise=True, numbers=())
@quietly
def logaddexp2(x, y, /):
    """out = log2(2 ** x + 2 ** y), without overflow; for floating-point tensors only."""
    need_floats("logaddexp2", x)
    return np.logaddexp2(x, y)


logaddexp2.derivative(x=lambda g, x, y: g / (exp2(y - x) + 1), y=lambda g, x, y: g / (exp2(x - y) + 1))


@primitive(elementwise=True, float_result=True)
@quietly
def xlogy(x, y, /):
    """out = x * log(y), with 0 * log(y) = 0 unless y is NaN."""
    product = x * np.log(y)
    return np.where((x == 0) & (y == y), x.dtype.type(0), product)


xlogy.derivative(
    x=lambda g, x, y: keep(g * log(y), logical_not((x == 0) & (y <= 0))),
    y=lambda g, x, y: g * x / y,
)


@primitive(float_result=True)
@quietly
def logit(x, /, eps=None):
    """Inverse of the sigmoid, out = log(x / (1 - x)).

    Parameters
    ----------
    eps : float, optional
        Clamp x to [eps, 1 - eps] first, which keeps the result finite.
    """
    if eps is not None:
        x = np.minimum(np.maximum(x, x.dtype.type(eps)), x.dtype.type(1 - eps))
    return np.log(x / (1 - x))


def _logit_rule(g, x, eps):
    slope = g / (x * (1 - x))
    return slope if eps is None else keep(slope, (x >= eps) & (x <= 1 - eps))


logit.derivative(x=_logit_rule)


# ---- roots ------------------------------------------------------------------------------------------------------------------
@primitive(float_result=True)
@quietly
def sqrt(x, /):
    """Square root; nan for negative numbers. Its derivative at 0 is inf."""
    return np.sqrt(x)


sqrt.derivative(x=lambda g, out: g / (out + out))


@primitive(float_result=True)
@quietly
def rsqrt(x, /):
    """Reciprocal square root, out = 1 / sqrt(x)."""
    return 1 / np.sqrt(x)


rsqrt.derivative(x=lambda g, out: g * out * out * out * -0.5)


# ---- the error function and the gamma function ------------------------------------------------------------------------------
def _special(name, x, *parameters):
    """Evaluate a function of scipy.special in the dtype of `x`."""
    from scipy import special

    return getattr(special, name)(*parameters, x).astype(x.dtype, copy=False)


@primitive(float_result=True)
@quietly
def erf(x, /):
    """Error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    return _special("erf", x)


erf.derivative(x=lambda g, x: g * exp(-(x * x)) * (2 / SQRT_PI))


@primitive(float_result=True)
@quietly
def erfc(x, /):
    """Complement of the error function, 1 - erf(x), accurate for large x."""
    return _special("erfc", x)


erfc.derivative(x=lambda g, x: g * exp(-(x * x)) * (-2 / SQRT_PI))


@primitive(float_result=True)
@quietly
def erfinv(x, /):
    """Inverse of the error function on (-1, 1); infinite at the ends and nan outside."""
    return _special("erfinv", x)


erfinv.derivative(x=lambda g, out: g * exp(out * out) * (SQRT_PI / 2))


@primitive(float_result=True)
@quietly
def lgamma(x, /):
    """Logarithm of the absolute value of the gamma function."""
    return np.where(np.isneginf(x), x.dtype.type(math.inf), _special("gammaln", x))


lgamma.derivative(x=lambda g, x: g * digamma(x))


@primitive(float_result=True)
@quietly
def digamma(x, /):
    """Derivative of :func:`lgamma`."""
    return _special("digamma", x)


digamma.derivative(x=lambda g, x: g * polygamma_of(x, 1))


@primitive(method=False, float_result=True, node_name="PolygammaBackward0")
@quietly
def polygamma_of(x, /, n):
    """The n-th derivative of :func:`digamma`."""
    return _special("digamma", x) if n == 0 else np.asarray(_special("polygamma", x, n))


polygamma_of.derivative(x=lambda g, x, n: g * polygamma_of(x, n + 1))


@composite
def polygamma(n, input):
    """The n-th derivative of :func:`digamma`. As a method, ``x.polygamma(n)``, it is called the other way round.

    Raises
    ------
    RuntimeError
        If n is negative.
    """
    if isinstance(n, Tensor):
        n, input = input, n
    if n < 0:
        raise RuntimeError(f"polygamma: polygamma(n, x) does not support negative n, got n={n}.")
    return polygamma_of(input, n)
