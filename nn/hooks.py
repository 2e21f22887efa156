"""Functions that a Module calls around its forward and backward passes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.graph import HookHandle
from tinygrad_edu.primitive import registry
from tinygrad_edu.tensor import Tensor

__all__ = ["Hooks", "call_with_hooks", "register"]


@dataclass(eq=False)
class Hook:
    """One registered function and how it wants to be called."""

    call: Callable
    with_kwargs: bool = False
    always: bool = False


@dataclass
class Hooks:
    """The hooks of one module, by the moment they run."""

    before_forward: list[Hook] = field(default_factory=list)
    after_forward: list[Hook] = field(default_factory=list)
    before_backward: list[Hook] = field(default_factory=list)
    after_backward: list[Hook] = field(default_factory=list)
    before_state: list[Hook] = field(default_factory=list)
    after_state: list[Hook] = field(default_factory=list)
    before_load: list[Hook] = field(default_factory=list)
    after_load: list[Hook] = field(default_factory=list)


def register(module: Any, moment: str, hook: Callable, prepend: bool, **options: bool) -> HookHandle:
    """Enter `hook` in the module's list for `moment`; the returned handle removes it."""
    if not callable(hook):
        raise TypeError(f"{type(module).__name__}: a hook must be callable, got {type(hook).__name__}")
    if module._hooks is None:
        module.__dict__["_hooks"] = Hooks()
    hooks = getattr(module._hooks, moment)
    entry = Hook(hook, **options)
    hooks.insert(0 if prepend else len(hooks), entry)
    return HookHandle(hooks, entry)


def call_with_hooks(module: Any, args: tuple, kwargs: dict) -> Any:
    """Run ``module.forward`` with its hooks around it."""
    hooks: Hooks = module._hooks
    for hook in tuple(hooks.before_forward):
        args, kwargs = _before_forward(module, hook, args, kwargs)
    backward = _Backward(module) if hooks.before_backward or hooks.after_backward else None
    if backward is not None:
        args = backward.watch_inputs(args)
    done: list[Hook] = []
    try:
        out = module.forward(*args, **kwargs)
        for hook in tuple(hooks.after_forward):
            done.append(hook)
            changed = _after_forward(module, hook, args, kwargs, out)
            out = out if changed is None else changed
    except Exception:
        for hook in tuple(hooks.after_forward):
            if hook.always and hook not in done:
                _after_forward(module, hook, args, kwargs, None)
        raise
    return out if backward is None else backward.watch_outputs(out)


def _before_forward(module: Any, hook: Hook, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    if not hook.with_kwargs:
        changed = hook.call(module, args)
        if changed is None:
            return args, kwargs
        return (changed if isinstance(changed, tuple) else (changed,)), kwargs
    changed = hook.call(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(
            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
        )
    return changed


def _after_forward(module: Any, hook: Hook, args: tuple, kwargs: dict, out: Any) -> Any:
    return hook.call(module, args, kwargs, out) if hook.with_kwargs else hook.call(module, args, out)


class _Backward:
    """Collects the gradients of one call's outputs and inputs, and shows them to the module's backward hooks.

    Each input passes through an identity, so that only the gradient which flows through this module is seen.
    """

    def __init__(self, module: Any):
        self.module = module
        self.outputs = self.inputs = 0  # how many of them want a gradient
        self.grad_output: list[Any] = []
        self.grad_input: list[Any] = []

    def watch_inputs(self, args: tuple) -> tuple:
        self.grad_input = [None] * len(args)
        self.inputs = sum(map(_has_gradient, args))
        return tuple(self._watched(i, a) if _has_gradient(a) else a for i, a in enumerate(args))

    def _watched(self, position: int, tensor: Tensor) -> Tensor:
        out = registry["view_as"].function(tensor, tensor)
        out.register_hook(lambda grad: self._input_gradient(position, grad))
        return out

    def watch_outputs(self, out: Any) -> Any:
        outputs = out if isinstance(out, tuple | list) else (out,)
        self.grad_output = [None] * len(outputs)
        self.outputs = sum(map(_has_gradient, outputs))
        for position, tensor in enumerate(outputs):
            if _has_gradient(tensor):
                tensor.register_hook(lambda grad, position=position: self._output_gradient(position, grad))
        return out

    def _output_gradient(self, position: int, grad: Tensor) -> Tensor:
        self.grad_output[position] = grad
        if _known(self.grad_output) == self.outputs:
            for hook in tuple(self.module._hooks.before_backward):
                changed = hook.call(self.module, tuple(self.grad_output))
                if changed is not None:
                    self.grad_output = list(changed) if isinstance(changed, tuple) else [changed]
            if not self.inputs:  # the first layer of a network: there is nothing more to wait for
                return self._show(self.grad_output, position)
        return self.grad_output[position]

    def _input_gradient(self, position: int, grad: Tensor) -> Tensor:
        self.grad_input[position] = grad
        if _known(self.grad_input) < self.inputs:
            return grad
        return self._show(self.grad_input, position)

    def _show(self, which: list, position: int) -> Any:
        """Call the hooks, forget the gradients (a retained graph may come this way again), and return one of them."""
        for hook in tuple(self.module._hooks.after_backward):
            changed = hook.call(self.module, tuple(self.grad_input), tuple(self.grad_output))
            if changed is None:
                continue
            if self.inputs > 1:
                raise RuntimeError(
                    f"backward hook of {type(self.module).__name__}: the gradients of {self.inputs} inputs cannot be replaced, "
                    "they are already on their way. Fix: use tensor.register_hook on each input."
                )
            self.grad_input[:] = changed if isinstance(changed, tuple) else (changed,)
        answer = which[position]
        self.grad_input, self.grad_output = [None] * len(self.grad_input), [None] * len(self.grad_output)
        return answer


def _known(gradients: list) -> int:
    return sum(g is not None for g in gradients)


def _has_gradient(value: Any) -> bool:
    return isinstance(value, Tensor) and value.node is not None
