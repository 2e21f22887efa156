"""A convolution, its relu and its max-pooling in a Sequential share a kernel; everything looks as if they ran one by one."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import kernels, nn
from tinygrad_edu.engine import inspectors
from tinygrad_edu.graph import add_hook
from tinygrad_edu.registry import observers
from tinygrad_edu.utils.checkpoint import checkpoint
from tinygrad_edu.visualize.derivatives import local_derivative
from tinygrad_edu.visualize.graph_facts import ancestry, known_values


def one_by_one(model, x):
    for module in model:
        x = module(x)
    return x


def both(model):
    """The two ways to run the model."""
    return model, lambda x: one_by_one(model, x)


def small(pool=2, channels=3, **options):
    """A network of one convolution, and images for it that need a gradient."""
    tg.manual_seed(3)
    pooling = [nn.MaxPool2d(pool)] if pool else []
    model = nn.Sequential(nn.Conv2d(channels, 6, **({"kernel_size": 3} | options)), nn.ReLU(), *pooling)
    return model, tg.randn(4, channels, 11, 13, requires_grad=True)


def leaves_of(model, x):
    return [leaf for leaf in (x, *model.parameters()) if leaf.requires_grad]


def gradients(model, x, run, **options):
    """What an ordinary backward pass leaves at the leaves."""
    wanted = leaves_of(model, x)
    for leaf in wanted:
        leaf.grad = None
    weights = tg.arange(1.0, 30.0)
    out = run(x)
    (out * weights[: out.shape[-1]]).sum().backward(**options)
    return [leaf.grad.numpy() for leaf in wanted]


def assert_close(first, second):
    """Equal but for the order in which sums are added up, which the largest terms decide."""
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6 * np.abs(np.nan_to_num(b)).max(initial=1))


def bits(tensor):
    return tensor.detach().numpy().tobytes()


def chain(node):
    """The nodes from an output down to the convolution, newest first."""
    found = [node]
    while found[-1].name() != "ConvolutionBackward0":
        found.append(found[-1].next_functions[0][0])
    return found


@pytest.fixture
def joined_calls(monkeypatch):
    """The names of the joined kernels, as they are called."""
    calls = []

    def noted(name):
        own = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args: calls.append(name) or own(*args))

    noted("conv_relu_pool_forward")
    noted("conv_relu_pool_backward")
    return calls


FORWARD_AND_BACKWARD = ["conv_relu_pool_forward", "conv_relu_pool_backward"]


class TestEqual:
    """Outputs to the last bit; gradients to rounding, and to the last bit where they are recorded."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"bias": False},
            {"padding": 1},
            {"padding": (0, 2), "kernel_size": (2, 5)},
            {"padding": "same", "kernel_size": 4},
            {"padding": "valid"},
            {"stride": 2, "padding": 1},
            {"dilation": 2},
            {"groups": 3, "padding": 1},
            {"kernel_size": 5, "padding": 6},  # more than the kernel reaches
        ],
        ids=str,
    )
    @pytest.mark.parametrize("pool", [None, 2, 3, (2, 2)])
    def test_a_layer(self, joined_calls, pool, options):
        model, x = small(pool, **options)
        joined, apart = model(x), one_by_one(model, x)
        assert bits(joined) == bits(apart)
        assert [n.name() for n in chain(joined.grad_fn)] == [n.name() for n in chain(apart.grad_fn)]
        joined_calls.clear()
        first, second = (gradients(model, x, run) for run in both(model))
        assert joined_calls == FORWARD_AND_BACKWARD
        assert_close(first, second)

    @pytest.mark.parametrize("pool", [None, 2, 3])
    def test_recorded_gradients(self, pool):
        model, x = small(pool, padding=1)
        found = []
        for run in both(model):
            first = tg.autograd.grad(run(x).pow(2).sum(), leaves_of(model, x), create_graph=True)
            second = tg.autograd.grad(sum(g.pow(2).sum() for g in first), leaves_of(model, x))
            found.append((list(map(bits, first)), [g.numpy() for g in second]))
        assert found[0][0] == found[1][0]
        assert_close(found[0][1], found[1][1])

    def test_two_layers_and_what_follows(self, joined_calls):
        tg.manual_seed(4)
        layers = [nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten()]
        model, x = nn.Sequential(*layers, nn.Linear(16 * 16, 3), nn.Tanh()), tg.randn(5, 1, 16, 16)
        first = gradients(model, x, model)
        assert joined_calls == [FORWARD_AND_BACKWARD[0]] * 2 + [FORWARD_AND_BACKWARD[1]] * 2
        assert_close(first, gradients(model, x, lambda x: one_by_one(model, x)))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("pool", [None, 2])
    def test_numbers_that_are_not_finite(self, pool, value):
        model, x = small(pool, padding=1)
        with tg.no_grad():
            model[0].weight[0].abs_().neg_()  # one channel in which the infinite pixel is cut off by the relu
            x[1, 2, 4, 5] = value
        found = [gradients(model, x, run) for run in both(model)]
        np.testing.assert_array_equal(model(x).detach().numpy(), one_by_one(model, x).detach().numpy())
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        assert_close(*found)

    def test_an_infinite_pixel_that_the_relu_cuts_off_is_in_the_gradient(self):
        tg.manual_seed(5)
        model, x = nn.Sequential(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)), tg.rand(20, 1, 28, 28)
        with tg.no_grad():
            model[0].weight.abs_().neg_()
            model[0].bias.fill_(9.0)
            x[3, 0, 9, 9] = float("inf")
        assert np.isfinite(model(x).detach().numpy()).all()
        for gradient in (gradients(model, x, run)[0] for run in both(model)):
            assert np.isnan(gradient).all()  # 0 * inf

    @pytest.mark.parametrize("level", [0.0, 1.0])
    def test_ties(self, level):
        model, x = small(2)
        with tg.no_grad():
            x.fill_(level)
            model[0].bias[:3] = 0.5
        found = [gradients(model, x, run) for run in both(model)]
        assert bits(model(x)) == bits(one_by_one(model, x))
        assert_close(*found)

    def test_float64_runs_one_by_one(self, joined_calls):
        model, x = small(2)
        model, x = model.double(), x.detach().double().requires_grad_()
        first, second = (gradients(model, x, run) for run in both(model))
        assert not joined_calls
        assert all(a.dtype == np.float64 and np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    @pytest.mark.parametrize("shape", [(3, 11, 13), (0, 3, 11, 13)])
    def test_other_shapes(self, shape):
        model, _ = small(2)
        x = tg.randn(*shape)
        assert model(x).shape == one_by_one(model, x).shape
        assert bits(model(x)) == bits(one_by_one(model, x))

    @pytest.mark.parametrize(
        "options",
        [
            {"stride": 1},
            {"padding": 1},
            {"ceil_mode": True},
            {"dilation": 2},
            {"stride": (2, 3)},
            {"kernel_size": (2, 3)},
        ],
        ids=str,
    )
    def test_other_windows_leave_the_pooling_out(self, joined_calls, options):
        model, x = small(None)
        model.append(nn.MaxPool2d(**({"kernel_size": 2} | options)))
        assert bits(model(x)) == bits(one_by_one(model, x))
        first, second = (gradients(model, x, run) for run in both(model))
        assert joined_calls == [FORWARD_AND_BACKWARD[0], *FORWARD_AND_BACKWARD]
        assert_close(first, second)

    def test_indices_are_returned(self):
        model, x = small(None)
        model.append(nn.MaxPool2d(2, return_indices=True))
        (values, indices), (wanted, where) = model(x), one_by_one(model, x)
        assert bits(values) == bits(wanted)
        assert indices.tolist() == where.tolist()


class TestWhatNeedsAGradient:
    @pytest.mark.parametrize("image", [True, False])
    @pytest.mark.parametrize("frozen", [(), ("bias",), ("weight",), ("weight", "bias")])
    def test_frozen_parts(self, frozen, image):
        model, x = small(2)
        x.requires_grad_(image)
        for name in frozen:
            getattr(model[0], name).requires_grad_(False)
        joined, apart = model(x), one_by_one(model, x)
        assert bits(joined) == bits(apart)
        assert joined.requires_grad == apart.requires_grad
        if joined.requires_grad:
            assert_close(*(gradients(model, x, run) for run in both(model)))

    def test_nothing_is_recorded_where_nothing_is_wanted(self, joined_calls):
        model, x = small(2)
        with tg.no_grad():
            assert model(x).grad_fn is None
        assert model.requires_grad_(False)(x.detach()).grad_fn is None
        assert joined_calls == [FORWARD_AND_BACKWARD[0]] * 2

    def test_a_frozen_layer_does_not_keep_the_image(self):
        model, x = small(2)
        model.requires_grad_(False)
        conv = chain(model(x).grad_fn)[-1]
        assert all(value is not x._data for value in conv.saved)

    def test_only_some_gradients_are_asked_for(self):
        model, x = small(2)
        for wanted in ([x], [model[0].weight], [model[0].bias]):
            found = [tg.autograd.grad(run(x).pow(2).sum(), wanted)[0].numpy() for run in both(model)]
            assert_close(found[:1], found[1:])


class TestTheGraph:
    """It is that of the ops one by one, whoever looks at it."""

    @pytest.mark.parametrize("pool", [None, 2])
    def test_several_passes(self, pool):
        model, x = small(pool)
        found = []
        for run in both(model):
            for leaf in leaves_of(model, x):
                leaf.grad = None
            loss = run(x).pow(2).sum()
            nodes = chain(loss.grad_fn)
            loss.backward(retain_graph=True)
            loss.backward()
            found.append([leaf.grad.numpy() for leaf in leaves_of(model, x)])
            assert [node.saved for node in nodes if node.op.frees] == [None] * (len(nodes) - 1)  # sum saves no array
            with pytest.raises(RuntimeError, match="E204"):
                loss.backward()
        assert_close(*found)

    @pytest.mark.parametrize("change", [lambda g: None, lambda g: g * 2])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_hooks_on_nodes(self, place, change):
        model, x = small(2, padding=1)
        found = []
        for run in both(model):
            out, seen = run(x), []
            add_hook(chain(out.grad_fn)[place], lambda g: seen.append(np.array(g)) or change(g))  # noqa: B023
            grads = tg.autograd.grad(out.pow(2).sum(), leaves_of(model, x))
            found.append([*map(bits, grads)] if place else [])
            found[-1].append(seen[0].tobytes())
        assert found[0] == found[1]

    def test_hooks_on_the_output(self):
        model, x = small(2)
        found = []
        for run in both(model):
            out = run(x)
            out.retain_grad()
            out.register_hook(lambda g: g * 3)
            grads = tg.autograd.grad(out.pow(2).sum(), leaves_of(model, x), retain_graph=True)
            out.pow(2).sum().backward()
            found.append([*(g.numpy() for g in grads), out.grad.numpy()])
        assert_close(*found)

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_module_hook_sees_what_lies_between(self, place):
        model, x = small(2)
        seen = []
        model[place].register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
        model(x)
        one_by_one(model, x)
        assert [bits(t) for t in seen[0]] == [bits(t) for t in seen[1]]

    def test_an_observer_sees_all(self):
        model, x = small(2)
        seen = []
        observers.append(lambda name, *rest: seen.append(name))
        try:
            model(x)
        finally:
            observers.pop()
        assert seen == ["convolution", "relu", "window_max"]

    def test_an_anomaly_is_found_in_a_graph_that_was_there_before(self):
        model, x = small(2)
        with tg.no_grad():
            model[0].weight.fill_(float("inf"))
        loss = model(x).sum()
        with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="backward of convolution"):
            loss.backward()

    def test_an_inspector_sees_every_gradient(self):
        model, x = small(2)
        found = []
        for run in both(model):
            out, seen = run(x), []
            inspectors.append(lambda node, g: seen.append((node.name(), np.asarray(g).tobytes())))  # noqa: B023
            try:
                out.pow(2).sum().backward()
            finally:
                inspectors.pop()
            found.append(seen)
        assert found[0] == found[1]

    def test_the_values_between_are_there_for_pictures(self):
        model, x = small(2)
        conv, rectifier = chain(model(x).grad_fn)[:0:-1]
        after = model[1](model[0](x))
        out = model(x)
        known = known_values(ancestry([out.node], 100), {}, [out])
        values = {node.name(): value for node, value in known.items()}
        assert values["ReluBackward0"].tobytes() == bits(after)
        assert values["ConvolutionBackward0"].tobytes() == bits(model[0](x))
        assert (conv.name(), rectifier.name()) == ("ConvolutionBackward0", "ReluBackward0")

    @pytest.mark.parametrize("pool", [None, 2])
    def test_local_derivatives_are_there_for_pictures(self, pool):
        model, x = small(pool)
        found = []
        for run in both(model):
            out = run(x)
            before = out if pool is None else model[0](x)
            found.append(local_derivative(out.grad_fn, 0, out.detach().numpy(), tuple(before.shape), None).numbers)
        np.testing.assert_array_equal(*found)

    def test_checkpointed(self):
        model, x = small(2)
        found = [gradients(model, x, lambda x, run=run: checkpoint(run, x)) for run in both(model)]
        assert_close(*found)


