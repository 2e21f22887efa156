"""The older forms of weight and spectral normalization: a hook computes the weight anew before every forward pass.

:mod:`tinygrad_edu.nn.utils.parametrizations` has the newer forms, which compute it whenever it is read.
"""

import warnings
from typing import TypeVar

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinygrad_edu.nn.functional import normalize
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.nn.utils.parametrizations import _WeightNorm
from tinygrad_edu.nn.utils.weight_hooks import WeightHook
from tinygrad_edu.ops.sampling import randn
from tinygrad_edu.tensor import Tensor

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

AnyModule = TypeVar("AnyModule", bound=Module)


class NormHook(WeightHook):
    """What both share: they are told the weight's name, and there can be one of them only."""

    what: str

    def __init__(self, name: str):
        self.name = name

    def attach(self, module: Module) -> None:
        """Let the module call this hook before every forward pass."""
        if type(self).on(module, self.name) is not None:
            raise RuntimeError(f"Cannot register two {self.what} hooks on the same parameter {self.name}")
        super().attach(module)

    @classmethod
    def taken_off(cls, module: Module, name: str) -> "NormHook":
        """Remove the hook that computes `name` from the module, and return it."""
        hook = cls.on(module, name)
        if hook is None:
            raise ValueError(f"{cls.what} of '{name}' not found in {module}")
        hook.detach(module)
        return hook


def _parameter_of(module: Module, name: str, what: str) -> Parameter:
    weight = getattr(module, name, None)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{what}: {type(module).__name__} has no parameter `{name}` to normalize.")
    return weight


class _WeightNormHook(NormHook):
    what = "weight_norm"

    def __init__(self, name: str, dim: int | None):
        super().__init__(name)
        self.formula = _WeightNorm(dim)

    def computed(self, module: Module) -> Tensor:
        return self.formula(getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v"))


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """Train a weight's length ``weight_g`` and direction ``weight_v`` apart: w = g v / |v| [1]_. Deprecated in PyTorch.

    Parameters
    ----------
    dim : int, optional
        Each slice along this dimension has a length of its own; None for one length in all.

    Returns
    -------
    Module
        The same module; its weight is computed anew before every forward pass.

    References
    ----------
    .. [1] T. Salimans and D. P. Kingma, "Weight Normalization", NeurIPS 2016, arXiv:1602.07868.
    """
    warnings.warn(
        "`nn.utils.weight_norm` is deprecated in favor of `nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    hook, weight = _WeightNormHook(name, dim), _parameter_of(module, name, "weight_norm")
    hook.attach(module)
    with no_grad():
        lengths = hook.formula.right_inverse(weight)[0]
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(lengths.detach().clone()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook(module, ())
    return module


def remove_weight_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Undo :func:`weight_norm`: the weight is a parameter again, with its present value."""
    weight = _WeightNormHook.taken_off(module, name).computed(module)
    for part in ("", "_g", "_v"):
        delattr(module, name + part)
    setattr(module, name, Parameter(weight.detach().clone()))
    return module


class _SpectralNormHook(NormHook):
    what = "spectral_norm"

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        super().__init__(name)
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the weight as a matrix, a row for each output."""
        return weight.movedim(self.dim, 0).reshape(weight.shape[self.dim], -1)

    def unit(self, x: Tensor) -> Tensor:
        return normalize(x, dim=0, eps=self.eps)

    def __call__(self, module: Module, inputs: tuple) -> None:
        if module.training:
            weight, u, v = (getattr(module, self.name + part) for part in ("_orig", "_u", "_v"))
            with no_grad():
                matrix = self.matrix(weight)
                for _ in range(self.n_power_iterations):
                    v.copy_(self.unit(matrix.t() @ u))
                    u.copy_(self.unit(matrix @ v))
        super().__call__(module, inputs)

    def computed(self, module: Module) -> Tensor:
        weight, u, v = (getattr(module, self.name + part) for part in ("_orig", "_u", "_v"))
        u, v = u.clone(), v.clone()  # the next forward pass changes them before this one's backward pass
        return weight / (u @ (self.matrix(weight) @ v))


def spectral_norm(
    module: AnyModule, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> AnyModule:
    """Divide a weight by its largest singular value, which the power method follows during training [1]_.

    Parameters
    ----------
    n_power_iterations : int
        Steps of the power method before each forward pass in training.
    eps : float
        The least norm in normalizing.
    dim : int, optional
        The dimension of the outputs; by default 0, and for transposed convolutions 1.

    Returns
    -------
    Module
        The same module: ``weight_orig`` is trained, the buffers ``weight_u`` and ``weight_v`` are the singular vectors.

    References
    ----------
    .. [1] T. Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, arXiv:1802.05957.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.utils.spectral_norm(tg.nn.Linear(3, 4), n_power_iterations=50)
    >>> _ = layer(tg.ones(3))
    >>> round(tg.linalg.svdvals(layer.weight.detach()).max().item(), 3)
    1.0
    """
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0
    hook, weight = _SpectralNormHook(name, n_power_iterations, dim, eps), _parameter_of(module, name, "spectral_norm")
    hook.attach(module)
    with no_grad():
        rows, columns = hook.matrix(weight).shape
        u, v = (hook.unit(randn(size, dtype=weight.dtype)) for size in (rows, columns))
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    return module


def remove_spectral_norm(module: AnyModule, name: str = "weight") -> AnyModule:
    """Undo :func:`spectral_norm`: the weight is a parameter again, with its present value."""
    weight = _SpectralNormHook.taken_off(module, name).computed(module)
    for part in ("", "_u", "_v", "_orig"):
        delattr(module, name + part)
    module.register_parameter(name, Parameter(weight.detach().clone()))
    return module
