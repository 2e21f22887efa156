"""Lower the learning rate when a measure stops improving."""

from typing import Any, SupportsFloat

from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.schedule import LRScheduler, must_be_optimizer, per_group
from tinygrad_edu.recorders import again

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rates by `factor` when a measure has not improved for more than `patience` epochs.

    Parameters
    ----------
    mode : {"min", "max"}
        Whether the measure should fall (a loss) or rise (an accuracy).
    factor : float
    patience : int
    threshold : float
        How much better counts as better: a share of the best (`threshold_mode` "rel") or an amount ("abs").
    cooldown : int
        Epochs after a reduction in which nothing is counted.
    min_lr : float or list
    eps : float
        Smaller changes of a rate are not made.
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        threshold_mode: str = "rel", cooldown: int = 0, min_lr: float | list[float] = 0, eps: float = 1e-8,
    ):  # fmt: skip
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor should be < 1.0, got {factor}")
        must_be_optimizer(optimizer)
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode {mode} is unknown! Fix: 'min' or 'max'.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: threshold mode {threshold_mode} is unknown! Fix: 'rel' or 'abs'.")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = per_group("min_lr", optimizer, min_lr)
        self.best = float("inf") if mode == "min" else -float("inf")
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = self._rates

    @property
    def in_cooldown(self) -> bool:
        """Whether a reduction was made so recently that nothing is counted."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            edge = self.best * (1.0 + sign * self.threshold)
        else:
            edge = self.best + sign * self.threshold
        return value > edge if self.mode == "max" else value < edge

    @again
    def step(self, metrics: SupportsFloat, epoch: Any = None) -> None:  # type: ignore[override]
        """Look at the measure of one epoch."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        better = self._is_better(value)
        if better:
            self.best = value
        self.num_bad_epochs = 0 if better or self.in_cooldown else self.num_bad_epochs + 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.num_bad_epochs, self.cooldown_counter = 0, self.cooldown
        self._last_lr = self._rates

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        lowest = self.min_lrs + self.min_lrs[-1:] * (len(groups) - len(self.min_lrs))  # groups added since
        for group, least in zip(groups, lowest, strict=True):
            lower = max(group["lr"] * self.factor, least)
            if group["lr"] - lower > self.eps:
                group["lr"] = lower
