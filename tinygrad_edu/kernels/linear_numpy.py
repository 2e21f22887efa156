"""Matrix products in NumPy: the product itself, and the fully connected layer y = activation(x w^T + b)."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels.elementwise_numpy import NONE, RELU, SIGMOID, TANH, activate_grad_into, activate_into

CODES = {None: NONE, "relu": RELU, "sigmoid": SIGMOID, "tanh": TANH}
ACTIVATIONS = tuple(CODES)
_KNOWN = frozenset((*CODES, *CODES.values()))


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product with NumPy's and PyTorch's meaning: 1-d arguments are vectors, leading dimensions are a stack.

    c[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]

    Parameters
    ----------
    a : array (..., M, K) or (K,)
    b : array (..., K, N) or (K,)

    Returns
    -------
    array (..., M, N), without the dimensions that the vectors lack

    Raises
    ------
    ValueError
        If the inner dimensions differ.
    """
    return np.matmul(a, b)


def linear_act_forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, act: int) -> np.ndarray:
    """A fully connected layer with its activation.

    out[n, o] = activation(bias[o] + sum over i of x[n, i] * weight[o, i])

    Parameters
    ----------
    x : array (N, IN)
    weight : array (OUT, IN)
    bias : array (OUT,) or None
    act : int
        NONE, RELU, SIGMOID or TANH of `elementwise_numpy`.

    Returns
    -------
    array (N, OUT)

    Raises
    ------
    ValueError
        If the shapes do not fit together, or for another activation.
    """
    check_linear(x, weight, bias, act)
    y = x @ weight.T
    if bias is not None:
        y += bias
    activate_into(y, y, act)
    return y


def linear_act_backward(
    g: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray | None,
    act: int,
    need_x: bool = True,
    need_w: bool = True,
    need_b: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of `linear_act_forward`; d is the gradient before the activation, from the output alone.

    gx = d weight, gw = d^T x, gb = sum of d over the batch

    Parameters
    ----------
    g : array (N, OUT)
        Gradient of the layer's output.
    x, weight
        The inputs of the forward pass.
    out : array (N, OUT) or None
        Its output; None is enough without an activation.
    act : int
        NONE, RELU, SIGMOID or TANH.
    need_x, need_w, need_b : bool
        Which of gx, gw and gb to compute; the others are None.

    Returns
    -------
    gx : array (N, IN) or None
    gw : array (OUT, IN) or None
    gb : array (OUT,) or None
    """
    d = g
    if act != NONE:
        assert out is not None, "the gradient of an activation is computed from its output"
        d = np.empty_like(g)
        activate_grad_into(g, out, d, act)
    return d @ weight if need_x else None, d.T @ x if need_w else None, d.sum(0) if need_b else None


def linear_act_forward_into(x: np.ndarray, w: np.ndarray, b: np.ndarray, out: np.ndarray, act: int) -> None:
    """`linear_act_forward` into `out`; an empty b is no bias."""
    np.matmul(x, w.T, out=out)
    if b.size:
        out += b
    activate_into(out, out, act)


def linear_act_backward_into(
    g: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    out: np.ndarray,
    act: int,
    gx: np.ndarray,
    gw: np.ndarray,
    gb: np.ndarray,
    need_x: bool,
) -> None:
    """`linear_act_backward` into gx (if `need_x`), gw and gb (unless they are empty arrays).

    With an activation g is overwritten: it then holds the gradient before the activation.
    """
    if act != NONE:
        activate_grad_into(g, out, g, act)
    if gb.size:
        np.add.reduce(g, 0, out=gb)
    if gw.size:
        np.matmul(g.T, x, out=gw)
    if need_x:
        np.matmul(g, w, out=gx)


def linear_forward(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, activation: str | None) -> np.ndarray:
    """`linear_act_forward` with the activation by name: None, "relu", "sigmoid" or "tanh"."""
    check_linear(x, w, bias, CODES.get(activation, activation))
    return linear_act_forward(x, w, bias, CODES[activation])


def linear_backward(
    g: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    y: np.ndarray | None,
    activation: str | None,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """`linear_act_backward` with the activation by name; `needs` says which of gx, gw and gb to compute."""
    return linear_act_backward(g, x, w, y, CODES[activation], *needs)


def check_linear(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, act) -> None:
    """Refuse shapes that do not fit together, and unknown activations (which may also be given by name)."""
    fits = x.ndim == w.ndim == 2 and x.shape[1] == w.shape[1]
    if not fits or (bias is not None and (bias.ndim != 1 or len(bias) != len(w))):
        raise ValueError(
            f"linear: input {x.shape}, weight {w.shape} and bias {None if bias is None else bias.shape} do not fit "
            "together; expected (N, IN), (OUT, IN) and (OUT,)"
        )
    if act not in _KNOWN:
        raise ValueError(f"linear: activation must be one of {ACTIVATIONS}, got {act!r}")
