"""A sampler for several processes that train on one dataset: each sees its share of every pass."""

import math
from collections.abc import Iterator, Sized

from tinygrad_edu.random import Generator, permutation
from tinygrad_edu.utils.data.sampler import Sampler, length_of

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th item of a common order, beginning with number `rank`.

    Parameters
    ----------
    dataset : Dataset
    num_replicas, rank : int
        How many processes there are, and which of them this is, from 0 on.
    shuffle : bool
        Draw a new order from `seed` and the epoch, the same one in every process: call ``set_epoch`` before each pass.
    seed : int
    drop_last : bool
        Leave out what cannot be shared equally; otherwise the first items come twice.

    Raises
    ------
    RuntimeError
        Without `num_replicas` and `rank`: there is nobody to ask for them.
    ValueError
        For a rank that no process has.

    Examples
    --------
    >>> from tinygrad_edu.utils.data import DistributedSampler
    >>> [list(DistributedSampler(range(5), num_replicas=2, rank=rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True, seed: int = 0,
        drop_last: bool = False,
    ):  # fmt: skip
        if num_replicas is None or rank is None:
            raise RuntimeError(
                "DistributedSampler requires num_replicas and rank: processes here do not know of each other. "
                "Fix: DistributedSampler(dataset, num_replicas=2, rank=0) in the first of two."
            )
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        share = length_of(dataset) / num_replicas
        self.num_samples = math.floor(share) if drop_last else math.ceil(share)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        count = length_of(self.dataset)
        order = list(range(count))
        if self.shuffle:
            order = permutation(count, Generator().manual_seed(self.seed + self.epoch)).tolist()
        if count:
            order = (order * math.ceil(max(1, self.total_size / count)))[: self.total_size]
        return iter(order[self.rank :: self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Say which pass comes next, so that its order is another one."""
        self.epoch = epoch
