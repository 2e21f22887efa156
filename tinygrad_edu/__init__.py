# ruff: noqa: I001 - one compact table of names
# fmt: off
"""An autodiff engine you can read: a Tensor records operations, backward() applies the chain rule.

The names are PyTorch's: ``import tinygrad_edu as torch`` runs most teaching programs unchanged.
"""

import importlib
from typing import Any

from tinygrad_edu import autograd
from tinygrad_edu.device import device
from tinygrad_edu.dtypes import (
    bool, double, dtype, finfo, float, float16, float32, float64, get_default_dtype, half, iinfo, int, int16, int32,
    int64, int8, long, promote_types, set_default_dtype, short, uint8,
)
from tinygrad_edu.errors import TeachingWarning
from tinygrad_edu.matrices import (
    cholesky, cross, det, inverse, logdet, matrix_exp, matrix_power, pinverse, qr, slogdet, svd, trace,
)
from tinygrad_edu.grad_mode import (
    enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled,
)
from tinygrad_edu.ops.activation import celu, hardshrink, prelu, relu, rrelu, selu, sigmoid, threshold
from tinygrad_edu.ops.adaptive_pooling import adaptive_avg_pool1d, adaptive_max_pool1d
from tinygrad_edu.ops.arithmetic import (
    add, addcdiv, addcmul, div, divide, float_power, floor_divide, fmod, lerp, mul, multiply, neg, negative, positive,
    pow, reciprocal, remainder, rsub, square, sub, subtract, true_divide,
)
from tinygrad_edu.ops.comparison import (
    all, allclose, any, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor,
    eq, equal, ge, greater, greater_equal, gt, isclose, isfinite, isinf, isnan, isneginf, isposinf, le, less,
    less_equal, logical_and, logical_not, logical_or, logical_xor, lt, ne, not_equal, signbit,
)
from tinygrad_edu.ops.conversion import clone, is_complex, is_floating_point, numel
from tinygrad_edu.ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from tinygrad_edu.ops.creation import (
    arange, as_tensor, asarray, empty, eye, from_dlpack, from_numpy, full, linspace, logspace, ones, range, scalar_tensor, tensor,
    zeros,
)
from tinygrad_edu.ops.cumulative import cummax, cummin, cumprod, cumsum, diff, logcumsumexp, prod
from tinygrad_edu.ops.diagonal import diag, diag_embed, diagflat, diagonal, tril, tril_indices, triu, triu_indices
from tinygrad_edu.ops.distance import cdist, cosine_similarity, dist, pairwise_distance, pdist
from tinygrad_edu.ops.dropout import alpha_dropout, dropout, feature_alpha_dropout, feature_dropout
from tinygrad_edu.ops.einsum import bilinear, einsum, tensordot
from tinygrad_edu.ops.embedding import embedding, embedding_bag
from tinygrad_edu.ops.expanding import atleast_1d, atleast_2d, atleast_3d, broadcast_shapes, broadcast_tensors
from tinygrad_edu.ops.exponential import (
    digamma, erf, erfc, erfinv, exp, exp2, expm1, lgamma, log, log10, log1p, log2, logaddexp, logaddexp2, logit,
    polygamma, rsqrt, sqrt, xlogy,
)
from tinygrad_edu.ops.extremum import amax, amin, aminmax, argmax, argmin, max, median, min, mode, nanmedian
from tinygrad_edu.ops.gathering import gather, index_select, repeat_interleave, take_along_dim
from tinygrad_edu.ops.indexing import index_put, narrow, select, take
from tinygrad_edu.ops.joining import (
    cartesian_prod, cat, chunk, column_stack, combinations, concat, concatenate, dsplit, dstack, hsplit, hstack,
    meshgrid, row_stack, split, stack, tensor_split, unbind, vsplit, vstack,
)
from tinygrad_edu.ops.like import (
    BoolTensor, ByteTensor, DoubleTensor, FloatTensor, HalfTensor, IntTensor, LongTensor, ShortTensor, empty_like,
    full_like, ones_like, zeros_like,
)
from tinygrad_edu.ops.loss_binary import binary_cross_entropy_with_logits
from tinygrad_edu.ops.loss_margin import (
    cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, triplet_margin_loss,
)
from tinygrad_edu.ops.loss_regression import kl_div, poisson_nll_loss
from tinygrad_edu.ops.masking import argwhere, masked_fill, masked_scatter, masked_select, nonzero, where
from tinygrad_edu.ops.matmul import (
    addbmm, addmm, addmv, addr, baddbmm, bmm, chain_matmul, dot, ger, inner, kron, matmul, mm, mv, outer, vdot,
)
from tinygrad_edu.ops.normalization import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from tinygrad_edu.ops.pooling import avg_pool1d, max_pool1d, max_pool2d
from tinygrad_edu.ops.rearranging import flip, fliplr, flipud, roll, rot90, tile
from tinygrad_edu.ops.reduction import broadcast_to, count_nonzero, logsumexp, mean, nanmean, nansum, norm, sum
from tinygrad_edu.ops.resampling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from tinygrad_edu.ops.rounding import (
    abs, absolute, ceil, clamp, clamp_max, clamp_min, clip, copysign, fix, floor, fmax, fmin, frac, heaviside,
    maximum, minimum, nan_to_num, round, sgn, sign, trunc,
)
from tinygrad_edu.ops.sampling import (
    bernoulli, multinomial, normal, poisson, rand, rand_like, randint, randint_like, randn, randn_like, randperm,
)
from tinygrad_edu.ops.scattering import index_add, index_copy, index_fill, put, scatter, scatter_add, scatter_reduce
from tinygrad_edu.ops.shape import (
    adjoint, flatten, moveaxis, movedim, permute, ravel, reshape, squeeze, swapaxes, swapdims, t, transpose,
    unflatten, unsqueeze,
)
from tinygrad_edu.ops.softmax import log_softmax, softmax
from tinygrad_edu.ops.sorting import (
    argsort, bincount, bucketize, histc, histogram, kthvalue, msort, searchsorted, sort, topk, unique, unique_consecutive,
)
from tinygrad_edu.ops.storage import Storage
from tinygrad_edu.ops.trigonometric import (
    acos, acosh, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, asin, asinh, atan, atan2, atanh, cos,
    cosh, deg2rad, hypot, rad2deg, sin, sinc, sinh, tan, tanh,
)
from tinygrad_edu.ops.variance import std, std_mean, var, var_mean
from tinygrad_edu.ops.volumes import conv3d, conv_transpose3d
from tinygrad_edu.printing import set_printoptions
from tinygrad_edu.random import (
    Generator, default_generator, fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)
