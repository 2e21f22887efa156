"""How good the answers of a classifier are: accuracy, top-k accuracy, and which classes are taken for which."""

from typing import Any

import numpy as np

from tinygrad_edu.grad_mode import no_grad
from tinygrad_edu.tensor import Tensor, wrap

__all__ = ["accuracy", "confusion_matrix", "predict", "top_k_accuracy"]


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the share of rows whose greatest output is at the target.

    Parameters
    ----------
    outputs : Tensor, shape (N, C)
        Scores, logits or probabilities.
    targets : Tensor of integers, shape (N,)

    Raises
    ------
    ValueError
        For other shapes, or no rows.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.train import accuracy
    >>> accuracy(tg.tensor([[0.1, 0.9], [0.8, 0.2]]), tg.tensor([1, 1]))
    0.5
    """
    return top_k_accuracy(outputs, targets, k=1)


def top_k_accuracy(outputs: Tensor, targets: Tensor, k: int = 5) -> float:
    """Return the share of rows whose target is among the `k` greatest outputs; of equal outputs the earlier counts as greater.

    Raises
    ------
    ValueError
        For other shapes than (N, C) and (N,), no rows, or `k` out of 1 .. C.
    """
    scores, labels = _checked("top_k_accuracy", outputs, targets)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"top_k_accuracy: k must be between 1 and {scores.shape[1]}, the number of classes, got {k}.")
    if k == 1:
        return float(np.mean(scores.argmax(1) == labels))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.mean((order == labels[:, None]).any(axis=1)))


def confusion_matrix(outputs: Tensor, targets: Tensor, classes: int | None = None) -> Tensor:
    """Count the answers: entry (i, j) is how many of class i were taken for class j.

    Parameters
    ----------
    outputs : Tensor
        Scores of shape (N, C), or the answers themselves, integers of shape (N,).
    targets : Tensor of integers, shape (N,)
    classes : int, optional
        The number of classes; by default C, or one more than the greatest that occurs.

    Returns
    -------
    Tensor of int64, shape (classes, classes)

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.train import confusion_matrix
    >>> confusion_matrix(tg.tensor([0, 1, 1, 1]), tg.tensor([0, 0, 1, 1])).tolist()
    [[1, 1], [0, 2]]
    """
    given = outputs.detach().numpy()
    if given.ndim == 2:
        classes = given.shape[1] if classes is None else classes
        answers = given.argmax(1)
    else:
        answers = given
    labels = targets.numpy()
    if (
        answers.shape != labels.shape
        or labels.ndim != 1
        or answers.dtype.kind not in "iu"
        or labels.dtype.kind not in "iu"
    ):
        raise ValueError(
            f"confusion_matrix: expects scores (N, C) or class ids (N,) and class ids (N,), got {outputs.dtype} of shape "
            f"{tuple(outputs.shape)} and {targets.dtype} of shape {tuple(targets.shape)}."
        )
    classes = int(max(answers.max(initial=-1), labels.max(initial=-1))) + 1 if classes is None else classes
    if len(labels) and not (min(answers.min(), labels.min()) >= 0 and max(answers.max(), labels.max()) < classes):
        raise ValueError(f"confusion_matrix: class ids must lie between 0 and {classes - 1}. Fix: a larger classes=.")
    pairs = labels.astype(np.int64) * classes + answers
    return wrap(np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64))


def predict(model: Any, loader: Any) -> tuple[Tensor, Tensor]:
    """Return a model's outputs over a loader, in evaluation mode and without recording, and the targets beside them.

    Raises
    ------
    ValueError
        If the loader gives no batches.
    """
    outputs, targets = [], []
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            for inputs, wanted in loader:
                outputs.append(model(inputs).detach().numpy())
                targets.append(wanted.numpy())
    finally:
        model.train(was_training)
    if not outputs:
        raise ValueError("predict: the loader gave no batches. Fix: a smaller batch_size, or drop_last=False.")
    return wrap(np.concatenate(outputs)), wrap(np.concatenate(targets))


def _checked(name: str, outputs: Tensor, targets: Tensor) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = outputs.detach().numpy(), targets.numpy()
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            f"{name}: expects outputs (N, C) and class ids (N,), N > 0, got outputs of shape {tuple(outputs.shape)} and "
            f"{targets.dtype} targets of shape {tuple(targets.shape)}."
        )
    return scores, labels
