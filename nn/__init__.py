"""Neural networks: modules with weights, the layers made of them, and the functions and starting values they use."""

if __name__ != "tinygrad_edu.nn":
    raise ImportError(
        f"this folder is the package tinygrad_edu.nn, not {__name__}. Fix: import tinygrad_edu.nn, not nn."
    )

from tinygrad_edu.nn import functional, init, utils
from tinygrad_edu.nn.activation import *  # noqa: F403
from tinygrad_edu.nn.container import ModuleDict, ModuleList, Sequential
from tinygrad_edu.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinygrad_edu.nn.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from tinygrad_edu.nn.embedding import Embedding, EmbeddingBag
from tinygrad_edu.nn.flatten import *  # noqa: F403
from tinygrad_edu.nn.linear import Bilinear, Identity, Linear
from tinygrad_edu.nn.loss import *  # noqa: F403
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import *  # noqa: F403
from tinygrad_edu.nn.padding import *  # noqa: F403
from tinygrad_edu.nn.parameter import Buffer, Parameter
from tinygrad_edu.nn.parameter_container import ParameterDict, ParameterList
from tinygrad_edu.nn.pooling import *  # noqa: F403
