"""Helpers around modules: limiting gradients, parameters as one vector, folding batch norm away, weights made from others, pruning."""

from tinygrad_edu.nn.utils import parametrizations as parametrizations
from tinygrad_edu.nn.utils import parametrize as parametrize
from tinygrad_edu.nn.utils import prune as prune
from tinygrad_edu.nn.utils import rnn as rnn
from tinygrad_edu.nn.utils import stateless as stateless
from tinygrad_edu.nn.utils.clip_grad import *  # noqa: F403
from tinygrad_edu.nn.utils.convert_parameters import *  # noqa: F403
from tinygrad_edu.nn.utils.fusion import *  # noqa: F403
from tinygrad_edu.nn.utils.norm_hooks import *  # noqa: F403
