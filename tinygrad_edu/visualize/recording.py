"""Remembering every executed operation with its values, which the graph itself does not: it keeps only what rules read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.graph import Node
from tinygrad_edu.registry import observers
from tinygrad_edu.tensor import Tensor


@dataclass(frozen=True)
class Call:
    """One executed operation: what went in, where that came from, and what came out, as they were at the time."""

    inputs: tuple[Tensor | None, ...]
    values: tuple[np.ndarray | None, ...]
    nodes: tuple[Node | None, ...]
    parameters: dict[str, Any]
    out: np.ndarray


class Recording:
    """The recorded operations by their nodes. It keeps the nodes and copies of all values alive, so drop it after use."""

    def __init__(self) -> None:
        self.calls: dict[Node, Call] = {}
        self._thread = threading.get_ident()

    def __len__(self) -> int:
        return len(self.calls)

    def note(self, name: str, arguments: tuple, parameters: dict[str, Any], out: Tensor) -> None:
        """Called by the engine after each operation; what other threads calculate is not part of this recording."""
        if out.node is None or threading.get_ident() != self._thread:
            return
        self.calls[out.node] = Call(
            inputs=arguments,
            values=tuple(None if a is None else np.array(a._data) for a in arguments),
            nodes=tuple(None if a is None else a.node for a in arguments),
            parameters=dict(parameters),
            out=np.array(out._data),
        )


@contextmanager
def record() -> Iterator[Recording]:
    """Record, within a ``with`` block, every operation that somebody may want a derivative of, with all its values.

    Without it :func:`draw_graph` shows the values that the graph still holds; with it, all of them, and derivatives also
    after ``backward()`` has freed the graph.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> with tg.visualize.record() as recording:
    ...     y = (x + 1) * 2
    >>> y.backward()
    >>> print(tg.visualize.draw_graph(y, recording=recording).to_text())
    x | = 3 | ∂y/∂x = 2
    x + 1 | = 4 | ∂y/∂(x + 1) = 2
        from x: ∂(x + 1)/∂x = 1
    y = (x + 1) * 2 | = 8 | ∂y/∂y = 1
        from x + 1: ∂y/∂(x + 1) = 2
    """
    recording = Recording()
    observers.append(recording.note)
    try:
        yield recording
    finally:
        observers.remove(recording.note)
