"""Optimizer: what all optimizers share; each subclass holds only its formula.

A subclass says what it remembers for a parameter (`start`) and how one array changes (`update`). The loop over groups and
parameters, closures, state dicts and messages are here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.errors import teach
from tinygrad_edu.grad_mode import enable_grad
from tinygrad_edu.graph import HookHandle
from tinygrad_edu.memory import note_writes
from tinygrad_edu.mistakes import suspicions, voice_suspicions
from tinygrad_edu.optim import groups
from tinygrad_edu.optim.flat import Flat, flattened
from tinygrad_edu.recorders import again
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["Optimizer"]

State = dict[str, Any]


class Optimizer:
    """Base class of all optimizers.

    Parameters
    ----------
    params : iterable
        Tensors, or pairs (name, Tensor), or dicts ``{"params": ..., "lr": ...}`` that start groups with options of their own.
    defaults : dict
        The options of groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        Each holds its tensors under "params" beside its options; changing an option counts from the next step on.
    state : dict
        By parameter, what the optimizer remembers of it, such as a running mean of its gradients.
    """

    elementwise = False  # whether `update` treats every number alike, so that parameters may be joined
    _step_hooks: tuple[list, list] | None = None
    _last_gradient: np.ndarray | None = None  # of the last parameter, as the last step saw it, and its first element
    _last_value = 0.0

    def __init__(self, params: Any, defaults: dict[str, Any]):
        if defaults.get("differentiable"):
            raise NotImplementedError(
                f"{type(self).__name__}: steps are not recorded in the graph. Fix: leave out differentiable=True."
            )
        self.defaults, self._name = defaults, f"{type(self).__name__}.step"
        self.state: dict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._stepped, self._dropped, self._steps = False, False, 0
        self._flats: dict[int, Flat | None] = {}  # by the number of the group
        for group in groups.as_groups(type(self).__name__, params):
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add tensors with options of their own, for instance layers that are unfrozen later."""
        self.param_groups.append(groups.complete(type(self).__name__, param_group, self.defaults, self.param_groups))

    # ---- what a subclass defines ------------------------------------------------------------------------------------------
    def start(self, p: np.ndarray, group: dict[str, Any]) -> State:
        """Return what to remember of a parameter before its first step."""
        return {}

    def update(self, p: np.ndarray, g: np.ndarray, state: State, group: dict[str, Any]) -> None:
        """Change the array `p` in place, given its gradient `g`."""
        raise NotImplementedError(f"{type(self).__name__} must define update(p, g, state, group), or step().")

    # ---- a step -----------------------------------------------------------------------------------------------------------
    @again
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients again, and returns the loss.

        Returns
        -------
        The closure's loss, or None.
        """
        if self._step_hooks is not None:
            self._run_hooks(0, closure)
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        written: list[np.ndarray] = []
        for number, group in enumerate(self.param_groups):
            self._step_group(number, group, written)
        self._finish(written)
        if self._step_hooks is not None:
            self._run_hooks(1, closure)
        return loss

    def _step_group(self, number: int, group: dict[str, Any], written: list[np.ndarray]) -> None:
        """Change the parameters of a group: the small ones together, the others one by one."""
        params, flat = group["params"], self._flats.get(number)
        if flat is None and self.elementwise and self._steps == 1 and len(params) > 1:
            flat = self._flats[number] = flattened(params, self.state)
        if flat is not None:
            if flat.gather():
                self.update(flat.p, flat.g, flat.state, group)
                flat.spread()
                written.append(flat.p)
                params = flat.others(params)
            else:  # a parameter that had no gradient this time: from now on each has steps of its own
                self._flats[number] = None
        for parameter in params:
            g = gradient_of(parameter)
            if g is None:
                continue
            p = parameter._data
            if p.__class__ is not np.ndarray:
                p = parameter.array()
            state = self.state.get(parameter)
            if not state:
                state = self.state[parameter] = self.start(p, group)
            self.update(p, g, state, group)
            written.append(p)

    def _finish(self, written: list[np.ndarray]) -> None:
        """Stamp the parameters that were overwritten, and notice a step that had nothing to do (E302)."""
        name = self._name
        note_writes(written, name)
        if not written and self._dropped:
            teach(
                "E302",
                name,
                "every gradient is None: zero_grad() came between backward() and step(), so nothing was updated.",
                "optimizer.zero_grad(); loss.backward(); optimizer.step()",
            )
        self._stepped, self._dropped = bool(written), False
        self._steps += 1
        self._notice_old_gradients(name)
        if suspicions:
            voice_suspicions(self)

    def _notice_old_gradients(self, name: str) -> None:
        """Warn (E301) when the last parameter's gradient is still the array of the step before, with more added to it.

        An array that nobody has looked at as a Tensor cannot have been cleared in place, and one that was forgotten is another object.
        """
        leaf = self.param_groups[-1]["params"][-1].node
        total = None if leaf is None else leaf.total
        if total.__class__ is not np.ndarray or not total.size:
            self._last_gradient = None
            return
        value = total.item(0)
        if total is self._last_gradient and value != self._last_value and self._last_value == self._last_value:
            teach(
                "E301",
                name,
                "the gradients of the step before were not forgotten: backward() added the new ones to them, so the step went along a sum.",
                "optimizer.zero_grad() before every backward(), or after every step().",
            )
        self._last_gradient, self._last_value = total, value

    @again
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False`` fill them with zeros instead.

        Call it once for each step, before ``backward()``: gradients add up until they are forgotten.
        """
        found = False
        for group in self.param_groups:
            for parameter in group["params"]:
                leaf = parameter.node
                if set_to_none and leaf is not None:
                    if leaf.total is not None:
                        leaf.total, found = None, True
                elif parameter.grad is not None:
                    parameter.grad = None if set_to_none else wrap(np.zeros_like(parameter.array()))
        self._dropped, self._stepped, self._last_gradient = found and not self._stepped, False, None

    # ---- hooks ------------------------------------------------------------------------------------------------------------
    def register_step_pre_hook(self, hook: Callable) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` before every step."""
        return self._add_hook(0, hook)

    def register_step_post_hook(self, hook: Callable) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` after every step."""
        return self._add_hook(1, hook)

    def _add_hook(self, moment: int, hook: Callable) -> HookHandle:
        if self._step_hooks is None:
            self._step_hooks = ([], [])
        self._step_hooks[moment].append(hook)
        return HookHandle(self._step_hooks[moment], hook)

    def _run_hooks(self, moment: int, closure: Callable | None) -> None:
        for hook in tuple(self._step_hooks[moment]):  # type: ignore[index]
            hook(self, () if closure is None else (closure,), {})

    # ---- saving -----------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Return the state (by the parameters' numbers) and the groups' options, in PyTorch's form."""
        return groups.pack(self.param_groups, self.state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that ``state_dict()`` returned; parameters are matched by their order.

        Raises
        ------
        ValueError
            If the number or the sizes of the groups differ.
        """
        self.param_groups, self.state = groups.unpack(state_dict, self.param_groups)
        self._flats = dict.fromkeys(range(len(self.param_groups)))

    def __repr__(self) -> str:
        rows = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            rows.append(f"Parameter Group {number}")
            rows += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*rows, ")"])


def gradient_of(parameter: Tensor) -> np.ndarray | None:
    """Return a parameter's gradient as an array, or None."""
    leaf = parameter.node
    total = leaf.total if leaf is not None else parameter._grad  # type: ignore[attr-defined]
    if total is None or total.__class__ is np.ndarray:
        return total
    return total.array() if isinstance(total, Tensor) else np.asarray(total)


def direction(p: np.ndarray, g: np.ndarray, group: dict[str, Any]) -> np.ndarray:
    """Return the gradient to follow: turned round for `maximize`, plus weight_decay * p (the gradient of an L2 penalty)."""
    if group["maximize"]:
        g = -g
    if group.get("weight_decay") and not group.get("decoupled_weight_decay"):
        g = g + group["weight_decay"] * p
    return g


def checked_range(name: str, value: Any, low: float = 0.0, high: float = float("inf"), open_end: bool = False) -> Any:
    """Return `value` if it lies between `low` and `high`, or say ``Invalid <name>: <value>``."""
    if isinstance(value, Tensor):
        value = value.item()
    if not (low <= value and (value < high if open_end else value <= high)):
        where = f">= {low:g}" if high == float("inf") else f"in [{low:g}, {high:g}{')' if open_end else ']'}"
        raise ValueError(f"Invalid {name}: {value}. Fix: a number {where}.")
    return value


def checked_betas(betas: Iterable[Any]) -> tuple[float, float]:
    """Return the two averaging factors, each in [0, 1)."""
    first, second = betas
    return (
        checked_range("beta parameter at index 0", first, 0.0, 1.0, open_end=True),
        checked_range("beta parameter at index 1", second, 0.0, 1.0, open_end=True),
    )
