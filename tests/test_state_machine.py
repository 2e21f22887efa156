"""Random programs (arithmetic, views, in-place writes, detach, no_grad, backward) against the naive engine."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

import tinygrad_edu as tg
from tests.naive_engine import NaiveEngine, Value, Variable

LENGTH = 4
number = st.floats(-2, 2, allow_nan=False).map(lambda x: round(x, 3))


class Programs(RuleBasedStateMachine):
    variables = Bundle("variables")

    @initialize(target=variables, first=st.lists(number, min_size=LENGTH, max_size=LENGTH))
    def begin(self, first):
        self.naive = NaiveEngine(leaf_elements=2 * LENGTH)
        self.leaves = []
        self.wrote = False
        return self.new_leaf(first)

    def new_leaf(self, numbers):
        array = np.array(numbers)
        pair = (tg.tensor(numbers, dtype=tg.float64, requires_grad=True), self.naive.leaf(array))
        self.leaves.append(pair)
        return pair

    @rule(target=variables, numbers=st.lists(number, min_size=LENGTH, max_size=LENGTH), trainable=st.booleans())
    def make(self, numbers, trainable):
        if trainable and len(self.leaves) < 2:
            return self.new_leaf(numbers)
        return tg.tensor(numbers, dtype=tg.float64), self.naive.constant(np.array(numbers))

    @rule(
        target=variables, name=st.sampled_from(["add", "sub", "mul"]), a=variables, b=variables, recording=st.booleans()
    )
    def binary(self, name, a, b, recording):
        (x, u), (y, v) = a, b
        if x.shape != y.shape:
            y, v = x, u
        with tg.set_grad_enabled(recording):
            out = getattr(tg, name)(x, y)
        return out, Variable(self.naive.binary(name, u.read(), v.read(), recording))

    @rule(target=variables, name=st.sampled_from(["sin", "tanh"]), a=variables)
    def unary(self, name, a):
        x, u = a
        return getattr(tg, name)(x), Variable(self.naive.unary(name, u.read(), True))

    @rule(target=variables, a=variables, start=st.integers(0, 2))
    def slice(self, a, start):
        x, u = a
        if x.numel() < LENGTH:
            return a
        cells = np.arange(start, start + 2) if u.base is None else u.cells[start : start + 2]
        return x[start : start + 2], Variable(base=u.root(), cells=cells)

    @rule(target=variables, a=variables)
    def detach(self, a):
        x, u = a
        value = u.read()
        return x.detach().clone(), Variable(Value(value.numbers.copy(), np.zeros_like(value.slopes), False))

    @rule(name=st.sampled_from(["add", "sub", "mul"]), a=variables, b=variables)
    def write(self, name, a, b):
        (x, u), (y, v) = a, b
        if x.shape != y.shape:
            y, v = x, u
        refused = u.root().leaf or (u.base is not None and u.root().leaf)
        before = x.detach().clone()
        try:
            getattr(x, f"{name}_")(y)
        except RuntimeError as error:
            assert refused, error
            np.testing.assert_array_equal(x.detach().numpy(), before.numpy())
            return
        assert not refused
        self.wrote = True
        u.write(self.naive.binary(name, u.read(), v.read(), True))

    @rule(a=variables)
    def values_agree(self, a):
        x, u = a
        np.testing.assert_allclose(x.detach().numpy(), u.read().numbers, rtol=1e-9, atol=1e-9)

    @rule(a=variables)
    def gradients_agree(self, a):
        x, u = a
        value = u.read()
        assert x.requires_grad == value.tracked
        if not value.tracked:
            return
        leaves = [leaf for leaf, _ in self.leaves]
        try:
            gradients = tg.autograd.grad(x.sum(), leaves, retain_graph=True, materialize_grads=True)
        except RuntimeError as error:  # a value that a rule reads was overwritten: refused, never wrong
            assert "E201" in str(error) and self.wrote
            return
        ours = np.concatenate([g.numpy() for g in gradients])
        expected = value.slopes.sum(0)[: ours.size]
        np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-7 * max(1.0, np.abs(expected).max(initial=0)))


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
