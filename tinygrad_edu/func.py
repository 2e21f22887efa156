"""Functions of functions: derivatives, batches, and modules as functions of their parameters.

Derivatives of Python functions are in :mod:`tinygrad_edu.autograd.transforms`, `vmap` is in :mod:`tinygrad_edu.autograd.vmap`; here
they stand together under PyTorch's names.
"""

from tinygrad_edu.autograd.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp
from tinygrad_edu.autograd.vmap import vmap
from tinygrad_edu.nn.functional_call import functional_call, stack_module_state

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "stack_module_state", "vjp", "vmap",
]  # fmt: skip
