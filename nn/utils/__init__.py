"""Helpers around modules: limiting gradients, all parameters as one vector, folding batch norm away, weights made from others."""

from tinygrad_edu.nn.utils import parametrizations as parametrizations
from tinygrad_edu.nn.utils import parametrize as parametrize
from tinygrad_edu.nn.utils.clip_grad import *  # noqa: F403
from tinygrad_edu.nn.utils.convert_parameters import *  # noqa: F403
from tinygrad_edu.nn.utils.fusion import *  # noqa: F403
