"""Connectionist temporal classification: the loss of a sequence of labels whose times are not known."""

import numpy as np

from tinygrad_edu.errors import ShapeError, ValueRangeError
from tinygrad_edu.ops.exponential import logaddexp
from tinygrad_edu.ops.gathering import gather
from tinygrad_edu.ops.indexing import getitem
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.ops.loss_base import expect_tensors, reduced
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.reduction import mean_along
from tinygrad_edu.ops.shape import unsqueeze
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__: list[str] = []

_NEVER = -1e30  # the logarithm of an impossible event: finite, so that sums and slopes of it stay numbers


@composite(method=False)
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | tuple[int, ...],
    target_lengths: Tensor | tuple[int, ...],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log P(targets), summed over every way of stretching the labels over time with repetitions and blanks [1]_.

    Parameters
    ----------
    log_probs : Tensor (T, N, C) or (T, C)
        Log-probabilities of the classes at every time, from log_softmax.
    targets : integer Tensor (N, S), or all targets one after the other (sum of target_lengths,)
    input_lengths, target_lengths : Tensor or tuple of N ints
    blank : int
        The class that stands for no label.
    reduction : {"mean", "sum", "none"}
        "mean" divides every loss by its target's length first.
    zero_infinity : bool
        Count targets that are too long for their input as 0 instead of infinity.

    References
    ----------
    .. [1] A. Graves et al., "Connectionist temporal classification", ICML 2006.
    """
    expect_tensors("ctc_loss", log_probs=log_probs, targets=targets)
    batched = log_probs.ndim == 3
    logs = log_probs if batched else unsqueeze(log_probs, 1)
    times, samples = _lengths(input_lengths), _lengths(target_lengths)
    labels = _labels(targets._data, samples, logs.shape[1], blank, logs.shape[2])
    if len(times) != logs.shape[1] or (len(times) and times.max() > logs.shape[0]):
        raise ValueRangeError(
            f"ctc_loss: expected {logs.shape[1]} input_lengths of at most {logs.shape[0]}, got {times}."
        )
    losses = -_log_likelihood(logs, labels, times, samples)
    impossible = losses._data > -_NEVER / 2
    losses = where(wrap(np.asarray(impossible)), 0.0 if zero_infinity else np.inf, losses)
    if not batched:
        losses = getitem(losses, 0)
    if reduction == "mean":
        scale = np.maximum(samples, 1).astype(logs._data.dtype)
        return mean_along(losses / wrap(scale if batched else scale[0]), None, False)
    return reduced(losses, reduction, "ctc_loss")


def _lengths(lengths) -> np.ndarray:
    return np.atleast_1d(np.asarray(lengths._data if isinstance(lengths, Tensor) else lengths, np.int64))


def _labels(targets: np.ndarray, lengths: np.ndarray, count: int, blank: int, classes: int) -> np.ndarray:
    """Return the labels with blanks before, between and after them, (N, 2 S + 1)."""
    if len(lengths) != count:
        raise ValueRangeError(f"ctc_loss: expected {count} target_lengths, got {len(lengths)}.")
    longest = int(lengths.max(initial=0))
    table = np.full((count, longest), blank, np.int64)
    ends = np.cumsum(lengths)
    if targets.ndim == 1 and count > 1 and len(targets) < ends[-1]:
        raise ShapeError(f"ctc_loss: expected {ends[-1]} targets, the sum of target_lengths, got {len(targets)}.")
    rows = targets if targets.ndim == 2 else [targets[end - n : end] for end, n in zip(ends, lengths, strict=True)]
    for i, (row, n) in enumerate(zip(rows, lengths, strict=True)):
        table[i, :n] = row[:n]
    if table.size and not (table.min() >= 0 and table.max() < classes):
        raise ValueRangeError(
            f"ctc_loss: targets must be classes 0 to {classes - 1}, they go from {table.min()} to {table.max()}."
        )
    spread = np.full((count, 2 * longest + 1), blank, np.int64)
    spread[:, 1::2] = table
    return spread


def _log_likelihood(logs: Tensor, labels: np.ndarray, times: np.ndarray, lengths: np.ndarray) -> Tensor:
    """The forward recursion: alpha[n, s] is the log-probability of having arrived at label s by time t."""
    count, states = labels.shape
    kind = logs._data.dtype
    skips = np.zeros(labels.shape, bool)  # a blank between two different labels may be left out
    skips[:, 2:] = (labels[:, 2:] != labels[:, :-2]) & (np.arange(2, states) % 2 == 1)
    starts = np.broadcast_to(np.arange(states) < 2, labels.shape)
    index, never = wrap(labels), wrap(np.full((count, 2), _NEVER, kind))
    alpha = where(wrap(starts.copy()), gather(getitem(logs, 0), 1, index), _NEVER)
    for t in range(1, logs.shape[0]):
        before = cat([never, alpha], 1)
        stay, step, skip = (
            alpha,
            getitem(before, (slice(None), slice(1, -1))),
            getitem(before, (slice(None), slice(0, -2))),
        )
        reached = logaddexp(logaddexp(stay, step), where(wrap(skips), skip, _NEVER))
        new = reached + gather(getitem(logs, t), 1, index)
        alpha = where(wrap((t < times)[:, None]), new, alpha)
    last = gather(alpha, 1, wrap((2 * lengths)[:, None]))
    final = gather(alpha, 1, wrap(np.maximum(2 * lengths - 1, 0)[:, None]))
    total = where(wrap((lengths > 0)[:, None]), logaddexp(last, final), last)
    return getitem(total, (slice(None), 0))
