"""Penalties on large weights, biases or activities, to be added to the loss.

>>> import tinygrad_edu as tg
>>> from tinygrad_edu.nn.regularizers import L1, L2, Penalty
>>> model = tg.nn.Linear(3, 2)
>>> penalty = Penalty(model, kernel=L2(1e-4))
>>> loss = tg.nn.functional.mse_loss(model(tg.ones(5, 3)), tg.zeros(5, 2)) + penalty()

An optimizer's `weight_decay` is L2 on everything, biases included; here each kind of tensor has a regularizer of its own, and the
penalty is a number that can be shown.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_edu.grad_mode import is_grad_enabled
from tinygrad_edu.graph import HookHandle
from tinygrad_edu.nn.module import Module
from tinygrad_edu.tensor import Tensor

__all__ = ["L1", "L1L2", "L2", "Penalty"]

Regularizer = Callable[[Tensor], Tensor]


class L1:
    """strength * sum |w|: the same pull towards zero at any size, so that many weights become exactly or nearly zero."""

    def __init__(self, strength: float = 0.01):
        self.strength = _not_negative("L1", strength)

    def __call__(self, tensor: Tensor) -> Tensor:
        return self.strength * abs(tensor).sum()

    def __repr__(self) -> str:
        return f"L1({self.strength})"


class L2:
    """strength * sum w^2: a pull proportional to the size, so that large weights shrink and none becomes zero."""

    def __init__(self, strength: float = 0.01):
        self.strength = _not_negative("L2", strength)

    def __call__(self, tensor: Tensor) -> Tensor:
        return self.strength * (tensor * tensor).sum()

    def __repr__(self) -> str:
        return f"L2({self.strength})"


class L1L2:
    """Both together, also called elastic net."""

    def __init__(self, l1: float = 0.01, l2: float = 0.01):
        self.l1, self.l2 = L1(l1), L2(l2)

    def __call__(self, tensor: Tensor) -> Tensor:
        return self.l1(tensor) + self.l2(tensor)

    def __repr__(self) -> str:
        return f"L1L2(l1={self.l1.strength}, l2={self.l2.strength})"


def _not_negative(name: str, strength: float) -> float:
    if not strength >= 0:
        raise ValueError(
            f"{name}: strength must be at least 0, got {strength}. A negative one would reward large weights."
        )
    return strength


class Penalty:
    """What a network's regularizers add to the loss.

    Parameters
    ----------
    module : Module
    kernel : callable, optional
        For every weight with two dimensions or more. The usual choice: biases and normalisation are left free.
    bias : callable, optional
        For every bias.
    activity : callable, optional
        For what every layer puts out, per sample: the sum is divided by the length of the batch.
    layers : iterable of Module, optional
        The layers whose activity counts; by default all that have a kernel.

    Raises
    ------
    ValueError
        If there is no regularizer, or nothing in the module for one of them.
    """

    def __init__(
        self, module: Module, kernel: Regularizer | None = None, bias: Regularizer | None = None,
        activity: Regularizer | None = None, layers: Iterable[Module] | None = None,
    ):  # fmt: skip
        if kernel is None and bias is None and activity is None:
            raise ValueError("Penalty: nothing to do. Fix: Penalty(model, kernel=L2(1e-4)).")
        self.kernel, self.bias, self.activity = kernel, bias, activity
        named = list(module.named_parameters())
        self.kernels = [p for name, p in named if not _is_bias(name) and p.ndim >= 2]
        self.biases = [p for name, p in named if _is_bias(name)]
        if (kernel is not None and not self.kernels) or (bias is not None and not self.biases):
            raise ValueError(
                f"Penalty: {type(module).__name__} has no {'kernel' if not self.kernels else 'bias'} to penalise."
            )
        self._outputs: list[Tensor] = []
        self._handles: list[HookHandle] = []
        if activity is not None:
            chosen = [m for m in module.modules() if _has_kernel(m)] if layers is None else list(layers)
            self._handles = [each.register_forward_hook(self._keep) for each in chosen]
            self._handles.append(module.register_forward_pre_hook(self._forget, prepend=True))

    def _forget(self, module: Module, args: Any) -> None:
        self._outputs.clear()

    def _keep(self, module: Module, args: Any, output: Any) -> None:
        if is_grad_enabled() and isinstance(output, Tensor):
            self._outputs.append(output)

    def __call__(self) -> Tensor:
        """Return the penalty, of the last forward pass where activities count.

        Raises
        ------
        RuntimeError
            If activities count and there was no forward pass with gradients.
        """
        terms = [self.kernel(p) for p in self.kernels] if self.kernel is not None else []
        if self.bias is not None:
            terms += [self.bias(p) for p in self.biases]
        if self.activity is not None:
            if not self._outputs:
                raise RuntimeError(
                    "Penalty: no activity to penalise. Fix: call the model first, outside tg.no_grad(): loss = f(model(x)) + penalty()."
                )
            terms += [self.activity(out) / max(1, len(out)) for out in self._outputs]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def remove(self) -> None:
        """Stop watching the layers' activities."""
        for handle in self._handles:
            handle.remove()
        self._outputs.clear()


def _is_bias(name: str) -> bool:
    return "bias" in name.rpartition(".")[2]


def _has_kernel(module: Module) -> bool:
    return any(p.ndim >= 2 for name, p in module.named_parameters(recurse=False) if not _is_bias(name))
