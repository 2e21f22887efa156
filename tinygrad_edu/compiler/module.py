"""A module whose forward pass is recorded."""

from typing import Any

from tinygrad_edu.compiler.plan import Plan
from tinygrad_edu.compiler.step import RecordedStep
from tinygrad_edu.nn.module import Module

__all__ = ["CompiledModule"]


class CompiledModule(Module):
    """A module that replays the forward pass of another, and its backward pass as one node of the graph.

    Attributes
    ----------
    _orig_mod : Module
        The module that was given; it shares its parameters with this one.
    recorded : RecordedStep
    """

    def __init__(self, module: Module):
        super().__init__()
        self._orig_mod = module
        self.recorded = RecordedStep(module)
        self.train(module.training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Replay, or record."""
        return self.recorded(*args, **kwargs)

    def plan(self, number: int = 0) -> Plan:
        """Return what was recorded; see :meth:`RecordedStep.plan`."""
        return self.recorded.plan(number)

    def __getattr__(self, name: str) -> Any:
        # Only reached when the name is nowhere else: the user means the module inside.
        inner = self.__dict__.get("_orig_mod")
        return super().__getattr__(name) if inner is None else getattr(inner, name)
