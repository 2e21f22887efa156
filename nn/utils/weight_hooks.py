"""Hooks that compute a weight from other tensors before every forward pass: normalization in its older form, and pruning."""

from typing import Any

from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__: list[str] = []


class WeightHook:
    """A pre-forward hook that sets the attribute `name` of its module."""

    name: str

    @classmethod
    def on(cls, module: Module, name: str | None = None) -> Any:
        """Return the module's hook of this class, for the tensor `name` if given, or None."""
        entries = () if module._hooks is None else module._hooks.before_forward
        return next((e.call for e in entries if isinstance(e.call, cls) and name in (None, e.call.name)), None)

    def attach(self, module: Module) -> None:
        """Let the module call this hook before every forward pass."""
        module.register_forward_pre_hook(self)

    def detach(self, module: Module) -> None:
        """Let the module forget this hook."""
        if module._hooks is not None:
            module._hooks.before_forward[:] = [e for e in module._hooks.before_forward if e.call is not self]

    def __call__(self, module: Module, inputs: tuple) -> None:
        setattr(module, self.name, self.computed(module))

    def computed(self, module: Module) -> Tensor:
        """Return the weight, computed from the tensors that replace it."""
        raise NotImplementedError
