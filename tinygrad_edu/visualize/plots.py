"""Plots of a training: its curves, its confusion matrix, its images. Each takes arrays and returns a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tinygrad_edu.visualize.figure import Plot

TRAIN: dict[str, Any] = {"color": "#0072B2", "linestyle": "-", "marker": "o", "markersize": 4}
VALIDATION: dict[str, Any] = {
    "color": "#D55E00",
    "linestyle": "--",
    "marker": "s",
    "markersize": 4,
    "markerfacecolor": "white",
}
MANY_EPOCHS = 40  # above this the markers would merge into a thick line


def as_array(values: Any) -> np.ndarray:
    """Values of a tensor, an array or a (nested) list, outside any graph."""
    if isinstance(values, Tensor):
        return values.detach().numpy()
    if isinstance(values, list | tuple):
        return np.asarray([as_array(value) for value in values])
    return np.asarray(values)


def draw_training(
    loss: Any,
    validation_loss: Any = None,
    *,
    accuracy: Any = None,
    validation_accuracy: Any = None,
    title: str = "",
    log_scale: bool = False,
) -> Plot:
    """Draw the learning curves: loss, and accuracy where it is given, by epoch.

    Parameters
    ----------
    loss, validation_loss : sequence of float
        One number an epoch. A validation curve may be absent.
    accuracy, validation_accuracy : sequence of float
        Fractions between 0 and 1, one an epoch; drawn as percentages in a panel of their own.
    title : str
    log_scale : bool
        Draw the loss on a logarithmic axis.

    Returns
    -------
    Plot
        A matplotlib figure; ``.save("curves.svg")`` writes it.

    Raises
    ------
    ValueError
        A curve is empty or not one-dimensional, two curves of a panel differ in length, or an accuracy lies outside
        [0, 1].

    Examples
    --------
    >>> from tinygrad_edu.visualize import draw_training
    >>> plot = draw_training([0.9, 0.5, 0.4], [1.0, 0.7, 0.8], accuracy=[0.6, 0.8, 0.9])
    >>> [axes.get_ylabel() for axes in plot.axes]
    ['loss', 'accuracy (%)']
    """
    from tinygrad_edu.visualize.figure import Plot

    panels = [curves("loss", loss, validation_loss)]
    if accuracy is not None or validation_accuracy is not None:
        fractions = curves("accuracy", accuracy, validation_accuracy)
        for values in fractions.values():
            if np.nanmin(values) < 0 or np.nanmax(values) > 1:
                low, high = np.nanmin(values), np.nanmax(values)
                raise ValueError(f"accuracy is a fraction between 0 and 1, got {low:g} to {high:g}. Fix: divide by 100")
        panels.append({name: 100 * values for name, values in fractions.items()})
    plot = Plot(figsize=(4.6 * len(panels), 3.4))
    for number, (panel, label) in enumerate(zip(panels, ("loss", "accuracy (%)"), strict=False)):
        axes = plot.plain_axes(1, len(panels), number + 1)
        draw_curves(axes, panel)
        axes.set_ylabel(label)
    if log_scale:
        plot.axes[0].set_yscale("log")
    if title:
        plot.suptitle(title)
    return plot


def curves(what: str, train: Any, validation: Any) -> dict[str, np.ndarray]:
    """The curves that are there, by the name in the legend, after checking them."""
    given = {"training": train, "validation": validation}
    found = {name: as_array(values).astype(float) for name, values in given.items() if values is not None}
    if not found:
        raise ValueError(f"no {what} to draw: give one number an epoch")
    for name, values in found.items():
        if values.ndim != 1 or not values.size:
            raise ValueError(f"{name} {what} must be one number an epoch, got an array of shape {values.shape}")
    if len({values.size for values in found.values()}) > 1:
        sizes = " and ".join(f"{values.size} of {name}" for name, values in found.items())
        raise ValueError(f"{what} curves differ in length: {sizes} epochs")
    return found


def draw_curves(axes: Axes, panel: dict[str, np.ndarray]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, values in panel.items():
        look = dict(TRAIN if name == "training" else VALIDATION)
        if values.size > MANY_EPOCHS:
            del look["marker"]
        axes.plot(np.arange(1, values.size + 1), values, label=name, **look)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def draw_confusion(
    targets: Any, predictions: Any, *, class_names: Sequence[str] | None = None, title: str = ""
) -> Plot:
    """Draw the confusion matrix: how many samples of each class (row) were taken for each class (column).

    Parameters
    ----------
    targets, predictions : integer arrays of shape (N,)
        Class numbers from 0 on.
    class_names : sequence of str
        One name a class; the numbers without it.
    title : str
        The accuracy is shown where there is none.

    Raises
    ------
    ValueError
        The arrays are empty, not of one shape (N,), not whole numbers, or hold a class without a name.
    """
    from sklearn.metrics import confusion_matrix

    from tinygrad_edu.visualize.figure import Plot

    true, predicted = as_array(targets), as_array(predictions)
    if true.shape != predicted.shape or true.ndim != 1 or not true.size:
        raise ValueError(
            f"targets and predictions must have one shape (N,), got {true.shape} and {predicted.shape}. "
            "Fix: for scores of shape (N, C) pass scores.argmax(1)"
        )
    if true.dtype.kind not in "iu" or predicted.dtype.kind not in "iu":
        raise ValueError(f"class numbers must be whole, got {true.dtype} and {predicted.dtype}. Fix: scores.argmax(1)")
    classes = int(max(true.max(), predicted.max())) + 1 if class_names is None else len(class_names)
    names = [str(number) for number in range(classes)] if class_names is None else list(class_names)
    if min(true.min(), predicted.min()) < 0 or max(true.max(), predicted.max()) >= classes:
        low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        raise ValueError(f"class numbers run from {low} to {high}, but must lie in 0 to {classes - 1}")
    counts = confusion_matrix(true, predicted, labels=range(classes))
    plot = Plot(figsize=(1.8 + 0.45 * classes, 1.6 + 0.45 * classes))
    axes = plot.add_subplot()
    draw_counts(axes, counts, names)
    axes.set_title(title or f"{np.trace(counts)} of {counts.sum()} right ({np.trace(counts) / counts.sum():.1%})")
    return plot


def draw_counts(axes: Axes, counts: np.ndarray, names: list[str]) -> None:
    """Each cell is as dark as its share of its row, so that rare classes are judged like frequent ones."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    long = max(len(name) for name in names) > 2
    axes.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#CCCCCC", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="predicted class", ylabel="true class")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)


