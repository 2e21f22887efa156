"""PyTorch in eager mode: as it comes, and with its fused optimizers."""

from benchmarks.peers.torch_style import TorchStyle


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
    name = "torch_fused"
    title = "PyTorch, fused optimizers"
    rank = 11
    fused = True
