"""Kernels: the arithmetic that NumPy alone does slowly. Arrays in, arrays out; nothing here knows of Tensors.

Each public kernel exists as a NumPy twin that explains it (``*_numpy.py``) and as a Numba version that is fast
(``*_numba.py``); `set_backend` chooses between them, and everything works without Numba. Importing this package loads
neither Numba nor SciPy. Inputs are arrays of one floating-point dtype; float32 and float64 run fast, others in NumPy.
"""

from tinygrad_edu.kernels import conv_numpy, pool_numpy
from tinygrad_edu.kernels.conv_numpy import conv_output_hw
from tinygrad_edu.kernels.policy import backend, get_backend, kernel, numba_is_loaded, numba_works, set_backend
from tinygrad_edu.kernels.pool_numpy import pool_output_hw
from tinygrad_edu.kernels.threads import get_num_threads, set_num_threads

conv2d_forward = kernel(conv_numpy.conv2d_forward)
conv2d_input_grad = kernel(conv_numpy.conv2d_input_grad)
conv2d_weight_grad = kernel(conv_numpy.conv2d_weight_grad)
max_pool2d_forward = kernel(pool_numpy.max_pool2d_forward)
max_pool2d_backward = kernel(pool_numpy.max_pool2d_backward)
max_pool2d_gather = kernel(pool_numpy.max_pool2d_gather)
avg_pool2d_forward = kernel(pool_numpy.avg_pool2d_forward)
avg_pool2d_backward = kernel(pool_numpy.avg_pool2d_backward)

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "backend",
    "conv2d_forward",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv_output_hw",
    "get_backend",
    "get_num_threads",
    "kernel",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "max_pool2d_gather",
    "numba_is_loaded",
    "numba_works",
    "pool_output_hw",
    "set_backend",
    "set_num_threads",
]
