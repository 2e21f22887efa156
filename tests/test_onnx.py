"""ONNX files, run by ONNX Runtime: the same numbers as the model, for other batches too; and refusals that say why."""

import inspect
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.nn import functional as F
from tinygrad_edu.nn.models import MLP, CourseCNN, LeNet5

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

BATCH = {"input": {0: "batch"}}


def tensors_in(value):
    if isinstance(value, tg.Tensor):
        return [value]
    return [t for part in value for t in tensors_in(part)] if isinstance(value, tuple | list) else []


def run(proto, *args):
    """What ONNX Runtime makes of the graph."""
    session = runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: a.numpy() for i, a in zip(session.get_inputs(), args, strict=True)})


def same(model, args, *others, **options):
    """Export with `args`; the graph gives what the model gives for these and the other arguments."""
    model.eval()
    proto = tg.onnx.export(model, args, **options)
    for given in (args, *others):
        with tg.no_grad():
            expected = tensors_in(model(*given))
        for got, want in zip(run(proto, *given), expected, strict=True):
            assert got.dtype == want.numpy().dtype
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-5, atol=1e-5)
    return proto


def kinds(proto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def batch_norm_cnn():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Dropout(), nn.Linear(16, 3),
    )  # fmt: skip
    model(tg.randn(8, 1, 9, 9) * 2 + 1)  # running statistics that are not 0 and 1
    return model


def autoencoder():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid(),
    )  # fmt: skip


