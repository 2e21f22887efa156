"""Parameter groups: checking what an optimizer is given, and turning its state into a dictionary and back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.errors import message
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []

Group = dict[str, Any]


def as_groups(name: str, params: Any) -> list[Group]:
    """Return what the user gave as a list of groups.

    Raises
    ------
    TypeError
        If it is a single tensor, a module, or holds something else than tensors.
    ValueError
        If it is empty (E303).
    """
    if isinstance(params, Tensor):
        raise TypeError(
            f"{name}: params argument given to the optimizer should be an iterable of Tensors or dicts, but got one Tensor. "
            f"Fix: {name}([w], ...)."
        )
    if hasattr(params, "parameters"):
        raise TypeError(
            f"{name}: expected parameters, but got a {type(params).__name__}. Fix: {name}(model.parameters(), ...)."
        )
    if isinstance(params, Mapping) or not isinstance(params, Iterable):
        raise TypeError(f"{name}: params must be an iterable of Tensors or dicts, but got {type(params).__name__}.")
    given = list(params)
    if not given:
        raise empty(name)
    if isinstance(given[0], dict):
        return given
    return [{"params": given}]


def complete(name: str, group: Group, defaults: Group, others: list[Group]) -> Group:
    """Return a group with its tensors as a list and every option filled in."""
    if not isinstance(group, dict):
        raise TypeError(f"{name}: param_group must be a dict, but got {type(group)}")
    params = group["params"]
    if isinstance(params, set):
        raise TypeError(
            f"{name}: optimizer parameters need to be organized in ordered collections, but the ordering of tensors in "
            "sets will change between runs. Fix: a list."
        )
    params = [params] if isinstance(params, Tensor) else list(params)
    out = {**group, "params": params}
    if params and all(isinstance(p, tuple) for p in params):
        out["param_names"], out["params"] = [n for n, _ in params], [p for _, p in params]
    for position, p in enumerate(out["params"]):
        check_parameter(name, position, p)
    taken = {id(p) for other in others for p in other["params"]}
    if len({id(p) for p in out["params"]}) < len(out["params"]):
        raise ValueError(f"{name}: a parameter appears twice in one group. Fix: list(dict.fromkeys(params)).")
    if any(id(p) in taken for p in out["params"]):
        raise ValueError(f"{name}: some parameters appear in more than one parameter group. Fix: name each layer once.")
    for option, value in defaults.items():
        out.setdefault(option, value)
    for option, value in out.items():
        if isinstance(value, Tensor):
            out[option] = value.item()  # a learning rate given as a tensor
    return out


def check_parameter(name: str, position: int, p: Any) -> None:
    """Refuse what cannot be optimized."""
    if not isinstance(p, Tensor):
        raise TypeError(f"{name}: optimizer can only optimize Tensors, but parameter {position} is {type(p).__name__}.")
    if not p.is_leaf:
        raise ValueError(
            f"{name}: can't optimize a non-leaf Tensor: parameter {position} is a result of {p.grad_fn.op.name}. "
            "Fix: optimize the tensor made with requires_grad=True, or x.detach().requires_grad_()."
        )
    if not p.is_floating_point():
        raise ValueError(f"{name}: parameter {position} holds {p.dtype}; only floating-point tensors have gradients.")


def empty(name: str) -> ValueError:
    """E303: there is nothing to optimize."""
    return ValueError(
        message(
            "E303",
            name,
            "optimizer got an empty parameter list. model.parameters() is a generator: once a loop or list() went through it, "
            "nothing is left; and a model whose layers sit in a plain Python list has no parameters.",
            f"{name}(model.parameters(), ...) with a fresh call, or params = list(model.parameters()) to use them twice.",
        )
    )


def pack(param_groups: list[Group], state: Mapping[Tensor, dict]) -> dict[str, Any]:
    """Return groups and state with numbers in the place of the parameters."""
    numbers: dict[int, int] = {}
    packed = []
    for group in param_groups:
        for p in group["params"]:
            numbers.setdefault(id(p), len(numbers))
        packed.append({**group, "params": [numbers[id(p)] for p in group["params"]]})
    entries = {}
    for p, kept in state.items():
        known = {k: _step_as_tensor(v) if k == "step" else v for k, v in kept.items() if v is not None}
        if known and id(p) in numbers:
            entries[numbers[id(p)]] = known
    return {"state": dict(sorted(entries.items())), "param_groups": packed}


def unpack(packed: Mapping[str, Any], mine: list[Group]) -> tuple[list[Group], dict[Tensor, dict]]:
    """Return groups and state as `packed` says, for the parameters of `mine`."""
    theirs = packed["param_groups"]
    if len(theirs) != len(mine):
        raise ValueError(
            f"loaded state dict has a different number of parameter groups: {len(theirs)}, here {len(mine)}"
        )
    state: dict[Tensor, dict] = defaultdict(dict)
    groups = []
    for number, (old, new) in enumerate(zip(theirs, mine, strict=True)):
        if len(old["params"]) != len(new["params"]):
            raise ValueError(
                f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group: group {number} "
                f"has {len(old['params'])} parameters there and {len(new['params'])} here"
            )
        groups.append({**new, **old, "params": new["params"]})
        for key, p in zip(old["params"], new["params"], strict=True):
            kept = packed["state"].get(key, packed["state"].get(str(key)))
            if kept:
                state[p] = {k: _taken_over(k, v, p) for k, v in kept.items() if v is not None}
    return groups, state


def _step_as_tensor(step: Any) -> Any:
    return wrap(np.array(step, np.float32)) if isinstance(step, int) else step


def _taken_over(key: str, value: Any, p: Tensor) -> Any:
    """Return a copy of a state's entry: step counts as integers, arrays of the parameter's shape in its type."""
    if key == "step":
        return int(value)
    if isinstance(value, list):  # a history: L-BFGS goes on writing into its own
        return [_taken_over("", each, p) for each in value]
    if not hasattr(value, "__array__"):
        return value
    array = np.asarray(value).copy()
    if array.dtype.kind == "f" and array.shape == p._data.shape and array.ndim:
        array = array.astype(p._data.dtype, copy=False)
    return wrap(array)
