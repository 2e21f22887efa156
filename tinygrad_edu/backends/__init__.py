"""Switches of PyTorch's computing libraries that programs set before they begin. None of those libraries is used here.

Everything computes on the CPU, in the full precision of its element type, with the same result on every run and for every number of
threads: what ``deterministic = True`` asks for is always so, and what the other switches trade is not there.
"""

from types import SimpleNamespace

from tinygrad_edu.backends import cudnn

__all__ = ["cuda", "cudnn", "mkldnn", "mps"]


def _no() -> bool:
    return False


mps = SimpleNamespace(is_available=_no, is_built=_no)
mkldnn = SimpleNamespace(is_available=_no, enabled=False)
cuda = SimpleNamespace(is_built=_no, matmul=SimpleNamespace(allow_tf32=False))
