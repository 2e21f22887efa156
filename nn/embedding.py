"""Tables of vectors looked up by number: Embedding and EmbeddingBag."""

from typing import Any, Self

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn import init
from tinygrad_edu.nn.linear import empty
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.tensor import Tensor

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """A weight with one row for each number."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, max_norm: float | None, norm_type: float,
        scale_grad_by_freq: bool, sparse: bool, weight: Tensor | None, freeze: bool, device: Any, dtype: Any,
    ):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError(
                f"{name}: padding_idx must be within num_embeddings ({num_embeddings}), got {padding_idx}"
            )
        if weight is not None and tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError(
                f"{name}: shape of weight {tuple(weight.shape)} does not match num_embeddings and embedding_dim "
                f"({num_embeddings}, {embedding_dim})"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = (
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
        )
        table = empty(num_embeddings, embedding_dim, dtype=dtype, device=device) if weight is None else weight
        self.weight = Parameter(table, requires_grad=not freeze)
        if weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new rows from the standard normal distribution; the padding row is zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array()[self.padding_idx] = 0

    def _options(self, first: str = "") -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}{first}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        return text


class Embedding(_Table):
    """A table of vectors: integers of any shape (*) become vectors (*, embedding_dim).

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    padding_idx : int, optional
        A row that starts at zero and gets no gradient.
    max_norm, norm_type : float, optional
        Rescale rows that are used and longer than `max_norm`.
    scale_grad_by_freq : bool
        Divide each row's gradient by how often it was used in the batch.
    sparse : bool
        Accepted; gradients are dense here.

    Attributes
    ----------
    weight : Parameter, shape (num_embeddings, embedding_dim)
        Starts with standard normal numbers.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze, device,
            dtype,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Self:  # fmt: skip
        """Make a layer whose table is `embeddings` (N, D); `freeze` keeps it from being trained."""
        if embeddings.ndim != 2:
            raise AssertionError(
                f"from_pretrained: embeddings is expected to be 2-dimensional, got {tuple(embeddings.shape)}"
            )
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings, _freeze=freeze
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows of the table that `input` names."""
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return self._options(padding) + (f", sparse={self.sparse}" if self.sparse else "")


class EmbeddingBag(_Table):
    """Sums, means or maxima of rows of a table, without making the rows first.

    Parameters
    ----------
    mode : {"mean", "sum", "max"}
        How the rows of a bag are combined.
    include_last_offset : bool
        Whether the last of `offsets` is the length of the input.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, _weight: Tensor | None = None,
        include_last_offset: bool = False, padding_idx: int | None = None, device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, False, device,
            dtype,
        )  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """Return one vector for each bag: a row of a 2-D `input`, or a stretch of a 1-D one that starts at an offset."""
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self._options()}, mode={self.mode!r}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"
