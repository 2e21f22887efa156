"""Fully connected layers: product, bias, activation and their gradients in one call, and matrix products.

Functions whose names end in ``_into`` write to arrays that the caller owns and are themselves compiled: other compiled
functions call them, and a whole training step becomes one of machine code. All their arrays are row-major and of one
dtype. The public kernels below them allocate, and send large products to `matmul_vector`, or without it to NumPy's BLAS.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from tinygrad_edu.kernels import linear_loops, linear_vector, matmul_vector, threads
from tinygrad_edu.kernels import linear_numpy as twin
from tinygrad_edu.kernels.buffers import empty
from tinygrad_edu.kernels.compiler import compiled
from tinygrad_edu.kernels.elementwise_numba import activate, activate_grad
from tinygrad_edu.kernels.elementwise_numpy import NONE
from tinygrad_edu.kernels.linear_numpy import _KNOWN, CODES, check_linear
from tinygrad_edu.kernels.vector import usable

VECTORS = usable()
LOOPS = 20_000  # multiply-adds that loops without vector instructions do before a BLAS has begun
SMALL = 1_000_000 if VECTORS else LOOPS  # multiply-adds of a layer for whose arrays memory is always at hand
_NO_BIAS = {np.dtype(kind): np.empty(0, kind) for kind in "fd"}
_NO_WEIGHT = {np.dtype(kind): np.empty((0, 0), kind) for kind in "fd"}


# ---- compiled, for other compiled functions ----------------------------------------------------------------------------
@compiled()
def linear_act_forward_into(x, w, b, out, act):
    _affine(x, w, b, out)
    activate(out, act)


@compiled()
def linear_act_backward_into(g, x, w, out, act, gx, gw, gb, need_x):
    activate_grad(g, out, act)
    if gb.size:
        _column_sums(g, gb)
    if gw.size:
        _product_into(g, True, x, gw)
    if need_x:
        _product_into(g, False, w, gx)


def _affine(x, w, b, out):
    """out = x w^T + b."""
    raise NotImplementedError("only for compiled functions")


def _product_into(a, turned, b, out):
    """out = a b, or a^T b if `turned`."""
    raise NotImplementedError("only for compiled functions")


def _column_sums(g, sums):
    """sums = sum of the rows of g."""
    raise NotImplementedError("only for compiled functions")


def _by_type(vectors, loops, *arrays):
    """The function for arrays of these types; None if they do not go together, which Numba then reports."""
    if any(array.dtype != arrays[0].dtype or array.layout != "C" for array in arrays):
        return None
    return (vectors if VECTORS and arrays[0].dtype == types.float32 else loops).py_func


@overload(_affine)
def _choose_affine(x, w, b, out):
    return _by_type(linear_vector.affine, linear_loops.affine, x, w, b, out)


@overload(_product_into)
def _choose_product(a, turned, b, out):
    return _by_type(linear_vector.product, linear_loops.product, a, b, out)


@overload(_column_sums)
def _choose_column_sums(g, sums):
    return _by_type(linear_vector.column_sums, linear_loops.column_sums, g, sums)


# ---- public kernels: the layers of small networks take a microsecond, so what happens here is kept short -----------------
def linear_act_forward(x, weight, bias, act: int) -> np.ndarray:
    kind, sizes = x.dtype, weight.shape
    if x.shape[1:] != sizes[1:] or len(sizes) != 2 or act not in _KNOWN:
        check_linear(x, weight, bias, act)
    if bias is None:
        bias = _NO_BIAS[kind]
    elif bias.shape != sizes[:1]:
        check_linear(x, weight, bias, act)
    if weight.dtype is not kind or bias.dtype is not kind:
        return twin.linear_act_forward(x, weight, bias if bias.size else None, act)
    size, shape = len(x) * weight.size, (len(x), sizes[0])
    if size >= LOOPS and _large(size, kind):
        out = _product(x, weight, False, True, np.ascontiguousarray(bias))
        if act != NONE:
            none = _NO_WEIGHT[kind]
            linear_act_forward_into(none, none, _NO_BIAS[kind], out, act)  # the product is made
        return out
    out = np.empty(shape, kind) if size < SMALL else empty(shape, kind)
    if not (x.flags.c_contiguous and weight.flags.c_contiguous and bias.flags.c_contiguous):
        x, weight, bias = map(np.ascontiguousarray, (x, weight, bias))
    linear_act_forward_into(x, weight, bias, out, act)
    return out


def linear_act_backward(g, x, weight, out, act: int, need_x: bool = True, need_w: bool = True, need_b: bool = True):
    kind = g.dtype
    if x.dtype != kind or weight.dtype != kind or (act != NONE and out.dtype != kind):
        return twin.linear_act_backward(g, x, weight, out, act, need_x, need_w, need_b)
    size = len(x) * weight.size
    if act == NONE:
        d = out = g if g.flags.carray else g.copy()  # row-major and writable, though it is not written to
    else:
        d, out = g.copy(), out if out.flags.c_contiguous else np.ascontiguousarray(out)
    gb = np.empty(len(weight), kind) if need_b else _NO_BIAS[kind]
    if size >= LOOPS and _large(size, kind):
        none = _NO_WEIGHT[kind]
        linear_act_backward_into(d, none, none, out, act, none, none, gb, False)  # the products are made below
        gx = _product(d, weight, False, False) if need_x else None
        return gx, _product(d, x, True, False) if need_w else None, gb if need_b else None
    if not (x.flags.c_contiguous and weight.flags.c_contiguous):
        x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    make = np.empty if size < SMALL else empty
    gx = make(x.shape, kind) if need_x else _NO_WEIGHT[kind]
    gw = make(weight.shape, kind) if need_w else _NO_WEIGHT[kind]
    linear_act_backward_into(d, x, weight, out, act, gx, gw, gb, need_x)
    return gx if need_x else None, gw if need_w else None, gb if need_b else None


def linear_forward(x, w, bias, activation: str | None) -> np.ndarray:
    check_linear(x, w, bias, CODES.get(activation, activation))
    return linear_act_forward(x, w, bias, CODES[activation])


def linear_backward(g, x, w, y, activation: str | None, needs: tuple[bool, bool, bool] = (True, True, True)):
    return linear_act_backward(g, x, w, y, CODES[activation], *needs)


def matmul(a, b) -> np.ndarray:
    return _product(a, b, False, False) if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0] else np.matmul(a, b)


def _product(
    a: np.ndarray, b: np.ndarray, a_turned: bool, b_turned: bool, bias: np.ndarray | None = None
) -> np.ndarray:
    """A B + bias where one of them may be given transposed: by our micro-kernels where they are faster, else by BLAS."""
    if matmul_vector.suits(a, b, a.size * b.shape[not b_turned]):
        return matmul_vector.product(a, b, a_turned, b_turned, bias)
    c = (a.T if a_turned else a).dot(b.T if b_turned else b)
    return c if bias is None or not bias.size else np.add(c, bias, out=c)


def _large(size: int, kind: np.dtype) -> bool:
    """Whether a product of so many multiply-adds is left to those who use several threads, or a BLAS."""
    return size >= (threads.PARALLEL_FLOPS / 2 if VECTORS and kind.char == "f" else LOOPS)
