"""Multi-head attention: several small attentions side by side, each looking at the sequence in its own way.

References
----------
.. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762.
"""

import math
import warnings
from typing import Any

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.linear import Linear, empty
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """head_i = softmax(Q_i K_i^T / sqrt(d)) V_i with Q = query W_q^T, K = key W_k^T, V = value W_v^T cut into heads [1]_.

    Parameters
    ----------
    embed_dim : int
        Length of the query vectors and of the output.
    num_heads : int
        Heads, each of length ``d = embed_dim / num_heads``.
    dropout : float
        Probability of dropping an attention weight, in training.
    bias : bool
        Whether the four products add a bias.
    add_bias_kv : bool
        Append a learned key and value to every sequence.
    add_zero_attn : bool
        Append a key and value of zeros: something to look at when nothing fits.
    kdim, vdim : int, optional
        Lengths of the key and value vectors, `embed_dim` by default.
    batch_first : bool
        Whether tensors are (B, L, E) rather than (L, B, E).

    Attributes
    ----------
    in_proj_weight : Parameter, shape (3 * embed_dim, embed_dim)
        W_q, W_k and W_v one below the other; with `kdim` or `vdim` there are ``q_proj_weight``, ``k_proj_weight`` and
        ``v_proj_weight`` instead.
    in_proj_bias : Parameter, shape (3 * embed_dim,), or None
    out_proj : Linear
        Mixes the heads.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> attention = tg.nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = tg.zeros(3, 5, 8)
    >>> out, weights = attention(x, x, x)
    >>> tuple(out.shape), tuple(weights.shape)
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "MultiheadAttention: embed_dim and num_heads must be greater than 0, "
                f"got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError(
                f"MultiheadAttention: embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}."
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        options = {"device": device, "dtype": dtype}
        together = self.kdim == self.vdim == embed_dim
        for name, width in (("q_proj", embed_dim), ("k_proj", self.kdim), ("v_proj", self.vdim)):
            weight = None if together else Parameter(empty(embed_dim, width, **options))
            self.register_parameter(f"{name}_weight", weight)
        self.register_parameter(
            "in_proj_weight", Parameter(empty(3 * embed_dim, embed_dim, **options)) if together else None
        )
        self.register_parameter("in_proj_bias", Parameter(empty(3 * embed_dim, **options)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **options)
        self.bias_k = Parameter(empty(1, 1, embed_dim, **options)) if add_bias_kv else None
        self.bias_v = Parameter(empty(1, 1, embed_dim, **options)) if add_bias_kv else None
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw new starting values by Glorot's rule; biases are zero."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Let every query look at the keys.

        Parameters
        ----------
        query : Tensor (L, B, E)
        key : Tensor (S, B, kdim)
        value : Tensor (S, B, vdim)
            Or (B, ...) first with `batch_first`, or without B.
        key_padding_mask : Tensor (B, S), optional
            bool: True hides a key; floating: added to the scores.
        need_weights : bool
            Return the attention weights too, which costs some time.
        attn_mask : Tensor (L, S) or (B * num_heads, L, S), optional
            bool: True hides a key from a query; floating: added to the scores.
        average_attn_weights : bool
            Return the mean of the heads' weights rather than each head's.
        is_causal : bool
            A hint that `attn_mask` hides exactly what comes later.

        Returns
        -------
        out : Tensor like `query`
        weights : Tensor (B, L, S), or (B, num_heads, L, S) without averaging, or None
        """
        self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise RuntimeError(
                "MultiheadAttention: Need attn_mask if specifying the is_causal hint. "
                "Fix: attn_mask=nn.Transformer.generate_square_subsequent_mask(length)."
            )
        batched, first = query.ndim == 3, self.batch_first and query.ndim == 3
        q, k, v = self._projected(query, key, value)
        if not batched:
            q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        causal = is_causal and key_padding_mask is None and not need_weights
        mask = None if causal else self._mask(q, k, attn_mask, key_padding_mask, first)
        if self.bias_k is not None and self.bias_v is not None:
            k, v = self._appended(k, self.bias_k, first), self._appended(v, self.bias_v, first)
        if self.add_zero_attn:
            zero = wrap(np.zeros((1, 1, self.embed_dim), q.array().dtype))
            k, v = self._appended(k, zero, first), self._appended(v, zero, first)
        q, k, v = self._heads(q, first), self._heads(k, first), self._heads(v, first)
        dropout_p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            out, weights = _attention_with_weights(q, k, v, mask, dropout_p)
        else:
            hidden = ~mask if mask is not None and mask._data.dtype == np.bool_ else mask
            out = F.scaled_dot_product_attention(q, k, v, hidden, dropout_p, causal)
        out = out.permute(0, 2, 1, 3) if first else out.permute(2, 0, 1, 3)
        out = self.out_proj(out.reshape(*out.shape[:2], self.embed_dim))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if batched:
            return out, weights
        return out.squeeze(1), None if weights is None else weights.squeeze(0)

    # ---- the parts ------------------------------------------------------------------------------------------------------------
    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Multiply by W_q, W_k and W_v: in one product where all three come from the same tensor."""
        if self.in_proj_weight is not None and query is key and key is value:
            return list(F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1))
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _heads(self, x: Tensor, first: bool) -> Tensor:
        """Cut the last dimension into heads, (B, heads, length, d)."""
        parts = x.reshape(*x.shape[:2], self.num_heads, self.head_dim)
        return parts.permute(0, 2, 1, 3) if first else parts.permute(1, 2, 0, 3)

    def _appended(self, x: Tensor, extra: Tensor, first: bool) -> Tensor:
        """Append one more key or value to every sequence."""
        batch = x.shape[0] if first else x.shape[1]
        shape = (batch, 1, self.embed_dim) if first else (1, batch, self.embed_dim)
        return cat([x, extra.broadcast_to(shape)], 1 if first else 0)

    def _mask(
        self, q: Tensor, k: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, first: bool
    ) -> Tensor | None:
        """Join both masks to one that broadcasts to (B, heads, L, S): bool if all are, else to be added."""
        length, batch, total = q.shape[first], q.shape[not first], k.shape[first]
        masks = []
        if attn_mask is not None:
            masks.append(_attn_mask(attn_mask, length, total, batch, self.num_heads))
        if key_padding_mask is not None:
            _check_dtype("key_padding_mask", key_padding_mask)
            if tuple(key_padding_mask.shape) != (batch, total):
                raise AssertionError(
                    f"MultiheadAttention: Expected key_padding_mask of shape {(batch, total)}, one row for each sequence and one "
                    f"column for each key, but got {tuple(key_padding_mask.shape)}."
                )
            masks.append(key_padding_mask.reshape(batch, 1, 1, total))
        if not masks:
            return None
        if len({m._data.dtype == np.bool_ for m in masks}) == 2:
            warnings.warn(
                "MultiheadAttention: Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both "
                "instead.",
                stacklevel=5,
            )
            masks = [_to_be_added(m, q) for m in masks]
        extra = (self.bias_k is not None) + self.add_zero_attn
        if extra:  # what is appended can always be seen
            masks = [cat([m, wrap(np.zeros((*m.shape[:-1], extra), m._data.dtype))], -1) for m in masks]
        if len(masks) == 1:
            return masks[0]
        return masks[0] | masks[1] if masks[0]._data.dtype == np.bool_ else masks[0] + masks[1]

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        """Refuse inputs that do not fit together."""
        name, shapes = (
            "MultiheadAttention",
            f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}",
        )
        if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
            raise AssertionError(
                f"{name}: query should be unbatched 2D or batched 3D, and key and value like it, but got {shapes}. "
                f"Fix: {'(batch, length, features)' if self.batch_first else '(length, batch, features)'}."
            )
        wanted = (self.embed_dim, self.kdim, self.vdim)
        if (query.shape[-1], key.shape[-1], value.shape[-1]) != wanted:
            raise AssertionError(
                f"{name}: was expecting embedding dimensions {wanted} of query, key and value, but got {shapes}. "
                f"Fix: embed_dim={query.shape[-1]}, kdim={key.shape[-1]}, vdim={value.shape[-1]}."
            )
        if key.shape[:-1] != value.shape[:-1]:
            raise AssertionError(f"{name}: key's sequence and batch dims do not match value's: {shapes}.")
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and query.shape[batch] != key.shape[batch]:
            facts = (
                f"query and key are of different batch sizes, {query.shape[batch]} and {key.shape[batch]}: {shapes}."
            )
            raise ShapeError(message("", name, facts, f"one batch for both; batch_first={self.batch_first} here."))


def _attention_with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float
) -> tuple[Tensor, Tensor]:
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(mask, -math.inf) if mask._data.dtype == np.bool_ else scores + mask
    weights = F.dropout(F.softmax(scores, -1), dropout_p)
    return weights @ v, weights


def _attn_mask(mask: Tensor, length: int, total: int, batch: int, heads: int) -> Tensor:
    """Return the mask with the dimensions (B, heads, L, S), of which the first two may be 1."""
    _check_dtype("attn_mask", mask)
    wanted = (length, total) if mask.ndim == 2 else (batch * heads, length, total)
    if mask.ndim not in (2, 3) or tuple(mask.shape) != wanted:
        facts = f"The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, but should be {wanted}."
        raise ShapeError(
            message("", "MultiheadAttention", facts, f"one row for each of {length} queries, one column for each key.")
        )
    return mask.reshape(1, 1, *wanted) if mask.ndim == 2 else mask.reshape(batch, heads, length, total)


def _check_dtype(name: str, mask: Tensor) -> None:
    if mask._data.dtype != np.bool_ and not mask.is_floating_point():
        raise AssertionError(
            f"MultiheadAttention: only bool and floating types of {name} are supported, got {mask.dtype}. Fix: {name}.bool()."
        )


def _to_be_added(mask: Tensor, like: Tensor) -> Tensor:
    if mask._data.dtype != np.bool_:
        return mask
    return wrap(np.where(mask._data, -np.inf, 0.0).astype(like._data.dtype))
