"""Transformers: stacks of attention and small networks, for sequences.

References
----------
.. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762.
.. [2] R. Xiong et al., "On layer normalization in the transformer architecture", ICML 2020, arXiv:2002.04745.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import dtypes
from tinygrad_edu.device import require_cpu
from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.attention import MultiheadAttention
from tinygrad_edu.nn.container import ModuleList
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import LayerNorm
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


class _Layer(Module):
    """The small network that follows the attention, and what surrounds every part: x + part(norm(x)), or norm(x + part(x))."""

    parts = 2  # attention and network; a decoder's layer has two attentions

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        options = {"device": device, "dtype": dtype}
        for name in ("self_attn", "multihead_attn")[: self.parts - 1]:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **options
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **options)
        self.norm_first = norm_first
        for number in range(1, self.parts + 1):
            setattr(self, f"norm{number}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **options))
        for number in range(1, self.parts + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _activation(activation)

    def _around(self, x: Tensor, number: int, part: Callable[[Tensor], Tensor]) -> Tensor:
        """Add what a part computes; with the norm first, the sum itself runs through the whole stack unchanged [2]_."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + dropout(part(norm(x)))
        return norm(x + dropout(part(x)))

    def _network(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(
            f"activation should be relu/gelu, not {activation}. Fix: one of the two, or a function such as F.silu."
        )
    return F.relu if activation == "relu" else F.gelu


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, then a small network for each place [1]_.

    Parameters
    ----------
    d_model : int
        Features at each place.
    nhead : int
        Heads of the attention.
    dim_feedforward : int
        Hidden units of the network.
    dropout : float
    activation : {"relu", "gelu"} or callable
        Of the network.
    layer_norm_eps : float
    batch_first : bool
        Whether tensors are (B, L, E) rather than (L, B, E).
    norm_first : bool
        Normalise what goes into each part rather than each sum: such stacks train without warming up [2]_.
    bias : bool

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(tg.zeros(3, 5, 8)).shape
    tinygrad_edu.Size([3, 5, 8])
    """

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:  # fmt: skip
        """Return a tensor like `src`; masks as for :class:`MultiheadAttention`."""
        mask = {"attn_mask": src_mask, "key_padding_mask": src_key_padding_mask, "is_causal": is_causal}
        x = self._around(src, 1, lambda x: self.self_attn(x, x, x, need_weights=False, **mask)[0])
        return self._around(x, 2, self._network)


class TransformerDecoderLayer(_Layer):
    """Attention of a sequence to itself, attention to another sequence, then a small network for each place [1]_.

    Parameters
    ----------
    all
        As for :class:`TransformerEncoderLayer`.
    """

    parts = 3

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Return a tensor like `tgt`, which has looked at `memory`, the output of an encoder."""
        own = {"attn_mask": tgt_mask, "key_padding_mask": tgt_key_padding_mask, "is_causal": tgt_is_causal}
        other = {"attn_mask": memory_mask, "key_padding_mask": memory_key_padding_mask, "is_causal": memory_is_causal}
        x = self._around(tgt, 1, lambda x: self.self_attn(x, x, x, need_weights=False, **own)[0])
        x = self._around(x, 2, lambda x: self.multihead_attn(x, memory, memory, need_weights=False, **other)[0])
        return self._around(x, 3, self._network)


class _Stack(Module):
    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def _through(self, x: Tensor, *args: Any, **masks: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *args, **masks)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """A stack of copies of an encoder layer; they start with equal weights.

    Parameters
    ----------
    encoder_layer : TransformerEncoderLayer
    num_layers : int
    norm : Module, optional
        Applied at the end.
    enable_nested_tensor, mask_check : bool
        Accepted; they steer a fast path of PyTorch's.
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):  # fmt: skip
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool | None = None
    ) -> Tensor:  # fmt: skip
        """Return a tensor like `src`; masks as for :class:`MultiheadAttention`."""
        return self._through(
            src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal)
        )  # fmt: skip


class TransformerDecoder(_Stack):
    """A stack of copies of a decoder layer; they start with equal weights.

    Parameters
    ----------
    decoder_layer : TransformerDecoderLayer
    num_layers : int
    norm : Module, optional
        Applied at the end.
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Return a tensor like `tgt`; `memory` is the output of an encoder."""
        return self._through(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal), memory_is_causal=memory_is_causal,
        )  # fmt: skip


class Transformer(Module):
    """An encoder that reads one sequence and a decoder that, looking at it, continues another [1]_.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        As for :class:`TransformerEncoderLayer`.
    num_encoder_layers, num_decoder_layers : int
    custom_encoder, custom_decoder : Module, optional
        Taken instead of the usual ones.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Transformer(8, 2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> model(tg.zeros(10, 3, 8), tg.zeros(7, 3, 8)).shape
    tinygrad_edu.Size([7, 3, 8])
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu, custom_encoder: Any = None,
        custom_decoder: Any = None, layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(*sizes, device=device, dtype=dtype)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*sizes, device=device, dtype=dtype)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.decoder = custom_decoder
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Read `src`, and return a tensor like `tgt`; masks as for :class:`MultiheadAttention`."""
        self._check(src, tgt)
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )  # fmt: skip
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip

    def _check(self, src: Tensor, tgt: Tensor) -> None:
        shapes = f"src is {tuple(src.shape)}, tgt {tuple(tgt.shape)}, batch_first={self.batch_first}."
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            facts = f"the batch number of src and tgt must be equal: {shapes}"
            raise ShapeError(message("", "Transformer", facts, "the same number of sequences in both."))
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            facts = f"the feature number of src and tgt must be equal to d_model ({self.d_model}): {shapes}"
            raise ShapeError(
                message("", "Transformer", facts, f"an embedding of length {self.d_model} for each place.")
            )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the mask (sz, sz) that hides from every place what comes after it: -inf above the diagonal, else 0.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> tg.nn.Transformer.generate_square_subsequent_mask(3).tolist()
        [[0.0, -inf, -inf], [0.0, 0.0, -inf], [0.0, 0.0, 0.0]]
        """
        require_cpu(device)
        kind = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
        return wrap(np.triu(np.full((sz, sz), -math.inf, kind.numpy), 1))