from tinygrad_edu.tensor import Size, Tensor, is_tensor
from tinygrad_edu.ops import inplace as _inplace

_inplace.install()  # now that every op is declared

# Loaded when first asked for, so that `import tinygrad_edu` stays quick.
_MODULES = frozenset({
    "accelerator", "amp", "backends", "cuda", "datasets", "distributions", "func", "linalg", "nn", "onnx", "optim",
    "profiler", "testing", "train", "utils", "visualize",
})
_FROM = {
    "autocast": "amp", "load": "utils.serialization", "save": "utils.serialization", "summary": "utils.summary",
    "compile": "compiler", "backend": "kernels", "get_backend": "kernels",
    "vmap": "autograd.vmap", "check": "model_check", "detect_anomaly": "autograd", "explain": "lessons",
    **dict.fromkeys((
        "are_deterministic_algorithms_enabled", "get_default_device", "get_float32_matmul_precision",
        "get_num_threads", "set_default_device", "set_default_tensor_type", "set_float32_matmul_precision",
        "set_num_threads", "use_deterministic_algorithms",
    ), "settings"),
}
pi, e = 3.141592653589793, 2.718281828459045
inf, nan = 1e999, 1e999 - 1e999


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tinygrad_edu.{name}")
    if name in _FROM:
        return getattr(importlib.import_module(f"tinygrad_edu.{_FROM[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("tinygrad_edu")
    raise AttributeError(f"module 'tinygrad_edu' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_FROM, "__version__"})


__all__ = [
    "BoolTensor", "ByteTensor", "DoubleTensor", "FloatTensor", "Generator", "HalfTensor", "IntTensor", "LongTensor",
    "ShortTensor", "Size", "Storage", "TeachingWarning", "Tensor", "abs", "absolute", "acos", "acosh", "adaptive_avg_pool1d",
    "adaptive_max_pool1d", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "adjoint", "all",
    "allclose", "alpha_dropout", "amax", "amin", "aminmax", "any", "arange", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort", "argwhere", "as_tensor", "asarray", "asin",
    "asinh", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "autograd", "avg_pool1d", "baddbmm",
    "batch_norm", "bernoulli", "bilinear", "binary_cross_entropy_with_logits", "bincount", "bitwise_and",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bmm", "bool",
    "broadcast_shapes", "broadcast_tensors", "broadcast_to", "bucketize", "cartesian_prod", "cat", "cdist", "ceil",
    "celu", "chain_matmul", "channel_shuffle", "chunk", "clamp", "clamp_max", "clamp_min", "clip", "clone",
    "column_stack", "combinations", "concat", "concatenate", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "copysign", "cos", "cosh", "cosine_embedding_loss", "cosine_similarity",
    "count_nonzero", "cummax", "cummin", "cumprod", "cumsum", "default_generator", "deg2rad", "device",
    "diag", "diag_embed", "diagflat", "diagonal", "diff", "digamma", "dist", "div", "divide", "dot", "double",
    "dropout", "dsplit", "dstack", "dtype", "e", "einsum", "embedding", "embedding_bag", "empty", "empty_like",
    "enable_grad", "eq", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "eye", "feature_alpha_dropout",
    "feature_dropout", "finfo", "fix", "flatten", "flip", "fliplr", "flipud", "float", "float16", "float32",
    "float64", "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "fork_rng", "frac", "from_dlpack", "from_numpy",
    "full", "full_like", "gather", "ge", "ger", "get_default_dtype", "get_rng_state", "greater", "greater_equal",
    "group_norm", "gt", "half", "hardshrink", "heaviside", "hinge_embedding_loss", "histc", "histogram", "hsplit", "hstack",
    "hypot", "iinfo", "index_add", "index_copy", "index_fill", "index_put", "index_select", "inf", "inference_mode",
    "initial_seed", "inner", "instance_norm", "int", "int16", "int32", "int64", "int8", "is_complex",
    "is_floating_point", "is_grad_enabled", "is_inference_mode_enabled", "is_tensor", "isclose", "isfinite", "isinf",
    "isnan", "isneginf", "isposinf", "kl_div", "kron", "kthvalue", "layer_norm", "le", "lerp", "less", "less_equal",
    "lgamma", "linspace", "log", "log10", "log1p", "log2", "log_softmax", "logaddexp", "logaddexp2", "logcumsumexp",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "logspace", "logsumexp", "long", "lt",
    "manual_seed", "margin_ranking_loss", "masked_fill", "masked_scatter", "masked_select", "matmul", "max",
    "max_pool1d", "max_pool2d", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mm", "mode", "moveaxis",
    "movedim", "msort", "mul", "multinomial", "multiply", "mv", "nan", "nan_to_num", "nanmean", "nanmedian", "nansum",
    "narrow", "ne", "neg", "negative", "no_grad", "nonzero", "norm", "normal", "not_equal", "numel", "ones",
    "ones_like", "outer", "pairwise_distance", "pdist", "permute", "pi", "pixel_shuffle", "pixel_unshuffle",
    "poisson", "poisson_nll_loss", "polygamma", "positive", "pow", "prelu", "prod", "promote_types", "put", "rad2deg",
    "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "range", "ravel", "reciprocal",
    "relu", "remainder", "repeat_interleave", "reshape", "rms_norm", "roll", "rot90", "round", "row_stack", "rrelu",
    "rsqrt", "rsub", "scalar_tensor", "scatter", "scatter_add", "scatter_reduce", "searchsorted", "seed", "select",
    "selu", "set_default_dtype", "set_grad_enabled", "set_printoptions", "set_rng_state", "sgn", "short", "sigmoid",
    "sign", "signbit", "sin", "sinc", "sinh", "softmax", "sort", "split", "sqrt", "square", "squeeze", "stack", "std",
    "std_mean", "sub", "subtract", "sum", "swapaxes", "swapdims", "t", "take", "take_along_dim", "tan", "tanh",
    "tensor", "tensor_split", "tensordot", "threshold", "tile", "topk", "transpose", "tril", "tril_indices",
    "triplet_margin_loss", "triu", "triu_indices", "true_divide", "trunc", "uint8", "unbind", "unflatten", "unique",
    "unique_consecutive", "unsqueeze", "var", "var_mean", "vdot", "vsplit", "vstack", "where", "xlogy", "zeros",
    "zeros_like",
    "cholesky", "cross", "det", "inverse", "logdet", "matrix_exp", "matrix_power", "pinverse", "qr", "slogdet", "svd",
    "trace",
    *_MODULES, *_FROM,
]
