"""Ways of choosing what to prune. Each is a class whose ``compute_mask`` adds zeros to a mask; see :mod:`.prune` for their use."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.utils.weight_hooks import WeightHook
from tinygrad_edu.ops.reduction import norm
from tinygrad_edu.ops.sampling import rand, rand_like
from tinygrad_edu.ops.sorting import kthvalue, topk
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured",
]  # fmt: skip

Amount = int | float


class BasePruningMethod(WeightHook):
    """Base class of all: a subclass sets `PRUNING_TYPE` and defines ``compute_mask(t, default_mask)``.

    Attributes
    ----------
    PRUNING_TYPE : {"unstructured", "structured", "global"}
        When a tensor is pruned again, the method sees only the elements that are left, only the channels (along `dim`) in which
        some are left, or everything.
    """

    PRUNING_TYPE: ClassVar[str]
    _tensor_name: str = ""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the tensor that is pruned."""
        return self._tensor_name

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return `default_mask` with more zeros, given how important each element is."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_mask(t, default_mask)")

    def computed(self, module: Module) -> Tensor:
        mask, original = getattr(module, f"{self.name}_mask"), getattr(module, f"{self.name}_orig")
        return mask.to(original.dtype) * original

    apply_mask = computed

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> "BasePruningMethod":
        """Prune the tensor `name` of a module by this method, made with the further arguments."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        before, tensor = BasePruningMethod.on(module, name), getattr(module, name)
        scores = tensor if importance_scores is None else importance_scores
        if tuple(scores.shape) != tuple(tensor.shape):
            raise AssertionError(
                f"{cls.__name__}: importance_scores should have the same shape as parameter {name}: {tuple(tensor.shape)}, got "
                f"{tuple(scores.shape)}."
            )
        used = method if before is None else _together(before, method)
        if before is None:
            mask = method.compute_mask(scores, _ones_like(tensor))
            delattr(module, name)
            module.register_parameter(f"{name}_orig", tensor)
        else:
            mask = used.compute_mask(scores, getattr(module, f"{name}_mask").detach().clone())
            before.detach(module)
        module.register_buffer(f"{name}_mask", mask.detach())
        used(module, ())
        used.attach(module)
        return used

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """Return the tensor `t` with zeros where this method prunes it."""
        scores = t if importance_scores is None else importance_scores
        if tuple(scores.shape) != tuple(t.shape):
            raise AssertionError(f"importance_scores should have the same shape as tensor t: {tuple(t.shape)}")
        return t * self.compute_mask(scores, _ones_like(t) if default_mask is None else default_mask)

    def remove(self, module: Module) -> None:
        """Make the tensor a parameter again, with its zeros."""
        if self.name not in (known := module.__dict__) or f"{self.name}_mask" not in known:
            raise AssertionError(f"Module {type(module).__name__} has to be pruned before pruning can be removed")
        weight, original = self.computed(module), getattr(module, f"{self.name}_orig")
        original.data = weight.detach()
        for part in ("", "_orig", "_mask"):
            delattr(module, self.name + part)
        setattr(module, self.name, original)
        self.detach(module)


def _ones_like(t: Tensor) -> Tensor:
    return wrap(np.ones_like(t.array()))


def _together(before: BasePruningMethod, method: BasePruningMethod) -> "PruningContainer":
    container = before if isinstance(before, PruningContainer) else PruningContainer(before)
    container.add_pruning_method(method)
    return container


class PruningContainer(BasePruningMethod):
    """The methods by which one tensor was pruned, one after the other."""

    def __init__(self, *args: Any):
        given = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in given:
            self._tensor_name = self._tensor_name or method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Append a method for the same tensor."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods = (*self._pruning_methods, method)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Let the last method choose among what is left."""
        method, mask = self._pruning_methods[-1], default_mask.array().astype(t.array().dtype)
        if method.PRUNING_TYPE == "unstructured":
            place: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim if hasattr(method, "dim") else None
            if dim is None:
                raise AttributeError(
                    f"Pruning methods of PRUNING_TYPE 'structured' need the attribute `dim`: {type(method)}"
                )
            left = mask.sum(axis=tuple(d for d in range(t.ndim) if d != dim)) != 0
            place = (slice(None),) * dim + (left,)
        elif method.PRUNING_TYPE == "global":
            place = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask[place] = method.compute_mask(wrap(t.array()[place]), wrap(mask[place])).array()
        return wrap(mask)


class Identity(BasePruningMethod):
    """Prune nothing, but make the tensor's mask."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _ByAmount(BasePruningMethod):
    """What methods share that prune a number (int) or a share (float) of elements or channels."""

    def __init__(self, amount: Amount):
        if not isinstance(amount, int | float | np.number):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        whole = isinstance(amount, int | np.integer)
        if amount < 0 or (not whole and float(amount) > 1.0):
            raise ValueError(
                f"amount={amount} should either be a float in the range [0.0, 1.0] or a non-negative integer"
            )
        self.amount = amount

    def _number(self, size: int) -> int:
        """Return how many of `size` to prune."""
        if not isinstance(self.amount, int | np.integer):
            return round(self.amount * size)
        if self.amount > size:
            raise ValueError(f"amount={self.amount} should be smaller than the number of parameters to prune={size}")
        return int(self.amount)


class RandomUnstructured(_ByAmount):
    """Prune elements at random."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return _without(default_mask, rand_like(t), self._number(t.numel()), largest=True)


class L1Unstructured(_ByAmount):
    """Prune the elements of the least magnitude."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return _without(default_mask, t.detach().abs(), self._number(t.numel()), largest=False)


def _without(mask: Tensor, scores: Tensor, number: int, largest: bool) -> Tensor:
    """Return a copy of the mask with zeros at the `number` largest or smallest scores."""
    values = mask.array().copy()
    if number:
        values.reshape(-1)[topk(scores.reshape(-1), number, largest=largest).indices.array()] = 0
    return wrap(values)


class _Channels(_ByAmount):
    """What methods share that prune whole channels, the slices along `dim`."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Amount, dim: int = -1):
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
                f"{tuple(t.shape)} with {t.ndim} dims"
            )
        if not -t.ndim <= self.dim < t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {tuple(t.shape)}")
        size = t.shape[self.dim]
        number = self._number(size)
        if not number:
            return default_mask
        shape = [1] * t.ndim
        shape[self.dim] = size
        return default_mask * wrap(self._kept(t, size, number).reshape(shape).astype(default_mask.array().dtype))

    def _kept(self, t: Tensor, size: int, number: int) -> np.ndarray:
        """Return which of `size` channels stay when `number` go, as bools."""
        raise NotImplementedError


class RandomStructured(_Channels):
    """Prune channels at random."""

    def _kept(self, t: Tensor, size: int, number: int) -> np.ndarray:
        drawn = rand(size)
        return (drawn > kthvalue(drawn, number).values).array()


class LnStructured(_Channels):
    """Prune the channels of the least n-norm."""

    def __init__(self, amount: Amount, n: Any, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _kept(self, t: Tensor, size: int, number: int) -> np.ndarray:
        others = tuple(d for d in range(t.ndim) if d != self.dim % t.ndim)
        kept = np.zeros(size, bool)
        kept[topk(norm(t.detach(), p=self.n, dim=others), size - number, largest=True).indices.array()] = True
        return kept


class CustomFromMask(BasePruningMethod):
    """Prune by a mask of one's own."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if tuple(default_mask.shape) != tuple(self.mask.shape):
            raise AssertionError(f"mask must have shape {tuple(default_mask.shape)}, got {tuple(self.mask.shape)}")
        return default_mask * self.mask.to(default_mask.dtype)
