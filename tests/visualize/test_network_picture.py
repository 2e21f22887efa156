"""The picture of a network: layers in the order of the data, shapes, parameters, and the module left as it was."""

from itertools import pairwise

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.random import get_rng_state
from tinygrad_edu.registry import observers
from tinygrad_edu.visualize import draw_network


def course_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2880, 100),
        nn.Tanh(),
        nn.Linear(100, 10),
    )


def ends(drawing):
    return [(drawing.boxes[arrow.src].title, drawing.boxes[arrow.dst].title) for arrow in drawing.arrows]


def shown(drawing):
    return {box.title: box.lines for box in drawing.boxes.values()}


def test_the_course_network():
    drawing = draw_network(course_cnn(), (1, 1, 28, 28))
    assert drawing.title == "Sequential: 289,630 parameters"
    found = shown(drawing)
    assert list(found) == [
        "input", "0: Conv2d", "1: ReLU", "2: MaxPool2d", "3: Flatten", "4: Linear", "5: Tanh", "6: Linear", "output",
    ]  # fmt: skip
    assert found["input"] == ("(1, 1, 28, 28)",)
    assert found["0: Conv2d"][-2:] == ("→ (1, 20, 24, 24)", "520 parameters")
    assert found["2: MaxPool2d"][-1] == "→ (1, 20, 12, 12)"
    assert found["3: Flatten"][-1] == "→ (1, 2880)"
    assert found["4: Linear"][-2:] == ("→ (1, 100)", "288,100 parameters")
    assert found["6: Linear"][-2:] == ("→ (1, 10)", "1,010 parameters")
    assert found["output"] == ("(1, 10)",)
    titles = list(found)
    assert ends(drawing) == list(pairwise(titles))
    kinds = {box.title: box.kind for box in drawing.boxes.values()}
    assert (kinds["0: Conv2d"], kinds["1: ReLU"]) == ("layer", "op")


class Branches(nn.Module):
    """A residual sum, a functional activation, one layer that is used twice, and one that is never used."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.unused = nn.Linear(4, 9)

    def forward(self, x):
        skip = self.first(x)
        return self.first((self.inner(skip) + skip).tanh())


def test_branches_operations_between_layers_and_shared_weights():
    drawing = draw_network(Branches(), tg.ones(2, 4), title="branches", direction="right")
    found = shown(drawing)
    assert list(found)[:6] == ["input", "first: Linear", "inner.0: Linear", "inner.1: ReLU", "add", "tanh"]
    assert "unused: Linear" not in found
    last = [box for box in drawing.boxes.values() if box.title == "first: Linear"][1]
    assert last.lines[-1] == "the weights of first"
    arrows = ends(drawing)
    assert ("first: Linear", "add") in arrows
    assert ("inner.1: ReLU", "add") in arrows
    assert ("tanh", "first: Linear") in arrows
    assert arrows[-1] == ("first: Linear", "output")
    assert (drawing.title, drawing.direction) == ("branches", "right")


class Cell(nn.Module):
    """Stands for a layer of the package that is made of modules and gives several results, as recurrent ones do."""

    __module__ = "tinygrad_edu.nn.recurrent"

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 5)

    def forward(self, x):
        h = self.inner(x).tanh()
        return h, (h, h + 1)


def test_a_layer_of_ours_is_one_box_whatever_it_is_made_of():
    found = shown(draw_network(Cell(), (2, 4, 3)))
    assert list(found) == ["input", "Cell", "output"]
    assert found["Cell"][-1] == "20 parameters"
    assert found["output"] == ("(2, 4, 5), (2, 4, 5), (2, 4, 5)",)


def test_the_module_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[1].eval()
    before = {name: value.tolist() for name, value in model.state_dict().items()}
    state = get_rng_state().tolist()
    draw_network(model, (1, 3))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert {name: value.tolist() for name, value in model.state_dict().items()} == before
    assert get_rng_state().tolist() == state
    assert all(parameter.grad is None for parameter in model.parameters())
    assert observers == []


def test_the_module_is_left_as_it_was_also_after_an_error():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 1))
    with pytest.raises(RuntimeError, match="1"):
        draw_network(model, (1, 3))
    assert model.training
    assert observers == []
    assert model[0](tg.ones(1, 3)).shape == (1, 3)


@pytest.mark.parametrize("bad", [(), (0, 3), (1.5,), "12", None])
def test_a_bad_shape_is_named(bad):
    with pytest.raises(
        ValueError, match=r"must be a Tensor or a shape of positive numbers, got .*Fix: \(1, 1, 28, 28\)"
    ):
        draw_network(nn.Linear(3, 3), bad)


def test_a_function_is_no_module():
    with pytest.raises(TypeError, match="the model must be a Module, got function"):
        draw_network(course_cnn, (1, 3))


def test_the_courses_networks_show_their_layers():
    text = draw_network(tg.nn.models.CourseCNN(), (1, 1, 28, 28)).to_text()
    for line in ("conv: Conv2d", "520 parameters", "pool: MaxPool2d", "288,100 parameters", "1,010 parameters"):
        assert line in text
