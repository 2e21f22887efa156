"""``tg.check(model, optimizer, loss)``: mistakes that can be proved by looking at a model, its optimizer and one loss together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.errors import message
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.mistakes import no_graph
from tinygrad_edu.tensor import Tensor

__all__ = ["Report", "check"]

ROWS = 6  # how many names one finding lists


@dataclass(frozen=True)
class Report:
    """What :func:`check` found; empty, and false, when nothing is wrong.

    Attributes
    ----------
    findings : tuple of str
        One coded message each; ``tg.explain`` tells more about a code.
    """

    findings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[str]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join(self.findings) or "nothing wrong was found"

    __repr__ = __str__


def check(model: Any, optimizer: Any = None, loss: Tensor | None = None) -> Report:
    """Look for mistakes that PyTorch would pass over in silence. Nothing is changed, and nothing is guessed.

    Found are: layers hidden in plain lists (E120), parameters that the optimizer does not hold or that are no longer the model's
    (E304), NaN or infinity in parameters or in the loss (E401), a loss that cannot be differentiated (E203, E204, E205), parameters
    that it does not reach (E203), and a loss computed in evaluation mode (E306).

    Parameters
    ----------
    model : nn.Module
    optimizer : optim.Optimizer, optional
    loss : Tensor, optional
        A loss that the model gave, before its ``backward()``.

    Returns
    -------
    Report
        False in a condition when nothing was found.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Linear(3, 2)
    >>> tg.check(model, tg.optim.SGD(model.parameters()), model(tg.ones(1, 3)).sum())
    nothing wrong was found
    """
    from tinygrad_edu.nn.mistakes import plain_containers
    from tinygrad_edu.nn.module import Module

    if not isinstance(model, Module):
        raise TypeError(f"check: the first argument must be an nn.Module, got {type(model).__name__}.")
    findings = [message("E120", *parts) for parts in plain_containers(model)]
    findings += _of_values(model)
    if optimizer is not None:
        findings += _of_optimizer(model, optimizer)
    if loss is not None:
        findings += _of_loss(model, loss)
    return Report(tuple(findings))


def _of_values(model: Any) -> Iterator[str]:
    wrong = [name for name, p in _parameters(model) if not np.isfinite(p._data).all()]
    if wrong:
        yield message(
            "E401",
            type(model).__name__,
            f"there are NaN or infinite values in {_listed(wrong)}.",
            "make the model anew, with a smaller learning rate; tg.detect_anomaly() finds where they begin.",
        )


def _of_optimizer(model: Any, optimizer: Any) -> Iterator[str]:
    """E304: the two lists of parameters differ."""
    mine = {id(p): name for name, p in _parameters(model) if p.requires_grad}
    every = {id(p) for _, p in _parameters(model)}
    held = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    missing = [name for key, name in mine.items() if key not in held]
    foreign = [tuple(p.shape) for key, p in held.items() if key not in every]
    name = type(optimizer).__name__
    if missing and foreign:
        facts = (
            f"the optimizer changes {len(foreign)} tensors that are not the model's (shapes {_listed(foreign)}) and does not hold "
            f"{_listed(missing)}: layers were replaced after it was made, or it was made for another model."
        )
        yield message("E304", name, facts, "make the optimizer after the last change of the model.")
    elif missing:
        yield message(
            "E304",
            name,
            f"the optimizer does not hold {_listed(missing)}, so they never change.",
            f"{name}(model.parameters(), ...), or requires_grad_(False) for what is frozen on purpose.",
        )


def _of_loss(model: Any, loss: Tensor) -> Iterator[str]:
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"check: the loss must be a Tensor, got {type(loss).__name__}. Fix: pass loss, not loss.item()."
        )
    if loss.node is None:
        yield str(no_graph(loss._data))
        return
    if loss.numel() != 1:
        yield message(
            "E205",
            "the loss",
            f"it has the shape {tuple(loss.shape)}; only one number can be minimized.",
            "loss.mean().",
        )
    if not np.isfinite(loss._data).all():
        yield message("E401", "the loss", "it is not finite.", "tg.detect_anomaly() finds where that begins.")
    nodes = _reached(loss.node)
    used = next((n for n in nodes if n.saved is None), None)
    if used is not None:
        facts = f"backward() has been through it already: the values that {used.op.name} saved are freed."
        yield message("E204", "the loss", facts, "check the loss before its backward().")
    missed = [name for name, p in _parameters(model) if p.requires_grad and p.node not in nodes]
    if missed:
        yield message(
            "E203",
            "the loss",
            f"no gradient can reach {_listed(missed)}: forward() does not use them, or the way to them is cut (detach, .data, no_grad).",
            "use them in forward(), or take them out of the model.",
        )
    yield from _of_mode(model)


def _of_mode(model: Any) -> Iterator[str]:
    """E306: the loss was recorded while the model is in evaluation mode."""
    from tinygrad_edu.nn.dropout import _Dropout
    from tinygrad_edu.nn.normalization import _BatchNorm

    idle = [name for name, m in model.named_modules() if isinstance(m, _Dropout | _BatchNorm) and not m.training]
    if idle and not model.training:
        facts = f"the model is in evaluation mode, in which {_listed(idle)} would not do what they do in training."
        yield message("E306", type(model).__name__, facts, "model.train() before training.")


def _reached(start: Node) -> set[Node]:
    """Return every node that `start` depends on, without marking them."""
    found: set[Node | Leaf] = {start}
    stack = [start]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


def _parameters(model: Any) -> Iterator[tuple[str, Tensor]]:
    return model._named_members("parameter", "", True, True)  # named_parameters() would warn of what is reported here


def _listed(names: list) -> str:
    more = f" and {len(names) - ROWS} more" if len(names) > ROWS else ""
    return ", ".join(map(str, names[:ROWS])) + more
