"""All losses, by kind: regression, classes, margins between scores, and sequences."""

from tinygrad_edu.ops.loss_classes import (
    binary_cross_entropy_with_logits,
)
from tinygrad_edu.ops.loss_regression import (
    kl_div,
    poisson_nll_loss,
)

# The few that PyTorch also has at top level; all others are in nn.functional.
__all__ = ["binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss"]
