"""Softmax and its logarithm: from any numbers to probabilities."""

import warnings

import numpy as np

from tinygrad_edu import dtypes, kernels
from tinygrad_edu.ops.conversion import convert
from tinygrad_edu.ops.dims import normalize_dim
from tinygrad_edu.ops.exponential import exp
from tinygrad_edu.ops.extremum import argmax
from tinygrad_edu.ops.reduction import sum_along
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.quiet import quietly
from tinygrad_edu.random import exponential
from tinygrad_edu.tensor import wrap

__all__ = ["log_softmax", "softmax"]


def _along(name, kernel, x, dim):
    if x.dtype.kind != "f":
        raise NotImplementedError(
            f"{name}: not implemented for {x.dtype}. Fix: {name}(x.float(), dim) or dtype=tg.float32."
        )
    dim = normalize_dim(dim, x.ndim, name)
    if not x.size:
        return np.array(x)
    return kernel(x, dim) if x.ndim else kernel(np.reshape(x, (1,))).reshape(())


def _slope_along(kernel, g, out, dim):
    return kernel(g, out, dim) if out.ndim else kernel(g.reshape(1), out.reshape(1)).reshape(())


@primitive(method=False, node_name="SoftmaxBackward0")
@quietly
def softmax_along(x, /, dim):
    """exp(x) / sum(exp(x)) along `dim`, shifted by the largest element so that nothing overflows."""
    return _along("softmax", kernels.softmax, x, dim)


softmax_along.derivative(x=lambda g, out, dim: out * (g - sum_along(g * out, dim, True)))
softmax_along.derivative_on_arrays(lambda g, needs, out, dim: (_slope_along(kernels.softmax_grad, g, out, dim),))


@primitive(method=False, node_name="LogSoftmaxBackward0")
@quietly
def log_softmax_along(x, /, dim):
    """x - log(sum(exp(x))) along `dim`, without overflow."""
    return _along("log_softmax", kernels.log_softmax, x, dim)


log_softmax_along.derivative(x=lambda g, out, dim: g - exp(out) * sum_along(g, dim, True))
log_softmax_along.derivative_on_arrays(
    lambda g, needs, out, dim: (_slope_along(kernels.log_softmax_grad, g, out, dim),)
)


def _implicit_dim(name, input):
    """Choose the dimension as PyTorch does where none is given, and warn: old programs rely on it."""
    dim = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(
        f"{name}: Implicit dimension choice for {name} has been deprecated; for shape {tuple(input.shape)} it is dim={dim}. "
        f"Fix: {name}(x, dim={dim}).",
        stacklevel=3,
    )
    return dim


@composite
def softmax(input, dim=None, dtype=None, *, axis=None):
    """Probabilities along `dim`, out = exp(x) / sum(exp(x)).

    Parameters
    ----------
    dim : int
        The dimension whose entries shall sum to 1; `axis` is NumPy's name for it. Without it, as in old PyTorch programs, a
        warning tells which one was chosen.
    dtype : dtype, optional
        Convert the input first.

    Raises
    ------
    NotImplementedError
        For integers.
    IndexError
        If `dim` is out of range.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> tg.softmax(tg.tensor([[0., 0.], [1000., 0.]]), dim=1).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    dim = dim if axis is None else axis
    if dim is None:
        dim = _implicit_dim("softmax", input)
    return softmax_along(input, dim)


@composite
def log_softmax(input, dim=None, dtype=None, *, axis=None):
    """Logarithms of probabilities along `dim`, out = x - log(sum(exp(x))); see :func:`softmax`."""
    if dtype is not None:
        input = convert(input, dtypes.as_dtype(dtype))
    dim = dim if axis is None else axis
    if dim is None:
        dim = _implicit_dim("log_softmax", input)
    return log_softmax_along(input, dim)


@composite(method=False)
def softmin(input, dim=None, dtype=None):
    """softmax(-x) along `dim`: the smallest gets the largest probability."""
    return softmax(-input, dim, dtype)


@composite(method=False)
def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A random choice that gradients pass: softmax((logits + Gumbel noise) / tau) (Jang et al. 2017).

    Parameters
    ----------
    tau : float
        Temperature; the smaller, the nearer to one-hot.
    hard : bool
        Return exactly one-hot values, with the gradient of the soft ones.
    eps : float
        Not used; kept for PyTorch's signature.
    """
    noise = wrap(-np.log(exponential(logits.shape, logits._data.dtype)))
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    values = soft.numpy(force=True)
    chosen = argmax(soft.detach(), dim, True).numpy()
    one_hot = np.zeros_like(values)
    np.put_along_axis(one_hot, chosen, 1, dim)
    return wrap(one_hot) - soft.detach() + soft
