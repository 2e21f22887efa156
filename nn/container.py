"""Modules that hold other modules: Sequential, ModuleList, ModuleDict."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tinygrad_edu.nn.joining import JOINS
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.printing import indented, layout
from tinygrad_edu.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Numbered(Module):
    """A list of modules under the names "0", "1", ...: what Sequential and ModuleList share."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def _name_at(self, index: Any) -> str:
        names = list(self._modules)
        position = operator.index(index)
        if not -len(names) <= position < len(names):
            raise IndexError(f"index {position} is out of range: this {type(self).__name__} holds {len(names)} modules")
        return names[position]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._selection(index)
        return self._modules[self._name_at(index)]

    def _selection(self, index: slice) -> Self:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name_at(index), module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [self._name_at(index)]:
            delattr(self, name)
        self._renumber(list(self))

    def _renumber(self, modules: list[Module]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for position, module in enumerate(modules):
            self.add_module(str(position), module)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before position `index`."""
        _must_be_module(self, module)
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def pop(self, index: Any = -1) -> Module:
        """Remove the module at `index` and return it."""
        module = self[index]
        del self[index]
        return module

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class Sequential(_Numbered):
    """A chain of modules: each one's output is the next one's input.

    Parameters
    ----------
    *args : Module, or one dict of name to Module

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 1))
    >>> model(tg.zeros(5, 2)).shape
    tinygrad_edu.Size([5, 1])
    >>> model[1]
    Tanh()
    """

    def __init__(self, *args: Any):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            _must_be_module(self, module)
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Run the modules in order; a layer and the activation (and pooling) behind it share one kernel."""
        home: dict[str, Any] = self.__dict__
        waiting: Any = None
        for name, kind in self._kinds.items():
            if kind != "module":
                continue
            module = home[name]
            if waiting is not None:
                out = JOINS[waiting.__class__](waiting, module, input)
                if out is not None:
                    input, waiting = (out, None) if out.__class__ is Tensor else (input, out)
                    continue
                input, waiting = waiting(input), None
            if module.__class__ in JOINS:
                waiting = module
            else:
                input = module(input)
        return input if waiting is None else waiting(input)

    def _selection(self, index: slice) -> "Sequential":
        return type(self)(dict(list(self._modules.items())[index]))

    def insert(self, index: int, module: Module) -> "Sequential":
        """Add a module before position `index`."""
        _must_be_module(self, module)
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        super().insert(index, module)
        return self

    def __add__(self, other: "Sequential") -> "Sequential":
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __mul__(self, times: int) -> "Sequential":
        if not isinstance(times, int):
            raise TypeError(
                f"unsupported operand type(s) for *: {type(self).__name__} and {type(times).__name__}. Fix: an int."
            )
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self).__name__}")
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """A list of modules whose parameters are found; a plain Python list hides them (E120).

    Examples
    --------
    >>> from tinygrad_edu import nn
    >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _selection(self, index: slice) -> "ModuleList":
        return type(self)(list(self)[index])

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Show equal neighbours once, with their range of positions."""
        runs: list[list] = []  # [first, last, text]
        for position, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1][1] = position
            else:
                runs.append([position, position, text])
        children = [
            f"({a}): {indented(t)}" if a == b else f"({a}-{b}): {b - a + 1} x {indented(t)}" for a, b, t in runs
        ]
        return layout(self._get_name(), [], children)


class ModuleDict(Module):
    """A dictionary of modules whose parameters are found; a plain Python dict hides them (E120)."""

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Remove the module under `key` and return it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return the pairs of name and module."""
        return self._modules.items()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add modules from a mapping or from pairs; those with known names replace the old ones."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleDict.update expects a mapping or pairs, but got {type(modules).__name__}")
        pairs = modules.items() if isinstance(modules, Mapping | ModuleDict) else modules
        for key, module in pairs:
            self[key] = module


def _must_be_module(owner: Module, module: Any) -> None:
    if not isinstance(module, Module):
        fix = "nn.ReLU() is a layer, F.relu is a function; calls such as x.view(...) belong in forward()."
        name = getattr(module, "__name__", type(module).__name__)
        raise TypeError(f"{type(owner).__name__}: {name} is not a Module subclass. Fix: {fix}")