class TestInPlace:
    def test_the_pooled_output_may_be_written_over(self):
        model, x = small(2)
        found = []
        for run in both(model):
            out = run(x)
            out.sub_(1.0)
            found.append([bits(g) for g in tg.autograd.grad((out * out).sum(), leaves_of(model, x))])
        assert found[0] == found[1]

    def test_the_output_of_the_relu_may_not(self):
        model, x = small(None)
        for run in both(model):
            out = run(x)
            out.sub_(1.0)
            with pytest.raises(RuntimeError, match=r"E201.*`out` of relu"):
                out.sum().backward()

    def test_what_the_convolution_read_may_not(self):
        model, x = small(2)
        for run in both(model):
            loss = run(x).sum()
            with tg.no_grad():
                model[0].weight.mul_(2.0)
            with pytest.raises(RuntimeError, match=r"E201.*`w` of convolution"):
                loss.backward()

    def test_a_weight_that_no_gradient_depends_on_may(self):
        model, x = small(2)
        x.requires_grad_(False)
        found = []
        for run in both(model):
            model[0].weight.grad = None
            loss = run(x).pow(2).sum()
            with tg.no_grad():
                model[0].weight.add_(0.0)
            loss.backward()
            found.append([model[0].weight.grad.numpy()])
        assert_close(*found)

    def test_then_what_lies_between_is_refused(self):
        model, x = small(2)
        x.requires_grad_(False)
        loss = model(x).pow(2).sum()
        with tg.no_grad():
            model[0].weight.add_(1.0)
        with pytest.raises(RuntimeError, match=r"E201.*`w` of convolution"):
            tg.autograd.grad(loss, model[0].weight, create_graph=True)


