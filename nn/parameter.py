"""Parameter: a tensor that a Module recognises as one of its weights."""

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor to be trained: as an attribute of a :class:`Module` it appears among ``module.parameters()``.

    Parameters
    ----------
    data : Tensor, optional
        The values; their memory is shared, and the graph they came from is not.
    requires_grad : bool
        Whether gradients are accumulated in ``.grad``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> weight = tg.nn.Parameter(tg.tensor([1., 2.]))
    >>> weight.requires_grad, weight.is_leaf
    (True, True)
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True):
        self._data = _memory_of("Parameter", data)
        self.node = self._base = None
        if requires_grad:
            self.requires_grad = True

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that belongs to a Module's state without being trained, such as a running mean.

    ``self.mean = Buffer(x)`` is short for ``self.register_buffer("mean", x)``.

    Parameters
    ----------
    data : Tensor, optional
        The values; their memory is shared.
    persistent : bool
        Whether ``state_dict()`` holds it.
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True):
        self._data = _memory_of("Buffer", data)
        self.node = self._base = None
        self.persistent = persistent


def _memory_of(kind: str, data: Tensor | None) -> np.ndarray:
    if data is None:
        return np.empty(0, dtypes.get_default_dtype().numpy)
    if not isinstance(data, Tensor):
        raise TypeError(
            f"{kind}: data must be a Tensor, got {type(data).__name__}. Fix: nn.{kind}(tg.tensor(...)) or nn.{kind}(tg.randn(...))."
        )
    return data.array()