class Residual(nn.Module):
    """Branches, a functional activation, a concatenation and indexing."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, input):
        x = F.relu(self.one(input)) + input
        y = tg.cat([x, self.two(x)], 1)
        return y[:, 2:-1:2], y.mean(1, keepdim=True), y[:, 0]


NETWORKS = {
    "MLP": (lambda: MLP((784, 30, 10), "sigmoid"), (1, 28, 28)),
    "LeNet5": (LeNet5, (1, 28, 28)),
    "CourseCNN": (CourseCNN, (1, 28, 28)),
    "batch norm": (batch_norm_cnn, (1, 9, 9)),
    "autoencoder": (autoencoder, (1, 28, 28)),
    "residual": (Residual, (6,)),
    "1-d": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 5), nn.BatchNorm1d(4), nn.GELU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(32, 2)),
        (3, 20),
    ),
    "3-d": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ELU(), nn.MaxPool3d(2), nn.ConvTranspose3d(2, 1, 2, 2), nn.AvgPool3d(2)),
        (1, 4, 4, 4),
    ),
    "norms": (
        lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm((5, 6)), nn.RMSNorm(6)),
        (4, 5, 6),
    ),
    "upsampling": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.PixelUnshuffle(2), nn.Softmax2d()),
        (1, 4, 4),
    ),
    "edges": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.AdaptiveMaxPool2d(1), nn.Softplus(2.0)),
        (1, 6, 6),
    ),
}  # fmt: skip


class TestNetworks:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_the_same_numbers_for_every_batch(self, name: str):
        make, shape = NETWORKS[name]
        args = [(tg.randn(n, *shape),) for n in (1, 2, 7)]
        same(make(), *args, dynamic_axes=BATCH)

    def test_readable_graphs(self):
        proto = same(CourseCNN(), (tg.randn(1, 1, 28, 28),))
        assert kinds(proto) == ["Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Tanh", "Gemm"]
        assert [node.name for node in proto.graph.node][:2] == ["/conv/Conv", "/relu/Relu"]
        assert kinds(same(batch_norm_cnn(), (tg.randn(1, 1, 9, 9),)))[:3] == ["Conv", "BatchNormalization", "Relu"]
        one = nn.Sequential(nn.Conv1d(3, 4, 5), nn.MaxPool1d(2), nn.ConvTranspose1d(4, 2, 3))
        assert kinds(same(one, (tg.randn(2, 3, 20),))) == ["Conv", "MaxPool", "ConvTranspose"]

    def test_a_single_sample_without_a_batch(self):
        same(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ConvTranspose2d(2, 1, 2)), (tg.randn(1, 8, 8),))

    def test_initializers_are_the_state_dict(self):
        model = batch_norm_cnn()
        proto = same(model, (tg.randn(1, 1, 9, 9),))
        held = {w.name: onnx.numpy_helper.to_array(w) for w in proto.graph.initializer}
        state = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
        assert state.keys() <= held.keys()
        for name, value in state.items():
            np.testing.assert_array_equal(held[name], value.numpy())

    def test_tied_weights_are_kept_once(self):
        model = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5))
        model[2].weight = model[0].weight
        names = [w.name for w in same(model, (tg.randn(2, 5),)).graph.initializer]
        assert names == ["0.weight", "0.bias", "2.bias"]

    def test_float64(self):
        same(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).double(), (tg.randn(2, 5, dtype=tg.float64),))


class TestSequences:
    @pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
    @pytest.mark.parametrize(
        "options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False}]
    )
    def test_recurrent_layers(self, kind, options):
        axes = {"input": {0: "one", 1: "two"}}
        proto = same(kind(4, 6, **options), (tg.randn(2, 5, 4),), (tg.randn(7, 9, 4),), dynamic_axes=axes)
        assert kinds(proto).count(kind.__name__) == options.get("num_layers", 1)

    def test_relu_and_given_states(self):
        same(nn.RNN(4, 6, nonlinearity="relu"), (tg.randn(5, 2, 4), tg.randn(1, 2, 6)))

        class Given(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(4, 6, num_layers=2)

            def forward(self, x, h, c):
                return self.lstm(x, (h, c))

        same(Given(), (tg.randn(5, 2, 4), tg.randn(2, 2, 6), tg.randn(2, 2, 6)))

    def test_a_projected_lstm_step_by_step(self):
        same(nn.LSTM(4, 6, proj_size=3), (tg.randn(3, 2, 4),))

    def test_cells(self):
        same(nn.LSTMCell(4, 6), (tg.randn(2, 4),))
        same(nn.GRUCell(4, 6), (tg.randn(2, 4), tg.randn(2, 6)))

    @pytest.mark.parametrize("first", [True, False])
    def test_a_transformer_of_any_batch_and_length(self, first: bool):
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=first, activation="gelu", norm_first=first)
        proto = same(
            nn.TransformerEncoder(layer, 2), (tg.randn(2, 5, 16),), (tg.randn(7, 9, 16),), (tg.randn(1, 1, 16),),
            dynamic_axes={"src": {0: "a", 1: "b"}},
        )  # fmt: skip
        assert "LayerNormalization" in kinds(proto) and "Softmax" in kinds(proto)

    def test_attention_with_its_weights_and_a_causal_mask(self):
        class Causal(nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

            def forward(self, x):
                mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
                y, weights = self.attention(x, x, x, attn_mask=mask)
                return y, weights, F.scaled_dot_product_attention(x, x, x, is_causal=True)

        same(Causal(), (tg.randn(1, 5, 8),), (tg.randn(4, 5, 8),), dynamic_axes={"x": {0: "batch"}})

    def test_words(self):
        class Words(nn.Module):
            def __init__(self):
                super().__init__()
                self.words, self.places = nn.Embedding(20, 8, padding_idx=0), nn.Embedding(16, 8)
                self.start = nn.Parameter(tg.randn(1, 1, 8))

            def forward(self, ids):
                n, t = ids.shape
                x = self.words(ids) + self.places(tg.arange(t))
                return tg.cat([self.start.expand(n, 1, 8), x], 1).reshape(n, (t + 1) * 8)

        proto = same(
            Words(), (tg.randint(0, 20, (2, 5)),), (tg.randint(0, 20, (3, 9)),), dynamic_axes={"ids": {0: "n", 1: "t"}}
        )
        assert kinds(proto).count("Gather") >= 2

    def test_a_greatest_length_is_respected(self):
        class Places(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("places", tg.randn(6, 3))

            def forward(self, x):
                return x + self.places[: x.shape[1]]

        same(Places(), (tg.randn(2, 6, 3),), (tg.randn(1, 4, 3),), dynamic_axes={"x": [0, 1]})


class TestWritesInPlace:
    def test_whole_tensors_may_be_overwritten(self):
        class Writing(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 3)

            def forward(self, x):
                x = self.layer(x)
                x += 1
                return x.mul_(2).relu_(), F.relu(x, inplace=True)

        assert kinds(same(Writing(), (tg.randn(2, 3),)))[:4] == ["Gemm", "Add", "Mul", "Relu"]

    def test_a_condition_of_one_element(self):
        class Chosen(nn.Module):
            def forward(self, x):
                return tg.where(x.sum() > 0, x, -x)

        same(Chosen(), (tg.ones(2, 3),), (-tg.ones(2, 3),))


class TestShapes:
    def test_heights_that_must_be_even(self):
        class Skip(nn.Module):
            def __init__(self):
                super().__init__()
                self.down, self.up = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 2, 2, 2)

            def forward(self, x):
                return tg.cat([x, self.up(F.relu(self.down(x)))], 1)

        axes = {"x": {0: "batch", 2: "height", 3: "width"}}
        same(Skip(), (tg.randn(1, 1, 8, 8),), (tg.randn(3, 1, 12, 6),), dynamic_axes=axes)

    def test_a_token_before_the_patches(self):
        class Patches(nn.Module):
            def __init__(self):
                super().__init__()
                self.patch, self.start = nn.Conv2d(1, 8, 4, 4), nn.Parameter(tg.randn(1, 1, 8))

            def forward(self, x):
                x = self.patch(x).flatten(2).transpose(1, 2)
                return tg.cat([self.start.expand(x.shape[0], -1, -1), x], 1)[:, 0]

        same(Patches(), (tg.randn(1, 1, 8, 8),), (tg.randn(3, 1, 8, 8),), dynamic_axes={"x": {0: "batch"}})

    def test_names_of_dimensions(self):
        model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2))
        axes = {"image": {0: "batch", 2: "height", -1: "width"}, "map": {2: "half height"}}
        proto = same(
            model, (tg.randn(1, 1, 8, 9),), (tg.randn(3, 1, 12, 5),), input_names=["image"], output_names=["map"], dynamic_axes=axes
        )  # fmt: skip

        def dims(value):
            return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

        assert dims(proto.graph.input[0]) == ["batch", 1, "height", "width"]
        assert dims(proto.graph.output[0])[:3] == ["batch", 2, "half height"]

    def test_without_dynamic_axes_the_shape_is_fixed(self):
        proto = same(nn.Linear(3, 2), (tg.randn(4, 3),))
        with pytest.raises(Exception, match=r"(?i)invalid dimensions"):
            run(proto, tg.randn(5, 3))

    def test_axes_of_one_name(self):
        class Sum(nn.Module):
            def forward(self, x, y):
                return x.unsqueeze(1) + y.unsqueeze(0).broadcast_to((x.shape[0], y.shape[0]))

        axes = {"x": {0: "n"}, "y": {0: "n"}}
        same(Sum(), (tg.randn(3), tg.randn(3)), (tg.randn(5), tg.randn(5)), dynamic_axes=axes)
        with pytest.raises(ValueError, match=r"axes named 'n' have the lengths 3 and 4"):
            tg.onnx.export(Sum(), (tg.randn(3), tg.randn(4)), dynamic_axes=axes)

    @pytest.mark.parametrize(
        ("axes", "words"),
        [
            ({"inputs": {0: "n"}}, "names 'inputs', the inputs and outputs are"),
            ({"input": {2: "n"}}, "dimension 2 of 'input'"),
        ],
    )
    def test_axes_that_there_are_not(self, axes, words):
        with pytest.raises(ValueError, match=words):
            tg.onnx.export(nn.Linear(3, 2), tg.zeros(1, 3), dynamic_axes=axes)

    def test_a_model_for_one_size_only(self):
        with pytest.raises(
            RuntimeError, match=r"runs with the given input, but not with another one of shape .*dynamic_axes"
        ):
            tg.onnx.export(nn.Linear(3, 2), tg.zeros(2, 3), dynamic_axes={"input": {1: "features"}})

    def test_a_batch_of_one_that_is_squeezed_away(self):
        class Squeezed(nn.Module):
            def forward(self, x):
                return x.squeeze()

        with pytest.raises(
            RuntimeError, match=r"squeeze .*test_onnx.py:\d+\) has 1 dimensions or parts for one input, 2"
        ):
            tg.onnx.export(Squeezed(), tg.zeros(1, 3), dynamic_axes={"x": {0: "batch"}})


class Model(nn.Module):
    """A model from a function."""

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x))


class Positive(nn.Module):
    """Decides by the sign of what comes in."""

    def forward(self, x):
        return x * 2 if x[0, 0] > 0 else x.exp()


class TestRefusals:
    def test_an_operation_without_a_rule(self):
        class Norms(nn.Module):
            def forward(self, x):
                return tg.linalg.svd(x)[1]

        line = inspect.getsourcelines(Norms.forward)[1] + 1
        model = nn.Sequential(nn.Linear(3, 3), Norms())
        with pytest.raises(tg.onnx.UnsupportedOperatorError) as caught:
            tg.onnx.export(model, tg.randn(2, 3))
        for words in ("singular_values", "layer '1'", f"test_onnx.py:{line}", "has no ONNX form", "op_map.py"):
            assert words in str(caught.value)

    def test_a_number_taken_out_of_a_tensor(self):
        with pytest.raises(
            RuntimeError, match=r"mul \(.*test_onnx.py:\d+\) contains a tensor .* the file would freeze it.*item"
        ):
            tg.onnx.export(Model(lambda x: x * x.mean().item()), tg.randn(2, 3))

    def test_a_branch_that_depends_on_the_values(self):
        class Branch(nn.Module):
            def forward(self, x):
                return x * 2 if x[0] > 0.5 else x.exp()

        with pytest.raises(RuntimeError, match=r"mul \(.*not carried out for every input: an `if` or a loop"):
            tg.onnx.export(Branch(), tg.tensor([1.0, 0.0]))

    def test_signs_are_tried_too(self):
        with pytest.raises(RuntimeError, match="an `if` or a loop"):
            tg.onnx.export(Positive(), tg.zeros(2, 3) + 0.5)

    def test_noise(self):
        with pytest.raises(RuntimeError, match="drawn at random"):
            tg.onnx.export(Model(lambda x: x + tg.randn(3)), tg.randn(2, 3))

    def test_a_length_that_depends_on_the_values(self):
        class Cut(nn.Module):
            def forward(self, x):
                return x[: int(x.abs().max().item() * 1000)]

        with pytest.raises(RuntimeError, match=r"depends on the input's values|for one input"):
            tg.onnx.export(Cut(), tg.tensor([0.001, 0.002, 0.003, 0.004]))

    def test_a_partial_write(self):
        def write(x):
            x[0] = 1.0
            return x * 2

        with pytest.raises(RuntimeError, match=r"input of mul \(.*test_onnx.py:\d+\).* partly overwritten in place"):
            tg.onnx.export(Model(write), tg.randn(2, 3))

    def test_a_lazy_layer_before_its_first_batch(self):
        with pytest.raises(RuntimeError, match="run one batch"):
            tg.onnx.export(nn.LazyLinear(3), tg.zeros(1, 2))

    def test_a_partial_write_to_what_is_returned(self):
        def write(x):
            y = x.clone()
            y[:, 0] = 5.0
            return y

        with pytest.raises(RuntimeError, match=r"what the model returns, of shape \(2, 3\), was partly overwritten"):
            tg.onnx.export(Model(write), tg.randn(2, 3))

    def test_a_table_filled_step_by_step(self):
        def fill(x):
            y = tg.zeros(2, 3)
            for t in range(3):
                y[:, t] = x[:, t] * 2
            return y

        with pytest.raises(RuntimeError, match=r"what the model returns contains a tensor of shape \(2, 3\)"):
            tg.onnx.export(Model(fill), tg.randn(2, 3))

    def test_types_that_onnx_does_not_take(self):
        class Bits(nn.Module):
            def forward(self, x):
                return x.sqrt() + 1 if x.dtype.is_floating_point else x @ x

        with pytest.raises(RuntimeError, match="ONNX does not accept the graph"):
            tg.onnx.export(Bits(), tg.ones(2, 2, dtype=tg.int16))

    def test_wrong_arguments(self):
        model = nn.Linear(3, 2)
        for error, words, options in [
            (ValueError, "1 tensors are put in, input_names are", {"input_names": ["a", "b"]}),
            (ValueError, "returns 1 tensors, output_names are", {"output_names": ["a", "b"]}),
            (ValueError, "none of them an input's", {"input_names": ["a"], "output_names": ["a"]}),
            (ValueError, "opset_version is 9, known are 18 to 21", {"opset_version": 9}),
        ]:
            with pytest.raises(error, match=words):
                tg.onnx.export(model, tg.zeros(1, 3), **options)
        with pytest.raises(TypeError, match="must be a Module, got function"):
            tg.onnx.export(lambda x: x, tg.zeros(1))
        with pytest.raises(ValueError, match="hold no Tensor"):
            tg.onnx.export(model, ())

    def test_without_the_library(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        monkeypatch.delitem(sys.modules, "tinygrad_edu.onnx.exporter", raising=False)
        monkeypatch.delitem(sys.modules, "tinygrad_edu.onnx.graph", raising=False)
        monkeypatch.delattr(tg.onnx, "exporter", raising=False)
        with pytest.raises(ImportError, match=r"pip install 'tinygrad_edu\[onnx\]'"):
            tg.onnx.export(nn.Linear(3, 2), tg.zeros(1, 3))


class TestInputsAndOutputs:
    def test_keyword_arguments(self):
        class Scaled(nn.Module):
            def forward(self, x, scale=1.0, shift=None):
                return x * scale + shift

        x, shift = tg.randn(2, 3), tg.randn(3)
        for args, kwargs in [
            ((x, {"shift": shift, "scale": 2.0}), None),
            ((x,), {"shift": shift, "scale": 2.0}),
            ((x, 2.0, shift), {}),
        ]:
            proto = tg.onnx.export(Scaled(), args, kwargs=kwargs)
            assert [i.name for i in proto.graph.input] == ["x", "shift"]
            np.testing.assert_allclose(run(proto, x, shift)[0], (x * 2 + shift).numpy(), rtol=1e-6)

    def test_outputs_of_every_kind(self):
        class Many(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(tg.randn(3))

            def forward(self, x):
                y = x * self.w
                return {"y": y, "again": y, "input": x, "weight": self.w, "constant": tg.ones(2)}

        x = tg.randn(2, 3)
        names = ["y", "again", "same", "weight", "ones"]
        proto = tg.onnx.export(Many(), x, output_names=names)
        assert [o.name for o in proto.graph.output] == names
        model = Many()
        model.load_state_dict({"w": tg.tensor(onnx.numpy_helper.to_array(proto.graph.initializer[0]))})
        for got, want in zip(run(proto, x), model(x).values(), strict=True):
            np.testing.assert_allclose(got, want.numpy(force=True), rtol=1e-6)

    def test_default_names(self):
        proto = tg.onnx.export(Residual(), tg.randn(2, 6))
        assert [o.name for o in proto.graph.output] == ["output", "output_1", "output_2"]

    def test_what_no_output_needs_is_left_out(self):
        class Unused(nn.Module):
            def forward(self, x):
                tg.linalg.svd(x)  # has no rule, and nobody asks for it
                return x + 1

        assert kinds(tg.onnx.export(Unused(), tg.randn(2, 3))) == ["Add"]

    def test_parameters_as_inputs(self):
        model, x = nn.Linear(3, 2), tg.randn(1, 3)
        proto = tg.onnx.export(model, x, export_params=False)
        assert [i.name for i in proto.graph.input] == ["input", "weight", "bias"]
        assert len(proto.graph.initializer) == 0
        np.testing.assert_allclose(
            run(proto, x, model.weight.detach(), model.bias.detach())[0],
            model(x).numpy(force=True),
            rtol=1e-5,
            atol=1e-6,
        )
        both = tg.onnx.export(model, x, keep_initializers_as_inputs=True)
        assert (len(both.graph.input), len(both.graph.initializer)) == (3, 2)

    @pytest.mark.parametrize("opset", [18, 19, 20, 21])
    def test_every_opset(self, opset: int):
        proto = same(batch_norm_cnn(), (tg.randn(1, 1, 9, 9),), opset_version=opset)
        assert proto.opset_import[0].version == opset

    def test_verbose_prints_the_graph(self, capsys):
        tg.onnx.export(nn.Linear(3, 2), tg.zeros(1, 3), verbose=True)
        assert "Gemm" in capsys.readouterr().out

    def test_torchs_arguments_are_understood(self):
        torch = pytest.importorskip("torch")
        theirs, ours = (inspect.signature(f).parameters for f in (torch.onnx.export, tg.onnx.export))
        assert set(ours) <= set(theirs)


class TestTheFile:
    def test_it_is_written_whole_and_runs(self, tmp_path):
        path = tmp_path / "model.onnx"
        model = MLP((6, 4, 2))
        tg.onnx.export(model, tg.randn(1, 6), path)
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        x = tg.randn(1, 6)
        np.testing.assert_allclose(
            session.run(None, {"input": x.numpy()})[0], model(x).numpy(force=True), rtol=1e-5, atol=1e-6
        )
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]

    def test_a_failure_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"before")
        with pytest.raises(RuntimeError):
            tg.onnx.export(Model(lambda x: tg.linalg.svd(x)[1]), tg.randn(2, 3), str(path))
        assert path.read_bytes() == b"before"
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="make it first"):
            tg.onnx.export(nn.Linear(3, 2), tg.zeros(1, 3), tmp_path / "no" / "model.onnx")


class TestTheModelStaysAsItWas:
    @pytest.mark.parametrize("fails", [False, True])
    def test_modes_gradients_buffers_random_numbers_and_observers(self, fails: bool):
        from tinygrad_edu.registry import observers

        last = Model(lambda x: tg.linalg.svd(x)[1]) if fails else nn.Dropout()
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(inplace=True), last).train()
        model[1].eval()
        model[0].weight.grad = tg.ones(3, 3)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        x = tg.randn(2, 3)
        kept = x.clone()
        tg.manual_seed(3)
        expected = tg.rand(2)
        tg.manual_seed(3)
        profile = sys.getprofile()
        if fails:
            with pytest.raises(RuntimeError):
                tg.onnx.export(model, x)
        else:
            tg.onnx.export(model, x)
        assert (tg.rand(2) == expected).all()
        assert (x == kept).all()
        assert [m.training for m in list(model.modules())[:4]] == [True, True, False, True]
        assert all((value == before[name]).all() for name, value in model.state_dict().items())
        assert (model[0].weight.grad == 1).all()
        assert observers == []
        assert sys.getprofile() is profile
        assert all(m._hooks is None for m in model.modules())

    def test_an_input_that_the_first_layer_overwrites(self):
        x = tg.tensor([[-1.0, 2.0]])
        proto = tg.onnx.export(nn.Sequential(nn.ReLU(inplace=True)), x)
        assert x.tolist() == [[-1.0, 2.0]]
        assert run(proto, x)[0].tolist() == [[0.0, 2.0]]
