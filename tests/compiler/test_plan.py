"""The plan of a recorded step says what is computed, from what, on which line, and how it runs."""

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim
from tinygrad_edu.kernels import policy
from tinygrad_edu.recorders import RecordingError

fused_only = pytest.mark.skipif(policy.get_backend() != "numba", reason="steps are compiled by Numba")


def trained(calls=3):
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))
    adam = optim.Adam(model.parameters(), lr=0.01)

    @tg.compile
    def step(x, y):
        adam.zero_grad()
        loss = F.cross_entropy(model(x), y) + 0.25 * (model[0].weight ** 2).sum()
        loss.backward()
        adam.step()
        return loss

    for _ in range(calls):
        step(tg.ones(5, 4), tg.zeros(5, dtype=tg.int64))
    return step


def test_every_call_is_a_row_with_its_line():
    step = trained()
    plan, first = step.plan(), step.function.__code__.co_firstlineno + 2
    program = step.programs[0].program
    rows = [row for row in plan.rows if row.number]
    assert sorted(row.number for row in rows) == list(range(1, len(program.calls) + 1))
    assert [row.section for row in rows if row.place.endswith(f":{first + 1}")].count("forward") == 9
    assert {row.place for row in rows if row.section == "backward"} == {f"test_plan.py:{first + 2}"}
    beside = {row.what: row.place for row in rows if row.section == "beside"}
    assert beside["Adam.zero_grad()"] == f"test_plan.py:{first}"
    assert beside["Adam.step()"] == f"test_plan.py:{first + 3}"
    assert any(what.startswith("mask(0.5, (5, 8)") for what in beside)


def test_values_have_the_names_of_the_user():
    plan = trained().plan()
    text = str(plan)
    assert "linear(x0, 0.weight, 0.bias)" in text
    assert "cross_entropy_mean(v10, x1)" in text
    assert "power_of(0.weight, exponent=2)" in text
    assert "mul(0.25, v13)" in text
    kept = [row.result for row in plan.rows if row.result.endswith(".grad")]
    assert sorted(kept) == ["0.bias.grad", "0.weight.grad", "3.bias.grad", "3.weight.grad"]
    held = {row.what: row.type for row in plan.rows if row.section == "held"}
    assert held["3.weight, learns"] == "float32 (3, 8)"
    assert held["0.25, is only read"] == "float32 ()"
    assert text.endswith("returns v16")


def test_tensors_outside_modules_are_called_by_their_variables():
    w = tg.ones(2, requires_grad=True)
    run = tg.compile(lambda x: (w * x).sum())
    run(tg.ones(2))
    assert "mul(w, x0)" in str(run.plan())


def test_two_networks_are_told_apart():
    painter, critic = nn.Linear(2, 2), nn.Linear(2, 1)
    run = tg.compile(lambda x: critic(painter(x)).sum())
    run(tg.ones(1, 2))
    assert "linear(x0, painter.weight, painter.bias)" in str(run.plan())
    assert "critic.weight" in str(run.plan())
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    run = tg.compile(lambda x: layers[1](layers[0](x)).sum())
    run(tg.ones(1, 2))
    assert "Linear2.weight" in str(run.plan())


@fused_only
def test_it_says_how_the_step_runs():
    assert "still runs on the tape" in str(trained(1).plan())
    step = trained()
    assert "runs as one compiled function" in str(step.plan())
    assert "def replay(t_x0, t_x1):" in step.plan().source()
    assert "cross_entropy_into(" in step.plan().source()
    run = tg.compile(lambda x: tg.cumsum(x, 0).sum())
    for _ in range(3):
        run(tg.ones(2))
    assert "runs call by call: " in str(run.plan())
    assert "def replay(t_x0):" in run.plan().source()
    module = tg.compile(nn.Linear(2, 2))
    for _ in range(2):
        module(tg.ones(1, 2))
    assert "differentiated outside" in str(module.plan())
    assert "def way_back(g" in module.plan().source()


def test_one_plan_for_each_program():
    run = tg.compile(lambda x: x * 2)
    for size in (2, 2, 3):
        run(tg.ones(size))
    assert "program 0 of 2" in str(run.plan(0))
    assert "float32 (3,)" in str(run.plan(1))
    assert "float32 (2,)" not in str(run.plan(-1))
    with pytest.raises(IndexError, match=r"2 programs, there is no number 2.*from 0 to 1"):
        run.plan(2)


def test_before_anything_was_recorded():
    run = tg.compile(lambda x: x * 2)
    with pytest.raises(RecordingError, match=r"not been called yet.*call the step twice"):
        run.plan()
    run(tg.ones(2))
    with pytest.raises(RecordingError, match="recorded once"):
        run.plan().source()
    both = tg.compile(lambda x: (x * 2, x * 3))
    both(tg.ones(2, requires_grad=True))
    with pytest.raises(RecordingError, match="several tensors"):
        both.plan()


def test_html_holds_the_same_cells():
    plan = trained().plan()
    html = plan._repr_html_()
    assert html.count("<tr>") - html.count("<th ") == len(plan.rows)
    assert "&lt;lambda&gt;" in _lambda_plan()._repr_html_()


def _lambda_plan():
    run = tg.compile(lambda x: x * 2)
    run(tg.ones(2))
    return run.plan()


def test_picture_has_an_arrow_for_everything_that_is_read(tmp_path):
    step = trained()
    plan = step.plan()
    drawing = plan.draw(tmp_path / "plan.svg")
    assert (tmp_path / "plan.svg").read_text(encoding="utf-8").count("<svg") == 1
    titles = [box.title for box in drawing.boxes.values()]
    for title in ("x0", "x1", "0.weight", "3.bias", "linear", "tanh", "0.weight.grad", "Adam.step"):
        assert title in titles
    assert titles.count("linear") == 2
    assert any(title.startswith("d tanh") for title in titles)
    into = {}
    for arrow in drawing.arrows:
        into.setdefault(drawing.boxes[arrow.dst].title, []).append(drawing.boxes[arrow.src].title)
    assert sorted(into["Adam.step"]) == ["0.bias.grad", "0.weight.grad", "3.bias.grad", "3.weight.grad"]
    assert sorted(into["cross_entropy"]) == ["linear", "x1"]
    assert into["result"] == ["add"]
    forward = plan.draw(backward=False)
    assert not any("grad" in box.title or "step" in box.title for box in forward.boxes.values())
    assert len(forward.boxes) < len(drawing.boxes)


def test_picture_of_a_function_that_is_differentiated_outside():
    model = nn.Linear(2, 2)
    run = tg.compile(lambda x: model(x).sum())
    run(tg.ones(1, 2))
    text = run.plan().draw().to_text()
    assert "gradient of the result" in text
    assert "weight.grad\n    from d linear" in text


def test_plan_leaves_the_step_as_it_was():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        w.grad = None
        loss = ((w * x) ** 2).sum()
        loss.backward()
        return loss

    run = tg.compile(step)
    for number in range(5):
        x = tg.tensor([1.0, float(number)])
        loss = run(x)
        run.plan().draw()
        assert loss.item() == pytest.approx(1 + 4 * number**2)
        np.testing.assert_allclose(w.grad.numpy(), [2.0, 4.0 * number**2])
