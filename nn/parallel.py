"""Data parallelism as PyTorch spells it, so that programs written for several GPUs run here unchanged."""

from typing import Any

from tinygrad_edu.nn.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """A wrapper that splits batches over GPUs where there are some; here there are none, so the module gets the whole batch.

    As in PyTorch the wrapped network is ``.module``, and the keys of ``state_dict()`` begin with ``module.``.

    Parameters
    ----------
    module : Module
    device_ids, output_device, dim
        Accepted; they say how to split.
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0):
        super().__init__()
        self.module, self.dim = module, dim
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the module."""
        return self.module(*inputs, **kwargs)
