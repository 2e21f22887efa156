"""Attention: every query looks at all keys and takes the mean of the values, weighted by how well each key fits."""

import math

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.dropout import dropout
from tinygrad_edu.ops.gathering import repeat_interleave
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.matmul import matmul
from tinygrad_edu.ops.shape import transpose
from tinygrad_edu.ops.softmax import softmax_along
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []


@composite(method=False)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key^T * scale + mask) value [1]_.

    Parameters
    ----------
    query : Tensor (..., L, E)
    key : Tensor (..., S, E)
    value : Tensor (..., S, V)
    attn_mask : Tensor that broadcasts to (..., L, S), optional
        bool: False hides a key from a query; floating: added to the scores.
    dropout_p : float
        Probability of dropping an attention weight; 0 when not training.
    is_causal : bool
        Hide from every query the keys after it.
    scale : float, optional
        Defaults to 1 / sqrt(E).
    enable_gqa : bool
        Let groups of query heads (dimension -3) share one head of keys and values.

    Returns
    -------
    Tensor (..., L, V)

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762.
    """
    op = "scaled_dot_product_attention"
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[-2] != value.shape[-2]
    ):
        facts = (
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)} do not fit together."
        )
        raise ShapeError(message("E101", op, facts, "query (..., L, E), key (..., S, E), value (..., S, V)."))
    if enable_gqa:
        key = repeat_interleave(key, query.shape[-3] // key.shape[-3], -3)
        value = repeat_interleave(value, query.shape[-3] // value.shape[-3], -3)
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError(f"{op}: Explicit attn_mask should not be set when is_causal=True. Fix: one of the two.")
        attn_mask = wrap(np.tril(np.ones((query.shape[-2], key.shape[-2]), bool)))
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query, transpose(key, -2, -1)) * factor
    if attn_mask is None:
        return matmul(dropout(softmax_along(scores, scores.ndim - 1), dropout_p), value)
    if attn_mask._data.dtype != np.bool_:
        scores = scores + attn_mask
        return matmul(dropout(softmax_along(scores, scores.ndim - 1), dropout_p), value)
    weights = softmax_along(where(attn_mask, scores, -math.inf), scores.ndim - 1)
    blind = ~attn_mask._data.any(-1, keepdims=True)  # a query that sees no key gets zeros rather than 0 / 0
    if blind.any():
        weights = where(wrap(np.asarray(blind)), 0.0, weights)
    return matmul(dropout(weights, dropout_p), value)
