"""tinygrad_edu, out of the box: the program is PyTorch's, with another import."""

from benchmarks.peers.torch_style import TorchStyle


class Ours(TorchStyle):
    name = "tinygrad_edu"
    title = "tinygrad_edu"
    requires = "tinygrad_edu"
    rank = 0
    uses_openblas = True
