"""Schedules that go up and down, and move momentum the other way.

References
----------
.. [1] L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, arXiv:1506.01186.
.. [2] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
   arXiv:1708.07120.
"""

import math
from collections.abc import Callable
from typing import Any

from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.schedule import LRScheduler, must_be_optimizer, per_group

__all__ = ["CyclicLR", "OneCycleLR"]


class _WithMomentum(LRScheduler):
    """What both share: setting the momentum, or Adam's first beta, of each group."""

    cycle_momentum: bool

    def _check_momentum(self, optimizer: Optimizer) -> None:
        if self.cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"{type(self).__name__}: optimizer must support momentum or beta1 with `cycle_momentum` option enabled. "
                "Fix: cycle_momentum=False."
            )

    @staticmethod
    def _set_momentum(group: dict[str, Any], value: float) -> None:
        if "betas" in group:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_WithMomentum):
    """The rate rises from base_lr to max_lr in step_size_up batches, falls back in step_size_down, and so on [1]_.

    Parameters
    ----------
    mode : {"triangular", "triangular2", "exp_range"}
        Peaks of equal height, each half of the one before, or lower by gamma^batch.
    scale_fn : callable, optional
        A height of one's own: of the cycle's number, or with ``scale_mode="iterations"`` of the batch's.
    cycle_momentum : bool
        Let momentum fall from max_momentum to base_momentum while the rate rises.
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: float | list[float], max_lr: float | list[float], step_size_up: int = 2000,
        step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle", cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8, max_momentum: float | list[float] = 0.9, last_epoch: int = -1,
    ):  # fmt: skip
        must_be_optimizer(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"CyclicLR: mode {mode!r} is invalid and scale_fn is None")
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        self.total_size = float(step_size_up + (step_size_up if step_size_down is None else step_size_down))
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None or mode != "exp_range" else "iterations"
        self.cycle_momentum = cycle_momentum
        self._check_momentum(optimizer)
        self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
        self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for group, rate, momentum in zip(optimizer.param_groups, base_lrs, self.max_momentums, strict=True):
                group["lr"] = rate
                if cycle_momentum:
                    self._set_momentum(group, momentum)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _height(self, cycle: int) -> float:
        x = cycle if self.scale_mode == "cycle" else self.last_epoch
        if self._scale_fn is not None:
            return self._scale_fn(x)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle  # how far into the cycle, from 0 to 1
        up = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        share = up * self._height(cycle)
        if self.cycle_momentum:
            momenta = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, base, highest in momenta:
                self._set_momentum(group, highest - (highest - base) * share)
        return [base + (highest - base) * share for base, highest in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return the state, without a function of one's own."""
        return {key: value for key, value in super().state_dict().items() if key != "_scale_fn"}


class OneCycleLR(_WithMomentum):
    """One rise from max_lr / div_factor to max_lr and one long fall, to a rate final_div_factor lower than the first [2]_.

    Call ``step()`` after every batch.

    Parameters
    ----------
    max_lr : float or list
    total_steps : int, optional
        The number of batches in the whole training; or give `epochs` and `steps_per_epoch`.
    pct_start : float
        The share of steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Let momentum move the other way, between base_momentum and max_momentum.
    three_phase : bool
        Fall as steeply as the rise first, then from the first rate to the last.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int | None = None, epochs: int | None = None,
        steps_per_epoch: int | None = None, pct_start: float = 0.3, anneal_strategy: str = "cos", cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85, max_momentum: float | list[float] = 0.95, div_factor: float = 25.0,
        final_div_factor: float = 1e4, three_phase: bool = False, last_epoch: int = -1,
    ):  # fmt: skip
        must_be_optimizer(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.cycle_momentum, self.anneal_strategy = cycle_momentum, anneal_strategy
        self._check_momentum(optimizer)
        # Each phase: its last step, and the names of the rate and the momentum it ends at.
        self._phases = [(pct_start * self.total_steps - 1, "max_lr", "base_momentum")]
        if three_phase:
            self._phases.append((2 * pct_start * self.total_steps - 2, "initial_lr", "max_momentum"))
        self._phases.append((self.total_steps - 1, "min_lr", "max_momentum"))
        if last_epoch == -1:
            self._prepare(optimizer, max_lr, base_momentum, max_momentum, div_factor, final_div_factor)
        super().__init__(optimizer, last_epoch)

    def _prepare(
        self, optimizer: Optimizer, max_lr: Any, base_momentum: Any, max_momentum: Any, div_factor: float, final_div_factor: float
    ) -> None:  # fmt: skip
        """Write the rates and momenta of the corners into each group."""
        rates = per_group("max_lr", optimizer, max_lr)
        low, high = (per_group("momentum", optimizer, m) for m in (base_momentum, max_momentum))
        for number, group in enumerate(optimizer.param_groups):
            group["initial_lr"], group["max_lr"] = rates[number] / div_factor, rates[number]
            group["min_lr"] = group["initial_lr"] / final_div_factor
            if self.cycle_momentum:
                self._set_momentum(group, high[number])
                group["max_momentum"], group["base_momentum"] = high[number], low[number]

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2.0 * (1 + math.cos(math.pi * share))

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR: tried to step {step} times. The specified number of total steps is {self.total_steps}."
            )
        number = next((i for i, phase in enumerate(self._phases) if step <= phase[0]), len(self._phases) - 1)
        end, rate, momentum = self._phases[number]
        before, old_rate, old_momentum = self._phases[number - 1] if number else (0.0, "initial_lr", "max_momentum")
        share = (step - before) / (end - before)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                self._set_momentum(group, self._between(group[old_momentum], group[momentum], share))
        return [self._between(group[old_rate], group[rate], share) for group in self.optimizer.param_groups]


def _total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        if total_steps <= 0 or not isinstance(total_steps, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise ValueError("OneCycleLR: you must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
        if value <= 0 or not isinstance(value, int):
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return epochs * steps_per_epoch
