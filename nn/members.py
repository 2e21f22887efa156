"""One kind of a module's parts seen as a dictionary."""

from collections.abc import Iterator, MutableMapping
from typing import Any

__all__ = ["Members"]


class Members(MutableMapping):
    """One kind of a module's parts as a dictionary: what ``module._modules`` and its siblings show and change."""

    def __init__(self, module: Any, kind: str):
        self._module, self._kind = module, kind

    def __getitem__(self, name: str) -> Any:
        if self._module._kinds.get(name) != self._kind:
            raise KeyError(name)
        return self._module.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._module._enter(self._kind, name, value)

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self._module, name)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, kind in self._module._kinds.items() if kind == self._kind])

    def __len__(self) -> int:
        return sum(kind == self._kind for kind in self._module._kinds.values())

    def __repr__(self) -> str:
        return repr(dict(self))
