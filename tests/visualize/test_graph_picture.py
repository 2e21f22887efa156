"""The picture of a graph: right numbers on boxes and arrows, right names, and nothing changed by looking."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.registry import observers
from tinygrad_edu.visualize import draw_graph, record
from tinygrad_edu.visualize.derivatives import local_derivative
from tinygrad_edu.visualize.graph_picture import PARTS, Picture


def scalar(value, **options):
    return tg.tensor(float(value), requires_grad=True, **options)


def boxes(drawing):
    """Title to all lines under it."""
    return {box.title: (*box.lines, *box.gradient) for box in drawing.boxes.values()}


def arrows(drawing):
    """Labels of the arrows, by the titles at both ends; parallel arrows in order."""
    found = {}
    for arrow in drawing.arrows:
        found.setdefault((drawing.boxes[arrow.src].title, drawing.boxes[arrow.dst].title), []).append(arrow.label)
    return found


COURSE_BOXES = {
    "x": ("= 3", "∂f/∂x = 18"),
    "y": ("= 2", "∂f/∂y = 13"),
    "a = x ** 2": ("= 9", "∂f/∂a = 1"),
    "b = x * y": ("= 6", "∂f/∂b = 1"),
    "x + y": ("= 5", "∂f/∂(x + y) = 10"),
    "c = (x + y) ** 2": ("= 25", "∂f/∂c = 1"),
    "a + b": ("= 15", "∂f/∂(a + b) = 1"),
    "f = a + b + c": ("= 40", "∂f/∂f = 1"),
}
COURSE_ARROWS = {
    ("x", "a = x ** 2"): ["∂a/∂x = 6"],
    ("x", "b = x * y"): ["∂b/∂x = 2"],
    ("y", "b = x * y"): ["∂b/∂y = 3"],
    ("x", "x + y"): ["∂(x + y)/∂x = 1"],
    ("y", "x + y"): ["∂(x + y)/∂y = 1"],
    ("x + y", "c = (x + y) ** 2"): ["∂c/∂(x + y) = 10"],
    ("a = x ** 2", "a + b"): ["∂(a + b)/∂a = 1"],
    ("b = x * y", "a + b"): ["∂(a + b)/∂b = 1"],
    ("a + b", "f = a + b + c"): ["∂f/∂(a + b) = 1"],
    ("c = (x + y) ** 2", "f = a + b + c"): ["∂f/∂c = 1"],
}


def test_the_course_example_with_the_callers_names():
    x, y = scalar(3), scalar(2)
    a, b, c = x**2, x * y, (x + y) ** 2
    f = a + b + c
    drawing = draw_graph(f, title="f")
    assert boxes(drawing) == COURSE_BOXES
    assert arrows(drawing) == COURSE_ARROWS
    kinds = {box.title: box.kind for box in drawing.boxes.values()}
    assert (kinds["x"], kinds["a + b"], kinds["f = a + b + c"]) == ("leaf", "op", "output")
    assert (drawing.title, drawing.direction) == ("f", "right")


def test_a_recording_serves_also_after_backward():
    x, y = scalar(3), scalar(2)
    with record() as recording:
        a, b, c = x**2, x * y, (x + y) ** 2
        f = a + b + c
    f.backward()
    x.data = tg.tensor(100.0)  # a later step does not change what was calculated
    assert boxes(draw_graph(f, recording=recording)) == COURSE_BOXES
    assert arrows(draw_graph(f, recording=recording)) == COURSE_ARROWS


def test_looking_changes_nothing():
    x = scalar(3)
    y = x * x
    calls = []
    y.register_hook(calls.append)
    y.retain_grad()
    before = draw_graph(y)
    assert draw_graph(y) == before
    assert (x.grad, calls) == (None, [])
    y.backward()
    assert x.grad.item() == 6
    assert len(calls) == 1


def test_an_operand_that_is_used_twice_has_two_arrows():
    x = scalar(3)
    y = x * x
    assert arrows(draw_graph(y)) == {("x", "y = x * x"): ["∂y/∂x = 3", "∂y/∂x = 3"]}


def test_names_that_are_given_come_first_and_missing_ones_are_invented():
    x = scalar(3)
    y = x * 2
    drawing = draw_graph(y, names={"speed": x})
    assert set(boxes(drawing)) == {"speed", "y = speed * 2"}
    assert set(boxes(draw_graph(make_graph()))) == {"x1", "exp(x1)"}


def make_graph():
    hidden = scalar(1)
    return hidden.exp()


def test_long_formulas_get_a_name_of_their_own():
    x, v1 = scalar(1), scalar(2)
    with record() as recording:
        y = ((x + v1) * 3 + 1) / 7
    titles = list(boxes(draw_graph(y, recording=recording)))
    assert titles == ["x", "v1", "x + v1", "(x + v1) * 3", "v2 = (x + v1) * 3 + 1", "y = v2 / 7"]


def test_brackets_only_where_they_are_needed():
    x, y = scalar(3), scalar(2)
    with record() as recording:
        formulas = formulas_of(x, y)
    for title, r in formulas.items():
        assert title in boxes(draw_graph(r, names={"r": r}, recording=recording))


def formulas_of(x, y):
    return {
        "r = x - y - x": x - y - x,
        "r = x - (y - x)": x - (y - x),
        "r = x / (y * x)": x / (y * x),
        "r = (-x) ** 2": (-x) ** 2,
        "r = x * -2": x * -2.0,
        "r = 1 - x": 1 - x,
        "r = -x ** 2": -(x**2),
    }


def test_a_constant_that_nobody_kept_is_not_made_up():
    x = scalar(3)
    y = 1 - x
    assert boxes(draw_graph(y))["y = ? - x"] == ("= -2", "∂y/∂y = 1")


def test_arrays_show_few_numbers_and_large_ones_their_range():
    w = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    b = tg.tensor([1.0, -1.0], requires_grad=True)
    data = tg.tensor([[0.5, 2.0], [1.0, 4.0]])
    z = w * data + b
    drawing = draw_graph(z)
    shown = boxes(drawing)
    assert shown["w"] == ("= [[1, 2],", "[3, 4]]", "shape (2, 2)", "∂Σz/∂w =", "[[0.5, 2],", "[1, 4]]")
    assert shown["b"] == ("= [1, -1]", "shape (2,)", "∂Σz/∂b = [2, 2]")
    assert shown["data"] == ("= [[0.5, 2],", "[1, 4]]", "shape (2, 2)")
    labels = arrows(drawing)
    assert labels["data", "w * data"] == [""]
    assert labels["w", "w * data"] == ["∂(w * data)/∂w =\n[[0.5, 2],\n[1, 4]]"]
    assert labels["b", "z = w * data + b"] == ["∂z/∂b = 1\n(2,) stretched to (2, 2)"]
    large = tg.tensor(np.linspace(0.0, 1.0, 50), requires_grad=True)
    y = large * large
    assert boxes(draw_graph(y))["large"] == ("= 0 … 1", "shape (50,)", "∂Σy/∂large = 0 … 2")


def test_jacobians_of_operations_that_mix_elements():
    x = tg.tensor([1.0, 2.0, 4.0], requires_grad=True)
    total = x.sum()
    assert arrows(draw_graph(total))["x", "total = sum(x)"] == ["∂total/∂x = all 1"]
    m = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    v = tg.tensor([5.0, 7.0], requires_grad=True)
    p = m @ v
    labels = {label for found in arrows(draw_graph(p)).values() for label in found}
    assert "∂p/∂v =\n[[1, 2],\n[3, 4]]" in labels
    assert "∂p/∂m =\n[[5, 7, 0, 0],\n[0, 0, 5, 7]]" in labels
    big = tg.ones(30, 4, requires_grad=True)
    q = big.sum(1)
    assert [label.split(" = ")[1] for (src, _), (label,) in arrows(draw_graph(q)).items() if src == "big"] == [
        "30 × 120 matrix"
    ]


def test_operations_on_each_element_alone_have_a_number_for_each():
    x = tg.tensor(np.linspace(-1.0, 1.0, 100).reshape(10, 10), requires_grad=True)
    w = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    turned, cubed, same = w.T, w**3, x.clone()
    assert arrows(draw_graph(turned))["w", "turned = permute(w, dims=(1, 0))"] == [
        "∂turned/∂w =\n[[1, 0, 0, 0],\n[0, 0, 1, 0],\n[0, 1, 0, 0],\n[0, 0, 0, 1]]"
    ]
    assert arrows(draw_graph(cubed))["w", "cubed = w ** 3"] == ["∂cubed/∂w =\n[[3, 12],\n[27, 48]]"]
    assert arrows(draw_graph(same))["x", "same = clone(x)"] == ["∂same/∂x = 1"]


def test_an_index_reads_as_it_was_written():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    with record() as recording:
        parts = [x[0], x[:, 1:], x[..., None, 1], x[tg.tensor([0, 0])]]
    titles = [list(boxes(draw_graph(part, names={"p": part}, recording=recording)))[-1] for part in parts]
    assert titles == ["p = x[0]", "p = x[:, 1:]", "p = x[:, None, 1]", "p = x[…]"]


def test_parts_can_be_left_out():
    x = scalar(3)
    y = x * 2
    plain = draw_graph(y, show=())
    assert boxes(plain) == {"x": (), "y = x * 2": ()}
    assert arrows(plain) == {("x", "y = x * 2"): [""]}
    assert boxes(draw_graph(y, show=["grad"])) == {"x": ("∂y/∂x = 2",), "y = x * 2": ("∂y/∂y = 1",)}
    y.backward()
    assert boxes(draw_graph(y, show=("value",)))["x"] == ("= 3",)


def test_several_outputs_share_a_picture_and_the_first_gives_the_gradients():
    x = scalar(3)
    common = x * 2
    first, second = common + 1, common * 5
    shown = boxes(draw_graph(first, second))
    assert shown["common = x * 2"] == ("= 6", "∂first/∂common = 1")
    assert shown["second = common * 5"] == ("= 30",)


def test_a_leaf_can_be_drawn():
    x = scalar(3)
    assert boxes(draw_graph(x)) == {"x": ("= 3", "∂x/∂x = 1")}


def test_parameters_of_a_module_have_their_own_kind_and_names():
    net = tg.nn.Linear(2, 1)
    out = net(tg.ones(1, 2))
    kinds = {box.title: box.kind for box in draw_graph(out).boxes.values()}
    assert kinds["net.weight"] == kinds["net.bias"] == "parameter"


def test_the_gradients_of_a_network_are_those_of_the_engine():
    """Through layers and a loss with fused kernels, whose rules keep their work from the forward pass."""
    tg.manual_seed(0)
    net = tg.nn.Sequential(
        tg.nn.Conv2d(1, 2, 3),
        tg.nn.BatchNorm2d(2),
        tg.nn.ReLU(),
        tg.nn.MaxPool2d(2),
        tg.nn.Flatten(),
        tg.nn.Linear(8, 3),
    )
    with record() as recording:
        loss = tg.nn.functional.cross_entropy(net(tg.randn(4, 1, 6, 6)), tg.tensor([0, 1, 2, 0]))
    picture = Picture([loss], {}, recording.calls, frozenset(PARTS))
    loss.backward()
    for _, parameter in net.named_parameters():
        np.testing.assert_allclose(picture.gradients[parameter.node], parameter.grad.numpy(), rtol=1e-5, atol=1e-7)
    titles = [box.title for box in draw_graph(loss, recording=recording).boxes.values()]
    assert "net.0.weight" in titles
    assert any("max_pool2d(" in title for title in titles)


class Cube(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x**2


class SumAndDifference(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y, x - y

    @staticmethod
    def backward(ctx, by_sum, by_difference):
        return by_sum + by_difference, by_sum - by_difference


def test_functions_of_the_users_own_are_drawn_like_any_operation():
    x = tg.tensor([2.0, 3.0], requires_grad=True)
    y = Cube.apply(x)
    z = y.sum()
    drawing = draw_graph(z)
    assert boxes(drawing)["y = Cube(x)"] == ("= [8, 27]", "shape (2,)", "∂z/∂y = [1, 1]")
    assert boxes(drawing)["x"][-1] == "∂z/∂x = [12, 27]"
    assert arrows(drawing)["x", "y = Cube(x)"] == ["∂y/∂x = [12, 27]"]
    z.backward()
    with pytest.raises(RuntimeError, match="E204 in visualize"):
        draw_graph(z)


def test_functions_with_several_results():
    x, y = scalar(5), scalar(2)
    total, difference = SumAndDifference.apply(x, y)
    f = total * difference
    shown = boxes(draw_graph(f))
    assert (shown["x"][-1], shown["y"][-1]) == ("∂f/∂x = 10", "∂f/∂y = -4")
    f.backward()
    assert (x.grad.item(), y.grad.item()) == (10, -4)


# ---- mistakes -----------------------------------------------------------------------------------------------------------


def test_a_freed_graph_says_how_to_draw_it():
    x = scalar(3)
    y = x * x
    y.backward()
    with pytest.raises(
        RuntimeError, match=r"E204 in visualize .*draw before backward\(\), or pass it retain_graph=True"
    ):
        draw_graph(y)


def test_a_value_that_was_overwritten_is_never_shown_as_if_it_had_been_read():
    x = tg.tensor([3.0, 4.0], dtype=tg.float64, requires_grad=True)
    y = x * x
    x.data.mul_(2)
    with pytest.raises(RuntimeError, match="E201"):
        draw_graph(y)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: draw_graph(), ValueError, "nothing to draw"),
        (lambda x: draw_graph(x.detach()), RuntimeError, "E203 in draw_graph .*requires_grad=True"),
        (
            lambda x: draw_graph(x, show=("values",)),
            ValueError,
            "show has 'values'; it takes value, shape, grad, local",
        ),
        (lambda x: draw_graph(x, show="value"), ValueError, r"show must be a sequence of words.*show=\('value',\)"),
        (lambda x: draw_graph(3.0), TypeError, "must be Tensors, got float"),
        (lambda x: draw_graph(chain(x, 500)), ValueError, "more than 400 boxes"),
    ],
)
def test_mistakes_are_named(call, error, text):
    with pytest.raises(error, match=text):
        call(scalar(3))


def chain(x, length):
    for _ in range(length):
        x = x + 1
    return x


# ---- recording ----------------------------------------------------------------------------------------------------------


def test_recording_ends_with_its_block_even_after_an_error():
    x = scalar(3)
    with pytest.raises(KeyError), record() as recording:
        x * 2
        raise KeyError
    x * 5
    assert len(recording) == 1
    assert observers == []


def test_recording_leaves_other_threads_and_constants_alone():
    x = scalar(3)
    with record() as recording:
        other = threading.Thread(target=lambda: x * 2)
        other.start()
        other.join()
        tg.tensor(1.0) + 1
        with tg.no_grad():
            x * 7
    assert len(recording) == 0


# ---- against the engine -------------------------------------------------------------------------------------------------

UNARY = (tg.exp, tg.tanh, tg.sin, tg.neg, lambda v: v**2, lambda v: v.sum(-1, keepdim=True), lambda v: v.reshape(-1))
BINARY = (tg.add, tg.sub, tg.mul, lambda v, w: v / (w * w + 1), lambda v, w: v + 3 * w)
steps = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 20), st.integers(0, 20)), max_size=8)


def program(leaves, choices):
    """A scalar made by a random program from tensors that broadcast against each other."""
    made = list(leaves)
    for two, which, i, j in choices:
        v, w = made[i % len(made)], made[j % len(made)]
        made.append(BINARY[which % len(BINARY)](v, w) if two else UNARY[which](v))
    return tg.tanh(sum(each.sum() for each in made))


@given(choices=steps, kept=st.booleans())
def test_gradients_and_the_chain_rule_on_the_arrows(choices, kept):
    leaves = [tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (0.5, -1.25)]
    with record() as recording:
        out = program(leaves, choices)
    expected = tg.autograd.grad(out, leaves, retain_graph=True, allow_unused=True)
    calls = recording.calls if kept else {}
    picture = Picture([out], {}, calls, frozenset(PARTS))
    for leaf, grad in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(picture.gradients[leaf.node], grad.numpy(), rtol=1e-12)
    summed = {out.node: 1.0}
    for node in picture.nodes:
        for operand in picture.operands.get(node, ()):
            if operand.node is not None:
                source = picture.gradients[operand.node]
                local = local_derivative(node, operand.parent, picture.gradients[node], source.shape, calls.get(node))
                part = float(local.numbers.item() * summed[node])
                summed[operand.node] = summed.get(operand.node, 0.0) + part
    for leaf in leaves:
        assert summed[leaf.node] == pytest.approx(float(picture.gradients[leaf.node].item()), rel=1e-12)


@given(choices=steps)
def test_values_without_a_recording_are_those_of_the_recording(choices):
    leaves = [
        tg.tensor(np.full((3,), 0.5), requires_grad=True),
        tg.tensor(np.array([[-1.0], [0.25]]), requires_grad=True),
    ]
    try:
        with record() as recording:
            out = program(leaves, choices)
    except RuntimeError:  # reshaped operands may not broadcast
        return
    kept = Picture([out], {}, recording.calls, frozenset(PARTS))
    walked = Picture([out], {}, {}, frozenset(PARTS))
    assert walked.values.keys() <= kept.values.keys()
    for node, value in walked.values.items():
        np.testing.assert_allclose(value, kept.values[node], rtol=1e-12)
    for node, gradient in walked.gradients.items():
        np.testing.assert_allclose(gradient, kept.gradients[node], rtol=1e-12)
        assert gradient.shape == kept.values[node].shape
