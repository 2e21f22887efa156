"""Matrix products in NumPy: the product itself, and the fully connected layer y = activation(x w^T + b)."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.kernels import elementwise_numpy as elementwise

ACTIVATIONS = (None, "relu", "sigmoid", "tanh")


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


def linear_forward(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, activation: str | None) -> np.ndarray:
    """A fully connected layer with its activation.

    y[n, o] = activation(bias[o] + sum over i of x[n, i] * w[o, i])

    Parameters
    ----------
    x : array (N, IN)
    w : array (OUT, IN)
    bias : array (OUT,) or None
    activation : None, "relu", "sigmoid" or "tanh"

    Returns
    -------
    array (N, OUT)

    Raises
    ------
    ValueError
        If the shapes do not fit together, or for another activation.
    """
    check_linear(x, w, bias, activation)
    y = x @ w.T
    if bias is not None:
        y += bias
    if activation == "relu":
        return elementwise.relu(y)
    if activation == "sigmoid":
        return elementwise.sigmoid(y)
    return np.tanh(y) if activation == "tanh" else y


def linear_backward(
    g: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    y: np.ndarray | None,
    activation: str | None,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of a fully connected layer; d is the gradient before the activation, from the output y alone.

    gx = d w, gw = d^T x, gb = sum of d over the batch

    Parameters
    ----------
    g : array (N, OUT)
        Gradient of the layer's output.
    x, w
        The inputs of the forward pass.
    y : array (N, OUT)
        Its output; None is enough without an activation.
    activation : None, "relu", "sigmoid" or "tanh"
    needs : three bools
        Which of gx, gw and gb to compute; the others are None.

    Returns
    -------
    gx : array (N, IN) or None
    gw : array (OUT, IN) or None
    gb : array (OUT,) or None
    """
    if activation is not None:
        grad = {"relu": elementwise.relu_grad, "sigmoid": elementwise.sigmoid_grad, "tanh": elementwise.tanh_grad}
        assert y is not None, "the gradient of an activation is computed from its output"
        g = grad[activation](g, y)
    gx = g @ w if needs[0] else None
    gw = g.T @ x if needs[1] else None
    gb = g.sum(0) if needs[2] else None
    return gx, gw, gb


def check_linear(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, activation: str | None) -> None:
    """Refuse shapes that do not fit together, and unknown activations."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1] or (bias is not None and bias.shape != w.shape[:1]):
        raise ValueError(
            f"linear: input {x.shape}, weight {w.shape} and bias {None if bias is None else bias.shape} do not fit "
            "together; expected (N, IN), (OUT, IN) and (OUT,)"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"linear: activation must be one of {ACTIVATIONS}, got {activation!r}")
