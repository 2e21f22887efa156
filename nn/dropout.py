"""Dropout in its forms: noise in training, nothing in evaluation.

References
----------
.. [1] N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
.. [2] J. Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015, arXiv:1411.4280.
.. [3] G. Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, arXiv:1706.02515.
"""

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.modes import watch
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def _watched(self, input: Tensor, out: Tensor) -> Tensor:
        if self.p:
            watch(self, input, out)
        return out

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, set each element to zero with probability p and divide the others by 1 - p [1]_.

    Parameters
    ----------
    p : float
        Probability of an element to be dropped.
    inplace : bool
        Overwrite the input.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._watched(input, F.dropout(input, self.p, self.training, self.inplace))


class Dropout1d(_Dropout):
    """Drop whole channels of (N, C, L) or (C, L) [2]_."""

    def forward(self, input: Tensor) -> Tensor:
        return self._watched(input, F.dropout1d(input, self.p, self.training, self.inplace))


class Dropout2d(_Dropout):
    """Drop whole channels of images (N, C, H, W) [2]_."""

    def forward(self, input: Tensor) -> Tensor:
        return self._watched(input, F.dropout2d(input, self.p, self.training, self.inplace))


class Dropout3d(_Dropout):
    """Drop whole channels of volumes (N, C, D, H, W) [2]_."""

    def forward(self, input: Tensor) -> Tensor:
        return self._watched(input, F.dropout3d(input, self.p, self.training, self.inplace))


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of SELU [3]_."""

    def forward(self, input: Tensor) -> Tensor:
        return self._watched(input, F.alpha_dropout(input, self.p, self.training, self.inplace))


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        return self._watched(input, F.feature_alpha_dropout(input, self.p, self.training, self.inplace))
