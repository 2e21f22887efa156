"""A weight as a function of other tensors: the layer reads ``layer.weight`` as ever, and training moves what it is made from.

The module gets a class of its own, derived from the class it had, in which the tensor's name is a property: reading it runs the
parametrizations on the tensors under ``module.parametrizations``, assigning to it runs their inverses.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.nn.container import ModuleDict, ModuleList
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "type_before_parametrizations",
]  # fmt: skip

_depth = 0  # of cached() blocks around
_known: dict[
    tuple[int, str], tuple[Module, Tensor]
] = {}  # inside such a block: what has been computed, by module and name


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor only once inside the block: for layers that are called several times."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _known.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order they are applied, with the tensors they start from.

    The first is called with ``original``, or with ``original0, original1, ...`` if its ``right_inverse`` returns several.
    """

    def __init__(self, modules: Iterable[Module], original: Tensor, unsafe: bool = False):
        modules = list(modules)
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            new = _inverted(modules, original)
        if not isinstance(new, Tensor | Sequence):
            raise ValueError(
                f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self._places = ["original"] if self.is_tensor else [f"original{i}" for i in range(len(new))]
        kind, shape = original.dtype, original.shape
        if isinstance(new, Tensor):
            if new.dtype != kind:
                raise ValueError(f"right_inverse must not change the dtype: from {kind} to {new.dtype}.")
            _put(original, new)
            _register(self, "original", original)
        else:
            for name, part in zip(self._places, new, strict=True):
                _register(self, name, _leaf(name, part, original))
        if not unsafe:
            _check_alike("", self(), kind, shape)

    @property
    def _originals(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._places]

    def forward(self) -> Tensor:
        """Return the parametrized tensor."""
        first, *others = self
        x = first(*self._originals)
        for parametrization in others:
            x = parametrization(x)
        return x

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals so that the parametrized tensor becomes `value`, as far as the inverses can."""
        with no_grad():
            for parametrization in reversed(list(self)):
                if not hasattr(parametrization, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(parametrization).__name__} does not implement right_inverse, so the tensor cannot "
                        "be assigned to. Fix: define right_inverse(value), or change the originals."
                    )
                value = parametrization.right_inverse(value)
            parts = [value] if self.is_tensor else list(value)
            if len(parts) != len(self._places):
                raise ValueError(
                    f"'right_inverse' must return a sequence of {len(self._places)} tensors here, got {len(parts)}"
                )
            for original, part in zip(self._originals, parts, strict=True):
                _put(original, part)


def _inverted(modules: list[Module], value: Any) -> Any:
    """Return what the parametrizations, last first, make `value` from; one without an inverse leaves it as it is."""
    for module in reversed(modules):
        if hasattr(module, "right_inverse"):
            try:
                value = module.right_inverse(value)
            except NotImplementedError:
                continue
    return value


def _put(original: Tensor, value: Tensor) -> None:
    """Let a tensor, which optimizers may know, hold other values."""
    if value is not original:
        original.data = wrap(value.array().copy())


def _leaf(name: str, part: Any, original: Tensor) -> Tensor:
    """Return a part as the kind of tensor the original is."""
    if not isinstance(part, Tensor):
        raise ValueError(
            f"'right_inverse' must return a Tensor or a Sequence of tensors. Got element {name} of type {type(part).__name__}."
        )
    return Parameter(part.detach(), original.requires_grad) if isinstance(original, Parameter) else part.detach()


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check_alike(where: str, value: Any, kind: Any, shape: Any) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for what, before, after in (("dtype", kind, value.dtype), ("shape", shape, value.shape)):
        if before != after:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless the `unsafe` flag is enabled: "
                f"from {before} to {after}{where}. Fix: register_parametrization(..., unsafe=True)."
            )


@cache
def _class_of(base: Any, names: tuple[str, ...]) -> type:
    """Return the subclass of `base` in which `names` are properties; modules of one kind share it."""

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if name in names:  # also for a Parameter, which would be entered beside the property
            self.parametrizations[name].right_inverse(value)
        else:
            base.__setattr__(self, name, value)

    home = {
        "__module__": base.__module__,
        "__setattr__": set_attribute,
        "__reduce__": lambda self: (_new, (base, names), self.__dict__),
        "_parametrized": (base, names),
    }
    return type(f"Parametrized{base.__name__}", (base,), home | {name: property(_reader(name)) for name in names})


def _new(base: Any, names: tuple[str, ...]) -> Any:
    """Return an empty module of a parametrized class: what copying begins with."""
    cls: Any = _class_of(base, names)
    return cls.__new__(cls)


def _reader(name: str) -> Any:
    def read(self: Any) -> Tensor:
        if not _depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _known:
            _known[key] = (self, self.parametrizations[name]())  # with the module, so that its id stays its own
        return _known[key][1]

    return read


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Tell whether a module has a parametrization, or one of the given tensor."""
    _, names = getattr(type(module), "_parametrized", (None, ()))
    return bool(names) if tensor_name is None else tensor_name in names


def type_before_parametrizations(module: Module) -> type:
    """Return the module's class without its parametrizations."""
    return getattr(type(module), "_parametrized", (type(module), ()))[0]


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make a parameter or buffer of a module a function of other tensors.

    Parameters
    ----------
    module : Module
    tensor_name : str
    parametrization : Module
        Its ``forward`` computes the tensor. Its ``right_inverse``, if there is one, computes from a tensor what ``forward``
        begins with: one tensor, or several for a ``forward`` of several arguments. It is applied to the present tensor.
        On a tensor that is parametrized already it is applied after the others.
    unsafe : bool
        Allow other shapes and dtypes.

    Returns
    -------
    Module
        The same module. The tensors to be trained are ``module.parametrizations.<name>.original``, or original0 and so on.

    Raises
    ------
    ValueError
        Without such a tensor, or if the parametrization changes the shape or the dtype.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.nn.utils import parametrize
    >>> class Symmetric(tg.nn.Module):
    ...     def forward(self, X):
    ...         return X.triu() + X.triu(1).mT
    >>> layer = parametrize.register_parametrization(tg.nn.Linear(3, 3), "weight", Symmetric())
    >>> tg.equal(layer.weight, layer.weight.mT)
    True
    >>> list(layer.state_dict())
    ['bias', 'parametrizations.weight.original']
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_addition(module, tensor_name, parametrization)
        known = module.parametrizations[tensor_name]
        known.append(parametrization)
        known.unsafe |= unsafe
        return module
    if module._kinds.get(tensor_name) not in ("parameter", "buffer"):
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    added = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = added
    _set_class(module)
    return module


def _set_class(module: Module) -> None:
    """Give a module the class that fits its parametrizations."""
    base, names = type_before_parametrizations(module), tuple(module.parametrizations)
    module.__class__ = _class_of(base, names) if names else base


def _check_addition(module: Module, name: str, parametrization: Module) -> None:
    now = getattr(module, name)
    after = parametrization(now)
    _check_alike("", after, now.dtype, now.shape)
    _check_alike(" in right_inverse", _inverted([parametrization], after), now.dtype, now.shape)


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parametrized tensor a plain parameter or buffer again.

    Parameters
    ----------
    leave_parametrized : bool
        Keep the present value; otherwise the tensor is the one that the parametrization began with, if there is only one.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    known = module.parametrizations[tensor_name]
    if not known.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors."
        )
    tensor = known._originals[0]
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
        if known.is_tensor:
            _put(tensor, value)  # the object that optimizers know
        else:
            tensor = _leaf(tensor_name, value, tensor)
    del module.parametrizations[tensor_name]
    _set_class(module)
    _register(module, tensor_name, tensor)
    if not len(module.parametrizations):
        del module.parametrizations
    return module
