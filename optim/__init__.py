"""Optimizers, and schedules for their learning rates."""

if __name__ != "tinygrad_edu.optim":
    raise ImportError(
        f"this folder is the package tinygrad_edu.optim, not {__name__}. Fix: import tinygrad_edu.optim, not optim."
    )

from tinygrad_edu.optim import lr_scheduler as lr_scheduler
from tinygrad_edu.optim import swa_utils as swa_utils
from tinygrad_edu.optim.adadelta import *  # noqa: F403
from tinygrad_edu.optim.adafactor import *  # noqa: F403
from tinygrad_edu.optim.adagrad import *  # noqa: F403
from tinygrad_edu.optim.adam import *  # noqa: F403
from tinygrad_edu.optim.adamax import *  # noqa: F403
from tinygrad_edu.optim.asgd import *  # noqa: F403
from tinygrad_edu.optim.conjugate_gradient import *  # noqa: F403
from tinygrad_edu.optim.lbfgs import *  # noqa: F403
from tinygrad_edu.optim.levenberg_marquardt import *  # noqa: F403
from tinygrad_edu.optim.muon import *  # noqa: F403
from tinygrad_edu.optim.nadam import *  # noqa: F403
from tinygrad_edu.optim.newton import *  # noqa: F403
from tinygrad_edu.optim.optimizer import *  # noqa: F403
from tinygrad_edu.optim.quasi_newton import *  # noqa: F403
from tinygrad_edu.optim.radam import *  # noqa: F403
from tinygrad_edu.optim.rmsprop import *  # noqa: F403
from tinygrad_edu.optim.rprop import *  # noqa: F403
from tinygrad_edu.optim.sgd import *  # noqa: F403
