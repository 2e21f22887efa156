"""Three parametrizations: a weight with its length apart, one with spectral norm 1, and an orthogonal one."""

from typing import Any

import numpy as np

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.linalg import solve, vector_norm
from tinygrad_edu.matrices import matrix_exp
from tinygrad_edu.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinygrad_edu.nn.functional import normalize
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.utils.parametrize import register_parametrization
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.ops.sampling import randn
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def _norm(self, v: Tensor) -> Tensor:
        """Return the norms over all dimensions but one, or of the whole tensor."""
        if self.dim == -1:
            return vector_norm(v)
        others = [i for i in range(v.ndim) if i != self.dim % v.ndim]
        return vector_norm(v, dim=others, keepdim=True) if others else v.abs()

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:  # type: ignore[override]
        return weight_v * (weight_g / self._norm(weight_v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return self._norm(weight), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train a weight's length and direction apart: w = g v / |v| [1]_.

    Parameters
    ----------
    dim : int, optional
        Each slice along this dimension has a length of its own, such as each output of a layer; None for one length in all.

    Returns
    -------
    Module
        The same module, where g is ``module.parametrizations.weight.original0`` and v is ``original1``.

    References
    ----------
    .. [1] T. Salimans and D. P. Kingma, "Weight Normalization", NeurIPS 2016, arXiv:1602.07868.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.utils.parametrizations.weight_norm(tg.nn.Linear(2, 3))
    >>> [(name, tuple(p.shape)) for name, p in layer.named_parameters()]
    [('bias', (3,)), ('parametrizations.weight.original0', (3, 1)), ('parametrizations.weight.original1', (3, 2))]
    """
    _tensor_of(module, name)
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim % weight.ndim, eps
        if weight.ndim == 1:
            return
        with no_grad():
            matrix = self._as_matrix(weight)
            for buffer, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(buffer, normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _as_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        """Turn u and v towards the singular vectors of the largest singular value, by the power method."""
        with no_grad():
            for _ in range(times):
                self._u.copy_(normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(normalize(matrix.mT @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:  # type: ignore[override]
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._as_matrix(weight)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next forward pass changes them before this one's backward pass
        return weight / (u @ (matrix @ v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value  # of any norm: it is divided by it


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value: the layer stretches no input [1]_.

    The value is estimated by the power method, which goes on by `n_power_iterations` at each forward pass in training.

    Parameters
    ----------
    dim : int, optional
        The dimension of the outputs, which makes the weight a matrix with the others as its columns. By default 0, and for
        transposed convolutions 1.
    eps : float
        The least norm in normalizing.

    References
    ----------
    .. [1] T. Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, arXiv:1802.05957.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.utils.parametrizations.spectral_norm(tg.nn.Linear(3, 4), n_power_iterations=50)
    >>> round(tg.linalg.svdvals(layer.weight.detach()).max().item(), 3)
    1.0
    """
    weight = _tensor_of(module, name)
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """Tall matrices (..., n, k) with orthonormal columns; wide ones are turned, computed, and turned back."""

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True):
        super().__init__()
        self.shape, self.orthogonal_map, self.trivialized = weight.shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:  # type: ignore[override]
        turned = X.shape[-2] < X.shape[-1]
        X = X.mT if turned else X
        Q = _reflected(X) if self.orthogonal_map == "householder" else self._rotated(X)
        if self.trivialized and self.base is not None:
            Q = self.base @ Q
        return Q.mT if turned else Q

    def _rotated(self, X: Tensor) -> Tensor:
        """Return the first columns of the rotation that belongs to the skew-symmetric A = L - L', L the lower triangle of X."""
        n, k = X.shape[-2:]
        L = X.tril()
        if n != k:
            L = cat([L, wrap(np.zeros((*X.shape[:-1], n - k), X.array().dtype))], dim=-1)
        A = L - L.mT
        if self.orthogonal_map == "matrix_exp":
            return matrix_exp(A)[..., :k]
        identity = wrap(np.eye(n, dtype=A.array().dtype))
        return solve(identity - A / 2, identity + A / 2)[..., :k]

    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {tuple(self.shape)}. Got a tensor of shape {tuple(Q.shape)}."
            )
        values = Q.detach().array()
        turned = values.shape[-2] < values.shape[-1]
        values = np.swapaxes(values, -1, -2) if turned else values
        if self.trivialized:
            self.base = wrap(_completed(values))
            return wrap(_minus_identity(Q.detach().array()))
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        X = _reflectors(values)
        return wrap(np.ascontiguousarray(np.swapaxes(X, -1, -2)) if turned else X)


