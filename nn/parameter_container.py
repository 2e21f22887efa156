"""Lists and dictionaries of parameters: ParameterList and ParameterDict."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.nn.printing import layout
from tinygrad_edu.tensor import Tensor

__all__ = ["ParameterDict", "ParameterList"]


class _Parameters(Module):
    """Values under string names, in order; tensors among them become Parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_order"] = {}  # the names, with the order they came in

    def _put(self, name: str, value: Any) -> None:
        self._order[name] = None
        if isinstance(value, Tensor) and not isinstance(value, Parameter):
            value = Parameter(value)
        setattr(self, name, value)

    def __len__(self) -> int:
        return len(self._order)

    def extra_repr(self) -> str:
        rows = []
        for name in self._order:
            value = self.__dict__[name]
            what = type(value).__name__
            if isinstance(value, Tensor):
                size = "x".join(map(str, value.shape))
                what = f"{what} containing: [{value.dtype} of size {size}]"
            else:
                what = f"Object of type: {what}"
            rows.append(f"  ({name}): {what}")
        return "\n".join(rows)

    def __repr__(self) -> str:
        rows = self.extra_repr()
        return layout(self._get_name(), [], rows.split("\n") if rows else [])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{type(self).__name__} should not be called: it holds parameters, it is not a layer.")


class ParameterList(_Parameters):
    """A list of parameters that ``module.parameters()`` finds.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> weights = tg.nn.ParameterList([tg.zeros(2), tg.zeros(3)])
    >>> [tuple(w.shape) for w in weights.parameters()]
    [(2,), (3,)]
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        if values is not None:
            self.extend(values)

    def __getitem__(self, index: Any) -> Any:
        names = list(self._order)[index]
        if isinstance(index, slice):
            return type(self)(self.__dict__[name] for name in names)
        return self.__dict__[names]

    def __setitem__(self, index: int, value: Any) -> None:
        self._put(list(self._order)[index], value)

    def __iter__(self) -> Iterator[Any]:
        return iter([self.__dict__[name] for name in self._order])

    def append(self, value: Any) -> "ParameterList":
        """Add a value at the end."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> "ParameterList":
        """Add several values at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}. "
                "Fix: ParameterList([tensor])."
            )
        for value in values:
            self.append(value)
        return self

    __iadd__ = extend


class ParameterDict(_Parameters):
    """A dictionary of parameters that ``module.parameters()`` finds."""

    def __init__(self, parameters: Any = None):
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._order:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._put(key, value)

    def __delitem__(self, key: str) -> None:
        del self._order[key]
        delattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._order))

    def __contains__(self, key: str) -> bool:
        return key in self._order

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._order.keys()

    def values(self) -> Iterable[Any]:
        """Return the values."""
        return [self.__dict__[name] for name in self._order]

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return the pairs of name and value."""
        return [(name, self.__dict__[name]) for name in self._order]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        return self.__dict__[key] if key in self._order else default

    def pop(self, key: str) -> Any:
        """Remove `key` and return its value."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Remove everything."""
        for key in self:
            del self[key]

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, entering `default` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, parameters: Any) -> None:
        """Add values from a mapping or from pairs."""
        pairs = parameters.items() if isinstance(parameters, Mapping | ParameterDict) else parameters
        for key, value in pairs:
            self[key] = value
