"""The engine itself: long chains, shared subexpressions, memory, hooks, second passes, and what it refuses."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg


def leaf(values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


def f(x, y):
    return x**2 + x * y + (x + y) ** 2


class TestTheCourseFunction:
    def test_value_and_gradient_at_3_2(self):
        x, y = leaf(3.0), leaf(2.0)
        z = f(x, y)
        z.backward()
        assert (z.item(), x.grad.item(), y.grad.item()) == (40.0, 18.0, 13.0)

    def test_second_derivatives(self):
        hessian = tg.autograd.hessian(lambda v: f(v[0], v[1]), tg.tensor([3.0, 2.0], dtype=tg.float64))
        assert hessian.tolist() == [[4.0, 3.0], [3.0, 2.0]]

    def test_third_and_fourth_derivatives_of_a_power(self):
        x = leaf(2.0)
        y = x**4
        orders = []
        for _ in range(4):
            (y,) = tg.autograd.grad(y, x, create_graph=True)
            orders.append(y.item())
        assert orders == [32.0, 48.0, 48.0, 24.0]


class TestDepth:
    def test_a_chain_of_100_000_operations(self):
        x = leaf(1.0)
        y = x
        for _ in range(100_000):
            y = y + 1.0
        y.backward()
        assert x.grad.item() == 1.0

    def test_doubling_1000_times_is_exact(self):
        x = leaf(1.0)
        y = x
        for _ in range(1000):
            y = y + y
        y.backward()
        assert y.item() == 2.0**1000
        assert x.grad.item() == 2.0**1000

    def test_a_long_chain_dies_without_recursion(self):
        x = leaf(1.0)
        y = x
        for _ in range(200_000):
            y = y * 1.0
        del y


class TestAccumulation:
    def test_gradients_add_up_over_passes(self):
        x = leaf([1.0, 2.0])
        (x * x).sum().backward()
        (x * x).sum().backward()
        assert x.grad.tolist() == [4.0, 8.0]

    def test_siblings_do_not_share_gradient_memory(self):
        a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        (a + b).sum().backward()
        with tg.no_grad():
            a.grad.mul_(100)
        assert b.grad.tolist() == [1.0, 1.0]

    def test_the_given_gradient_is_not_written_to(self):
        a, seed = leaf([1.0, 2.0]), tg.tensor([1.0, 1.0], dtype=tg.float64)
        (a + a).backward(seed)
        (a + a).backward(seed)
        assert seed.tolist() == [1.0, 1.0]
        assert a.grad.tolist() == [4.0, 4.0]

    def test_the_grad_tensor_keeps_its_identity(self):
        x = leaf([1.0])
        (x * 2).sum().backward()
        seen = x.grad
        (x * 3).sum().backward()
        assert x.grad is seen
        assert seen.item() == 5.0

    def test_many_uses_of_one_tensor(self):
        x = leaf(np.ones(5))
        total = sum((x * float(i) for i in range(50)), tg.zeros(5, dtype=tg.float64))
        total.sum().backward()
        assert x.grad.tolist() == [float(sum(range(50)))] * 5


class TestPasses:
    def test_a_second_pass_is_refused_by_name(self):
        x = leaf(2.0)
        y = x * x
        y.backward()
        with pytest.raises(RuntimeError, match=r"E204 in backward .*second time.*mul.*retain_graph=True"):
            y.backward()

    def test_retain_graph_allows_it(self):
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.item() == 8.0

    def test_sums_save_nothing_and_may_run_again(self):
        x = leaf([1.0, 2.0])
        y = (x + 1.0).sum()
        y.backward()
        y.backward()
        assert x.grad.tolist() == [2.0, 2.0]

    def test_a_failing_hook_leaves_no_half_gradients(self):
        x = leaf([1.0, 2.0])
        y = x * x

        def fail(grad):
            raise KeyError("stop")

        handle = y.register_hook(fail)
        with pytest.raises(KeyError):
            y.sum().backward()
        handle.remove()
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]

    def test_only_rules_on_a_path_to_the_inputs_run(self):
        x, w = leaf([1.0]), leaf([2.0])
        h = x * w
        ran = []
        h.register_hook(lambda grad: ran.append("h"))
        (found,) = tg.autograd.grad((h + w * w).sum(), w)
        assert found.tolist() == [5.0]
        assert x.grad is None and w.grad is None
        assert ran == ["h"]

    def test_a_seed_without_a_path_leaves_nothing_behind(self):
        x, w = leaf([1.0]), leaf([2.0])
        y = (x * x).sum()
        assert tg.autograd.grad(y, w, retain_graph=True, allow_unused=True) == (None,)
        assert tg.autograd.grad(y, x)[0].tolist() == [2.0]

    def test_interior_inputs(self):
        x = leaf([1.0, 2.0])
        h = x * x
        (found,) = tg.autograd.grad((h * h).sum(), h)
        assert found.tolist() == [2.0, 8.0]

    def test_backward_into_chosen_inputs(self):
        x, w = leaf([1.0]), leaf([2.0])
        (x * w).sum().backward(inputs=[w])
        assert x.grad is None
        assert w.grad.tolist() == [1.0]

    def test_unused_inputs(self):
        x, w = leaf([1.0]), leaf([2.0])
        with pytest.raises(RuntimeError, match="allow_unused=True"):
            tg.autograd.grad((x * 2).sum(), w)
        assert tg.autograd.grad((x * 2).sum(), w, allow_unused=True) == (None,)
        (zeros,) = tg.autograd.grad((x * 2).sum(), w, materialize_grads=True)
        assert zeros.tolist() == [0.0]

    def test_threads_may_run_backward_over_shared_leaves(self):
        w = leaf(np.ones(100))

        def work():
            for _ in range(50):
                (w * 2.0).sum().backward()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert w.grad.tolist() == [400.0] * 100


class TestHooks:
    def test_a_hook_sees_and_replaces(self):
        x = leaf([1.0, 2.0])
        h = x * 3
        seen = []
        h.register_hook(lambda grad: seen.append(grad.tolist()))
        h.register_hook(lambda grad: grad * 10)
        h.sum().backward()
        assert seen == [[1.0, 1.0]]
        assert x.grad.tolist() == [30.0, 30.0]

    def test_retain_grad(self):
        x = leaf([1.0, 2.0])
        h = x * 3
        h.retain_grad()
        (h * h).sum().backward()
        assert h.grad.tolist() == [6.0, 12.0]

    def test_the_grad_of_an_interior_tensor_warns(self):
        h = leaf([1.0]) * 3
        with pytest.warns(tg.TeachingWarning, match=r"E202.*mul.*retain_grad"):
            assert h.grad is None


class TestRefusals:
    def test_no_graph(self):
        with pytest.raises(RuntimeError, match=r"E203 in backward \(test_engine.py:\d+\).*does not require grad"):
            tg.tensor(1.0).backward()

    def test_non_scalar(self):
        with pytest.raises(RuntimeError, match=r"E205.*scalar outputs.*\(2,\)"):
            (leaf([1.0, 2.0]) * 2).backward()

    def test_gradient_of_the_wrong_shape(self):
        with pytest.raises(RuntimeError, match=r"E205.*\(3,\).*\(2,\)"):
            (leaf([1.0, 2.0]) * 2).backward(tg.ones(3))

    def test_integer_leaves(self):
        with pytest.raises(RuntimeError, match=r"E110.*\[1\., 2\., 3\.\]"):
            tg.tensor([1, 2, 3], requires_grad=True)

    def test_numpy_of_a_recorded_tensor(self):
        with pytest.raises(RuntimeError, match=r"E210.*detach\(\)\.numpy\(\)"):
            leaf([1.0]).numpy()

    def test_shapes_that_do_not_broadcast(self):
        with pytest.raises(RuntimeError, match=r"E104 in mul.*\(2, 3\) and \(2, 4\).*dimension 1.*3 and 4"):
            tg.ones(2, 3) * tg.ones(2, 4)


class TestOverwriting:
    def test_a_saved_value_overwritten_later(self):
        x = leaf([1.0, 2.0])
        h = x * 2
        y = h * h
        h += 1
        with pytest.raises(RuntimeError, match=r"E201 in the backward of mul.*overwritten by add_ at test_engine.py"):
            y.sum().backward()

    def test_a_value_nobody_reads_may_be_overwritten(self):
        x = leaf([1.0, 2.0])
        h = x * 2
        y = h + 1
        h += 1
        y.sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]

    def test_through_a_detached_alias(self):
        x = leaf([1.0, 2.0])
        h = x.exp()
        h.detach().zero_()
        with pytest.raises(RuntimeError, match="E201"):
            h.sum().backward()

    def test_an_optimizer_step_between_forward_and_backward(self):
        w = leaf([1.0, 2.0])
        loss = (w * w).sum()
        with tg.no_grad():
            w -= 0.1
        with pytest.raises(RuntimeError, match="E201"):
            loss.backward()

    def test_a_leaf_while_recording(self):
        w = leaf([1.0])
        with pytest.raises(RuntimeError, match=r"E208 in sub_.*no_grad"):
            w -= 1.0

    def test_a_view_of_a_leaf_while_recording(self):
        w = leaf([1.0, 2.0])
        with pytest.raises(RuntimeError, match="E206"):
            w[0:1] *= 2

    def test_the_version_counts_writes(self):
        x = tg.zeros(3)
        assert x._version == 0
        x.add_(1)
        x[0:2].mul_(2)
        assert x._version == 2


class TestMemory:
    def test_graphs_die_without_the_garbage_collector(self):
        gc.collect()
        gc.disable()
        try:
            x = leaf([1.0, 2.0])
            h = (x * x).exp()
            node, alive = weakref.ref(h.grad_fn), weakref.ref(h)
            loss = h.sum()
            del h
            assert alive() is None, "the graph keeps nodes and saved arrays alive, not tensors"
            loss.backward()
            del loss
            assert node() is None
            other = weakref.ref(x)
            del x
            assert other() is None
        finally:
            gc.enable()

    def test_saved_arrays_are_freed_during_backward(self):
        x = leaf(np.ones(10))
        h = x * 2
        y = h * h
        saved = weakref.ref(y.grad_fn.saved[0])
        del h
        y.sum().backward()
        assert saved() is None

    def test_only_what_rules_read_is_kept(self):
        x = leaf(np.ones(1000))
        h = x * 2
        memory = weakref.ref(h.array())
        y = h + 1
        del h
        assert memory() is None
        y.sum().backward()

    def test_no_growth_over_1000_steps(self):
        w = leaf(np.ones((20, 20)))
        x = tg.ones(8, 20, dtype=tg.float64)

        def step():
            w.grad = None
            loss = tg.tanh(x @ w).pow(2).mean()
            loss.backward()
            with tg.no_grad():
                w.sub_(0.01 * w.grad)

        tracemalloc.start()
        for _ in range(3000):  # Python keeps up to 2,000 freed tuples of each length for reuse: fill that first
            step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            step()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert after - before < 5_000


class TestGradModes:
    def test_no_grad_nests_and_restores(self):
        x = leaf([1.0])
        with tg.no_grad():
            assert not (x * 2).requires_grad
            with tg.enable_grad():
                assert (x * 2).requires_grad
            assert not tg.is_grad_enabled()
        assert tg.is_grad_enabled()

    def test_as_decorators(self):
        x = leaf([1.0])

        @tg.no_grad()
        def evaluate():
            return x * 2

        @tg.inference_mode
        def infer():
            return x * 2

        @tg.no_grad()
        def numbers():
            yield tg.is_grad_enabled()
            yield tg.is_grad_enabled()

        assert not evaluate().requires_grad
        assert not infer().requires_grad
        found = [(item, tg.is_grad_enabled()) for item in numbers()]
        assert found == [(False, True), (False, True)]

    def test_set_grad_enabled_as_function_and_context(self):
        tg.set_grad_enabled(False)
        try:
            assert not tg.is_grad_enabled()
        finally:
            tg.set_grad_enabled(True)
        with tg.set_grad_enabled(False):
            assert not tg.is_grad_enabled()
        assert tg.is_grad_enabled()

    def test_one_mode_per_thread(self):
        seen = []
        with tg.no_grad():
            thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
            thread.start()
            thread.join()
        assert seen == [True]


class TestGraph:
    def test_names_and_edges_read_like_pytorch(self):
        x, w = leaf([1.0]), leaf([2.0])
        y = tg.relu(x * w)
        assert y.grad_fn.name() == "ReluBackward0"
        (product, position), *rest = y.grad_fn.next_functions
        assert (product.name(), position, rest) == ("MulBackward0", 0, [])
        assert [n.name() for n, _ in product.next_functions] == ["AccumulateGrad", "AccumulateGrad"]
        assert product.next_functions[0][0].variable is x

    def test_the_generated_source_is_shown(self):
        source = tg.mul.source()
        assert "def mul(input, other)" in source
        assert "def pull(node, g)" in source
        compile(source, "mul", "exec")
