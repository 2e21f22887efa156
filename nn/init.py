"""Starting values for weights. Every function fills its tensor in place, outside the graph, and returns it.

A layer keeps the size of what flows through it if its weights have variance gain^2 / fan: forward with fan_in (inputs per output),
backward with fan_out (outputs per input), and Glorot's rule averages the two. With the same seed the numbers are PyTorch's.

References
----------
.. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
.. [2] K. He, X. Zhang, S. Ren and J. Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.
.. [3] A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
   networks", ICLR 2014, arXiv:1312.6120.
.. [4] J. Martens, "Deep learning via Hessian-free optimization", ICML 2010.
"""

import math
import warnings
from collections.abc import Callable
from functools import wraps

import numpy as np

from tinygrad_edu import random
from tinygrad_edu.memory import note_write
from tinygrad_edu.random import Generator
from tinygrad_edu.tensor import Tensor

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_", "kaiming_normal", "kaiming_normal_",
    "kaiming_uniform", "kaiming_uniform_", "normal", "normal_", "ones_", "orthogonal", "orthogonal_", "sparse", "sparse_",
    "trunc_normal_", "uniform", "uniform_", "xavier_normal", "xavier_normal_", "xavier_uniform", "xavier_uniform_", "zeros_",
]  # fmt: skip


def _fill(tensor: Tensor, values: np.ndarray | float) -> Tensor:
    array = tensor.array()
    array[...] = values
    note_write(array, "nn.init")
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers drawn uniformly from [a, b)."""
    return _fill(tensor, random.uniform(tensor.shape, tensor.array().dtype, a, b, generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers drawn from the normal distribution."""
    return _fill(tensor, random.normal(tensor.shape, tensor.array().dtype, mean, std, generator))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill from the normal distribution, drawing again what falls outside [a, b].

    Where most draws would fall outside, candidates come uniformly from [a, b] instead, each kept with a probability proportional
    to the density there.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_: nearly all values will lie at one end.", stacklevel=2
        )  # fmt: skip
    shape, kind = tensor.shape, tensor.array().dtype
    inside = 0.5 * (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2)))
    if inside > 0.3:
        low, high = kind.type(a), kind.type(b)

        def draw() -> tuple[np.ndarray, np.ndarray]:
            values = random.normal(shape, kind, mean, std, generator)
            return values, (values < low) | (values > high)
    else:
        peak = max(a, min(mean, b))
        log_peak = -0.5 * ((peak - mean) / std) ** 2

        def draw() -> tuple[np.ndarray, np.ndarray]:
            values = random.uniform(shape, kind, a, b, generator)
            log_density = ((values - mean) / std) ** 2 * -0.5 - log_peak
            with np.errstate(divide="ignore"):
                return values, np.log(random.uniform(shape, kind, generator=generator)) > log_density

    return _fill(tensor, _redraw_until_accepted(draw))


def _redraw_until_accepted(draw: Callable[[], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    values, refused = draw()
    while refused.any():
        again, refused_again = draw()
        values = np.where(refused, again, values)
        refused &= refused_again
    return values


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number."""
    return _fill(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return _fill(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return _fill(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on its diagonal and zeros elsewhere: a linear layer that changes nothing."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that it passes its first channels on unchanged.

    Raises
    ------
    ValueError
        If the tensor has not 3, 4 or 5 dimensions, or `groups` does not divide its first length.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            f"dirac_: only tensors with 3, 4, or 5 dimensions are supported, got shape {tuple(tensor.shape)}"
        )
    if tensor.shape[0] % groups:
        raise ValueError(f"dirac_: dim 0 must be divisible by groups, got {tensor.shape[0]} and groups={groups}")
    per_group = tensor.shape[0] // groups
    centre = tuple(length // 2 for length in tensor.shape[2:])
    values = np.zeros(tensor.shape)
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _fill(tensor, values)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which weights must grow to make up for what a nonlinearity shrinks.

    Parameters
    ----------
    nonlinearity : str
        The function's name in ``nn.functional``: "linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", ...
    param : float, optional
        The negative slope of "leaky_relu", 0.01 by default.

    Examples
    --------
    >>> from tinygrad_edu import nn
    >>> nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in ("linear", "sigmoid") or nonlinearity in [
        f"conv{t}{d}d" for t in ("", "_transpose") for d in "123"
    ]:
        return 1
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"calculate_gain: negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: Unsupported nonlinearity {nonlinearity}. Fix: one of 'linear', 'sigmoid', 'leaky_relu', {str(list(gains))[1:-1]}."
        )
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return the number of inputs each output sees, and of outputs each input feeds: channels times kernel positions."""
    if tensor.ndim < 2:
        raise ValueError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape {tuple(tensor.shape)}"
        )
    positions = math.prod(tensor.shape[2:])
    return tensor.shape[1] * positions, tensor.shape[0] * positions


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill uniformly from [-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)) [1]_."""
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from the normal distribution with std = gain * sqrt(2 / (fan_in + fan_out)) [1]_."""
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill uniformly from [-b, b) with b = gain * sqrt(3 / fan) [2]_.

    Parameters
    ----------
    a : float
        The negative slope of the rectifier that follows.
    mode : {"fan_in", "fan_out"}
        Keep the variance in the forward or in the backward pass.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill from the normal distribution with std = gain / sqrt(fan) [2]_; see :func:`kaiming_uniform_`."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    fan = _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with a random matrix of orthonormal rows or columns, times `gain` [3]_; later dimensions are flattened."""
    if tensor.ndim < 2:
        raise ValueError("orthogonal_: only tensors with 2 or more dimensions are supported")
    if 0 in tensor.shape:
        return tensor
    kind = tensor.array().dtype
    matrix = random.normal((tensor.shape[0], tensor.numel() // tensor.shape[0]), kind, 0.0, 1.0, generator)
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = np.linalg.qr((matrix.T if wide else matrix).astype(np.promote_types(kind, np.float32)))
    q *= np.sign(np.diag(r))  # makes every orthogonal matrix equally likely
    return _fill(tensor, gain * (q.T if wide else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fill a matrix from the normal distribution, with a fraction `sparsity` of each column set to zero [4]_."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    values = random.normal((rows, columns), tensor.array().dtype, 0.0, std, generator)
    for column in range(columns):
        values[random.permutation(rows)[:zeros], column] = 0
    return _fill(tensor, values)


def _old_name(function: Callable) -> Callable:
    """Return a function under its name of before 2018, without the underscore, that warns."""
    new = function.__name__
    old = new.rstrip("_")

    @wraps(function)
    def deprecated(*args, **kwargs):
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = old
    deprecated.__doc__ = f"The old name of :func:`{new}`; deprecated."
    return deprecated


uniform, normal, constant = _old_name(uniform_), _old_name(normal_), _old_name(constant_)
eye, dirac, orthogonal, sparse = _old_name(eye_), _old_name(dirac_), _old_name(orthogonal_), _old_name(sparse_)
xavier_uniform, xavier_normal = _old_name(xavier_uniform_), _old_name(xavier_normal_)
kaiming_uniform, kaiming_normal = _old_name(kaiming_uniform_), _old_name(kaiming_normal_)
