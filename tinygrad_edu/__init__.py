"""tinygrad_edu: an autodiff engine you can read. A Tensor records operations; backward() applies the chain rule."""

from tinygrad_edu.device import cuda, device
from tinygrad_edu.errors import TeachingWarning
from tinygrad_edu.dtypes import *  # noqa: F403
from tinygrad_edu.grad_mode import *  # noqa: F403
from tinygrad_edu.tensor import Size, Tensor, is_tensor
from tinygrad_edu.ops.reduction import *  # noqa: F403
from tinygrad_edu.ops.variance import *  # noqa: F403
from tinygrad_edu.ops.extremum import *  # noqa: F403
from tinygrad_edu.ops.cumulative import *  # noqa: F403
from tinygrad_edu.ops.arithmetic import *  # noqa: F403
from tinygrad_edu.ops.exponential import *  # noqa: F403
from tinygrad_edu.ops.trigonometric import *  # noqa: F403
from tinygrad_edu.ops.rounding import *  # noqa: F403
from tinygrad_edu.ops.comparison import *  # noqa: F403
from tinygrad_edu.ops.activation import *  # noqa: F403
from tinygrad_edu.ops.softmax import *  # noqa: F403
from tinygrad_edu.ops.shape import *  # noqa: F403
from tinygrad_edu.ops.expanding import *  # noqa: F403
from tinygrad_edu.ops.joining import *  # noqa: F403
from tinygrad_edu.ops.indexing import *  # noqa: F403
from tinygrad_edu.ops.creation import *  # noqa: F403
from tinygrad_edu.ops.like import *  # noqa: F403
from tinygrad_edu.ops.sampling import *  # noqa: F403
from tinygrad_edu.ops.masking import *  # noqa: F403
from tinygrad_edu.ops.gathering import *  # noqa: F403
from tinygrad_edu.ops.scattering import *  # noqa: F403
from tinygrad_edu.ops.rearranging import *  # noqa: F403
from tinygrad_edu.ops.padding import *  # noqa: F403
from tinygrad_edu.ops.diagonal import *  # noqa: F403
from tinygrad_edu.ops.sorting import *  # noqa: F403
from tinygrad_edu.ops.conversion import *  # noqa: F403
from tinygrad_edu.ops.linalg import *  # noqa: F403
from tinygrad_edu.ops.linear import *  # noqa: F403
from tinygrad_edu.ops.convolution import *  # noqa: F403
from tinygrad_edu.ops.pooling import *  # noqa: F403
from tinygrad_edu.ops.normalization import *  # noqa: F403
from tinygrad_edu.ops.loss import *  # noqa: F403
from tinygrad_edu.ops.dropout import *  # noqa: F403
from tinygrad_edu.ops.embedding import *  # noqa: F403
from tinygrad_edu.ops.inplace import *  # noqa: F403
from tinygrad_edu.printing import set_printoptions
from tinygrad_edu.random import Generator, default_generator, initial_seed, manual_seed, seed
from tinygrad_edu import autograd
