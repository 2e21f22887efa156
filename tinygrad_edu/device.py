"""Devices: there is one, the CPU, under the names that device-aware PyTorch programs ask for."""

from typing import Any

__all__ = ["device"]


class device:
    """Where a tensor lives. Everything lives on the CPU; other names can be spelt but not used.

    As a context manager it says where tensors of the block are made, which is the CPU again.

    >>> import tinygrad_edu as tg
    >>> tg.device("cuda" if tg.cuda.is_available() else "cpu")
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: "str | device", index: int | None = None):
        name = type.type if isinstance(type, device) else str(type)
        name, _, number = name.partition(":")
        if name not in ("cpu", "cuda", "mps", "xpu", "meta"):
            raise RuntimeError(f"device: unknown device type {name!r}. Fix: tg.device('cpu').")
        self.type = name
        self.index = int(number) if number else index

    def __enter__(self) -> "device":
        require_cpu(self)
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))


CPU = device("cpu")


def require_cpu(where: Any) -> None:
    """Refuse every device but the CPU, saying what to write instead."""
    if where is None or where is CPU:
        return
    wanted = where if isinstance(where, device) else device(where) if isinstance(where, str) else device("cuda", where)
    if wanted.type != "cpu":
        raise RuntimeError(
            f"device: this engine computes on the CPU only, there is no {str(wanted)!r} here. "
            "Fix: device = 'cuda' if tg.cuda.is_available() else 'cpu'."
        )