def draw_images(
    images: Any, titles: Sequence[Any] | None = None, *, columns: int | None = None, title: str = ""
) -> Plot:
    """Draw a grid of images.

    Parameters
    ----------
    images : array of shape (N, H, W), (N, 1, H, W), (N, 3, H, W), (N, H, W, 1) or (N, H, W, 3)
        Grey images are scaled each from its smallest to its largest value, so filters can be drawn too; coloured ones
        hold fractions in [0, 1] or bytes.
    titles : sequence
        One for each image.
    columns : int
        Images in a row; about as many as rows without it.
    title : str

    Raises
    ------
    ValueError
        The shape is none of these, there are no images, or not as many titles as images.
    """
    from tinygrad_edu.visualize.figure import Plot

    pictures = with_channels_last(as_array(images))
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(pictures)} images but {len(titles)} titles; give one title for each image")
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    columns = min(columns or int(np.ceil(np.sqrt(len(pictures)))), len(pictures))
    rows = -(-len(pictures) // columns)
    ratio = pictures.shape[1] / pictures.shape[2]
    plot = Plot(figsize=(1.3 * columns, (1.3 * ratio + (0.25 if titles is not None else 0.0)) * rows + 0.1))
    for number, picture in enumerate(pictures):
        axes = plot.add_subplot(rows, columns, number + 1)
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set_axis_off()
        if titles is not None:
            axes.set_title(str(titles[number]), fontsize=9, pad=3)
    if title:
        plot.suptitle(title)
    return plot


def with_channels_last(images: np.ndarray) -> np.ndarray:
    """Images as matplotlib wants them: (N, H, W) for grey and (N, H, W, 3) for coloured ones."""
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)) or not images.size:
        raise ValueError(
            f"images must have the shape (N, H, W) or (N, C, H, W) with 1 or 3 channels, got {images.shape}. "
            "Fix: for one image x.unsqueeze(0); for other channel counts draw each channel as a grey image"
        )
    return images
