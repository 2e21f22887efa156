"""Pruning: weights set to zero and kept there, so that a network does with fewer of them [1]_ [2]_.

A pruned tensor `weight` becomes the parameter ``weight_orig`` and the buffer ``weight_mask``; their product is computed before every
forward pass. Pruning again adds zeros to the mask; :func:`remove` makes them permanent.

References
----------
.. [1] Y. LeCun, J. S. Denker and S. A. Solla, "Optimal Brain Damage", NeurIPS 1989.
.. [2] S. Han, J. Pool, J. Tran and W. J. Dally, "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS
   2015, arXiv:1506.02626.

Examples
--------
>>> import tinygrad_edu as tg
>>> from tinygrad_edu.nn.utils import prune
>>> layer = prune.l1_unstructured(tg.nn.Linear(3, 2), "weight", amount=0.5)
>>> list(layer.state_dict()), int((layer.weight == 0).sum())
(['bias', 'weight_orig', 'weight_mask'], 3)
>>> list(prune.remove(layer, "weight").state_dict())
['bias', 'weight']
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.utils.pruning_methods import (
    Amount,
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningContainer,
    RandomStructured,
    RandomUnstructured,
)
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured",
    "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip

AnyModule = TypeVar("AnyModule", bound=Module)


def identity(module: AnyModule, name: str) -> AnyModule:
    """Give the tensor `name` a mask of ones, to be changed later."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: AnyModule, name: str, amount: Amount) -> AnyModule:
    """Prune elements of the tensor `name` at random: so many (int), or this share of them (float)."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: AnyModule, name: str, amount: Amount, importance_scores: Tensor | None = None) -> AnyModule:
    """Prune the elements of the least magnitude, or of the least `importance_scores`."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: AnyModule, name: str, amount: Amount, dim: int) -> AnyModule:
    """Prune whole channels along `dim` at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: AnyModule, name: str, amount: Amount, n: Any, dim: int, importance_scores: Tensor | None = None
) -> AnyModule:
    """Prune the channels along `dim` that have the least n-norm."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: AnyModule, name: str, mask: Tensor) -> AnyModule:
    """Prune the tensor `name` where `mask` is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Prune several tensors as if they were one: those with the less important elements lose more of them.

    Parameters
    ----------
    parameters : iterable of (module, name)
    pruning_method : class
        Such as :class:`L1Unstructured`; made with the further arguments.
    importance_scores : dict, optional
        By (module, name); without one a tensor's own values.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable of pairs (module, name)")
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    parameters = list(parameters)
    tensors = [getattr(module, name) for module, name in parameters]
    scores = [given.get(pair, tensor).detach() for pair, tensor in zip(parameters, tensors, strict=True)]
    masks = [
        getattr(module, f"{name}_mask", wrap(np.ones_like(tensor.array())))
        for (module, name), tensor in zip(parameters, tensors, strict=True)
    ]
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method {pruning_method} of type '
            f"{method.PRUNING_TYPE}"
        )
    mask = PruningContainer(method).compute_mask(_as_vector(scores), _as_vector(masks))
    start = 0
    for (module, name), tensor in zip(parameters, tensors, strict=True):
        custom_from_mask(module, name, mask[start : start + tensor.numel()].reshape(tensor.shape))
        start += tensor.numel()


def _as_vector(tensors: list[Tensor]) -> Tensor:
    return cat([t.reshape(-1) for t in tensors])


def remove(module: AnyModule, name: str) -> AnyModule:
    """Make the tensor `name` an ordinary parameter again, with its zeros; pruning is not undone."""
    method = BasePruningMethod.on(module, name)
    if method is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    method.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Tell whether a module, or any below it, has a pruned tensor."""
    return any(BasePruningMethod.on(each) is not None for each in module.modules())
