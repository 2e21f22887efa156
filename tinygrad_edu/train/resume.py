"""Going on exactly where a training broke off: everything that decides the rest of a run, in one file.

That is the parameters, the optimizer, the schedule, the callbacks, the history, the sums of the epoch under way, and the place in the data.
The place is kept as two states of the random numbers. The first is that of the epoch's start: from it the loader draws the same order again,
and the batches already seen are passed over. The second is the one after the last step, from which the draws go on.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_edu.random import default_generator
from tinygrad_edu.tensor import Tensor
from tinygrad_edu.train.history import Meter
from tinygrad_edu.utils.serialization import CheckpointError, load, save

__all__ = ["Place", "RunFile"]

_KIND = "tinygrad_edu training run"


@dataclass
class Place:
    """How far a run has come.

    Attributes
    ----------
    epoch : int
        The epoch under way, or the next, from 1 on.
    batch : int
        How many of its batches are done.
    batches : int
        How many are done in all epochs.
    stop : bool
        Whether a callback has ended the run.
    meter : Meter
        The sums of the epoch under way.
    seconds : float
        The time that it has taken.
    epoch_start, now : list of Tensor
        The states of the generators at the epoch's start, and those to go on from.
    """

    epoch: int = 1
    batch: int = 0
    batches: int = 0
    stop: bool = False
    meter: Meter = field(default_factory=Meter)
    seconds: float = 0.0
    epoch_start: list[Tensor] = field(default_factory=list)
    now: list[Tensor] = field(default_factory=list)


class RunFile:
    """The file of one run, and the parts whose states it holds.

    Parameters
    ----------
    path : path, optional
        None writes nothing.
    loader : iterable
        The batches, whose own generator (if it has one) counts beside the default one.
    **parts
        Things with ``state_dict`` and ``load_state_dict``; None is passed over.
    """

    def __init__(self, path: str | os.PathLike[str] | None, loader: Any, **parts: Any):
        self.path = None if path is None else Path(path)
        self.loader = loader
        self.generators = _generators(loader)
        self.parts = {name: part for name, part in parts.items() if part is not None}
        if self.path is not None:
            if getattr(loader, "persistent_workers", False):
                raise ValueError(
                    "fit: a loader with persistent_workers=True numbers its batches over all epochs, which cannot be taken up again. "
                    "Fix: persistent_workers=False, or checkpoint=None."
                )
            if not self.path.resolve().parent.is_dir():
                raise FileNotFoundError(
                    f"fit: there is no folder {str(self.path.parent)!r} for the checkpoint. Fix: make it."
                )

    def write(self, place: Place) -> None:
        """Write the file, whole or not at all."""
        if self.path is None:
            return
        states = {name: part.state_dict() for name, part in self.parts.items()}
        save({"kind": _KIND, "place": {**vars(place), "meter": asdict(place.meter)}, "parts": states}, self.path)

    def read(self) -> Place:
        """Give every part its state back and return the place; a new place where there is no file yet.

        Raises
        ------
        CheckpointError
            If the file is damaged, or no file of a run, or of a run with other parts.
        """
        if self.path is None or not self.path.is_file():
            return Place()
        content = load(self.path)
        if not isinstance(content, dict) or content.get("kind") != _KIND:
            raise CheckpointError(
                f"fit: {str(self.path)!r} holds no training run. Fix: a file written by fit(..., checkpoint=...), or resume=False."
            )
        if set(content["parts"]) != set(self.parts):
            raise CheckpointError(
                f"fit: the run in {str(self.path)!r} had {', '.join(sorted(content['parts']))}, this one has "
                f"{', '.join(sorted(self.parts))}. Fix: the same arguments of fit, or resume=False."
            )
        place = Place(**{**content["place"], "meter": Meter(**content["place"]["meter"])})
        if place.now and len(place.now) != len(self.generators):
            raise CheckpointError(
                f"fit: the run in {str(self.path)!r} drew from {len(place.now)} generators, not as many as this one."
            )
        for name, part in self.parts.items():
            part.load_state_dict(content["parts"][name])
        return place

    def mark(self) -> list[Tensor]:
        """Return the present states of the generators."""
        return [generator.get_state() for generator in self.generators]

    def go_to(self, states: list[Tensor]) -> None:
        """Let the generators go on from these states."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)

    def batches_from(self, place: Place) -> Iterator[Any]:
        """Yield the batches of the epoch under way that are still to come."""
        if place.now:
            self.go_to(place.epoch_start if place.batch else place.now)
        place.epoch_start = self.mark()
        batches = iter(self.loader)
        for done in range(place.batch):
            if next(batches, None) is None:
                raise CheckpointError(
                    f"fit: the run broke off after batch {place.batch} of an epoch, but the loader gives only {done}. "
                    "Fix: the same data and batch size as then."
                )
        if place.batch:
            self.go_to(place.now)
        yield from batches


def _generators(loader: Any) -> list[Any]:
    """Return the default generator and those that the loader and its sampler have of their own."""
    holders = (
        loader,
        getattr(loader, "sampler", None),
        getattr(getattr(loader, "batch_sampler", None), "sampler", None),
    )
    own = [getattr(holder, "generator", None) for holder in holders]
    return list(dict.fromkeys([default_generator, *(generator for generator in own if generator is not None)]))
