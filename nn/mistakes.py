"""What a Module says about the mistakes that newcomers make with it (E120, E121, E122)."""

import difflib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinygrad_edu.errors import message, teach
from tinygrad_edu.tensor import Tensor

__all__: list[str] = []


def before_init(module: Any, kind: str, name: str) -> str:
    """E122: a part is assigned before ``Module.__init__`` has run."""
    own = type(module).__name__
    return message(
        "E122",
        f"{own}.__init__",
        f"cannot assign {kind} before Module.__init__() call: self.{name} = ... came first.",
        f"make super().__init__() the first line of {own}.__init__.",
    )


def no_attribute(module: Any, name: str) -> str:
    """An unknown attribute: the nearest name there is, or E122 if the module was never initialised."""
    own, home = type(module).__name__, module.__dict__
    if name.startswith("__"):
        return f"'{own}' object has no attribute '{name}'"
    if "_kinds" not in home:
        return message(
            "E122",
            own,
            f"'{own}' object has no attribute '{name}': Module.__init__() has not run.",
            f"make super().__init__() the first line of {own}.__init__.",
        )
    near = difflib.get_close_matches(name, [n for n in (*home, *dir(type(module))) if not n.startswith("_")], 1)
    return f"'{own}' object has no attribute '{name}'" + (f". Did you mean '{near[0]}'?" if near else "")


def no_forward(module: Any) -> NotImplementedError:
    """E121: the class has no ``forward``; name a method that looks like a misspelt one."""
    own = type(module).__name__
    methods = {
        name: value
        for cls in type(module).__mro__[:-1]
        if not cls.__module__.startswith("tinygrad_edu.")
        for name, value in vars(cls).items()
        if inspect.isfunction(value)
    }
    facts, fix = f'Module [{own}] is missing the required "forward" function.', "def forward(self, x): return ..."
    near = difflib.get_close_matches("forward", [n.lower() for n in methods], 1, cutoff=0.6)
    for name, function in methods.items():
        if near and name.lower() == near[0]:
            code = function.__code__
            facts += f" There is a method {name!r} at {Path(code.co_filename).name}:{code.co_firstlineno}."
            fix = f"rename {name} to forward."
    return NotImplementedError(message("E121", own, facts, fix))


def wrong_assignment(module: Any, name: str, kind: str, value: Any) -> str:
    """Something that cannot take the place of a registered parameter, buffer or module."""
    expected, fix = {
        "parameter": (
            "nn.Parameter",
            f"self.{name} = nn.Parameter(...), or self.{name}.data = ... to change the values",
        ),
        "buffer": ("Tensor", f"self.{name} = tg.tensor(...)"),
        "module": ("nn.Module", f"self.{name} = nn.Identity() removes a layer"),
    }[kind]
    return (
        f"cannot assign '{type(value).__name__}' as {kind} '{name}' of {type(module).__name__} ({expected} or None expected). "
        f"Fix: {fix}."
    )


def look_for_plain_containers(module: Any) -> None:
    """E120: layers or parameters that only a plain list or dict holds are not found by ``parameters()``. Said once."""
    if module.__dict__.get("_looked"):
        return
    module.__dict__["_looked"] = True
    for where, facts, fix in plain_containers(module):
        teach("E120", where, facts, fix)


def plain_containers(module: Any) -> Iterator[tuple[str, str, str]]:
    """Find the plain lists and dicts that hide layers or parameters: where, the facts, and the fix."""
    known = set()
    for each in module.modules():
        known.add(each)
        known.update(parameter for _, parameter in each._own("parameter"))
    for path, each in module.named_modules():
        for name, value in each.__dict__.items():
            if name.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            members = value.values() if isinstance(value, dict) else value
            lost = [m for m in members if _trains(m) and m not in known]
            if lost:
                yield _hidden(f"{path}.{name}" if path else name, each, name, value, lost[0])


def _trains(value: Any) -> bool:
    from tinygrad_edu.nn.module import Module
    from tinygrad_edu.nn.parameter import Parameter

    return isinstance(value, Parameter) or (
        isinstance(value, Module) and any(True for _ in value._named_members("parameter", "", True, True))
    )


def _hidden(path: str, owner: Any, name: str, container: Any, example: Any) -> tuple[str, str, str]:
    tensors = isinstance(example, Tensor)
    kind = ("Parameter" if tensors else "Module") + ("Dict" if isinstance(container, dict) else "List")
    facts = (
        f"{'parameters' if tensors else 'layers'} held in a plain {type(container).__name__} ({path}) are invisible to parameters(), "
        "so they would not train, nor be saved."
    )
    return f"{type(owner).__name__}.{name}", facts, f"self.{name} = nn.{kind}(...)."


def name_the_layer(error: Exception, module: Any) -> None:
    """Note in an error which layer of the network it came from; called by every module on the way out."""
    path: list[str] = getattr(error, "_layer_path", None) or []
    inner = getattr(error, "_layer", None)
    if inner is None:
        what = repr(module)
        description = what if "\n" not in what else type(module).__name__
    else:
        names = [name for name, child in module._own("module") if child is inner]
        path = names[:1] + path
        description = error._layer_description  # type: ignore[attr-defined]
        error.__notes__ = error.__notes__[:-1]
    try:
        error._layer, error._layer_path, error._layer_description = module, path, description  # type: ignore[attr-defined]
    except AttributeError:  # an exception class with slots
        return
    error.add_note("in layer " + (f"{'.'.join(path)} = {description}" if path else description))
