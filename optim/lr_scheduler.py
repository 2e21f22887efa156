"""Schedules for learning rates, under PyTorch's module name; each family has a file of its own."""

from tinygrad_edu.optim.schedule import LRScheduler
from tinygrad_edu.optim.schedule_combined import ChainedScheduler, SequentialLR
from tinygrad_edu.optim.schedule_cyclic import CyclicLR, OneCycleLR
from tinygrad_edu.optim.schedule_plateau import ReduceLROnPlateau
from tinygrad_edu.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau",
    "SequentialLR", "StepLR",
]  # fmt: skip

_LRScheduler = LRScheduler  # its name until 2022, which older courses subclass
