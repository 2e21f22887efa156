"""Multi-head attention as a function of its weights, for networks that hold them in their own way."""

from typing import Any

from tinygrad_edu.ops.linear import linear
from tinygrad_edu.tensor import Tensor

__all__ = ["multi_head_attention_forward"]


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Do what :class:`MultiheadAttention` does, with weights that are given; query (L, B, E), key and value (S, B, ...).

    Parameters
    ----------
    embed_dim_to_check : int
        E, which the query must have.
    in_proj_weight : Tensor (3 E, E), optional
        W_q, W_k and W_v one below the other; with `use_separate_proj_weight` the three are given by themselves instead.
    in_proj_bias : Tensor (3 E,), optional
    bias_k, bias_v : Tensor (1, 1, E), optional
        One more key and value.
    dropout_p : float
        Applied to the attention weights while `training`.
    others
        As for the layer.

    Raises
    ------
    AssertionError
        If the query has another size.
    NotImplementedError
        For `static_k` and `static_v`.
    """
    from tinygrad_edu.nn.attention import MultiheadAttention  # which itself is made of functions

    if static_k is not None or static_v is not None:
        raise NotImplementedError(
            "multi_head_attention_forward: static_k and static_v are not supported. Fix: scaled_dot_product_attention."
        )
    if query.shape[-1] != embed_dim_to_check:
        raise AssertionError(
            f"multi_head_attention_forward: was expecting embedding dimension of {embed_dim_to_check}, but got {query.shape[-1]}"
        )
    if use_separate_proj_weight:
        weights: tuple[Any, ...] = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(w is None for w in weights):
            raise AssertionError(
                "use_separate_proj_weight is True, but q_proj_weight, k_proj_weight or v_proj_weight is None"
            )
        in_proj_weight = None
    elif in_proj_weight is None:
        raise AssertionError("use_separate_proj_weight is False, but in_proj_weight is None")
    else:
        weights = (None, None, None)
    layer = MultiheadAttention.__new__(MultiheadAttention)
    layer.__dict__.update(
        training=training, _kinds={}, _non_persistent=set(), embed_dim=embed_dim_to_check, num_heads=num_heads,
        head_dim=embed_dim_to_check // num_heads, kdim=key.shape[-1], vdim=value.shape[-1], dropout=dropout_p,
        batch_first=False, add_zero_attn=add_zero_attn, in_proj_weight=in_proj_weight, in_proj_bias=in_proj_bias,
        q_proj_weight=weights[0], k_proj_weight=weights[1], v_proj_weight=weights[2], bias_k=bias_k, bias_v=bias_v,
        out_proj=lambda x: linear(x, out_proj_weight, out_proj_bias),
    )  # fmt: skip
    return layer(query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
