"""A module as a function of its parameters: run it with others than its own, and stack those of several models."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.joining import stack
from tinygrad_edu.tensor import Tensor

__all__ = ["functional_call", "stack_module_state"]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: dict[str, Tensor] | Sequence[dict[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with the given tensors in the place of its parameters and buffers; afterwards it has its own again.

    Parameters
    ----------
    parameter_and_buffer_dicts : dict or sequence of dict
        Tensors by their names in ``state_dict()``.
    args : Tensor or tuple
        The positional arguments of the call; one that is not a tuple is the only one.
    tie_weights : bool
        Replace a parameter that is known under several names in all its places.
    strict : bool
        Raise if a name is missing or unknown.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.Linear(2, 1)
    >>> with_ones = {"weight": tg.ones(1, 2), "bias": tg.zeros(1)}
    >>> tg.func.functional_call(layer, with_ones, tg.tensor([3.0, 4.0])).tolist()
    [7.0]
    """
    dicts = parameter_and_buffer_dicts
    dicts = [dicts] if isinstance(dicts, dict) else list(dicts)
    given: dict[str, Tensor] = {}
    for tensors in dicts:
        repeated = given.keys() & tensors.keys()
        if repeated:
            raise ValueError(f"functional_call: {sorted(repeated)} appear in more than one of the dictionaries")
        given.update(tensors)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, given, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


@contextmanager
def _replaced(module: Module, given: dict[str, Tensor], tie_weights: bool, strict: bool) -> Iterator[None]:
    """Put the given tensors into the module inside the block."""
    places = {}  # name -> (the module that has it, its attribute)
    for prefix, child in module.named_modules(remove_duplicate=False):
        for kind in ("parameter", "buffer"):
            for name, _ in child._own(kind):
                places[f"{prefix}.{name}" if prefix else name] = (child, name)
    unknown, missing = [n for n in given if n not in places], [n for n in places if n not in given]
    if strict and (unknown or missing):
        raise RuntimeError(
            f"functional_call: unexpected names {unknown}, missing names {missing} for {type(module).__name__}"
        )
    values = {places[name]: value for name, value in given.items() if name in places}
    if tie_weights:
        by_tensor = {id(owner.__dict__[name]): value for (owner, name), value in values.items()}
        for place in places.values():
            tied = by_tensor.get(id(place[0].__dict__[place[1]]))
            if tied is not None:
                values.setdefault(place, tied)
    before = {place: place[0].__dict__[place[1]] for place in values}
    for (owner, name), value in values.items():
        owner.__dict__[name] = value
    try:
        yield
    finally:
        for (owner, name), value in before.items():
            owner.__dict__[name] = value


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stack the parameters, and the buffers, of models of one kind: an ensemble for ``vmap`` over ``functional_call``.

    Returns
    -------
    (parameters, buffers)
        Dictionaries by name; each tensor has one more dimension in front, one entry a model. The parameters are new leaves.

    Raises
    ------
    RuntimeError
        Without models, with models of different classes, or in different modes (training, evaluation).
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: expected at least one model, got 0.")
    if len({type(model) for model in models}) > 1 or len({model.training for model in models}) > 1:
        raise RuntimeError(
            "stack_module_state: expected all models to be of the same class and the same training/eval mode."
        )
    parameters = {
        name: stack([dict(model.named_parameters())[name].detach() for model in models]).requires_grad_(
            first.requires_grad
        )
        for name, first in models[0].named_parameters()
    }
    buffers = {
        name: stack([dict(model.named_buffers())[name].detach() for model in models])
        for name, _ in models[0].named_buffers()
    }
    return parameters, buffers
