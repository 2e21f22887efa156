"""Losses that compare scores with a margin: hinges, rankings, and distances between embeddings."""

from collections.abc import Callable

import numpy as np

from tinygrad_edu.errors import ShapeError, ValueRangeError, message
from tinygrad_edu.ops.activation import logsigmoid
from tinygrad_edu.ops.comparison import keep
from tinygrad_edu.ops.distance import pairwise_distance
from tinygrad_edu.ops.expanding import broadcast_shapes
from tinygrad_edu.ops.exponential import exp, log1p
from tinygrad_edu.ops.loss_base import expect_tensors, reduced, reduction_of
from tinygrad_edu.ops.loss_classes import check_classes, class_pick
from tinygrad_edu.ops.reduction import mean_along, sum_along
from tinygrad_edu.ops.rounding import clamp_min, minimum
from tinygrad_edu.ops.shape import reshape_to, unsqueeze
from tinygrad_edu.primitive import composite
from tinygrad_edu.tensor import Tensor, wrap

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


@composite(method=False)
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Loss of distances: the distance itself where target is 1, max(0, margin - distance) where it is -1."""
    expect_tensors("hinge_embedding_loss", input=input, target=target)
    similar = keep_where(input, target != -1)
    different = keep_where(clamp_min(margin - input, 0.0), target != 1)
    return reduced(similar + different, reduction_of(reduction, size_average, reduce), "hinge_embedding_loss")


def keep_where(x: Tensor, mask: Tensor) -> Tensor:
    """Return x where the mask holds and 0 elsewhere, both broadcast against each other."""
    shape = tuple(broadcast_shapes(x._data.shape, mask._data.shape))
    return keep(x if x._data.shape == shape else x.expand(shape), mask)


@composite(method=False)
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Loss of a wrong order, max(0, -target * (input1 - input2) + margin): target 1 wants input1 larger, -1 input2."""
    op = "margin_ranking_loss"
    expect_tensors(op, input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(
            f"{op}: All input tensors should have same dimension but got sizes: input1: {tuple(input1.shape)}, "
            f"input2: {tuple(input2.shape)}, target: {tuple(target.shape)}."
        )
    losses = clamp_min(-target * (input1 - input2) + margin, 0.0)
    return reduced(losses, reduction_of(reduction, size_average, reduce), op)


@composite(method=False)
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Logistic loss, log(1 + exp(-target * input)), target -1 or 1."""
    expect_tensors("soft_margin_loss", input=input, target=target)
    losses = log1p(exp(-target * input))
    return reduced(losses, reduction_of(reduction, size_average, reduce), "soft_margin_loss")


@composite(method=False)
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Loss of directions: 1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1.

    Parameters
    ----------
    input1, input2 : Tensor (N, D) or (D,)
    target : Tensor (N,) or ()
    """
    op = "cosine_embedding_loss"
    expect_tensors(op, input1=input1, input2=input2, target=target)
    if target.ndim != input1.ndim - 1 or target.ndim > 1:
        facts = f"target {tuple(target.shape)} does not fit inputs {tuple(input1.shape)} and {tuple(input2.shape)}."
        raise ShapeError(message("E108", op, facts, "inputs (N, D) with target (N,), or (D,) with a 0-d target."))
    products, floor = sum_along(input1 * input2, -1, False), 1e-12
    sizes = (sum_along(input1 * input1, -1, False) + floor) * (sum_along(input2 * input2, -1, False) + floor)
    cosine = products / sizes.sqrt()
    losses = keep_where(1.0 - cosine, target == 1) + keep_where(clamp_min(cosine - margin, 0.0), target == -1)
    return reduced(losses, reduction_of(reduction, size_average, reduce), op)


@composite(method=False)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Loss of triplets, max(0, d(anchor, positive) - d(anchor, negative) + margin) [1]_.

    Parameters
    ----------
    anchor, positive, negative : Tensor (N, D) or (D,)
    p, eps : float
        The distance is the p-norm of the difference plus `eps`.
    swap : bool
        Use the smaller of d(anchor, negative) and d(positive, negative).

    References
    ----------
    .. [1] V. Balntas et al., "Learning shallow convolutional feature descriptors with triplet losses", BMVC 2016.
    """

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    reduction = reduction_of(reduction, size_average, reduce)
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction, "triplet_margin_loss")


@composite(method=False)
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` with a distance of your own, by default the Euclidean one."""
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction, "triplet_margin_with_distance_loss")


