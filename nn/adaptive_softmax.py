"""A softmax over very many classes whose cost follows how frequent they are: the rare ones sit in clusters of their own.

References
----------
.. [1] E. Grave, A. Joulin, M. Cisse, D. Grangier and H. Jegou, "Efficient softmax approximation for GPUs", ICML 2017,
   arXiv:1609.04309.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.container import ModuleList, Sequential
from tinygrad_edu.nn.linear import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.ops.joining import cat
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class ASMoutput(NamedTuple):
    """What the layer returns: the log-probability of every target (N,), and their negative mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax over many classes in two stages, with its loss [1]_.

    The head tells the frequent classes and the clusters of rare ones apart; for the rows whose target is in a cluster, a smaller
    softmax tells its classes apart. log p(class) = log p(cluster) + log p(class | cluster).

    Parameters
    ----------
    in_features : int
    n_classes : int
        Classes must be numbered from the most to the least frequent.
    cutoffs : sequence of int
        Where the clusters begin, increasing: classes below the first are in the head.
    div_value : float
        The i-th cluster works on in_features / div_value^i features.
    head_bias : bool
        Whether the head has a bias.

    Notes
    -----
    Called with the input (N, in_features) and targets (N,), or one row and one target, it returns a named tuple
    (output, loss): the targets' log-probabilities and their negative mean.

    References
    ----------
    .. [1] E. Grave et al., "Efficient softmax approximation for GPUs", ICML 2017, arXiv:1609.04309.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> softmax = tg.nn.AdaptiveLogSoftmaxWithLoss(32, 1000, cutoffs=[10, 100])
    >>> output, loss = softmax(tg.randn(4, 32), tg.tensor([3, 999, 50, 0]))
    >>> tuple(output.shape), tuple(softmax.log_prob(tg.randn(4, 32)).shape)
    ((4,), (4, 1000))
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0, head_bias: bool = False,
        device: Any = None, dtype: Any = None,
    ):  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of length larger than 0")
        whole = all(int(c) == c for c in cutoffs)
        if not whole or cutoffs != sorted(set(cutoffs)) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                f"order, where each value is between 1 and n_classes-1 = {n_classes - 1}; got {cutoffs}"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        options = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for number, (low, high) in enumerate(pairwise(self.cutoffs), 1):
            width = int(in_features // div_value**number)
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, **options), Linear(width, high - low, bias=False, **options)
                )
            )

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        for layer in (self.head, *(layer for cluster in self.tail for layer in cluster)):
            layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        """Return the targets' log-probabilities and the loss."""
        self._check(input_, target_)
        batched = target_.ndim > 0
        x = input_ if batched else input_.unsqueeze(0)
        ids = target_.array().reshape(-1)
        cluster = np.searchsorted(self.cutoffs, ids, side="right")  # 0: in the head
        entry = np.where(cluster == 0, ids, self.shortlist_size + cluster - 1)
        output = F.log_softmax(self.head(x), 1).gather(1, wrap(entry[:, None])).squeeze(1)
        rows, parts = [], []
        for number, layers in enumerate(self.tail, 1):
            mine = np.flatnonzero(cluster == number)
            if mine.size:
                inside = wrap((ids[mine] - self.cutoffs[number - 1])[:, None])
                parts.append(F.log_softmax(layers(x[wrap(mine)]), 1).gather(1, inside).squeeze(1))
                rows.append(mine)
        if parts:
            output = output.index_add(0, wrap(np.concatenate(rows)), cat(parts))
        loss = (-output).mean()
        return ASMoutput(output if batched else output.squeeze(0), loss)

    def _check(self, x: Tensor, target: Tensor) -> None:
        name = type(self).__name__
        if target.ndim > 1:
            raise RuntimeError(
                f"{name}: 0D or 1D target tensor expected, multi-target not supported; got {target.ndim}D."
            )
        if x.ndim != target.ndim + 1:
            raise RuntimeError(
                f"{name}: {target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with size "
                f"{tuple(x.shape)}"
            )
        if target.ndim and len(x) != len(target):
            raise RuntimeError(
                f"{name}: Input and target should have the same size in the batch dimension, got {len(x)} and {len(target)}."
            )
        ids = target.array()
        if ids.size and (ids.min() < 0 or ids.max() >= self.n_classes):
            raise RuntimeError(
                f"{name}: Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{ids.min()}, {ids.max()}] were found."
            )

    def log_prob(self, input: Tensor) -> Tensor:
        """Return the log-probabilities of all classes, (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for number, layers in enumerate(self.tail):
            column = self.shortlist_size + number
            parts.append(F.log_softmax(layers(input), 1) + head[:, column : column + 1])
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """Return the most probable class of each row; rows whose best entry of the head is a class need no cluster."""
        best = self.head(input).argmax(1)
        rows = np.flatnonzero(best.array() >= self.shortlist_size)
        if rows.size:
            best[wrap(rows)] = self.log_prob(input[wrap(rows)]).argmax(1)
        return best
