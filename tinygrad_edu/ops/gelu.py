"""The Gaussian error linear unit and its approximation by tanh."""

import math

import numpy as np

from tinygrad_edu.ops.comparison import need_floats
from tinygrad_edu.ops.exponential import erf, exp
from tinygrad_edu.ops.trigonometric import tanh
from tinygrad_edu.primitive import primitive
from tinygrad_edu.quiet import quietly

__all__: list[str] = []

ROOT = math.sqrt(2 / math.pi)
CUBIC = 0.044715


@primitive(method=False)
@quietly
def gelu(x, /, approximate="none"):
    """Gaussian error linear unit, out = x * P(Z <= x) for a standard normal Z (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "tanh" computes x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))) instead.

    Raises
    ------
    RuntimeError
        For another `approximate`.
    """
    need_floats("gelu", x)
    if approximate == "none":
        return x * (erf.op.forward(x * math.sqrt(0.5)) + 1) * 0.5
    if approximate != "tanh":
        raise RuntimeError(f"gelu: approximate argument must be either 'none' or 'tanh', got {approximate!r}.")
    return x * (np.tanh((x * x * x * CUBIC + x) * ROOT) + 1) * 0.5


def _gelu_rule(g, x, approximate):
    if approximate == "none":
        return g * ((erf(x * math.sqrt(0.5)) + 1) * 0.5 + x * exp(x * x * -0.5) * (ROOT / 2))
    t = tanh((x * x * x * CUBIC + x) * ROOT)
    return g * ((t + 1) * 0.5 + x * (1 - t * t) * (x * x * (3 * CUBIC) + 1) * (ROOT / 2))


gelu.derivative(x=_gelu_rule)
