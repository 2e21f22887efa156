"""Functions that a Module calls when its state is taken and when one is loaded."""

from collections.abc import Callable
from typing import Any

from tinygrad_edu.graph import HookHandle
from tinygrad_edu.nn import hooks

__all__ = ["StateHooks", "call", "has"]


def call(module: Any, moment: str, prefix: str, *args: Any, inner_first: bool = False) -> None:
    """Call the hooks of one moment of a module and all below it with (module, prefix, *args)."""
    own = () if module._hooks is None else tuple(getattr(module._hooks, moment))
    for hook in () if inner_first else own:
        hook.call(module, prefix, *args)
    for name, child in module._own("module"):
        call(child, moment, f"{prefix}{name}.", *args, inner_first=inner_first)
    for hook in own if inner_first else ():
        hook.call(module, prefix, *args)


def has(module: Any, moment: str) -> bool:
    """Tell whether a module, or any below it, has a hook of this moment."""
    return any(each._hooks is not None and getattr(each._hooks, moment) for each in module.modules())


class StateHooks:
    """The methods of Module that register them."""

    def register_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict()`` reads the module."""
        return hooks.register(self, "before_state", hook, False)

    def register_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after ``state_dict()``; it may change the dict in place."""

        def reordered(module: Any, prefix: str, state_dict: dict) -> None:
            if hook(module, state_dict, prefix, {}) is not None:
                raise RuntimeError("state_dict post-hook must return None: it changes the state_dict that it is given.")

        return hooks.register(self, "after_state", reordered, False)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> HookHandle:
        """Call a hook before ``load_state_dict``, which may change the given names and values in place.

        It is called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``; the
        dict is a copy, and the lists are taken into account. As in PyTorch, `strict` is always True: the lists are to be filled.
        """

        def reordered(module: Any, prefix: str, state_dict: dict, *lists: list) -> None:
            hook(module, state_dict, prefix, {}, True, *lists)

        return hooks.register(self, "before_load", reordered, False)

    def register_load_state_dict_post_hook(self, hook: Callable) -> HookHandle:
        """Call ``hook(module, incompatible_keys)`` after ``load_state_dict``; it may change the two lists in place."""

        def shortened(module: Any, prefix: str, keys: Any) -> None:
            if hook(module, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, if "
                    "incompatible_keys need to be modified, it should be done inplace."
                )

        return hooks.register(self, "after_load", shortened, False)

    def _register_state_dict_hook(self, hook: Callable) -> HookHandle:
        """PyTorch's older name: ``hook(module, state_dict, prefix, local_metadata)``, whose result is not looked at."""
        return hooks.register(self, "after_state", lambda module, prefix, state: hook(module, state, prefix, {}), False)

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> HookHandle:
        """PyTorch's older name: the hook is not given the module, unless `with_module`."""
        if with_module:
            return self.register_load_state_dict_pre_hook(hook)
        return self.register_load_state_dict_pre_hook(lambda module, *args: hook(*args))
