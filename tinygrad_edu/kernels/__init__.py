"""Kernels: the arithmetic that NumPy alone does slowly. Arrays in, arrays out; nothing here knows of Tensors.

Each public kernel exists as a NumPy twin that explains it (``*_numpy.py``) and as a Numba version that is fast
(``*_numba.py``); `backend` chooses between them, and everything works without Numba. Importing this package loads
neither Numba nor SciPy. Inputs are arrays of one floating-point dtype; float32 and float64 run fast, others in NumPy.
"""

from tinygrad_edu.kernels import (
    conv_numpy,
    elementwise_numpy,
    linear_numpy,
    loss_numpy,
    norm_numpy,
    optim_numpy,
    pool_numpy,
    random_numpy,
    recurrent_numpy,
    rows_numpy,
    softmax_numpy,
)
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.conv_numpy import conv_output_hw
from tinygrad_edu.kernels.policy import (
    backend,
    get_backend,
    kernel,
    numba_is_loaded,
    numba_works,
    small_layer,
    unchecked,
)
from tinygrad_edu.kernels.pool_numpy import pool_output_hw
from tinygrad_edu.kernels.threads import get_num_threads, set_num_threads

conv2d_forward = kernel(conv_numpy.conv2d_forward)
conv2d_bias_grad = kernel(conv_numpy.conv2d_bias_grad)
conv2d_input_grad = kernel(conv_numpy.conv2d_input_grad)
conv2d_weight_grad = kernel(conv_numpy.conv2d_weight_grad)
conv_relu_pool_forward = kernel(conv_numpy.conv_relu_pool_forward)
conv_relu_pool_backward = kernel(conv_numpy.conv_relu_pool_backward)
conv_relu_pool_slopes = kernel(conv_numpy.conv_relu_pool_slopes)
max_pool2d_forward = kernel(pool_numpy.max_pool2d_forward)
max_pool2d_backward = kernel(pool_numpy.max_pool2d_backward)
max_pool2d_gather = kernel(pool_numpy.max_pool2d_gather)
avg_pool2d_forward = kernel(pool_numpy.avg_pool2d_forward)
avg_pool2d_backward = kernel(pool_numpy.avg_pool2d_backward)

matmul = kernel(linear_numpy.matmul)
linear_forward = kernel(linear_numpy.linear_forward)
linear_backward = kernel(linear_numpy.linear_backward)
linear_act_forward = kernel(linear_numpy.linear_act_forward)
linear_act_backward = kernel(linear_numpy.linear_act_backward)
# Only for who knows that the arrays fit: these look at nothing.
unchecked(linear_numpy.linear_act_forward_into)
unchecked(linear_numpy.linear_act_backward_into)

relu = kernel(elementwise_numpy.relu)
relu_grad = kernel(elementwise_numpy.relu_grad)
exp = kernel(elementwise_numpy.exp)
tanh = kernel(elementwise_numpy.tanh)
sigmoid = kernel(elementwise_numpy.sigmoid)
sigmoid_grad = kernel(elementwise_numpy.sigmoid_grad)
tanh_grad = kernel(elementwise_numpy.tanh_grad)

softmax = kernel(softmax_numpy.softmax)
softmax_grad = kernel(softmax_numpy.softmax_grad)
log_softmax = kernel(softmax_numpy.log_softmax)
log_softmax_grad = kernel(softmax_numpy.log_softmax_grad)
cross_entropy_forward = kernel(loss_numpy.cross_entropy_forward)
mse_forward = kernel(loss_numpy.mse_forward)
bce_with_logits_forward = kernel(loss_numpy.bce_with_logits_forward)

batch_norm_forward = kernel(norm_numpy.batch_norm_forward)
batch_norm_backward = kernel(norm_numpy.batch_norm_backward)
row_norm_forward = kernel(norm_numpy.row_norm_forward)
row_norm_backward = kernel(norm_numpy.row_norm_backward)

add_rows = kernel(rows_numpy.add_rows)

recurrent_forward = kernel(recurrent_numpy.recurrent_forward)
recurrent_backward = kernel(recurrent_numpy.recurrent_backward)

bernoulli_into = kernel(random_numpy.bernoulli_into)

sgd_step = kernel(optim_numpy.sgd_step)
adam_step = kernel(optim_numpy.adam_step)
rmsprop_step = kernel(optim_numpy.rmsprop_step)

__all__ = [
    "adam_step",
    "add_rows",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "backend",
    "batch_norm_backward",
    "batch_norm_forward",
    "bce_with_logits_forward",
    "bernoulli_into",
    "conv2d_bias_grad",
    "conv2d_forward",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv_output_hw",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "conv_relu_pool_slopes",
    "cross_entropy_forward",
    "empty",
    "exp",
    "get_backend",
    "get_num_threads",
    "kernel",
    "linear_act_backward",
    "linear_act_forward",
    "linear_backward",
    "linear_forward",
    "log_softmax",
    "log_softmax_grad",
    "matmul",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "max_pool2d_gather",
    "mse_forward",
    "numba_is_loaded",
    "numba_works",
    "pool_output_hw",
    "recurrent_backward",
    "recurrent_forward",
    "relu",
    "relu_grad",
    "rmsprop_step",
    "row_norm_backward",
    "row_norm_forward",
    "set_num_threads",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad",
    "small_layer",
    "softmax",
    "softmax_grad",
    "tanh",
    "tanh_grad",
]
