"""A module's values by name: ``state_dict()`` and ``load_state_dict()``."""

from collections import namedtuple
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.memory import note_write
from tinygrad_edu.nn import state_hooks
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["IncompatibleKeys", "collect", "load"]

EXTRA = "_extra_state"
ROWS = 10  # how many names of one group an error shows


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` returns: two lists of names, those that only the module or only the given dict had."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()


def entries(module: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Iterate over what a state dict of `module` holds: (dotted name, owner, attribute)."""
    for kind in ("parameter", "buffer"):
        for name, _ in module._own(kind):
            if name not in module._non_persistent:
                yield prefix + name, module, name
    if hasattr(module, "get_extra_state"):
        yield prefix + EXTRA, module, EXTRA
    for name, child in module._own("module"):
        yield from entries(child, f"{prefix}{name}.")


def collect(module: Any, into: dict, prefix: str, keep_vars: bool) -> dict:
    """Fill `into` with the module's tensors (detached, unless `keep_vars`)."""
    state_hooks.call(module, "before_state", prefix, keep_vars)
    for key, owner, name in entries(module, prefix):
        if name == EXTRA:
            into[key] = owner.get_extra_state()
        else:
            into[key] = owner.__dict__[name] if keep_vars else owner.__dict__[name].detach()
    state_hooks.call(module, "after_state", prefix, into, inner_first=True)
    return into


def load(module: Any, given: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy `given` into the module, all or nothing."""
    if not isinstance(given, Mapping):
        raise TypeError(
            f"Expected state_dict to be dict-like, got {type(given)}. Fix: model.load_state_dict(tg.load(path))."
        )
    missing, unexpected, errors = [], [], []
    given = dict(given)
    state_hooks.call(module, "before_load", "", given, missing, unexpected, errors)
    mine = {key: (owner, name) for key, owner, name in entries(module)}
    missing += [k for k in mine if k not in given]
    unexpected += [k for k in given if k not in mine]
    keys = IncompatibleKeys(missing, unexpected)
    values = {key: given[key] if mine[key][1] == EXTRA else _as_array(key, given[key]) for key in mine if key in given}
    wrong = [
        f"{key} has shape {values[key].shape} there and {tuple(owner.__dict__[name].shape)} here"
        for key, (owner, name) in mine.items()
        if name != EXTRA and key in values and values[key].shape != owner.__dict__[name].shape
    ]
    wrong += errors
    last_word = state_hooks.has(module, "after_load")  # its hooks may accept names that differ, once the rest is loaded
    if wrong or (strict and any(keys) and not last_word):
        raise _does_not_fit(module, keys if strict else IncompatibleKeys([], []), wrong)
    for key, value in values.items():
        owner, name = mine[key]
        if name == EXTRA:
            owner.set_extra_state(value)
        elif assign:
            _replace(owner, name, given[key])
        else:
            target = owner.__dict__[name].array()
            np.copyto(target, value, casting="unsafe")
            note_write(target, "load_state_dict")
    state_hooks.call(module, "after_load", "", keys, inner_first=True)
    if strict and any(keys):
        raise _does_not_fit(module, keys, [], "the rest was loaded")
    return keys


def _as_array(key: str, value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.array()
    if not hasattr(value, "__array__"):
        raise RuntimeError(
            f"load_state_dict: the value of {key!r} must be a Tensor or an array, got {type(value).__name__}."
        )
    return np.asarray(value)


def _replace(owner: Any, name: str, value: Any) -> None:
    """Put the given tensor itself in the place of a parameter or buffer."""
    old, new = owner.__dict__[name], value if isinstance(value, Tensor) else wrap(np.asarray(value))
    if isinstance(old, Parameter) and not isinstance(new, Parameter):
        new = Parameter(new, requires_grad=old.requires_grad)
    owner.__dict__[name] = new


def _does_not_fit(
    module: Any, keys: IncompatibleKeys, wrong: list[str], done: str = "nothing was loaded"
) -> ShapeError:
    """Compose E503: names and shapes that differ, in groups; a common prefix is told as such."""
    name = type(module).__name__
    prefix = _only_a_prefix(keys.unexpected_keys, keys.missing_keys)
    if prefix and not wrong:
        facts = f"every name in the state_dict starts with {prefix!r} and would fit {name} without it."
        fix = f"model.load_state_dict({{k.removeprefix({prefix!r}): v for k, v in state_dict.items()}})"
        return ShapeError(message("E503", "load_state_dict", facts, fix))
    prefix = _only_a_prefix(keys.missing_keys, keys.unexpected_keys)
    if prefix and not wrong:
        facts = f"every name in {name} starts with {prefix!r}, and those in the state_dict do not."
        fix = f"model.load_state_dict({{{prefix!r} + k: v for k, v in state_dict.items()}})"
        return ShapeError(message("E503", "load_state_dict", facts, fix))
    groups = [
        ("Missing key(s) in state_dict", [repr(k) for k in keys.missing_keys], ", "),
        ("Unexpected key(s) in state_dict", [repr(k) for k in keys.unexpected_keys], ", "),
        ("size mismatch", wrong, "; "),
    ]
    facts = f"Error(s) in loading state_dict for {name}, {done}:"
    for title, rows, mark in groups:
        if rows:
            more = f"{mark}and {len(rows) - ROWS} more" if len(rows) > ROWS else ""
            facts += f"\n  {title}: {mark.join(rows[:ROWS])}{more}."
    fix = "build the model with the sizes it was saved with" + (", or pass strict=False." if any(keys) else ".")
    return ShapeError(message("E503", "load_state_dict", f"{facts}\n ", fix))


def _only_a_prefix(long: list[str], short: list[str]) -> str:
    """Return p if `long` is `short` with p before every name."""
    if not long or len(long) != len(short) or not long[0].endswith(short[0]):
        return ""
    prefix = long[0].removesuffix(short[0])
    return prefix if all(a == prefix + b for a, b in zip(long, short, strict=True)) else ""
