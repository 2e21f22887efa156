"""Derivatives of recorded computations: gradients, gradients of gradients, and checks of both."""

from tinygrad_edu.autograd import forward_ad, graph, profiler
from tinygrad_edu.autograd.anomaly import detect_anomaly, set_detect_anomaly
from tinygrad_edu.autograd.differentiate import backward, grad
from tinygrad_edu.autograd.function import Function
from tinygrad_edu.autograd.functional import hessian, jacobian
from tinygrad_edu.autograd.gradcheck import gradcheck, gradgradcheck
from tinygrad_edu.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from tinygrad_edu.tensor import Tensor as Variable  # PyTorch's old name, still met in tutorials

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "forward_ad", "grad", "gradcheck", "gradgradcheck", "graph", "hessian",
    "inference_mode", "jacobian", "no_grad", "profiler", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip
