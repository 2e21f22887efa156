"""Losses of classification: cross-entropy of class numbers and of class probabilities.

The common cases (a mean over the batch) are fused with their gradient into one kernel; everything else is composed.
"""

from typing import Any

import numpy as np

from tinygrad_edu import kernels
from tinygrad_edu.errors import DtypeError, IndexOutOfRangeError, ShapeError, ValueRangeError, message, teach
from tinygrad_edu.ops.loss_base import expect_tensors, reduced, reduction_of
from tinygrad_edu.ops.masking import where
from tinygrad_edu.ops.reduction import broadcast_to, mean_along, sum_along
from tinygrad_edu.ops.shape import unsqueeze
from tinygrad_edu.ops.softmax import log_softmax, softmax_along
from tinygrad_edu.ops.workspace import Workspace
from tinygrad_edu.primitive import composite, primitive
from tinygrad_edu.source_lines import variable_that
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["cross_entropy", "nll_loss"]

INT64 = np.dtype(np.int64)


# ---- the element of the right class -----------------------------------------------------------------------------------------
@primitive(method=False)
def class_pick(x, /, ids):
    """y[n, ...] = x[n, ids[n, ...], ...]: of every sample the element of its class."""
    if x.ndim == 1:
        return x[ids]
    if x.ndim == 2:
        return x[np.arange(len(ids)), ids]
    return np.take_along_axis(x, ids[:, None], 1)[:, 0]


@primitive(method=False)
def class_put(y, /, ids, shape):
    """Put every sample's number at its class into zeros of `shape`: the adjoint of :func:`class_pick`."""
    x = np.zeros(shape, y.dtype)
    if x.ndim == 1:
        x[ids] = y
    elif x.ndim == 2:
        x[np.arange(len(ids)), ids] = y
    else:
        np.put_along_axis(x, ids[:, None], np.asarray(y)[:, None], 1)
    return x


@primitive(method=False, node_name="NllLossBackward0")
def class_mean(x, /, ids):
    """-mean over n of x[n, ids[n]], of log-probabilities (N, C)."""
    return -np.add.reduce(x[np.arange(len(ids)), ids]) / x.dtype.type(len(ids))


class_mean.derivative(x=lambda g, ids, x_shape: class_put(broadcast_to(g * (-1.0 / len(ids)), ids.shape), ids, x_shape))
class_pick.derivative(x=lambda g, ids, x_shape: class_put(g, ids, x_shape))
class_put.derivative(y=lambda g, ids: class_pick(g, ids))


def check_classes(op: str, ids: Any, classes: int, ignore_index: int) -> np.ndarray | None:
    """Return which targets count (None: all of them), or raise E107 for a class number outside 0..classes-1."""
    if not ids.size:
        return None
    ids = np.asarray(ids)
    low, high = ids.min(), ids.max()
    if low >= 0 and high < classes and not low <= ignore_index <= high:
        return None
    kept = ids != ignore_index
    wrong = kept & ((ids < 0) | (ids >= classes))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise IndexOutOfRangeError(_wrong_class(op, ids[kept], int(ids[place]), place, classes))
    return kept


def _wrong_class(op: str, ids: np.ndarray, value: int, place: tuple[int, ...], classes: int) -> str:
    low, high = int(ids.min()), int(ids.max())
    facts = (
        f"Target {value} is out of bounds: at position {place[0] if len(place) == 1 else place} for {classes} classes, "
        f"which are 0 to {classes - 1}; the targets go from {low} to {high}"
    )
    if low == 1 and high == classes:
        return message("E107", op, facts + ", which looks 1-based.", "target - 1.")
    if low >= 0 and 100 < high <= 255:
        return message("E107", op, facts + ", which looks like pixel values.", "pass the labels, not the image.")
    if low < 0:
        return message("E107", op, facts + ".", f"numbers from 0 on; ignore_index={low} leaves {low} out.")
    return message("E107", op, facts + ".", f"give the model {high + 1} outputs, or correct the labels.")


def explain_target(op: str, input: Tensor, target: Tensor) -> None:
    """Raise E108 unless the target holds class numbers of the shape that belongs to the input."""
    x, t = tuple(input.shape), tuple(target.shape)
    if not x:
        raise ShapeError(
            message("E108", op, "the input needs a dimension of classes, it is 0-d.", "logits of shape (N, C).")
        )
    wanted = () if len(x) == 1 else (x[0], *x[2:])
    forms = f"class numbers (int64) of shape {wanted}"
    if op == "cross_entropy":
        forms += f", or probabilities ({input.dtype.name}) of shape {x}"
    kind = target._data.dtype.kind
    if target.dtype.name in ("int64", "uint8") and t == wanted:
        return
    facts = f"the target is {target.dtype.name} of shape {t}; for an input of shape {x} it is {forms}."
    if t == x and len(x) > 1:
        fix = "target.argmax(1) makes class numbers of one-hot rows, target.float() probabilities."
        error: type[Exception] = ShapeError
    elif len(t) == len(wanted) + 1 and t[-1] == 1 and t[:-1] == wanted:
        fix, error = f"target.squeeze({len(t) - 1}){'' if kind in 'iu' else '.long()'}.", ShapeError
    elif t == wanted:
        fix, error = "target.long().", DtypeError
    elif t and wanted and t[0] != wanted[0]:
        facts = f"Expected input batch_size ({x[0]}) to match target batch_size ({t[0]}); " + facts
        fix, error = "as many targets as samples.", ValueRangeError
    else:
        fix, error = "one of these forms.", ShapeError
    raise error(message("E108", op, facts, fix))


# ---- classification by class numbers ----------------------------------------------------------------------------------------
@primitive(method=False, names=("input", "target"), node_name="NllLossBackward0")
def cross_entropy_mean(x, target, /, work):
    """Mean of -log_softmax(x[n])[target[n]] over the rows of (N, C), with its slope in one pass."""
    loss, work.slope = kernels.cross_entropy_forward(x, target)
    return loss


def _softmax_minus_truth(g, x, target):
    truth = unsqueeze(target, 1) == np.arange(x.shape[1])
    share = g * (1.0 / max(1, x.shape[0]))
    return share * softmax_along(x, 1) - share * truth


cross_entropy_mean.derivative(x=_softmax_minus_truth)
cross_entropy_mean.derivative_on_arrays(lambda g, needs, work: (g * work.slope,), fresh=True)


@composite(method=False)
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of *logits* (no softmax before it) against class numbers or class probabilities.

    loss_n = -log_softmax(input[n])[target[n]], or -sum over c of target[n,c] * log_softmax(input[n])[c]

    Parameters
    ----------
    input : Tensor (N, C), (C,) or (N, C, d1, ...)
        Logits.
    target : Tensor
        Class numbers 0..C-1, int64, of the input's shape without C; or probabilities, floating, of the input's shape.
    weight : Tensor (C,), optional
        Weights of the classes; the mean is weighted.
    ignore_index : int
        Targets of this number count nothing.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        Mix the target with the uniform distribution, this much of it [1]_.

    Raises
    ------
    IndexError
        For a class number outside 0..C-1 (E107).
    RuntimeError, ValueError
        For targets of a wrong type or shape (E108).

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception architecture", CVPR 2016, arXiv:1512.00567.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> import tinygrad_edu.nn.functional as F
    >>> round(F.cross_entropy(tg.tensor([[2., 0., 0.]]), tg.tensor([0])).item(), 4)
    0.2395
    """
    expect_tensors("cross_entropy", input=input, target=target)
    if _made_by_softmax(input):
        _warn_of_softmax(
            "E105", "cross_entropy", input, "cross_entropy takes the softmax itself, so it is taken twice."
        )
    reduction = reduction_of(reduction, size_average, reduce)
    x, t = input._data, target._data
    if reduction == "mean" and weight is None and not label_smoothing and _is_plain(x, t, ignore_index):
        try:
            return cross_entropy_mean(input, target, Workspace())
        except IndexError:
            pass  # a target outside the classes: ignored, or a mistake that the general way explains
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    dim = 0 if x.ndim == 1 else 1
    if t.dtype.kind == "f" and t.shape == x.shape and x.ndim:
        if ignore_index >= 0:
            raise RuntimeError(
                f"cross_entropy: ignore_index is not supported for floating point target, got {ignore_index}. Fix: leave it out, "
                "and give rows that count nothing the probability 0 everywhere."
            )
        return _against_probabilities(input, target, weight, reduction, label_smoothing, dim)
    explain_target("cross_entropy", input, target)
    logs = log_softmax(input, dim)
    if not label_smoothing:
        return _nll(logs, target, weight, ignore_index, reduction, "cross_entropy")
    hard = _nll(logs, target, weight, ignore_index, reduction, "cross_entropy")
    spread = _smooth(logs, target, weight, ignore_index, reduction, dim)
    return hard * (1.0 - label_smoothing) + spread * (label_smoothing / x.shape[dim])


def _is_plain(x, t, ignore_index: int) -> bool:
    """Tell whether these are logits (N, C) with N class numbers, none of which could be `ignore_index`."""
    return (
        x.ndim == 2
        and t.ndim == 1
        and len(t) == len(x)
        and t.dtype == INT64
        and x.dtype.kind == "f"
        and not 0 <= ignore_index < x.shape[1]
    )


def _against_probabilities(input, target, weight, reduction, smoothing, dim):
    classes = input.shape[dim]
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / classes
    logs = log_softmax(input, dim) * target
    if weight is not None:
        logs = logs * wrap(_by_class(weight, input.ndim, dim))
    if reduction == "mean":
        return (
            -sum_along(logs, None, False) * (classes / max(1, input.numel()))
            if input.numel()
            else mean_along(logs, None, False)
        )
    return reduced(-sum_along(logs, dim, False), reduction, "cross_entropy")


def _by_class(weight: Tensor, ndim: int, dim: int) -> np.ndarray:
    """The weights of the classes lined up with dimension `dim` of an array."""
    return weight._data.reshape(tuple(-1 if d == dim else 1 for d in range(ndim)))


def _smooth(logs, target, weight, ignore_index, reduction, dim):
    """The part of label smoothing: minus the sum of all log-probabilities, weighted, ignored targets left out."""
    kept = np.asarray(target._data != ignore_index)
    if weight is not None:
        logs = logs * wrap(_by_class(weight, logs.ndim, dim))
    losses = where(wrap(kept), -sum_along(logs, dim, False), 0.0)
    if reduction != "mean":
        return reduced(losses, reduction, "cross_entropy")
    total = kept.sum() if weight is None else weight._data[np.where(kept, target._data, 0)][kept].sum()
    return sum_along(losses, None, False) / float(total)


@composite(method=False)
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of class numbers, loss_n = -weight[target[n]] * input[n, target[n]].

    Parameters
    ----------
    input : Tensor (N, C), (C,) or (N, C, d1, ...)
        Log-probabilities, as `log_softmax` gives them.
    target, weight, ignore_index, reduction
        As in :func:`cross_entropy`; class numbers only.
    """
    expect_tensors("nll_loss", input=input, target=target)
    _expect_logarithms(input)
    explain_target("nll_loss", input, target)
    return _nll(input, target, weight, ignore_index, reduction_of(reduction, size_average, reduce), "nll_loss")


def _expect_logarithms(input: Tensor) -> None:
    """Warn (E106) where the input of nll_loss was computed, but is not logarithms of probabilities."""
    node = input.node
    if node is None or node.is_leaf or node.op.name == "log_softmax_along":
        return
    if _made_by_softmax(input):
        _warn_of_softmax(
            "E106", "nll_loss", input, "nll_loss wants log-probabilities; of probabilities it makes a negative loss."
        )
    elif input.numel() and input._data.max() > 1e-3:  # a little above 0 may be rounding
        facts = (
            f"log-probabilities are never above 0, but the input, a result of {node.op.name}, goes up to {input._data.max():.6g}; "
            "the loss would have no lower bound."
        )
        teach("E106", "nll_loss", facts, "F.log_softmax(input, 1), or cross_entropy on the scores themselves.")


def _made_by_softmax(input: Tensor) -> bool:
    node = input.node
    return node is not None and not node.is_leaf and node.op.name == "softmax_along"


def _warn_of_softmax(code: str, op: str, input: Tensor, why: str) -> None:
    name = variable_that(lambda value: getattr(value, "node", None) is input.node)
    fix = "remove the softmax." if code == "E105" else "use log_softmax instead, or cross_entropy on the logits."
    teach(code, op, f"the input{name and f', {name},'} was made by softmax, but {why}", fix)


def _nll(logs, target, weight, ignore_index, reduction, op):
    ids = target._data
    classes = logs.shape[0 if logs.ndim == 1 else 1]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"{op}: weight tensor should be defined either for all {classes} classes or no classes but got weight tensor "
            f"of shape: {list(weight.shape)}."
        )
    kept = check_classes(op, ids, classes, ignore_index)
    if weight is None and kept is None and reduction == "mean" and logs.ndim == 2 and ids.size:
        return class_mean(logs, ids)
    safe = ids if kept is None else np.where(kept, ids, 0)
    picked = class_pick(logs, safe)
    if weight is None and kept is None:
        return reduced(-picked, reduction, op)
    scale = np.ones(ids.shape, logs._data.dtype) if weight is None else np.asarray(weight._data[safe])
    if kept is not None:
        scale = np.where(kept, scale, scale.dtype.type(0))
        picked = where(wrap(kept), picked, 0.0)  # an ignored row may hold inf or nan
    losses = picked * wrap(-scale)
    if reduction != "mean":
        return reduced(losses, reduction, op)
    return sum_along(losses, None, False) / wrap(scale.sum())