def _reflected(X: Tensor) -> Tensor:
    """Return the first columns of a product of reflections I - tau v v'; v is a column below the diagonal of X, led by a 1.

    The diagonal of X, of ones and minus ones, is the columns' signs; no gradient reaches it.
    """
    n, k = X.shape[-2:]
    below, eye = X.tril(-1), np.eye(n, k, dtype=X.array().dtype)
    tau = 2 / (1 + (below * below).sum(-2))
    Q = wrap(np.broadcast_to(eye, X.shape).copy())
    for i in reversed(range(k)):
        v = (below[..., i] + wrap(eye[:, i])).unsqueeze(-1)
        Q = Q - tau[..., i].unsqueeze(-1).unsqueeze(-1) * (v @ (v.mT @ Q))
    signs = np.trunc(np.diagonal(X.detach().array(), axis1=-2, axis2=-1))[..., None, :]
    return Q * wrap(signs.astype(eye.dtype))


def _reflectors(values: np.ndarray) -> np.ndarray:
    """Return X such that :func:`_reflected` gives the orthogonal factor of `values`, up to R's signs."""
    raw, tau = np.linalg.qr(values, mode="raw")
    X = np.swapaxes(raw, -1, -2).astype(values.dtype)  # R in the upper triangle, the reflections below
    places = np.arange(X.shape[-1])
    signs = np.sign(X[..., places, places])
    X[..., places, places] = np.where(tau == 0, -signs, signs)  # LAPACK leaves a reflection out where it is not needed
    return X


def _completed(values: np.ndarray) -> np.ndarray:
    """Return a square orthogonal matrix: the given columns made orthonormal, then random ones."""
    n, k = values.shape[-2:]
    if n == k and _is_orthogonal(values):
        return values.copy()
    if n != k:
        more = randn(*values.shape[:-1], n - k, dtype=wrap(values).dtype).array()
        values = np.concatenate([values, more], -1)
    Q, R = np.linalg.qr(values)
    return Q * np.sign(np.diagonal(R, axis1=-2, axis2=-1))[..., None, :]


def _is_orthogonal(Q: np.ndarray) -> bool:
    n, k = Q.shape[-2:]
    return bool(np.allclose(np.swapaxes(Q, -1, -2) @ Q, np.eye(k), atol=10 * n * np.finfo(Q.dtype).eps))


def _minus_identity(like: np.ndarray) -> np.ndarray:
    """Return -I, for which every map here gives I: its reflections are along the axes, its triangle is without effect."""
    return np.broadcast_to(-np.eye(*like.shape[-2:], dtype=like.dtype), like.shape).copy()


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Make a matrix, or a batch of matrices, orthogonal: orthonormal columns, or rows if it is wide.

    Parameters
    ----------
    orthogonal_map : {"matrix_exp", "cayley", "householder"}, optional
        The rotation exp(A), or (I + A/2)(I - A/2)^-1, of a skew-symmetric A; or a product of reflections. By default
        "matrix_exp" for square matrices and "householder" for others.
    use_trivialization : bool
        Start from a fixed matrix, the buffer ``base``, and train a rotation of it [1]_. Without it, only the weight of
        "householder" can be assigned to.

    References
    ----------
    .. [1] M. Lezcano-Casado, "Trivializations for Gradient-Based Optimization on Manifolds", NeurIPS 2019, arXiv:1909.09501.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> Q = tg.nn.utils.parametrizations.orthogonal(tg.nn.Linear(2, 4)).weight
    >>> tg.allclose(Q.mT @ Q, tg.eye(2), atol=1e-6)
    True
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    made: Any = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)
