"""Neural networks: modules with weights, the layers made of them, and the functions and starting values they use."""

if __name__ != "tinygrad_edu.nn":
    raise ImportError(
        f"this folder is the package tinygrad_edu.nn, not {__name__}. Fix: import tinygrad_edu.nn, not nn."
    )

from tinygrad_edu.nn import course as course
from tinygrad_edu.nn import functional as functional
from tinygrad_edu.nn import grad as grad
from tinygrad_edu.nn import init as init
from tinygrad_edu.nn import models as models
from tinygrad_edu.nn import regularizers as regularizers
from tinygrad_edu.nn import utils as utils
from tinygrad_edu.nn.activation import *  # noqa: F403
from tinygrad_edu.nn.adaptive_softmax import *  # noqa: F403
from tinygrad_edu.nn.attention import *  # noqa: F403
from tinygrad_edu.nn.container import *  # noqa: F403
from tinygrad_edu.nn.conv import *  # noqa: F403
from tinygrad_edu.nn.dropout import *  # noqa: F403
from tinygrad_edu.nn.embedding import *  # noqa: F403
from tinygrad_edu.nn.flatten import *  # noqa: F403
from tinygrad_edu.nn.fractional_pooling import *  # noqa: F403
from tinygrad_edu.nn.lazy import *  # noqa: F403
from tinygrad_edu.nn.linear import *  # noqa: F403
from tinygrad_edu.nn.loss import *  # noqa: F403
from tinygrad_edu.nn.module import *  # noqa: F403
from tinygrad_edu.nn.normalization import *  # noqa: F403
from tinygrad_edu.nn.padding import *  # noqa: F403
from tinygrad_edu.nn.parallel import *  # noqa: F403
from tinygrad_edu.nn.parameter import *  # noqa: F403
from tinygrad_edu.nn.parameter_container import *  # noqa: F403
from tinygrad_edu.nn.pooling import *  # noqa: F403
from tinygrad_edu.nn.recurrent import *  # noqa: F403
from tinygrad_edu.nn.recurrent_cells import *  # noqa: F403
from tinygrad_edu.nn.transformer import *  # noqa: F403
