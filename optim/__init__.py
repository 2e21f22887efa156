"""Optimizers, and schedules for their learning rates."""

if __name__ != "tinygrad_edu.optim":
    raise ImportError(
        f"this folder is the package tinygrad_edu.optim, not {__name__}. Fix: import tinygrad_edu.optim, not optim."
    )

from tinygrad_edu.optim.adam import Adam, AdamW
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.rmsprop import RMSprop
from tinygrad_edu.optim.sgd import SGD
