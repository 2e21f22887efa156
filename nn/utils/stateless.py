"""The older place of :func:`tinygrad_edu.func.functional_call`."""

import warnings
from typing import Any

from tinygrad_edu.nn import functional_call as current
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = ["functional_call"]


def functional_call(
    module: Module, parameters_and_buffers: dict[str, Tensor], args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Call a module with the given tensors in the place of its parameters and buffers; deprecated."""
    warnings.warn(
        "`nn.utils.stateless.functional_call` is deprecated. Use `func.functional_call` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return current.functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