class TestModulesOfOnesOwn:
    def test_are_called(self):
        class Doubled(nn.Conv2d):
            def forward(self, input):
                return super().forward(input) * 2

        class Shifted(nn.MaxPool2d):
            def forward(self, input):
                return super().forward(input) + 1

        _, x = small(2)
        for layers in ([Doubled(3, 6, 3), nn.MaxPool2d(2)], [nn.Conv2d(3, 6, 3), Shifted(2)]):
            model = nn.Sequential(layers[0], nn.ReLU(), layers[1])
            assert bits(model(x)) == bits(one_by_one(model, x))

    @pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
    def test_other_borders(self, mode, joined_calls):
        model, x = small(2, padding=1, padding_mode=mode)
        assert bits(model(x)) == bits(one_by_one(model, x))
        assert not joined_calls

    def test_an_inplace_relu(self, joined_calls):
        model, x = small(2)
        model[1] = nn.ReLU(inplace=True)
        first, second = (gradients(model, x, run) for run in both(model))
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        assert not joined_calls

    @pytest.mark.parametrize("shape", [(2, 3, 2, 2), (2, 5, 11, 13), (2, 3, 3, 3), (2, 3)])
    def test_errors_are_those_of_the_modules(self, shape):
        model, _ = small(2)
        texts = []
        for run in both(model):
            with pytest.raises(RuntimeError) as caught:
                run(tg.ones(*shape))
            texts.append(re.sub(r":\d+", "", str(caught.value)))  # less the line that called
        assert texts[0] == texts[1]
