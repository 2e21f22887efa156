"""Dropout: switch elements or whole channels off at random while training [1]_.

.. [1] N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
"""

import numpy as np

from tinygrad_edu import random
from tinygrad_edu.errors import ShapeError, ValueRangeError
from tinygrad_edu.primitive import composite
from tinygrad_edu.recorders import drawn
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout"]

# SELU's fixed point: the value that an element takes in the limit of ever smaller inputs, and so when it is switched off.
_SELU_FLOOR = -1.7580993408473766


@composite(method=False)
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to zero with probability `p` and divide the others by 1 - p, so that the mean stays.

    Parameters
    ----------
    input : Tensor
    p : float
        Probability of switching an element off.
    training : bool
        Without it the input passes unchanged.
    inplace : bool
        Write the result into the input.

    Raises
    ------
    ValueError
        If `p` is outside [0, 1].
    """
    return _drop(input, p, training, inplace, tuple(input.shape), "dropout")


def _drop(input: Tensor, p: float, training: bool, inplace: bool, mask_shape: tuple, op: str) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueRangeError(f"{op}: dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or not input.numel():
        return input
    kind = input._data.dtype
    mask = wrap(_mask(p, mask_shape, kind))
    return input.mul_(mask) if inplace else input * mask


@drawn
def _mask(p: float, shape: tuple, kind: np.dtype) -> np.ndarray:
    """Draw 0 with probability p and 1 / (1 - p) otherwise."""
    if p == 1:
        return np.zeros(shape, kind)
    return random.bernoulli(1.0 - p, shape, kind, value=kind.type(1) / kind.type(1.0 - p))


@composite(method=False)
def feature_dropout(input: Tensor, p: float, train: bool, inplace: bool = False) -> Tensor:
    """Dropout of whole channels: input (N, C, ...), a channel of a sample stays or goes as one [1]_.

    References
    ----------
    .. [1] J. Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015, arXiv:1411.4280.
    """
    return _drop(input, p, train, inplace, _channels(input, "feature_dropout"), "feature_dropout")


def _channels(input: Tensor, op: str) -> tuple[int, ...]:
    if input.ndim < 2:
        raise ShapeError(
            f"{op}: Feature dropout requires at least 2 dimensions in the input, (N, C, ...), got {tuple(input.shape)}."
        )
    return (*input.shape[:2], *(1,) * (input.ndim - 2))


@composite(method=False)
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for SELU networks: off means SELU's floor, and the rest is scaled so that mean and variance stay [1]_.

    References
    ----------
    .. [1] G. Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017, arXiv:1706.02515.
    """
    return _drop_to_floor(input, p, training, inplace, tuple(input.shape), "alpha_dropout")


@composite(method=False)
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels, input (N, C, ...)."""
    op = "feature_alpha_dropout"
    return _drop_to_floor(input, p, training, inplace, _channels(input, op), op)


def _drop_to_floor(input: Tensor, p: float, training: bool, inplace: bool, mask_shape: tuple, op: str) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueRangeError(f"{op}: dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or not input.numel():
        return input
    kind = input._data.dtype
    both = wrap(_floor_mask(p, mask_shape, kind))
    mask, floor = both[0], both[1]
    return input.mul_(mask).add_(floor) if inplace else input * mask + floor


@drawn
def _floor_mask(p: float, shape: tuple, kind: np.dtype) -> np.ndarray:
    """Draw which elements stay, and return as one array what to multiply by and what to add."""
    if p == 1:
        return np.zeros((2, *shape), kind)
    scale = 1.0 / np.sqrt((_SELU_FLOOR**2 * p + 1.0) * (1.0 - p))
    alive = random.bernoulli(1.0 - p, shape, kind)
    return np.stack([alive * scale, (alive - 1) * (-_SELU_FLOOR * scale) + -_SELU_FLOOR * scale * p]).astype(kind)


def _drop_channels(input: Tensor, p: float, training: bool, inplace: bool, spatial: int, op: str) -> Tensor:
    """Drop channels of (N, C, ...); one dimension less is read as a single sample."""
    if input.ndim not in (spatial + 1, spatial + 2):
        raise ShapeError(
            f"{op}: Expected a {spatial + 1}-D or {spatial + 2}-D input, (C, ...) or (N, C, ...), got {tuple(input.shape)}."
        )
    if input.ndim == spatial + 2:
        return _drop(input, p, training, inplace, _channels(input, op), op)
    return _drop(input, p, training, inplace, (input.shape[0], *(1,) * spatial), op)


@composite(method=False)
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """:func:`feature_dropout` of whole channels of sequences (N, C, L) or (C, L)."""
    return _drop_channels(input, p, training, inplace, 1, "dropout1d")


@composite(method=False)
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """:func:`feature_dropout` of whole channels of images (N, C, H, W); a 3-d input is (N, C, L), as in PyTorch."""
    if input.ndim == 3:
        return _drop(input, p, training, inplace, _channels(input, "dropout2d"), "dropout2d")
    return _drop_channels(input, p, training, inplace, 2, "dropout2d")


@composite(method=False)
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """:func:`feature_dropout` of whole channels of volumes (N, C, D, H, W) or (C, D, H, W)."""
    return _drop_channels(input, p, training, inplace, 3, "dropout3d")
