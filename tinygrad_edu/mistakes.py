"""What a Tensor says about the mistakes that newcomers make with gradients (E202, E203, E204, E207, E209).

Nothing here runs on the ordinary path: the evidence is looked for when an error is composed or a suspicious value is read.
"""

from collections.abc import Callable
from typing import Any

from tinygrad_edu import dtypes
from tinygrad_edu.cuts import find_cut
from tinygrad_edu.errors import GraphError, message, teach, user_frame
from tinygrad_edu.grad_mode import mode
from tinygrad_edu.graph import Leaf, Node
from tinygrad_edu.source_lines import variable_that

__all__ = ["no_graph", "notice_summed_losses", "suspicions", "used_before", "voice_suspicions", "warn_of_no_gradient"]

# What to ask of the next optimizer step: called with the optimizer after it, then forgotten. See nn.modes.
suspicions: list[Callable[[Any], None]] = []
LONG = 16  # losses of so many backward passes in one sum


def warn_of_no_gradient(node: Node) -> None:
    """Warn that an interior tensor keeps no gradient (E202), or that a parameter was replaced by its updated value (E209)."""
    name = variable_that(lambda value: getattr(value, "node", None) is node)
    facts = f"only leaves keep their gradient; {name or 'this tensor'} was made by an operation, so its .grad is None."
    where = f"the .grad of a result of {node.op.name}"
    parents = [parent for parent in node.parents if parent is not None]
    leaf = parents[0] if len(parents) == 1 and isinstance(parents[0], Leaf) else None
    # A leaf with a gradient whose tensor is gone: the name that held the parameter holds this result now.
    if leaf is not None and node.op.name in ("add", "sub") and leaf.total is not None and leaf.variable is None:
        sign = "-" if node.op.name == "sub" else "+"
        facts += f" It replaced a parameter that had one: w = w {sign} lr * w.grad makes a new tensor and forgets the parameter."
        teach("E209", where, facts, f"with tg.no_grad(): w {sign}= lr * w.grad changes the parameter itself.")
    else:
        teach("E202", where, facts, "call .retain_grad() on it before backward().")


def no_graph(data: Any) -> GraphError:
    """Compose E203: nothing recorded leads from this tensor to one with requires_grad=True; name what cut the graph."""
    kind = dtypes.from_numpy_dtype(data.dtype)
    facts = (
        "element 0 of tensors does not require grad and does not have a grad_fn: nothing recorded leads from this tensor "
        f"(shape {tuple(data.shape)}, {kind.name}) to a tensor with requires_grad=True. "
    )
    cut = find_cut(user_frame()) if mode.enabled else None
    if cut is not None:
        story, fix = cut
    elif not mode.enabled:
        story, fix = (
            "Nothing is recorded in this line, it runs inside no_grad().",
            "compute the loss outside no_grad().",
        )
    elif data.dtype.kind != "f":
        story, fix = (
            f"It holds {kind.name}, and only floating-point results are recorded.",
            "compute the loss from the scores.",
        )
    else:
        story = "detach(), .data, item(), argmax, an integer conversion or no_grad() on the way cut the graph."
        fix = "make the parameters with requires_grad=True and compute the loss from them, outside no_grad()."
    return GraphError(message("E203", "backward", facts + story, fix))


def used_before(node: Node) -> GraphError:
    """Compose E204: a backward pass met a node whose saved values an earlier pass has freed; name the variable that shares it."""
    name = variable_that(lambda value: _is_used(getattr(value, "node", None), node.mark))
    shared = f" {name} is a result that the first pass used." if name else ""
    return GraphError(
        message(
            "E204",
            "backward",
            f"Trying to backward through the graph a second time: the values that {node.op.name} saved were freed by the first "
            f"backward pass.{shared}",
            "compute it again before each backward(), or add the losses and call backward() once, or pass retain_graph=True to the "
            "first call.",
        )
    )


def _is_used(node: Any, this_pass: object) -> bool:
    """Tell whether a value's node is part of `this_pass` and has been freed by another."""
    return isinstance(node, Node) and node.mark is this_pass and node.saved is None


def voice_suspicions(optimizer: Any) -> None:
    """Ask all suspicions about the step that `optimizer` has just made."""
    asked = suspicions[:]
    suspicions.clear()
    for suspicion in asked:
        suspicion(optimizer)


def notice_summed_losses(node: Node | None) -> None:
    """Warn (E207) when `node`, whose number is being read, is the sum of many losses after their backward passes.

    After ``loss.backward()`` the values that the graph saved are freed, but its nodes live as long as the loss does. Adding the loss
    itself (not its number) to a running total hangs every batch's nodes on one growing chain. Additions that no backward pass has
    visited, over losses that different passes have already freed, are exactly that: no backward could ever run through them.
    """
    if node is not None and node.op is not None and node.op.name in ("true_divide", "mul"):  # total / n
        node = node.parents[0]
    passes: set[int] = set()
    while node is not None and node.mark is None and not node.is_leaf and node.op.name == "add":
        freed, rest = [], None
        for parent in node.parents:
            visit = _freed_by(parent)
            if visit is None:
                rest = parent
            else:
                freed.append(visit)
        passes.update(map(id, freed))
        if len(passes) >= LONG:
            teach(
                "E207",
                "a running total",
                f"it adds up at least {LONG} losses together with their graphs, which backward() has already used: nothing of them can be "
                "needed again, but their memory cannot be given back.",
                "total += loss.item()",
            )
            return
        if not freed:
            return
        node = rest


def _freed_by(node: Node | None) -> object | None:
    """Return the backward pass that freed the graph below `node`; None if it can still be used."""
    for _ in range(4):  # a loss, perhaps times the batch size, perhaps of an operation that saves nothing
        if node is None or node.is_leaf:
            return None
        if node.saved is None:
            return node.mark
        if node.mark is not None and node.op.frees:
            return None
        node = next((parent for parent in node.parents if parent is not None), None)
    return None
