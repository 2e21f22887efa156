"""Plots of a training: what is drawn is what was given, and mistakes are named."""

import os

import numpy as np
import pytest

from tinygrad_edu.tensor import wrap
from tinygrad_edu.visualize import draw_confusion, draw_images, draw_training


def test_training_curves_hold_the_numbers(tmp_path):
    plot = draw_training([0.9, 0.5, 0.4], [1.0, 0.7, 0.8], accuracy=[0.6, 0.8, 0.9], title="digits")
    loss, accuracy = plot.axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 0.9], [2, 0.5], [3, 0.4]])
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), [1.0, 0.7, 0.8])
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [60, 80, 90])
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert loss.lines[0].get_linestyle() != loss.lines[1].get_linestyle()  # told apart in grey too
    assert plot.save(tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert plot.save(tmp_path / "curves.svg").read_text().count("<svg") == 1
    assert sorted(os.listdir(tmp_path)) == ["curves.png", "curves.svg"]
    assert plot._repr_png_().startswith(b"\x89PNG")


def test_training_curves_take_tensors_and_a_logarithmic_axis():
    plot = draw_training(wrap(np.array([1.0, 0.1], np.float32)), log_scale=True)
    assert plot.axes[0].get_yscale() == "log"
    assert draw_training([wrap(np.float32(1.0)), wrap(np.float32(0.5))]).axes[0].lines[0].get_ydata().tolist() == [
        1,
        0.5,
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_training([]), r"training loss must be one number an epoch, got an array of shape \(0,\)"),
        (lambda: draw_training([[1.0]]), r"got an array of shape \(1, 1\)"),
        (lambda: draw_training([1.0, 2.0], [1.0]), "loss curves differ in length: 2 of training and 1 of validation"),
        (lambda: draw_training([1.0], accuracy=[97.0]), r"between 0 and 1, got 97 to 97\. Fix: divide by 100"),
        (lambda: draw_confusion([1], [[1, 0]]), r"one shape \(N,\), got \(1,\) and \(1, 2\)"),
        (lambda: draw_confusion([1.0], [1.0]), r"must be whole, got float64 and float64\. Fix: scores\.argmax"),
        (lambda: draw_confusion([0, 3], [0, 1], class_names=["a", "b"]), "run from 0 to 3, but must lie in 0 to 1"),
        (lambda: draw_images(np.zeros((2, 5, 8, 8))), r"1 or 3 channels, got \(2, 5, 8, 8\)"),
        (lambda: draw_images(np.zeros((8, 8))), r"for one image x\.unsqueeze\(0\)"),
        (lambda: draw_images(np.zeros((2, 8, 8)), ["one"]), "2 images but 1 titles"),
        (lambda: draw_images(np.zeros((2, 8, 8)), columns=0), "columns must be at least 1, got 0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_confusion_matrix_counts_rows_by_truth():
    plot = draw_confusion([0, 0, 1, 2], [0, 1, 1, 0], class_names=["cat", "dog", "cow"])
    axes = plot.axes[0]
    cells = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert cells == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 0): "1"}
    assert axes.get_title() == "2 of 4 right (50.0%)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "cow"]


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 1, 4, 6), (5, 3, 4, 6), (5, 4, 6, 1), (5, 4, 6, 3)])
def test_images_of_every_accepted_shape(shape):
    images = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    plot = draw_images(wrap(images), titles=range(5), columns=3)
    assert len(plot.axes) == 5
    assert [axes.get_title() for axes in plot.axes] == list("01234")
    assert all(axes.images[0].get_array().shape[:2] == (4, 6) for axes in plot.axes)


def test_a_plot_is_not_a_graph(tmp_path):
    with pytest.raises(ValueError, match=r"Known endings: \.svg, \.png, \.pdf"):
        draw_training([1.0]).save(tmp_path / "curve.dot")
