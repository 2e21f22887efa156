"""Averaging a model's weights over a training: stochastic weight averaging, and exponential moving averages.

References
----------
P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018, arXiv:1803.05407.
"""

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import _BatchNorm
from tinygrad_edu.ops.creation import tensor
from tinygrad_edu.optim.optimizer import Optimizer, checked_range
from tinygrad_edu.optim.schedule import LRScheduler, per_group
from tinygrad_edu.tensor import Tensor

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Tensor | int], Tensor]
AverageAll = Callable[[list[Tensor], list[Tensor], Tensor | int], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Return the rule of the exponential moving average: ``average = decay * average + (1 - decay) * weight``."""
    checked_range("decay value", decay, 0.0, 1.0)

    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Tensor | int) -> Tensor:
        with no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Average:
    """Return the rule of the equal-weight average: ``average = average + (weight - average) / (n + 1)``."""

    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Tensor | int) -> Tensor:
        with no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """Return the rule of :func:`get_ema_avg_fn` for lists of tensors, changed in place."""
    return _for_all(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> AverageAll:
    """Return the rule of :func:`get_swa_avg_fn` for lists of tensors, changed in place."""
    return _for_all(get_swa_avg_fn())


def _for_all(rule: Average) -> AverageAll:
    def update(averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor | int) -> None:
        with no_grad():
            for average, weight in zip(averaged, current, strict=True):
                average.copy_(rule(average, weight, num_averaged))

    return update


class AveragedModel(Module):
    """A copy of a model that holds averages of the model's weights.

    The first :meth:`update_parameters` copies the weights, each later one averages. The average often generalizes better than
    the last weights. Batch norms must see data again before it is used: :func:`update_bn`.

    Parameters
    ----------
    model : Module
    device : optional
        Where the copy is.
    avg_fn : callable, optional
        ``avg_fn(average, weight, n)`` returns the next average of a tensor, when n models have been averaged; equal weights by
        default.
    multi_avg_fn : callable, optional
        The same for lists of tensors, whose first is changed in place.
    use_buffers : bool
        Average the buffers too; otherwise they are copied at each update.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.optim.swa_utils import AveragedModel
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> average = AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = tg.nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.item()
    3.0
    """

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Average | None = None, multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False,
    ):  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Average in the present weights of `model`."""
        mine, theirs = (_weights(m, self.use_buffers) for m in (self.module, model))
        with no_grad():
            if not self.n_averaged:
                self._copy(mine, theirs)
            elif self.multi_avg_fn is not None:
                self._by_type(mine, theirs)
            else:
                _for_all(self.avg_fn or get_swa_avg_fn())(mine, theirs, self.n_averaged)
            if not self.use_buffers:
                self._copy(_buffers(self.module), _buffers(model))
            self.n_averaged += 1

    def _by_type(self, mine: list[Tensor], theirs: list[Tensor]) -> None:
        """Call the rule for lists once for each dtype, as it may join them to one array."""
        assert self.multi_avg_fn is not None
        for kind in dict.fromkeys(average.dtype for average in mine):
            chosen = [i for i, average in enumerate(mine) if average.dtype == kind]
            self.multi_avg_fn([mine[i] for i in chosen], [theirs[i] for i in chosen], self.n_averaged)

    @staticmethod
    def _copy(mine: list[Tensor], theirs: list[Tensor]) -> None:
        for average, weight in zip(mine, theirs, strict=True):
            average.copy_(weight)


def _weights(model: Module, with_buffers: bool) -> list[Tensor]:
    parameters = [p.detach() for p in model.parameters()]
    return parameters + _buffers(model) if with_buffers else parameters


def _buffers(model: Module) -> list[Tensor]:
    return [b.detach() for b in model.buffers()]


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch norms of a model again, as plain averages over one pass through the data.

    Parameters
    ----------
    loader : iterable
        Batches: tensors, or tuples whose first entry is what the model is called with.
    model : Module
    device : optional
        Where the batches go first.
    """
    norms = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not norms:
        return
    was_training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    with no_grad():
        for batch in loader:
            x = batch[0] if isinstance(batch, list | tuple) else batch
            model(x if device is None else x.to(device))
    for norm, momentum in norms.items():
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present learning rate to `swa_lr` within `anneal_epochs`, and on with that.

    ``lr = (1 - a) * first + a * swa_lr``, where a rises from 0 to 1 as ``(1 - cos(pi t)) / 2``, or as t itself.

    Parameters
    ----------
    optimizer : Optimizer
    swa_lr : float, or one for each group
    anneal_epochs : int
    anneal_strategy : {"cos", "linear"}
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | list[float], anneal_epochs: int = 10, anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ):  # fmt: skip
        for rate, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """Return a, the share of swa_lr."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[float]:
        """Return the next rates, from the present ones: those of the start follow from them and the share before."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now, rates = self._share(step - 1), self._share(step), []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            first = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + first * (1 - now))
        return rates