def _triplet(anchor, positive, negative, distance, margin, swap, reduction, op) -> Tensor:
    expect_tensors(op, anchor=anchor, positive=positive, negative=negative)
    if margin <= 0:
        raise ValueRangeError(f"{op}: margin must be greater than 0, got {margin}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(near - far + margin, 0.0), reduction, op)


@composite(method=False)
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss of several classes, mean over c != t of weight[t] * max(0, margin - input[t] + input[c])^p.

    Parameters
    ----------
    input : Tensor (N, C) or (C,)
    target : integer Tensor (N,) or ()
    p : {1, 2}
    weight : Tensor (C,), optional
    """
    op = "multi_margin_loss"
    expect_tensors(op, input=input, target=target)
    if p not in (1, 2):
        raise ValueRangeError(f"{op}: only p == 1 and p == 2 supported, got {p}")
    batch = input if input.ndim == 2 else reshape_to(input, (1, input.numel()))
    ids = np.asarray(target._data).reshape(-1)
    classes = batch.shape[1]
    check_classes(op, ids, classes, -100)
    hinge = clamp_min(margin - unsqueeze(class_pick(batch, ids), 1) + batch, 0.0)
    others = wrap(ids[:, None] != np.arange(classes))
    losses = keep(hinge if p == 1 else hinge * hinge, others)
    if weight is not None:
        losses = losses * wrap(weight._data[ids][:, None])
    losses = sum_along(losses, 1, False) / classes
    return reduced(losses if input.ndim == 2 else losses.squeeze(0), reduction_of(reduction, size_average, reduce), op)


@composite(method=False)
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss of several right classes, sum over right r and wrong w of max(0, 1 - input[r] + input[w]) / C.

    Parameters
    ----------
    input : Tensor (N, C) or (C,)
    target : integer Tensor of the input's shape
        The right classes of each sample, in front; the first -1 ends the list.
    """
    op = "multilabel_margin_loss"
    expect_tensors(op, input=input, target=target)
    if input.shape != target.shape or input.ndim not in (1, 2):
        facts = f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}."
        raise ShapeError(message("E108", op, facts, "targets (N, C), filled up with -1."))
    ids = np.atleast_2d(target._data)
    listed = np.logical_and.accumulate(ids >= 0, 1)
    check_classes(op, np.where(listed, ids, 0), ids.shape[1], -100)
    right = np.zeros(ids.shape, bool)
    rows = np.broadcast_to(np.arange(len(ids))[:, None], ids.shape)
    right[rows[listed], ids[listed]] = True
    batch = input if input.ndim == 2 else unsqueeze(input, 0)
    # hinge[n, k, c]: the k-th listed class against class c; a class listed twice counts twice, as in PyTorch
    scores = batch[wrap(rows.copy()), wrap(np.where(listed, ids, 0))]
    hinge = clamp_min(1.0 - unsqueeze(scores, 2) + unsqueeze(batch, 1), 0.0)
    losses = sum_along(keep(hinge, wrap(listed[:, :, None] & ~right[:, None, :])), (1, 2), False) / ids.shape[1]
    return reduced(losses if input.ndim == 2 else losses.squeeze(0), reduction_of(reduction, size_average, reduce), op)


@composite(method=False)
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """One logistic loss per class, averaged over the classes, -(t log sigmoid(x) + (1 - t) log sigmoid(-x)).

    Parameters
    ----------
    input, target : Tensor (N, C) or (C,)
    weight : Tensor (C,), optional
    """
    expect_tensors("multilabel_soft_margin_loss", input=input, target=target)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    per_sample = mean_along(losses, -1, False)
    return reduced(per_sample, reduction_of(reduction, size_average, reduce), "multilabel_soft_margin_loss")
