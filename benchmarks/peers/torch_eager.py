"""PyTorch: as it comes, with its optimizers' faster loops, and compiled."""

import shutil
from collections.abc import Callable
from typing import Any

from benchmarks.peers.base import NotSupported, Run
from benchmarks.peers.torch_style import TorchStyle
from benchmarks.workloads import Chain, Scalar


class TorchEager(TorchStyle):
    name = "torch"
    title = "PyTorch eager"
    requires = "torch"
    rank = 10

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.lib.set_num_threads(threads)

    def facts(self) -> dict[str, str]:
        capability = self.lib.backends.cpu.get_cpu_capability()
        return super().facts() | {"threads": str(self.lib.get_num_threads()), "cpu capability": capability}


class TorchFused(TorchEager):
    """One kernel an optimizer step; for scalars and chains there is no optimizer."""

    name = "torch_fused"
    title = "PyTorch, fused optimizers"
    rank = 11
    optimizer_options = {"fused": True}  # noqa: RUF012

    def scalar(self, workload: Scalar) -> Run:
        raise NotSupported("the same as PyTorch eager where there is no optimizer")

    def chain(self, workload: Chain) -> Run:
        raise NotSupported("the same as PyTorch eager where there is no optimizer")


class TorchForeach(TorchFused):
    name = "torch_foreach"
    title = "PyTorch, foreach optimizers"
    rank = 12
    optimizer_options = {"foreach": True}  # noqa: RUF012


class TorchCompiled(TorchFused):
    """Forward and loss through `torch.compile`, and the fused optimizers."""

    name = "torch_compiled"
    title = "PyTorch, compiled, fused optimizers"
    rank = 13

    def wrap_loss(self, loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        if not (shutil.which("g++") or shutil.which("clang++") or shutil.which("cl")):
            raise NotSupported("torch.compile needs a C++ compiler, and none is installed")
        return self.lib.compile(loss)
