"""Sequences of different lengths as one batch: padded to the longest, or packed without any padding.

Packed, the rows of all sequences at time 0 come first, then those at time 1, and so on. Sequences are sorted by length, so that at
any time those still running are the first ``batch_sizes[t]`` ones: a recurrent network does no work on padding.
"""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.errors import ShapeError, message
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class PackedSequence(NamedTuple):
    """Packed sequences, as :func:`pack_sequence` and :func:`pack_padded_sequence` make them.

    Attributes
    ----------
    data : Tensor (rows, ...)
        All elements, ordered by time and at one time by length.
    batch_sizes : Tensor of int64
        How many sequences are still running at each time.
    sorted_indices : Tensor of int64, optional
        The place of each sorted sequence in the batch that was packed; None if that was sorted already.
    unsorted_indices : Tensor of int64, optional
        The inverse.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> "PackedSequence":
        """Convert the data as ``Tensor.to`` does."""
        return self._converted(lambda data: data.to(*args, **kwargs))

    def double(self) -> "PackedSequence":
        """Convert the data to float64."""
        return self._converted(lambda data: data.double())

    def float(self) -> "PackedSequence":
        """Convert the data to float32."""
        return self._converted(lambda data: data.float())

    def _converted(self, convert: Callable[[Tensor], Tensor]) -> "PackedSequence":
        data = convert(self.data)
        return self if data is self.data else self._replace(data=data)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return p with p[permutation[i]] = i; None stays None."""
    return None if permutation is None else wrap(np.argsort(permutation.array()))


def _whole_numbers(lengths: Any) -> np.ndarray:
    return np.array(lengths.tolist() if isinstance(lengths, Tensor) else [int(n) for n in lengths], np.int64)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | list[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch.

    Parameters
    ----------
    input : Tensor (T, B, ...), or (B, T, ...) with `batch_first`
    lengths : sequence of B int
        The length of each sequence; what lies beyond it is dropped.
    enforce_sorted : bool
        Demand that the lengths decrease; with False the sequences are sorted here.

    Raises
    ------
    RuntimeError
        If a length is not between 1 and T, if there are not B lengths, or if they are not sorted though they should be.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.nn.utils.rnn import pack_padded_sequence
    >>> packed = pack_padded_sequence(tg.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1, 4, 2, 3], [2, 1, 1])
    """
    n = _whole_numbers(lengths)
    x = input.transpose(0, 1) if batch_first else input
    time, batch = x.shape[:2]
    _check_lengths(n, time, batch, enforce_sorted)
    order = None
    if not enforce_sorted:
        order = np.argsort(-n, kind="stable")
        n = n[order]
    times, places = np.nonzero(np.arange(n[0])[:, None] < n)  # row by row: ordered by time
    rows = times * batch + (places if order is None else order[places])
    data = x.reshape(time * batch, *x.shape[2:])[wrap(rows)]
    sorted_indices = None if order is None else wrap(order)
    return PackedSequence(data, wrap(np.bincount(times)), sorted_indices, invert_permutation(sorted_indices))


def _check_lengths(n: np.ndarray, time: int, batch: int, enforce_sorted: bool) -> None:
    name, text = "pack_padded_sequence", n.tolist()
    if len(n) != batch:
        facts = f"Expected `len(lengths)` to be equal to batch_size, but got {len(n)} (batch_size={batch})."
        raise ShapeError(message("", name, facts, "one length for each sequence; see also batch_first."))
    if n.min(initial=1) <= 0:
        facts = (
            f"Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0: {text}."
        )
        raise RuntimeError(message("", name, facts, "leave empty sequences out."))
    if n.max(initial=0) > time:
        facts = f"the longest of the lengths {text} is beyond the end of the input, which has {time} steps."
        raise ShapeError(message("", name, facts, "lengths that fit; see also batch_first."))
    if enforce_sorted and (np.diff(n) > 0).any():
        facts = f"`lengths` array must be sorted in decreasing order when `enforce_sorted` is True, but it is {text}."
        raise RuntimeError(message("", name, facts, "enforce_sorted=False."))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Undo :func:`pack_padded_sequence`.

    Parameters
    ----------
    padding_value : float
        Stands where sequences have ended.
    total_length : int, optional
        Pad to this length rather than to the longest sequence.

    Returns
    -------
    padded : Tensor (T, B, ...), or (B, T, ...) with `batch_first`
    lengths : Tensor of int64

    Raises
    ------
    ValueError
        If `total_length` is too short.
    """
    sizes = sequence.batch_sizes.array()
    time = len(sizes) if total_length is None else total_length
    if time < len(sizes):
        raise ValueError(
            "pad_packed_sequence: Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}. Fix: leave total_length out."
        )
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places = starts[:, None] + np.arange(sizes[0])
    rows = np.full((time, sizes[0]), len(sequence.data))  # the padding's row
    rows[: len(sizes)] = np.where(np.arange(sizes[0]) < sizes[:, None], places, len(sequence.data))
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices.array()
        rows, lengths = rows[:, back], lengths[back]
    return _laid_out(sequence.data, rows.T if batch_first else rows, padding_value), wrap(lengths)


def _laid_out(rows: Tensor, places: np.ndarray, padding_value: float) -> Tensor:
    """Arrange rows by number; one number beyond the last is the padding."""
    padding = wrap(np.full((1, *rows.shape[1:]), padding_value, rows.array().dtype))
    return cat([rows, padding])[wrap(np.ascontiguousarray(places))]


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stack sequences of different lengths, filling up the shorter ones.

    Parameters
    ----------
    sequences : iterable of Tensor (L_i, ...)
        Their other dimensions agree.
    padding_side : {"right", "left"}

    Returns
    -------
    Tensor (T, B, ...), or (B, T, ...) with `batch_first`

    Raises
    ------
    RuntimeError
        If there is no sequence, or the other dimensions differ.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.nn.utils.rnn import pad_sequence
    >>> pad_sequence([tg.tensor([1, 2, 3]), tg.tensor([4])], batch_first=True).tolist()
    [[1, 2, 3], [4, 0, 0]]
    """
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: received an empty list of sequences. Fix: at least one.")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side should be either 'left' or 'right', got {padding_side!r}.")
    lengths = [len(s) for s in sequences]
    time, total = max(lengths), sum(lengths)
    places = np.full((len(lengths), time), total)
    for line, start, length in zip(places, accumulate(lengths, initial=0), lengths, strict=False):
        here = slice(length) if padding_side == "right" else slice(time - length, time)
        line[here] = np.arange(start, start + length)
    return _laid_out(cat(sequences), places if batch_first else places.T, padding_value)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """Cut a padded batch into sequences of the given lengths."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [padded_sequences[i, :length] for i, length in enumerate(_whole_numbers(lengths).tolist())]


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L_i, ...); with ``enforce_sorted=False`` they may come in any order of lengths."""
    sequences = list(sequences)
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Undo :func:`pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
