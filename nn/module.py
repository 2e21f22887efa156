"""Module: a function with weights, made of smaller modules.

A module's attributes live in its ``__dict__`` like those of any Python object. The dictionary `_kinds` beside them says which
ones are parameters, buffers and sub-modules; everything here that walks over weights or layers reads that one dictionary.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.graph import HookHandle
from tinygrad_edu.nn import hooks, mistakes, state
from tinygrad_edu.nn.convert import Conversions
from tinygrad_edu.nn.members import Members
from tinygrad_edu.nn.parameter import Buffer, Parameter
from tinygrad_edu.nn.printing import indented, layout
from tinygrad_edu.nn.state_hooks import StateHooks
from tinygrad_edu.recorders import again, changes, recorders
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Module"]

PARAMETER, BUFFER, MODULE = "parameter", "buffer", "module"


class Module(StateHooks, Conversions):
    """Base class of all layers and networks.

    Subclasses create their parts in ``__init__`` and compute in ``forward``; calling the module runs ``forward`` with its hooks.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode; dropout and batch norm behave differently in evaluation mode.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> class Net(tg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc1 = tg.nn.Linear(2, 10)
    ...         self.fc2 = tg.nn.Linear(10, 1)
    ...     def forward(self, x):
    ...         return self.fc2(self.fc1(x).tanh())
    >>> [name for name, _ in Net().named_parameters()]
    ['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias']
    """

    _hooks: hooks.Hooks | None = None
    training: bool

    def __init__(self, *args: Any, **kwargs: Any):
        if args or kwargs:
            wrong = repr(next(iter(kwargs))) if kwargs else f"{len(args)} positional argument(s)"
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected argument: {wrong}")
        self.__dict__.update(training=True, _kinds={}, _non_persistent=set())

    # ---- calling ----------------------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if recorders:
            recorders[-1].module(self)
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return hooks.call_with_hooks(self, args, kwargs)
        except Exception as error:
            mistakes.name_the_layer(error, self)
            raise

    def forward(self, *args: Any) -> Any:
        """Compute the module's output; every subclass defines it."""
        raise mistakes.no_forward(self)

    # ---- attributes -------------------------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds", {})
        if isinstance(value, Parameter):
            self._enter(PARAMETER, name, value)
        elif isinstance(value, Module):
            self._enter(MODULE, name, value)
        elif isinstance(value, Buffer):
            self._enter(BUFFER, name, value)
            if not value.persistent:
                self._non_persistent.add(name)
        elif name in kinds and value is not None and not (kinds[name] == BUFFER and isinstance(value, Tensor)):
            raise TypeError(mistakes.wrong_assignment(self, name, kinds[name], value))
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Only reached when the name is nowhere else.
        raise AttributeError(mistakes.no_attribute(self, name))

    def __delattr__(self, name: str) -> None:
        if self.__dict__.get("_kinds", {}).pop(name, None):
            self._non_persistent.discard(name)
        object.__delattr__(self, name)

    def _enter(self, kind: str, name: str, value: Any) -> None:
        """Write down that `name` is of `kind`, and set it."""
        home = self.__dict__
        if "_kinds" not in home:
            raise AttributeError(mistakes.before_init(self, kind, name))
        if home["_kinds"].get(name, kind) != kind:
            del home["_kinds"][name]  # it changes its kind, and with it its place in the order
        home["_kinds"][name] = kind
        home["_non_persistent"].discard(name)
        home[name] = value

    def _add(self, kind: str, name: str, value: Any) -> None:
        """Enter a part under a name that must be new and fit for a key of ``state_dict()``."""
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f"{kind} name can't be empty or contain a dot, got {name!r}")
        home = self.__dict__
        if name not in home.get("_kinds", {}) and (name in home or hasattr(type(self), name)):
            raise KeyError(f"attribute '{name}' already exists in {type(self).__name__}")
        self._enter(kind, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name for one that may come later."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(mistakes.wrong_assignment(self, name, PARAMETER, param))
        self._add(PARAMETER, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state but is not trained.

        Parameters
        ----------
        persistent : bool
            Whether ``state_dict()`` holds it.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(mistakes.wrong_assignment(self, name, BUFFER, tensor))
        self._add(BUFFER, name, tensor)
        if not persistent:
            self._non_persistent.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Add a sub-module, as ``self.name = module`` does."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass, so it cannot be child '{name}'")
        self._add(MODULE, name, module)

    register_module = add_module

    @property
    def _parameters(self) -> "Members":
        return Members(self, PARAMETER)

    @property
    def _buffers(self) -> "Members":
        return Members(self, BUFFER)

    @property
    def _modules(self) -> "Members":
        return Members(self, MODULE)

    # ---- walking ----------------------------------------------------------------------------------------------------------
    def _own(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Iterate over this module's own parts of one kind, without the empty ones."""
        home = self.__dict__
        for name, this in tuple(home["_kinds"].items()):
            if this == kind and home[name] is not None:
                yield name, home[name]

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """Iterate over this module and all below it, with their dotted names, outermost first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._own(MODULE):
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator["Module"]:
        """Iterate over this module and all below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Iterate over the direct sub-modules with their names; one held twice appears once."""
        seen = set()
        for name, child in self._own(MODULE):
            if child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator["Module"]:
        """Iterate over the direct sub-modules."""
        return (child for _, child in self.named_children())

    def _named_members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator:
        seen = set()
        walk = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in walk:
            for name, member in module._own(kind):
                if member not in seen:
                    if remove_duplicate:
                        seen.add(member)
                    yield (f"{path}.{name}" if path else name), member

    def _collect(self, kind: str, found: dict, seen: set) -> dict:
        """Gather the parts of one kind without their names, as the keys of `found`: several times faster than with them."""
        seen.add(self)
        home, children = self.__dict__, []
        for name, this in home["_kinds"].items():
            member = home[name]
            if member is None:
                continue
            if this == kind:
                found[member] = None
            elif this == MODULE and member not in seen:
                children.append(member)
        for child in children:
            if child not in seen:
                child._collect(kind, found, seen)
        return found

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over the parameters of this module and those below, with their dotted names; a shared one appears once."""
        mistakes.look_for_plain_containers(self)
        return self._named_members(PARAMETER, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterate over the parameters: what an optimizer is given."""
        mistakes.look_for_plain_containers(self)
        if not recurse:
            return (parameter for _, parameter in self._own(PARAMETER))
        return iter(list(self._collect(PARAMETER, {}, set())))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers with their dotted names."""
        return self._named_members(BUFFER, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> "Module":
        """Return the module at a dotted path; the empty path is this module itself."""
        module = self
        for name in target.split(".") if target else ():
            found = module.__dict__.get(name)
            if not isinstance(found, Module):
                raise AttributeError(f"{type(module).__name__} has no sub-module `{name}` (looking for {target!r})")
            module = found
        return module

    def set_submodule(self, target: str, module: "Module", strict: bool = False) -> None:
        """Put `module` at a dotted path; with `strict` there must be one already."""
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not isinstance(parent.__dict__.get(name), Module):
            raise AttributeError(f"{type(parent).__name__} has no sub-module `{name}` to replace")
        parent.add_module(name, module)

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a dotted path."""
        return self._get(target, PARAMETER)

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a dotted path."""
        return self._get(target, BUFFER)

    def _get(self, target: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if owner._kinds.get(name) != kind:
            raise AttributeError(f"{type(owner).__name__} has no {kind} `{name}` (looking for {target!r})")
        return owner.__dict__[name]

    # ---- training ---------------------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> "Module":
        """Put this module and all below it in training mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        changes.count += 1
        return self

    def eval(self) -> "Module":
        """Put this module and all below it in evaluation mode."""
        return self.train(False)

    @again
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or with ``set_to_none=False`` fill them with zeros."""
        for parameter in self._collect(PARAMETER, {}, set()):
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = wrap(np.zeros_like(parameter.grad.array()))

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Switch ``requires_grad`` of all parameters; False freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def apply(self, fn: Callable[["Module"], None]) -> "Module":
        """Call ``fn`` on every module below and then on this one: the way to initialise a network."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ---- saving -----------------------------------------------------------------------------------------------------------
    def state_dict(
        self, *args: Any, destination: dict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Return all parameters and persistent buffers by their dotted names, outside the graph, sharing memory."""
        return state.collect(self, OrderedDict() if destination is None else destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> "state.IncompatibleKeys":
        """Copy the values of `state_dict` into the parameters and buffers of the same names.

        Parameters
        ----------
        strict : bool
            Demand that the names are the same on both sides.
        assign : bool
            Take over the given tensors instead of copying their values.

        Returns
        -------
        named tuple (missing_keys, unexpected_keys)

        Raises
        ------
        RuntimeError
            If names (with `strict`) or shapes differ (E503); nothing is loaded then.
        """
        return state.load(self, state_dict, strict, assign)

    # ---- hooks ------------------------------------------------------------------------------------------------------------
    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns replaces the arguments."""
        return hooks.register(self, "before_forward", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> HookHandle:
        """Call ``hook(module, args, output)`` after ``forward``; what it returns replaces the output."""
        return hooks.register(self, "after_forward", hook, prepend, with_kwargs=with_kwargs, always=always_call)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call ``hook(module, grad_output)`` when the gradient reaches this module; what it returns replaces it."""
        return hooks.register(self, "before_backward", hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> HookHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradient has passed; what it returns replaces grad_input."""
        return hooks.register(self, "after_backward", hook, prepend)

    def register_backward_hook(self, hook: Callable) -> HookHandle:
        """The deprecated form of :meth:`register_full_backward_hook`, and here the same.

        PyTorch's old hook shows as `grad_input` what enters the last operation inside the module, whatever that is; here it is always
        the gradients of the module's own inputs. `grad_output` is the same in both.
        """
        return self.register_full_backward_hook(hook)

    # ---- printing ---------------------------------------------------------------------------------------------------------
    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """Return what the printed form shows between the parentheses."""
        return ""

    def __repr__(self) -> str:
        details = self.extra_repr()
        children = [
            f"({name}): {indented(repr(self.__dict__[name]))}" for name, k in self._kinds.items() if k == MODULE
        ]
        return layout(self._get_name(), details.split("\n") if details else [], children)
