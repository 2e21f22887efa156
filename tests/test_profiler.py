"""The profiler counts every operation, its times add up, and it leaves nothing behind."""

import json
import time

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd.profiler import profile, record_function
from tinygrad_edu.primitive import Primitive, registry
from tinygrad_edu.profiler import ProfilerAction, ProfilerActivity, schedule, tensorboard_trace_handler


def counts(prof):
    return {row.key: row.count for row in prof.key_averages()}


def state():
    return {
        name: (op.function.__code__, op.function.__defaults__, op.function.__kwdefaults__, op.__dict__.get("pull"),
               op.__dict__.get("pull_tensors"), "PROFILED" in op.function.__globals__)
        for name, op in registry.items() if isinstance(op, Primitive)
    }  # fmt: skip


def test_every_call_is_counted_forward_and_backward():
    x = tg.ones(4, requires_grad=True)
    with profile() as prof:
        for _ in range(3):
            (x * x + tg.mul(x, 2.0) - x).exp().backward(x)
    assert counts(prof) == {
        "mul": 6, "add": 3, "sub": 3, "exp": 3, "ExpBackward0": 3, "SubBackward0": 3, "AddBackward0": 3, "MulBackward0": 6,
    }  # fmt: skip


def test_the_results_are_the_same():
    def gradients():
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        nn.functional.cross_entropy(model(tg.randn(5, 3)), tg.tensor([0, 1, 0, 1, 1])).backward()
        return [p.grad.tolist() for p in model.parameters()]

    plain = gradients()
    with profile():
        measured = gradients()
    assert measured == plain


def test_second_derivatives_nest_in_the_backward():
    x = tg.tensor([0.5], requires_grad=True)
    with profile() as prof:
        (slope,) = tg.autograd.grad(x.exp(), x, create_graph=True)
    assert slope.item() == pytest.approx(1.6487212)
    events = {e.name: e for e in prof.events()}
    assert events["ExpBackward0"].start <= events["mul"].start <= events["mul"].end <= events["ExpBackward0"].end
    assert events["ExpBackward0"].inside == events["mul"].end - events["mul"].start


def test_everything_is_put_back():
    x = tg.ones(2, requires_grad=True)
    (x * x).sum().backward()
    before = state()
    with pytest.raises(ZeroDivisionError), profile():
        (x * x).sum().backward()
        raise ZeroDivisionError
    after = state()
    assert before["mul"] == after["mul"]
    assert not any(entry[-1] for entry in after.values())
    with profile(enabled=False):
        assert state() == after


def test_an_operation_that_was_never_called_before():
    name = next(n for n, op in registry.items() if n in ("asinh", "acosh", "atanh", "erfinv"))
    op = registry[name]
    with profile() as prof:
        first = op.function(tg.tensor(0.5))
    assert counts(prof) == {name: 1}
    assert "build" not in op.function.__code__.co_names
    second = op.function(tg.tensor(0.5))
    assert first.isnan().item() or first.item() == second.item()


def test_errors_pass_through_and_are_measured():
    with profile() as prof, pytest.raises(RuntimeError, match="mul"):
        tg.mul(tg.ones(2), tg.ones(3))
    assert counts(prof) == {"mul": 1}


def test_self_time_is_what_is_not_inside():
    with profile() as prof, record_function("outer"):
        with record_function("inner"):
            time.sleep(0.002)
        tg.ones(3).exp()
    rows = {row.key: row for row in prof.key_averages()}
    outer, inner, exp = rows["outer"], rows["inner"], rows["exp"]
    assert inner.cpu_time_total >= 2000
    assert inner.self_cpu_time_total == inner.cpu_time_total == inner.cpu_time
    assert outer.self_cpu_time_total == pytest.approx(outer.cpu_time_total - inner.cpu_time_total - exp.cpu_time_total)
    assert prof.self_cpu_time_total == pytest.approx(outer.cpu_time_total)
    assert prof.total_average().count == 3


def test_record_function_decorates_and_does_nothing_without_a_profile():
    @record_function("named")
    def work(a, b=1):
        return a + b

    assert work(1) == 2
    with profile() as prof:
        assert work(1, b=2) == 3
        with pytest.raises(ZeroDivisionError), record_function("failing"):
            raise ZeroDivisionError
    assert counts(prof) == {"named": 1, "failing": 1}


def test_the_table():
    x = tg.ones(4, requires_grad=True)
    with profile(record_shapes=True) as prof:
        (x * x).exp().exp()
        tg.ones(2, 3) * 2
    lines = prof.key_averages().table(sort_by="count", row_limit=1, header="HEAD").splitlines()
    assert lines[0] == "HEAD"
    assert lines[2].split("  ")[0].strip() == "Name"
    assert "# of Calls" in lines[2]
    assert len(lines) == 7
    assert "Self CPU time total" in lines[-1]
    shaped = prof.key_averages(group_by_input_shape=True)
    assert sorted(r.input_shapes for r in shaped if r.key == "mul") == [((2, 3), ()), ((4,), (4,))]
    assert "[[4], [4]]" in shaped.table()
    assert prof.table(row_limit=-1).count("\n") == str(prof.key_averages()).count("\n")
    with pytest.raises(AttributeError, match="cannot sort by 'nonsense'"):
        prof.key_averages().table(sort_by="nonsense")


def test_two_at_once_are_refused():
    with profile(), pytest.raises(RuntimeError, match="already active"), profile():
        pass
    with profile() as prof:
        tg.ones(1).exp()
    assert counts(prof) == {"exp": 1}


def test_the_trace_file(tmp_path):
    with profile() as prof:
        tg.ones(3).exp()
    prof.export_chrome_trace(tmp_path / "trace.json")
    (event,) = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert (event["name"], event["ph"]) == ("exp", "X")
    assert event["dur"] > 0


# ---- step by step -----------------------------------------------------------------------------------------------------------
def test_schedules_are_torchs():
    torch_profiler = pytest.importorskip("torch.profiler")
    for options in (
        {"wait": 1, "warmup": 1, "active": 2},
        {"wait": 0, "warmup": 0, "active": 1},
        {"wait": 2, "warmup": 1, "active": 3, "repeat": 2},
        {"wait": 1, "warmup": 0, "active": 2, "repeat": 1, "skip_first": 3},
    ):
        ours, theirs = schedule(**options), torch_profiler.schedule(**options)
        assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)]
    with pytest.raises(AssertionError):
        schedule(wait=1, warmup=1, active=0)


def test_only_active_steps_are_measured(tmp_path):
    rounds = []
    save = tensorboard_trace_handler(str(tmp_path / "log"), "worker")

    def ready(prof):
        rounds.append(counts(prof))
        save(prof)

    with tg.profiler.profile(
        activities=[ProfilerActivity.CPU], schedule=schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=ready
    ) as prof:
        for _ in range(10):
            tg.ones(2).exp()
            prof.step()
    assert rounds == [{"exp": 2}, {"exp": 2}]
    assert len(list((tmp_path / "log").iterdir())) == 2
    assert not any(entry[-1] for entry in state().values())


def test_without_a_schedule_everything_is_measured():
    with tg.profiler.profile(record_shapes=True) as prof:
        for _ in range(3):
            with tg.profiler.record_function("step"):
                tg.ones(2).exp()
            prof.step()
    assert counts(prof) == {"exp": 3, "step": 3}
    assert ProfilerAction.RECORD.name == "RECORD"
