"""LRScheduler: what all learning rate schedules share."""

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.errors import teach
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.recorders import again

__all__ = ["LRScheduler"]


class LRScheduler:
    """Base class of schedules: ``step()``, called after each epoch (or batch), sets the learning rate of every group.

    Subclasses define ``get_lr()``, the groups' next rates, usually from their present ones: so several schedules can act on one
    optimizer together.

    Attributes
    ----------
    base_lrs : list of float
        The groups' rates at the start, also kept in ``group["initial_lr"]``.
    last_epoch : int
        How many times ``step()`` was called.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        must_be_optimizer(optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming with last_epoch={last_epoch}. "
                    "Fix: optimizer.load_state_dict(...) first, or leave last_epoch out."
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._begin()

    def _begin(self) -> None:
        self._step_count = 0
        self.step()

    def get_lr(self) -> list[float]:
        """Return each group's learning rate for ``self.last_epoch``."""
        raise NotImplementedError(f"{type(self).__name__} must define get_lr()")

    def closed_form(self) -> list[float]:
        """Return the same without looking at the present rates, where there is a formula for that."""
        return self.get_lr()

    def get_last_lr(self) -> list[float]:
        """Return the groups' present learning rates."""
        return self._last_lr

    @again
    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch, or to the one given."""
        if self._step_count == 1 and self.optimizer._steps == 0 and counts_steps(self.optimizer):
            teach(
                "E307",
                f"{type(self).__name__}.step",
                "the schedule advanced before the first optimizer.step(), so the first learning rate was never used.",
                "optimizer.step(), then scheduler.step().",
            )
        self._step_count += 1
        self._go_to(epoch)

    def _go_to(self, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set(self.get_lr() if epoch is None else self.closed_form())

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    @property
    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that ``state_dict()`` returned."""
        self.__dict__.update(state_dict)


def counts_steps(optimizer: Optimizer) -> bool:
    """Tell whether the optimizer's ``step`` is one of ours; a user's own may not count."""
    return type(optimizer).step.__module__.startswith("tinygrad_edu.")


def must_be_optimizer(optimizer: Any) -> None:
    """Refuse anything else."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """Return one value for each group."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups: expected {groups} values, got {len(value)}"
        )
    return list(value)
